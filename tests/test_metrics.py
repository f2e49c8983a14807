"""The "metrics" event: once for each reply, with figures that agree with the server's and with what was heard."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

import pytest
from listening import SEVEN, assert_same, items, tokens
from routes import ROUTES, every_http, every_route, every_websocket
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import APIConnectionError, APITimeoutError, ReplyMetrics, ServerError
from videosdk_plugins_smallestai.emulator import (
    Break,
    CloseAfter,
    Connection,
    Mute,
    NoAudio,
    Refuse,
    SpeechRequest,
    Stall,
    tone,
)

SOON = 0.05
"""Seconds by which the server's clock and the plugin's may differ: what a socket takes."""


def now() -> float:
    return asyncio.get_running_loop().time()


def listen(s: Stage) -> list[ReplyMetrics]:
    told: list[ReplyMetrics] = []
    s.tts.on("metrics", lambda figures: told.append(figures))
    return told


def assert_agree(figures: ReplyMetrics, s: Stage) -> None:
    """What holds of every reply on a fresh stage."""
    requests = s.waves.requests
    assert figures.requests == len(requests)
    messages = [message for connection in s.waves.connections for message in connection.messages]
    sent = messages if s.tts.enable_streaming else [request.body for request in requests]
    assert figures.characters == sum(len(body.get("text", "")) for body in sent)
    assert figures.audio_duration == pytest.approx(len(s.track.heard) / 48000)
    if requests and requests[0].first_sent is not None:
        assert figures.ttfb == pytest.approx(requests[0].first_sent - requests[0].received, abs=SOON)
    told = repr(dataclasses.asdict(figures))
    assert "sk_test" not in told
    assert not [word for word in SEVEN.split() if f"{word} " in told]


@every_route
@in_virtual_time
async def test_a_whole_reply(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        told = listen(s)
        await s.tts.prewarm()
        called = now()
        await s.tts.synthesize(tokens(SEVEN, pace=0.02))
        [figures] = told
        assert_same(s.track.speech, tone(SEVEN))
        assert_agree(figures, s)
        assert figures.first_audio == pytest.approx(s.track.first_at - called)
        assert (figures.segments, figures.requests) == (7, 7)
        assert (figures.gaps, figures.gap_duration, figures.resumes) == (0, 0.0, 0)
        assert figures.connection_reused
        assert not figures.cancelled
        assert figures.error is None
        assert (figures.model, figures.voice_id) == (s.tts.model, s.tts.voice_id)
        assert figures.transport == ("websocket" if s.tts.enable_streaming else "http")
        assert len(figures.request_ids) == (7 if s.tts.enable_streaming else len(figures.request_ids))
        with pytest.raises(dataclasses.FrozenInstanceError):
            figures.requests = 0  # type: ignore[misc]


@every_route
@in_virtual_time
async def test_a_reply_without_prewarm_opens_its_connection(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        told = listen(s)
        await s.tts.synthesize("Hello there.")
        await s.tts.synthesize("Hello again.")
        assert [figures.connection_reused for figures in told] == [False, True]


@every_route
@in_virtual_time
async def test_an_interrupted_reply(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        told = listen(s)
        await s.tts.prewarm()
        reply = asyncio.ensure_future(s.tts.synthesize(tokens(SEVEN)))
        await s.track.hears(1.0)
        await s.tts.interrupt()
        await reply
        [figures] = told
        assert_agree(figures, s)
        assert figures.cancelled
        assert figures.error is None


@every_route
@in_virtual_time
async def test_a_reply_given_up_by_its_caller_before_it_had_its_turn(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        told = listen(s)
        first = asyncio.ensure_future(s.tts.synthesize("The first one."))
        second = asyncio.ensure_future(s.tts.synthesize("The second one."))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.wait({second})
        await first
        assert [(figures.cancelled, figures.requests) for figures in told] == [(True, 0), (False, 1)]


@every_route
@in_virtual_time
async def test_a_failed_reply(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], fault=lambda request: Refuse(503)) as s:
        told = listen(s)
        with pytest.raises(ServerError):
            await s.tts.synthesize("Hello there.")
        [figures] = told
        assert_agree(figures, s)
        assert figures.error == "ServerError"
        assert (figures.ttfb, figures.first_audio, figures.audio_duration) == (None, None, 0.0)
        assert figures.requests == 3
        assert figures.characters == 3 * len("Hello there.")
        assert figures.segments == 1


@pytest.mark.parametrize("streaming", [True, False])
@in_virtual_time
async def test_a_service_that_is_not_there(stage: MakeStage, streaming: bool) -> None:
    async with stage({"enable_streaming": streaming}) as s:
        told = listen(s)
        await s.waves.stop()
        with pytest.raises(APIConnectionError):
            await s.tts.synthesize("Hello there.")
        [figures] = told
        assert figures.error == "APIConnectionError"
        assert (figures.requests, figures.characters) == (0, 0)


@every_route
@in_virtual_time
async def test_a_reply_that_resumed(stage: MakeStage, route: str) -> None:
    def break_once(request: SpeechRequest) -> Break | None:
        return Break(0.3) if request.number == 0 else None

    async with stage(ROUTES[route], fault=break_once) as s:
        told = listen(s)
        await s.tts.synthesize("A sentence that is broken once. And another.")
        [figures] = told
        assert_same(s.track.speech, tone("A sentence that is broken once. And another."))
        assert_agree(figures, s)
        assert figures.resumes == 1
        assert figures.requests > figures.segments
        assert figures.error is None


@every_route
@in_virtual_time
async def test_a_gap_that_the_service_made_is_counted(stage: MakeStage, route: str) -> None:
    def stall_once(request: SpeechRequest) -> Stall | None:
        return Stall(1.5, after=0.3) if request.number == 0 else None

    async with stage(ROUTES[route], fault=stall_once) as s:
        told = listen(s)
        await s.tts.synthesize("One sentence that has a pause in it.")
        [figures] = told
        assert figures.gaps == len(s.track.gaps) == 1
        assert figures.gap_duration == pytest.approx(s.track.gaps[0], abs=SOON)


@every_route
@in_virtual_time
async def test_a_silence_in_which_the_text_was_waited_for_is_no_gap(stage: MakeStage, route: str) -> None:
    async def text() -> AsyncIterator[str]:
        yield "Let me look it up. "
        await asyncio.sleep(5)
        yield "Here it is."

    async with stage(ROUTES[route]) as s:
        told = listen(s)
        await s.tts.synthesize(text())
        [figures] = told
        assert s.track.gaps
        assert figures.gaps == 0


@in_virtual_time
async def test_a_successor_of_a_retired_model_is_named(stage: MakeStage) -> None:
    async with stage({"model": "lightning-v3.1"}, retired={"lightning-v3.1": 410}) as s:
        told = listen(s)
        await s.tts.synthesize("Hello there.")
        assert [figures.model for figures in told] == ["lightning_v3.1"]


@in_virtual_time
async def test_speech_that_nobody_hears_yet_is_no_reply(stage: MakeStage) -> None:
    async with stage() as s:
        told = listen(s)
        assert [pcm async for pcm in s.tts.stream_synthesize(items(["Hello there."]))]
        assert told == []


@in_virtual_time
async def test_a_listener_that_fails_costs_nothing(stage: MakeStage) -> None:
    def fail(figures: ReplyMetrics) -> None:
        raise RuntimeError("the user's own")

    async with stage() as s:
        s.tts.on("metrics", fail)
        await s.tts.synthesize("Hello there.")
        assert_same(s.track.speech, tone("Hello there."))
        assert s.errors == []


@in_virtual_time
async def test_a_track_that_fails_ends_the_reply_with_its_figures(stage: MakeStage) -> None:
    async def fail(pcm: bytes) -> None:
        raise OSError("the room is gone")

    async with stage({"word_timestamps": True}) as s:
        told = listen(s)
        s.track.add_new_bytes = fail  # type: ignore[method-assign]
        with pytest.raises(OSError, match="the room is gone"):
            await s.tts.synthesize("Hello there.")
        assert [figures.error for figures in told] == ["OSError"]


@every_route
@in_virtual_time
async def test_a_track_that_is_cancelled_under_a_reply_is_an_error_that_says_so(
    stage: MakeStage, route: str
) -> None:
    async def fail(pcm: bytes) -> None:
        raise asyncio.CancelledError  # such as of a task of its own, when the room is left

    async with stage(ROUTES[route]) as s:
        told = listen(s)
        s.track.add_new_bytes = fail  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="audio track cancelled"):
            await s.tts.synthesize("Hello there.")
        assert [figures.error for figures in told] == ["RuntimeError"]


@in_virtual_time
async def test_an_error_that_no_frame_told_names_what_was_asked(stage: MakeStage) -> None:
    async with stage(fault=lambda request: Mute()) as s:
        with pytest.raises(APITimeoutError, match=r"model lightning-v3\.1, voice magnus, request "):
            await s.tts.synthesize("Hello there.")


@pytest.mark.parametrize("failures", [1, 3])
@every_http
@in_virtual_time
async def test_the_ids_of_requests_that_failed_are_told_too(stage: MakeStage, route: str, failures: int) -> None:
    def fault(request: SpeechRequest) -> Refuse | None:
        told = {"X-Request-Id": f"refused-{request.number}"}
        return Refuse(503, headers=told) if request.number < failures else None

    async with stage(ROUTES[route], fault=fault) as s:
        told = listen(s)
        with contextlib.suppress(ServerError):
            await s.tts.synthesize("Hello there.")
        [figures] = told
        assert figures.request_ids[:failures] == tuple(f"refused-{number}" for number in range(failures))
        assert len(figures.request_ids) == figures.requests
        assert figures.error == ("ServerError" if failures == 3 else None)


@in_virtual_time
async def test_the_ids_of_requests_that_brought_no_audio_are_told_too(stage: MakeStage) -> None:
    async with stage(ROUTES["http"], fault=lambda request: NoAudio()) as s:
        told = listen(s)
        with pytest.raises(ServerError):
            await s.tts.synthesize("Hello there.")
        [figures] = told
        assert len(set(figures.request_ids)) == figures.requests > 1


@pytest.mark.parametrize("prewarmed", [True, False])
@every_websocket
@in_virtual_time
async def test_the_connection_is_that_of_the_first_request_and_none_that_was_lost_before(
    stage: MakeStage, route: str, prewarmed: bool
) -> None:
    """The service closes what is open while the reply waits for its text."""
    lost = 2 if route == "unified" else 1  # there one more is kept ready

    async def text(wait: float) -> AsyncIterator[str]:
        await asyncio.sleep(wait)
        yield "Hello there."

    def handshake(connection: Connection) -> CloseAfter | None:
        return CloseAfter(1.9) if connection.number < lost else None

    reused = []
    for wait in (2.0, 20.0):  # by then another has not been opened, or has
        async with stage(ROUTES[route], handshake=handshake) as s:
            told = listen(s)
            if prewarmed:
                await s.tts.prewarm()
            await s.tts.synthesize(text(wait))
            assert_same(s.track.speech, tone("Hello there."))
            assert s.waves.requests[0].connection == lost
            reused += [figures.connection_reused for figures in told]
    assert reused == [False, True]
