"""A reply is heard whole or is an error, whatever the server does: never quietly shorter than its text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from listening import RecordingTrack, assert_same, items
from routes import ROUTES, every_route, every_untold_websocket, every_websocket
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import APIConnectionError, ServerError, SmallestAIError
from videosdk_plugins_smallestai.emulator import ChunkBytes, Hangup, Refuse, SpeechRequest, Stall, tone

FIRST = "Here is a first sentence that is quite all right."
LONG = "This is a sentence that nobody will ever hear to its end."

ERROR_BOUND = 15.0
"""Seconds from the last sample to the error, by the specification."""

NO_PROGRESS = 20.0
"""Seconds without a new sample to an error, whatever else is believed."""


class PausingEar(RecordingTrack):
    """A track that can be paused: what it is given meanwhile is heard later."""

    async def pause(self) -> None:
        """The framework asks for it; this track only writes down what arrives."""

    async def resume(self) -> None:
        """As `pause`."""


def now() -> float:
    return asyncio.get_running_loop().time()


def stalls(text: str, share: float, seconds: float) -> Any:
    """The fault of a server that stalls in each attempt at a text, when a share of its audio has been sent."""

    def fault(request: SpeechRequest) -> Stall | None:
        if text not in request.text:
            return None
        before = request.text[: request.text.index(text)]
        return Stall(seconds, after=(len(tone(before)) + share * len(tone(text))) / 48_000)

    return fault


def assert_exact_beginning(s: Stage, text: str) -> None:
    assert_same(s.track.speech, tone(text)[: len(s.track.speech)])


@pytest.mark.parametrize("complete", [None, 0.0], ids=["never complete", "promptly complete"])
@pytest.mark.parametrize("before", ["", FIRST], ids=["first sentence", "second sentence"])
@every_untold_websocket
@in_virtual_time
async def test_a_sentence_of_which_a_server_ever_sends_less_than_half_is_an_error(
    stage: MakeStage, route: str, before: str, complete: float | None
) -> None:
    texts = [text for text in (before, LONG) if text]
    async with stage(ROUTES[route], complete=complete, fault=stalls(LONG, 0.4, 3600.0)) as s:
        await s.tts.prewarm()
        with pytest.raises(ServerError) as caught:
            await s.tts.synthesize(items(texts))
        assert now() - s.track.arrivals[-1][0] < ERROR_BOUND + 0.5
        assert_exact_beginning(s, " ".join(texts))
        assert len(s.track.speech) >= len(tone(before)) + 0.35 * len(tone(LONG)), "what was sent is heard"
        assert caught.value.unspoken == LONG
        assert s.errors == [str(caught.value)]


@pytest.mark.parametrize("seconds", [1.5, 2.1, 3.0, 4.5])
@every_websocket
@in_virtual_time
async def test_a_server_that_stalls_in_both_attempts_is_heard_whole_or_is_an_error(
    stage: MakeStage, route: str, seconds: float
) -> None:
    async with stage(ROUTES[route], complete=None, fault=stalls(LONG, 0.4, seconds)) as s:
        await s.tts.prewarm()
        [error] = await asyncio.gather(s.tts.synthesize(items([LONG])), return_exceptions=True)
        if error is None:
            assert_same(s.track.speech, tone(LONG))  # all of it is there when the call returns
            assert s.errors == []
        else:
            assert isinstance(error, ServerError)
            assert seconds >= 2.0, "a pause that the patience covers is no failure"
            assert now() - s.track.arrivals[-1][0] < ERROR_BOUND + 0.5
            assert error.unspoken == LONG
            assert s.errors == [str(error)]
            assert_exact_beginning(s, LONG)


@every_websocket
@in_virtual_time
async def test_a_server_that_goes_on_without_audio_is_an_error(stage: MakeStage, route: str) -> None:
    """It sends a chunk without a sample each second: nobody can call it silent."""

    async def go_on(request: SpeechRequest) -> None:
        while True:
            await asyncio.sleep(1.0)
            for socket in [socket for socket in s.waves._sockets if socket.record.number == request.connection]:
                await socket._channel.send('{"status":"chunk","data":{"audio":""}}')

    def fault(request: SpeechRequest) -> Any:
        going_on.append(asyncio.ensure_future(go_on(request)))
        return stalls(LONG, 0.4, 3600.0)(request)

    going_on: list[asyncio.Task[None]] = []
    async with stage(ROUTES[route], fault=fault) as s:
        await s.tts.prewarm()
        with pytest.raises(SmallestAIError) as caught:
            await s.tts.synthesize(items([LONG]))
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        assert now() - s.track.arrivals[-1][0] < NO_PROGRESS + 1.0
        assert_exact_beginning(s, LONG)
        assert caught.value.unspoken == LONG
        assert s.errors == [str(caught.value)]


@pytest.mark.parametrize("paused", [False, True], ids=["playing", "paused"])
@pytest.mark.parametrize("seconds", [1.0, 1.5])
@every_websocket
@in_virtual_time
async def test_a_server_that_interleaves_stalls_and_never_completes_is_heard_whole(
    stage: MakeStage, route: str, seconds: float, paused: bool
) -> None:
    """The first sentence is long enough when it stalls, and the second one waits: still it is not cut short."""
    last = "And this one follows it, for as long as that, and ends the reply."
    share = 1 - 0.6 / (len(tone(FIRST)) / 48_000)
    fault = stalls(FIRST, share, seconds)
    async with stage(ROUTES[route], serving="interleaved", complete=None, context_complete=None, fault=fault) as s:
        s.track = s.tts.audio_track = PausingEar()
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(s.tts.synthesize(items([FIRST, last])))
        if paused:
            await s.track.hears(0.5)
            await s.tts.pause()
            await asyncio.sleep(3.0)
            await s.tts.resume()
        await speaking
        assert_same(s.track.speech, tone(FIRST + last))
        assert s.errors == []


SECOND = "And a second one makes the server hang up."


@pytest.mark.parametrize("how", ["close", "reset"])
@every_websocket
@in_virtual_time
async def test_a_sentence_that_makes_the_server_hang_up_costs_nothing_of_the_one_before(
    stage: MakeStage, route: str, how: Literal["close", "reset"]
) -> None:
    async with stage(ROUTES[route], fault=lambda r: Hangup(how) if SECOND in r.text else None) as s:
        await s.tts.prewarm()
        with pytest.raises(APIConnectionError) as caught:
            await s.tts.synthesize(items([FIRST, SECOND]))
        assert_same(s.track.speech, tone(FIRST))
        assert caught.value.unspoken == SECOND
        assert s.errors == [str(caught.value)]


@pytest.mark.parametrize("how", ["close", "reset"])
@every_websocket
@in_virtual_time
async def test_a_server_that_hangs_up_at_a_sentence_sent_ahead_is_heard_whole(
    stage: MakeStage, route: str, how: Literal["close", "reset"]
) -> None:
    def fault(request: SpeechRequest) -> Hangup | None:
        ahead = any(other is not request and other.outcome is None for other in s.waves.requests)
        return Hangup(how) if SECOND in request.text and ahead else None

    async with stage(ROUTES[route], fault=fault) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(items([FIRST, SECOND]))
        assert_same(s.track.speech, tone(FIRST + SECOND))
        assert s.errors == []


@every_websocket
@in_virtual_time
async def test_a_reply_whose_server_may_wait_for_more_text_is_heard_whole(stage: MakeStage, route: str) -> None:
    """``max_buffer_flush_ms`` with a ``context_id`` is refused by the service: the two are never sent together."""

    def fault(request: SpeechRequest) -> Refuse | None:
        return Refuse(400) if {"context_id", "max_buffer_flush_ms"} <= request.body.keys() else None

    async with stage(ROUTES[route] | {"max_buffer_flush_ms": 200}, fault=fault) as s:
        await s.tts.synthesize(items([FIRST, LONG]))
        assert_same(s.track.speech, tone(FIRST + LONG))
        assert s.errors == []
        sent = [message for connection in s.waves.connections for message in connection.messages]
        assert not [m for m in sent if {"context_id", "max_buffer_flush_ms"} <= m.keys()]


@pytest.mark.parametrize("error", [asyncio.CancelledError, LookupError])
@every_route
@in_virtual_time
async def test_a_first_audio_callback_that_fails_or_was_cancelled_costs_no_speech(
    stage: MakeStage, route: str, error: type[BaseException]
) -> None:
    called = 0

    async def first_audio() -> None:
        nonlocal called
        called += 1
        raise error

    async with stage(ROUTES[route]) as s:
        s.tts.on_first_audio_byte(first_audio)
        await s.tts.synthesize(items([FIRST, LONG]))
        assert_same(s.track.speech, tone(FIRST + LONG))
        assert called == 1
        assert s.errors == []


@pytest.mark.parametrize("route", ["websocket", "continuations"])
@in_virtual_time
async def test_a_reply_that_begins_while_paused_is_not_taken_for_heard(stage: MakeStage, route: str) -> None:
    """Its end is guessed, from what is left to hear: nothing is heard before `resume`."""
    async with stage(ROUTES[route], complete=None, context_complete=None) as s:
        await s.tts.synthesize(FIRST)
        s.track.pause = s.track.resume = pause_nothing  # type: ignore[attr-defined]
        await s.tts.pause()
        speaking = asyncio.ensure_future(s.tts.synthesize(SECOND))
        await asyncio.wait({speaking}, timeout=30.0)
        assert not speaking.done()
        await s.tts.resume()
        await speaking
        assert s.track.speech.endswith(tone(SECOND))


async def pause_nothing() -> None:
    """As a track's that stops by itself."""


