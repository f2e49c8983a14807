"""The transcript grows word by word with what is heard, in a whole agent session of the framework."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest
from agent_session import agent_session
from listening import RecordingTrack, tokens
from routes import ROUTES, WEBSOCKETS, every_route, every_websocket, quick_on
from staging import MakeStage
from videosdk.agents import Pipeline, run_tts
from videosdk.agents.event_bus import global_event_emitter
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import Break
from videosdk_plugins_smallestai.testing import Call

TEXT = "This is gate 3. Five people wait here. It is your turn."
WORDS = TEXT.split()

NEAR = 0.06
"""Seconds from its place in which a word is to be told."""

BUSY = 0.1
"""Seconds that a busy machine may add."""


@dataclass
class Told:
    text: str
    at: float
    """What the listener had heard of the reply, in seconds."""


@contextmanager
def transcript(call: Call) -> Iterator[list[Told]]:
    """What the session tells the caller's screen while the reply is heard."""
    told: list[Told] = []

    def take(event: dict[str, Any]) -> None:
        # (Two components of the framework subscribe to the voice, so each word is told twice.)
        if event["type"] == "interim" and not (told and told[-1].text == event["text"]):
            played, _ = call.pipeline.audio_track.snapshot_playback()
            told.append(Told(event["text"], played / 24_000))

    global_event_emitter.on("AGENT_TRANSCRIPT_ADDED", take)
    try:
        yield told
    finally:
        global_event_emitter.off("AGENT_TRANSCRIPT_ADDED", take)


def places(text: str) -> list[float]:
    """Where the tone voice speaks each word: 50 ms a character."""
    words = text.split()
    return [0.05 * sum(map(len, words[:index])) for index in range(len(words))]


def growing(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: index + 1]) for index in range(len(words))]


def assert_in_step(told: list[Told], text: str) -> None:
    assert [word.text for word in told] == growing(text)[: len(told)]
    late = [abs(word.at - place) for word, place in zip(told, places(text), strict=False)]
    assert median(late) < NEAR
    assert max(late) < NEAR + BUSY


@quick_on("continuations", slow=[route for route in ROUTES if route != "continuations"])
async def test_the_transcript_grows_in_step_with_what_is_heard(stage: MakeStage, route: str) -> None:
    plugin = ROUTES[route] | {"word_timestamps": True}
    async with stage(plugin) as s, agent_session(s.tts) as call:
        with transcript(call) as told:
            await call.say(TEXT)
        assert [word.text for word in told] == growing(TEXT)
        if route not in ("http", "sse"):  # there the service tells no times, and they are estimated
            assert_in_step(told, TEXT)


@quick_on("continuations", slow=[route for route in WEBSOCKETS if route != "continuations"])
async def test_after_a_barge_in_the_transcript_holds_what_was_heard_and_no_more(
    stage: MakeStage, route: str
) -> None:
    plugin = ROUTES[route] | {"word_timestamps": True}
    async with stage(plugin) as s, agent_session(s.tts) as call:
        with transcript(call) as told:
            saying = call.say(TEXT)
            while len(told) < 6:  # noqa: ASYNC110 - the framework's emitter has no event to await
                await asyncio.sleep(0.01)
            await call.interrupt()
            await saying
            heard = len(told)
            await call.say("Something else is said.")
        assert_in_step(told[:heard], TEXT)
        assert heard < len(WORDS)
        assert [word.text for word in told[heard:]] == growing("Something else is said.")


