"""What an operator sees in the log: which object, which reply, what went wrong, and never what is spoken."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from listening import SEVEN, assert_same, tokens
from routes import ROUTES, every_route, every_websocket
from staging import MakeStage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import InvalidRequestError, ServerError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import (
    Break,
    CloseAfter,
    Connection,
    Fault,
    Frames,
    Refuse,
    SpeechRequest,
    Stall,
    tone,
)


@pytest.fixture(autouse=True)
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "videosdk_plugins_smallestai")
    return caplog


def ours(records: pytest.LogCaptureFixture, level: int | None = None) -> list[logging.LogRecord]:
    return [r for r in records.records if r.name == "videosdk_plugins_smallestai" and level in (None, r.levelno)]


@every_route
@in_virtual_time
async def test_each_line_says_which_object_and_which_reply_it_is_of(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route]) as s:
        for _ in range(2):
            await s.tts.synthesize("Hello there.")
        assert ours(records)
        assert {r.__dict__["tts_id"] for r in ours(records)} == {s.tts.session_id}
        of_replies = [r for r in ours(records) if "first audio" in r.getMessage()]
        ids = [f"{s.tts.session_id[:4]}-{number}" for number in (1, 2)]
        for line, reply_id in zip(of_replies, ids, strict=True):
            fields = line.__dict__
            assert fields["reply_id"] == reply_id
            assert line.getMessage().startswith(f"Smallest AI [{reply_id}]: reply: ")
            assert (fields["model"], fields["voice_id"]) == (s.tts.model, s.tts.voice_id)
            assert fields["route"].startswith(s.waves.requests[0].path.removeprefix("/waves/v1"))
            assert isinstance(fields["request_ids"], str)
        assert "Hello" not in repr([r.__dict__ for r in ours(records)])


@every_route
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Break(0.3, "close"), "closed|not completed|cut short"),
        (Refuse(503), "HTTP 503|unavailable"),
        (Break(0.3, "silence"), "does not answer|stopped"),
    ],
    ids=["close", "status", "silence"],
)
@in_virtual_time
async def test_a_mended_fault_is_one_info_line_with_its_reason(
    stage: MakeStage, route: str, fault: Fault, reason: str, records: pytest.LogCaptureFixture
) -> None:
    def once(request: SpeechRequest) -> Fault | None:
        return fault if request.number == 0 else None

    async with stage(ROUTES[route], fault=once) as s:
        await s.tts.synthesize("A sentence that is broken once.")
        assert_same(s.track.speech, tone("A sentence that is broken once."))
        [line] = ours(records, logging.INFO)
        assert "asking again after a fault: " in line.getMessage()
        assert [part for part in reason.split("|") if part in line.getMessage()]


@every_route
@in_virtual_time
async def test_an_audible_gap_is_one_warning(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    def stall_once(request: SpeechRequest) -> Stall | None:
        return Stall(1.5, after=0.3) if request.number == 0 else None

    async with stage(ROUTES[route], fault=stall_once) as s:
        await s.tts.synthesize("One sentence that has a pause in it.")
        [line] = ours(records, logging.WARNING)
        assert "1 gap" in line.getMessage()


@every_websocket
@in_virtual_time
async def test_a_refused_handshake_leaves_its_line_and_the_reply_its_own(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route], handshake=lambda connection: 503) as s:
        with pytest.raises(ServerError):
            await s.tts.synthesize("Hello there.")
        lines = [r.getMessage() for r in ours(records, logging.DEBUG)]
        assert [line for line in lines if "HTTP 503" in line and "no connection on route" in line]
        assert [line for line in lines if "reply, failed: first audio none" in line]


@every_route
@in_virtual_time
async def test_an_error_names_the_model_the_voice_and_the_request(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route], fault=lambda request: Refuse(400)) as s:
        with pytest.raises(InvalidRequestError) as caught:
            await s.tts.synthesize("Hello there.")
        assert (caught.value.model, caught.value.voice_id) == (s.tts.model, s.tts.voice_id)
        assert f"model {s.tts.model}, voice {s.tts.voice_id}" in str(caught.value)
        [line] = ours(records, logging.ERROR)
        assert str(caught.value) in line.getMessage()
        if s.tts.enable_streaming:
            body = s.waves.requests[0].body
            assert caught.value.request_id == body.get("request_id", body.get("turn_id"))
            assert line.__dict__["request_ids"] == caught.value.request_id


@every_websocket
@in_virtual_time
async def test_what_the_server_repeats_of_a_text_is_in_no_line(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    text = "My diagnosis is hypochondria, Doctor."
    another = {"event": "error", "turn_id": "another"} if route == "live" else {"external_request_id": "another"}
    told: list[dict[str, Any]] = [
        {"status": "warning", "message": f"slow for {text!r}"},
        {"status": "aligned", "event": "aligned", "words": text.split()},
        {"status": "error", "message": f"late for {text!r}", **another},
    ]
    async with stage(ROUTES[route], fault=lambda request: Frames(before=[*map(json.dumps, told)])) as s:
        await s.tts.synthesize(text)
        assert_same(s.track.speech, tone(text))
        lines = [r.getMessage() for r in ours(records)]
        assert not [line for line in lines if "diagnosis" in line or "hypochondria" in line]
        assert [line for line in lines if "of the unknown kind 'aligned', with status, event, words" in line]
        assert [line for line in lines if "the server says: slow for '…" in line]
        if route != "live":
            assert [line for line in lines if "of no open request: late for '…" in line]


@every_websocket
@in_virtual_time
async def test_nor_of_one_that_it_repeats_when_the_reply_is_over(
    stage: MakeStage, route: str, records: pytest.LogCaptureFixture
) -> None:
    text = "My diagnosis is hypochondria, Doctor."
    told = {"status": "error", "event": "error", "message": f"out of service for {text!r}"}

    def handshake(connection: Connection) -> CloseAfter | None:
        return CloseAfter(20.0, frame=told) if connection.number == 0 else None

    async with stage(ROUTES[route], handshake=handshake) as s:
        await s.tts.synthesize(text)
        assert_same(s.track.speech, tone(text))
        await asyncio.sleep(30)
        lines = [r.getMessage() for r in ours(records)]
        assert not [line for line in lines if "diagnosis" in line or "hypochondria" in line]
        assert [line for line in lines if "out of service for" in line] or route == "unified"  # it is closed before


@in_virtual_time
async def test_unknown_keywords_of_a_call_leave_a_line(stage: MakeStage, records: pytest.LogCaptureFixture) -> None:
    async with stage() as s:
        await s.tts.synthesize("Hello there.", emotion="glad", stability=0.3)
        assert_same(s.track.speech, tone("Hello there."))
        assert [r for r in ours(records, logging.DEBUG) if r.getMessage().endswith("ignored: emotion, stability")]


@every_route
@in_virtual_time
async def test_the_objects_description_says_what_speaks_and_whether_it_is_connected(
    stage: MakeStage, route: str
) -> None:
    async with stage(ROUTES[route]) as s:
        before = repr(s.tts)
        await s.tts.prewarm()
        after = repr(s.tts)
        for told in (before, after):
            assert s.tts.session_id[:4] in told
            assert s.tts.model in told
            assert s.tts.voice_id in told
            assert s.waves.base_url in told
            assert "sk_test" not in told
        if s.tts.enable_streaming:
            assert "not connected" in before
            assert "WebSocket, connected" in after
        else:
            assert "HTTP" in after


@pytest.mark.parametrize("given", [False, True])
async def test_the_base_url_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    monkeypatch.setenv("SMALLEST_BASE_URL", "http://127.0.0.1:9/waves/v1/")
    here = {"base_url": "http://127.0.0.1:8/waves/v1"} if given else {}
    told = repr(SmallestAITTS(api_key="sk_test", **here))
    assert ("127.0.0.1:8" in told) is given
    assert ("127.0.0.1:9" in told) is not given


def test_a_wrong_base_url_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLEST_BASE_URL", "localhost:8765")
    with pytest.raises(ValueError, match="base_url must be"):
        SmallestAITTS(api_key="sk_test")


@pytest.mark.parametrize(("answer", "level"), [("applied", logging.INFO), ("not-entitled", logging.WARNING)])
@in_virtual_time
async def test_the_outcome_of_expire_content_is_told_once(
    stage: MakeStage, answer: str, level: int, records: pytest.LogCaptureFixture
) -> None:
    async with stage({"enable_streaming": False, "expire_content": True}, content_expiry=answer) as s:
        await s.tts.synthesize(tokens(SEVEN))
        assert {request.headers["x-expire-content"] for request in s.waves.requests} == {"true"}
        assert [r.getMessage().endswith(f"the service says '{answer}'") for r in ours(records, level)] == [True]


@pytest.mark.parametrize("expire", [False, True])
@in_virtual_time
async def test_expire_content_is_asked_for_in_the_handshake(stage: MakeStage, expire: bool) -> None:
    async with stage({"expire_content": expire}) as s:
        await s.tts.synthesize("Hello there.")
        assert s.waves.connections[0].headers.get("x-expire-content") == ("true" if expire else None)


@in_virtual_time
async def test_session_id_is_sent_on_the_unified_routes_and_on_no_other(stage: MakeStage) -> None:
    for route, plugin in ROUTES.items():
        async with stage(plugin) as s:
            await asyncio.wait_for(s.tts.synthesize("Hello there."), 20)
            sent = {request.body.get("session_id") for request in s.waves.requests}
            unified = s.tts.model == "lightning_v3.1"
            assert sent == ({s.tts.session_id} if unified else {None}), route