@pytest.mark.parametrize("complete", [0.0, 4.0, None])
@every_route
@in_virtual_time
async def test_a_thought_of_half_a_minute_between_two_sentences_is_no_failure(
    stage: MakeStage, route: str, complete: float | None
) -> None:
    async def thoughtfully() -> AsyncIterator[str]:
        yield FIRST
        await asyncio.sleep(30.0)
        yield SECOND

    per = "release" if complete is not None else None
    async with stage(ROUTES[route], complete=complete, context_complete=per) as s:
        await s.tts.synthesize(thoughtfully())
        assert_same(s.track.speech.replace(b"\0\0", b""), tone(FIRST + SECOND).replace(b"\0\0", b""))
        assert s.errors == []


@pytest.mark.parametrize("missing", [0.15, 0.25], ids=["one chunk", "two chunks"])  # an odd number comes before
@every_websocket
@in_virtual_time
async def test_what_comes_late_after_half_a_sample_is_no_noise(
    stage: MakeStage, route: str, missing: float
) -> None:
    """The end was guessed in the middle of a sample: its second half comes with the late audio."""
    faults = [ChunkBytes([4801]), Stall(4.0, after=len(tone(LONG)) / 48_000 - missing)]
    async with stage(ROUTES[route], complete=None, context_complete=None, fault=lambda request: faults) as s:
        await s.tts.synthesize(LONG)
        await s.waves.idle()
        await asyncio.sleep(1.0)
        heard = s.track.speech.replace(b"\0\0", b"")
        assert_same(heard, tone(LONG).replace(b"\0\0", b""))