async def test_with_a_tts_hook_the_transcript_grows_in_step_too(stage: MakeStage) -> None:
    def prepare(pipeline: Pipeline) -> None:
        @pipeline.on("tts")
        async def speak(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for pcm in run_tts(text):
                yield pcm

    async with (
        stage({"word_timestamps": True}) as s,
        agent_session(s.tts, prepare=prepare) as call,
    ):
        with transcript(call) as told:
            saying = call.say(TEXT)
            while len(told) < len(WORDS):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            await saying
        assert_in_step(told, TEXT)


@pytest.mark.slow
@pytest.mark.parametrize("words", ["relative", pytest.param("absolute", marks=pytest.mark.slow), None])
@every_websocket
async def test_words_are_told_once_each_whatever_their_times_count_from_and_whatever_breaks(
    stage: MakeStage, route: str, words: str | None
) -> None:
    def fault(request: Any) -> Any:
        return Break(0.4, "reset") if request.number in (1, 3) else None

    async with stage(ROUTES[route] | {"word_timestamps": True}, words=words, fault=fault) as s:
        told: list[dict[str, str]] = []
        all_told = asyncio.Event()

        def take(event: dict[str, str]) -> None:
            told.append(event)
            if len(told) >= len(WORDS):
                all_told.set()

        s.tts.on("word_spoken", take)
        await s.tts.synthesize(tokens(TEXT))
        async with asyncio.timeout(20):
            await all_told.wait()
        assert [event["word"] for event in told] == WORDS
        assert [event["cumulative_text"] for event in told] == growing(TEXT)


@pytest.mark.slow
@every_route
@pytest.mark.parametrize("voice_id", ["magnus", "voice_of_somebody"])
async def test_every_voice_has_words(stage: MakeStage, route: str, voice_id: str) -> None:
    voice_id = "rhodes" if (route, voice_id) == ("live", "magnus") else voice_id
    async with stage(ROUTES[route] | {"word_timestamps": True, "voice_id": voice_id}) as s:
        told: list[str] = []
        last = asyncio.Event()

        def take(event: dict[str, str]) -> None:
            told.append(event["word"])
            if len(told) == 4:
                last.set()

        s.tts.on("word_spoken", take)
        await s.tts.synthesize("Four words are spoken.")
        async with asyncio.timeout(20):
            await last.wait()
        assert told == ["Four", "words", "are", "spoken."]


async def test_without_word_timestamps_no_word_is_told(stage: MakeStage) -> None:
    async with stage() as s:
        told: list[Any] = []
        s.tts.on("word_spoken", lambda event: told.append(event))
        await s.tts.synthesize("Nothing is told of this.")
        assert not told
        assert not s.tts.supports_word_timestamps
        assert "word_timestamps" not in s.waves.requests[0].body


async def test_words_wait_while_the_voice_is_paused(stage: MakeStage) -> None:
    async with stage({"word_timestamps": True}) as s:
        told: list[float] = []
        s.tts.on("word_spoken", lambda event: told.append(asyncio.get_running_loop().time()))
        assert isinstance(s.tts, SmallestAITTS)
        s.tts.audio_track = Pausable()
        await s.tts.synthesize("Many words are spoken here, one after the other, for a while.")
        await s.tts.pause()
        before = len(told)
        await asyncio.sleep(0.5)
        assert len(told) == before
        await s.tts.resume()
        while len(told) < 12:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("paused", [False, True], ids=["heard at once", "paused meanwhile"])
@in_virtual_time
async def test_words_of_replies_that_wait_behind_each_other_are_told_in_order(
    stage: MakeStage, paused: bool
) -> None:
    """On a track that does not tell what it still has to play."""
    replies = ["The first reply is a rather long one.", "The second follows it.", "And here is a third.", "Last."]
    async with stage({"word_timestamps": True}, real_time_factor=20.0) as s:
        told: list[str] = []
        s.tts.on("word_spoken", lambda event: told.append(event["word"]))
        s.tts.audio_track = Pausable()
        first = asyncio.ensure_future(s.tts.synthesize(replies[0]))
        if paused:
            await s.tts.audio_track.hears(0.5)
            await s.tts.pause()
            await first
            await asyncio.sleep(5.0)
        await asyncio.gather(first, *(s.tts.synthesize(reply) for reply in replies[1:]))
        if paused:
            await s.tts.resume()
        await asyncio.sleep(30.0)
        assert told == " ".join(replies).split()


class Pausable(RecordingTrack):
    can_pause = True

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...
