"""A warm connection at every reply: idle closes and old age are dealt with between replies, unheard."""

from __future__ import annotations

import asyncio

import pytest
from listening import SEVEN, assert_same, tokens
from routes import ROUTES, every_websocket
from staging import MakeStage, Stage

from videosdk_plugins_smallestai.emulator import tone


async def connected(s: Stage, count: int) -> None:
    """Wait until the server has seen so many connections, the last of them open."""
    while len(s.waves.connections) < count:  # noqa: ASYNC110 - the server has no event for this
        await asyncio.sleep(0.01)


@every_websocket
async def test_the_first_reply_after_prewarm_pays_no_handshake(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await asyncio.gather(s.tts.prewarm(), s.tts.prewarm())
        await s.tts.prewarm()
        await s.tts.synthesize("Hello there.")
        assert len(s.waves.connections) == 1
        assert_same(s.ear.speech, tone("Hello there."))


@every_websocket
async def test_prewarm_during_a_reply_shares_its_connection(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await asyncio.gather(s.tts.synthesize("Hello there."), s.tts.prewarm())
        assert len(s.waves.connections) == 1


async def test_prewarm_over_http_opens_nothing(stage: MakeStage) -> None:
    async with stage(ROUTES["http"]) as s:
        await s.tts.prewarm()
        assert not s.waves.connections


@every_websocket
async def test_a_failed_prewarm_is_a_warning_and_the_reply_tries_again(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route], handshake=lambda connection: 403 if connection.number == 0 else None) as s:
        await s.tts.prewarm()
        assert "prewarm failed" in caplog.text
        assert s.errors == []
        await s.tts.synthesize("Hello there.")
        assert_same(s.ear.speech, tone("Hello there."))
        assert s.errors == []


@every_websocket
async def test_idle_closes_between_replies_are_not_noticed(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.tts.synthesize("Hello there.")
        for count in (2, 3, 4):
            await s.waves.close_connections("idle")
            await connected(s, count)
        await s.tts.synthesize("And we go on.")
        assert len(s.waves.connections) == 4
        assert s.ear.speech.endswith(tone("And we go on."))
        assert s.errors == []


@every_websocket
async def test_the_servers_own_idle_timeout_is_not_noticed(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"max_connection_age_sec": 1.0}, idle_timeout=0.4) as s:
        await s.tts.prewarm()
        await connected(s, 3)
        await s.tts.synthesize("Hello there.")
        assert_same(s.ear.speech, tone("Hello there."))
        assert s.errors == []


@every_websocket
async def test_an_old_connection_is_replaced_between_replies(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"max_connection_age_sec": 0.5}) as s:
        await s.tts.prewarm()
        await connected(s, 2)
        first, second = s.waves.connections[:2]
        await first.wait_closed()
        assert first.closed is not None
        assert second.opened <= first.closed, "the new one is opened first"
        assert first.client_closed
        await s.tts.synthesize("Hello there.")
        assert_same(s.ear.speech, tone("Hello there."))
        assert s.errors == []


@pytest.mark.slow
@every_websocket
async def test_a_connection_that_grows_old_in_a_reply_serves_it_to_its_end(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"max_connection_age_sec": 0.3}, complete=0.0) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(tokens(SEVEN))
        assert_same(s.ear.speech, tone(SEVEN))
        assert s.errors == []


@every_websocket
async def test_a_service_that_comes_back_is_found_without_a_reply(
    stage: MakeStage, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videosdk_plugins_smallestai._old.websocket.REOPEN_BACKOFF", (0.05,))
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.waves.stop()
        await s.waves.start()
        await connected(s, 2)
        await s.tts.synthesize("Hello there.")
        assert len(s.waves.connections) == 2
        assert s.errors == []


@every_websocket
async def test_a_quiet_call_is_let_go_and_speaks_again_when_it_must(
    stage: MakeStage, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videosdk_plugins_smallestai._old.websocket.WARM_FOR", 0.5)
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.waves.connections[0].wait_closed()
        assert s.waves.connections[0].client_closed
        await s.tts.synthesize("Hello there.")
        assert len(s.waves.connections) == 2
        assert_same(s.ear.speech, tone("Hello there."))


@every_websocket
async def test_after_a_barge_in_a_fresh_connection_is_opened_at_once(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(tokens(SEVEN)))
        await s.ear.hears(0.5)
        await s.tts.interrupt()
        await connected(s, 2)
        await speaking
        assert s.errors == []


async def test_a_reply_is_one_line_at_debug_and_none_above(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="videosdk_plugins_smallestai")
    async with stage() as s:
        await s.tts.synthesize(tokens(SEVEN))
    ours = [record for record in caplog.records if record.name == "videosdk_plugins_smallestai._old.turn"]
    assert len(ours) == 1
    assert ours[0].levelname == "DEBUG"
    assert "7 segments" in ours[0].getMessage()
    assert not [r for r in caplog.records if r.name.startswith("videosdk_plugins") and r.levelno > 10]