@every_route
@in_virtual_time
async def test_the_next_reply_does_not_wait_for_a_text_that_is_slow_to_close(stage: MakeStage, route: str) -> None:
    async def slow_to_close() -> AsyncIterator[str]:
        try:
            yield FIRST
            await asyncio.sleep(60.0)
        finally:
            await asyncio.sleep(5.0)

    async with stage(ROUTES[route]) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(slow_to_close()))
        await s.track.hears(0.5)
        await s.tts.interrupt()
        before = len(s.track.heard)
        began = asyncio.get_running_loop().time()
        await s.tts.synthesize(SECOND)
        assert asyncio.get_running_loop().time() - began < 3.0
        await speaking
        assert_same(bytes(s.track.heard[before:]).rstrip(b"\0"), tone(SECOND))


@every_websocket
@in_virtual_time
async def test_after_a_barge_in_it_is_still_known_that_the_server_tells_its_ends(
    stage: MakeStage, route: str
) -> None:
    """A pause near the end of a sentence is no end on a server that has always said `complete` at once."""
    stall = Stall(3.0, after=len(tone(LONG)) / 48_000 - 0.3)
    async with stage(ROUTES[route], complete=0.05, fault=lambda r: stall if r.text == LONG else None) as s:
        await s.tts.synthesize(FIRST)
        speaking = asyncio.ensure_future(s.tts.synthesize(SECOND))
        await s.track.hears(len(tone(FIRST)) / 48_000 + 0.3)
        await s.tts.interrupt()
        await speaking
        before = len(s.track.heard)
        await s.tts.synthesize(LONG)
        heard = bytes(s.track.heard[before:]).rstrip(b"\0")
        assert_same(heard.replace(b"\0\0", b""), tone(LONG).replace(b"\0\0", b""))
        assert s.errors == []
