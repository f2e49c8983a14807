"""Several voices behind one: where one fails, the next goes on, and every word is spoken by one of them."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from agent_session import agent_session, in_virtual_call
from listening import FRAME_BYTES, SEVEN, RecordingTrack, assert_same, items, tokens
from routes import ROUTES, every_route, quick_on
from staging import impatient
from videosdk.agents import TTS, FlushMarker, Pipeline, run_tts
from videosdk.agents.event_bus import global_event_emitter
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APIConnectionError,
    FallbackTTS,
    InvalidRequestError,
    ServerError,
    SmallestAITTS,
    framework,
)
from videosdk_plugins_smallestai.emulator import Break, Refuse, SpeechRequest, Stall, WavesEmulator, tone
from videosdk_plugins_smallestai.timing import Timing

PARTS = ["This is the first.", "The second comes.", "Here is the third.", "And the fourth.", "Five ends it."]
QUICK: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 20.0}
SOON = 2.0
"""Seconds until the next voice is to speak."""


def now() -> float:
    return asyncio.get_running_loop().time()


def whole_frames(pcm: bytes) -> bytes:
    """As a voice leaves it: the last frame is filled with silence."""
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


class Text(str):
    """One to which there can be a weak reference."""


class Foreign(TTS):  # type: ignore[misc]
    """Another make. Speaks each item when it has it, in the emulator's tone, and fails in its own way.

    Args:
        speaks: Items that it speaks before it fails.
        how: What it does then: raise, emit, do both, hang.
        half: Seconds of the item that it fails in, which are heard.
        ahead: Items that it takes before it speaks the first of them; ``None``: all, as they come.
        words: Whether it tells its words, each when its audio has been handed over.
        late: Seconds after which it emits an error once more, and adds audio, when it has failed.
        streams: Whether it brings its audio bit by bit, as it is heard, and minds no barge-in.
    """

    def __init__(
        self,
        speaks: float = math.inf,
        how: str = "raise",
        *,
        half: float = 0.0,
        ahead: int | None = 0,
        words: bool = False,
        late: float | None = None,
        streams: bool = False,
    ) -> None:
        super().__init__(sample_rate=24000, num_channels=1, word_timestamps=words)
        self.loop: Any = None
        self.speaks, self.how, self.half, self.ahead, self.late = speaks, how, half, ahead, late
        self.streams = streams
        self.language = "xx"
        self.taken: list[str] = []
        self.asked = 0
        self.calls: list[str] = []
        self.said: list[str] = []
        self.background: set[asyncio.Task[None]] = set()

    async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
        self.asked += 1
        self.cumulative: list[str] = []
        queue: asyncio.Queue[str | None] = asyncio.Queue(self.ahead or 0)
        reading = None
        if self.ahead == 0:
            async for item in items([text]) if isinstance(text, str) else text:
                if isinstance(item, str):
                    self.taken.append(item)
                    if not await self.speak(item):
                        return
            return
        reading = asyncio.ensure_future(self.read(text, queue))
        try:
            while (item := await queue.get()) is not None:
                if not await self.speak(item):
                    return
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def read(self, text: Any, queue: asyncio.Queue[str | None]) -> None:
        async for item in text:
            if isinstance(item, str):
                self.taken.append(item)
                await queue.put(item)
        await queue.put(None)

    async def speak(self, item: str) -> bool:
        pcm = tone(item)
        if self.speaks > 0:
            self.speaks -= 1
            await self.bring(pcm)
            self.said.append(item)
            if self.supports_word_timestamps:
                for word in item.split():
                    self.cumulative.append(word)
                    self.emit("word_spoken", {"word": word, "cumulative_text": " ".join(self.cumulative)})
            await asyncio.sleep(0.1)  # it takes its time
            return True
        if self.half:
            await self.audio_track.add_new_bytes(pcm[: round(self.half * 48000)])
        if self.late is not None:
            task = asyncio.ensure_future(self.go_on(pcm))
            self.background.add(task)
        if "emit" in self.how:
            self.emit("error", "out of order")
        if "raise" in self.how:
            raise RuntimeError("out of order")
        if "hang" in self.how:
            await asyncio.Event().wait()
        return False

    async def bring(self, pcm: bytes) -> None:
        size = 4800 if self.streams else len(pcm)
        for start in range(0, len(pcm), size):
            await self.audio_track.add_new_bytes(pcm[start : start + size])
            await asyncio.sleep(0.1 if self.streams else 0)

    async def go_on(self, pcm: bytes) -> None:
        assert self.late is not None
        await asyncio.sleep(self.late)
        await self.audio_track.add_new_bytes(pcm)
        self.emit("error", "still out of order")

    async def prewarm(self) -> None:
        self.calls.append("prewarm")

    async def pause(self) -> None:
        self.calls.append("pause")
        await super().pause()

    async def resume(self) -> None:
        self.calls.append("resume")
        await super().resume()

    async def interrupt(self) -> None:
        self.calls.append("interrupt")
        if not self.streams and hasattr(self.audio_track, "interrupt"):
            self.audio_track.interrupt()

    async def aclose(self) -> None:
        self.calls.append("aclose")
        await super().aclose()


@dataclass
class Ear(RecordingTrack):
    """A track that can be paused, and counts that."""

    calls: list[str] = field(default_factory=list)
    can_pause = True

    async def pause(self) -> None:
        self.calls.append("pause")

    async def resume(self) -> None:
        self.calls.append("resume")


@dataclass
class Call:
    """A wrapper around some voices, and what comes of it."""

    tts: FallbackTTS
    track: Ear
    errors: list[str] = field(default_factory=list)
    words: list[dict[str, str]] = field(default_factory=list)
    first_bytes: int = 0

    def __post_init__(self) -> None:
        self.tts.on("error", lambda message: self.errors.append(message))
        self.tts.on("word_spoken", lambda event: self.words.append(event))

    async def synthesize(self, text: Any, **overrides: Any) -> None:
        """As the framework calls it."""

        async def first_byte() -> None:
            self.first_bytes += 1

        self.tts.on_first_audio_byte(first_byte)
        self.tts.reset_first_audio_tracking()
        await self.tts.synthesize(text, **overrides)

    async def tells(self, count: int) -> None:
        """Wait until so many words have been told."""
        async with asyncio.timeout(60):
            while len(self.words) < count:  # noqa: ASYNC110 - the framework's emitter has no event to await
                await asyncio.sleep(0.01)


@asynccontextmanager
async def a_call(*voices: TTS, timing: Timing | None = None, **arguments: Any) -> AsyncIterator[Call]:
    kind = FallbackTTS if timing is None else type("Fallback", (FallbackTTS,), {"timing": timing})
    tts = kind(list(voices), **arguments)
    tts.loop = asyncio.get_running_loop()
    tts.audio_track = Ear()
    try:
        yield Call(tts, tts.audio_track)
    finally:
        await tts.aclose()
        for voice in voices:
            for task in getattr(voice, "background", ()):
                task.cancel()


@asynccontextmanager
async def servers(*settings: dict[str, Any]) -> AsyncIterator[list[WavesEmulator]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(WavesEmulator(**QUICK | own)) for own in settings]


def ours(waves: WavesEmulator, route: str = "websocket", **plugin: Any) -> SmallestAITTS:
    return SmallestAITTS(**({"api_key": "sk_test", "base_url": waves.base_url} | ROUTES[route] | plugin))


def refuse_from(number: int) -> Callable[[SpeechRequest], Refuse | None]:
    return lambda request: Refuse(503) if request.number >= number else None


def said_by(waves: WavesEmulator) -> str:
    return " ".join(request.text.strip() for request in waves.requests if request.outcome == "served")


def growing(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: index + 1]) for index in range(len(words))]


def assert_heard(call: Call, whole: str, second: str) -> None:
    """The first voice was heard, perhaps a little into what the second one repeats, and then that."""
    rest = whole_frames(tone(second))
    assert call.track.heard.endswith(rest)
    before = bytes(call.track.heard[: -len(rest)])
    assert_same(before, whole_frames(tone(whole)[: len(before.rstrip(b"\0"))]))
    first = whole.removesuffix(second)
    assert len(before) >= len(tone(first))
    assert len(before) < len(tone(first)) + 48000


# A voice of ours fails


@quick_on("http", "continuations", slow=["websocket", "sse"])
@pytest.mark.parametrize(
    "warm", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["after prewarm", "from the start"]
)
@in_virtual_time
async def test_over_a_service_that_is_down_the_next_voice_speaks_the_whole_text_at_once(
    route: str, warm: bool
) -> None:
    async with servers({}, {}) as (first, second), a_call(ours(first, route), ours(second)) as call:
        if warm:
            await call.tts.prewarm()
            assert len(second.connections) == 1
        await first.stop()
        began = now()
        await call.synthesize(tokens(SEVEN))
        assert_same(call.track.speech, tone(SEVEN))
        assert call.track.first_at - began < SOON
        assert len(second.connections) == 1
        assert len(call.errors) == 1
        assert call.first_bytes == 1
        assert call.tts.active_provider is call.tts.providers[1]


@quick_on("http", "continuations", slow=["websocket"])
@pytest.mark.parametrize("pace", [pytest.param(0.0, marks=pytest.mark.slow), 0.05], ids=["at once", "slowly"])
@pytest.mark.parametrize("failing", [0, pytest.param(1, marks=pytest.mark.slow), 3])
@in_virtual_time
async def test_a_voice_that_fails_between_two_sentences_leaves_the_rest_to_the_next(
    route: str, failing: int, pace: float
) -> None:
    async with (
        servers({"fault": refuse_from(failing)}, {}) as (first, second),
        a_call(ours(first, route), ours(second, route)) as call,
    ):
        await call.synthesize(tokens(SEVEN, pace))
        assert f"{said_by(first)} {said_by(second)}".strip() == SEVEN
        assert_heard(call, SEVEN, said_by(second))
        assert len(call.errors) == 1


@pytest.mark.parametrize("route", ["websocket", "http", "continuations"])
@in_virtual_time
async def test_a_voice_that_fails_in_mid_sentence_is_followed_by_that_sentence_from_its_start(route: str) -> None:
    third = PARTS[2]

    def fault(request: SpeechRequest) -> Break | None:
        at = request.text.find(third)
        return None if at < 0 else Break(len(tone(request.text[:at])) / 48000 + 0.3)

    async with (
        servers({"fault": fault}, {}) as (first, second),
        a_call(ours(first, route), ours(second, route)) as call,
    ):
        await call.tts.prewarm()
        await call.synthesize(items(PARTS))
        assert_heard(call, " ".join(PARTS), " ".join(PARTS[2:]))
        assert max(call.track.gaps, default=0.0) < SOON
        assert len(call.errors) == 1


@pytest.mark.parametrize("words", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["words", "no words"])
@every_route
@in_virtual_time
async def test_a_voice_that_is_given_up_in_mid_sentence_is_followed_by_that_sentence_from_its_start(
    route: str, words: bool
) -> None:
    """Its own error would come later: over HTTP after `timeout`. Words that it estimates may be told too early."""
    sentences = [
        "I do a b c d e f g h i j k l m n o p.",
        "Uncharacteristically long misunderstandings do happen.",
        "It ends.",
    ]

    def fault(request: SpeechRequest) -> Stall | None:
        at = request.text.find(sentences[1])
        return None if at < 0 else Stall(3600, after=len(tone(request.text[:at])) / 48000 + 0.9)

    async with (
        servers({"fault": fault}, {}) as (first, second),
        a_call(ours(first, route, word_timestamps=words), ours(second, route, word_timestamps=words)) as call,
    ):
        await call.synthesize(items(sentences))
        assert_heard(call, " ".join(sentences), " ".join(sentences[1:]))
        assert len(call.errors) == 1


@in_virtual_time
async def test_money_and_what_is_never_sent_do_not_shift_what_is_handed_on() -> None:
    text = "Hello there. \U0001f642 It costs $1,299.50 at 10:30. “Really?” ... ... \U0001f642\U0001f642"
    for failing in (0, 1, 2):
        async with (
            servers({"fault": refuse_from(failing)}, {}) as (first, second),
            a_call(ours(first), ours(second)) as call,
        ):
            await call.synthesize(tokens(text))
            said = [r.text for w in (first, second) for r in w.requests if r.outcome == "served"]
            assert (
                " ".join(said)
                .replace("\U0001f642 ", "")
                .startswith("Hello there. It costs $1,299.50 at 10:30. “Really?”")
            )


@in_virtual_time
async def test_the_next_voice_does_not_wait_for_text_that_the_failed_one_waited_for() -> None:
    """And that text is lost to neither."""
    release = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        await release.wait()
        for part in PARTS[1:]:
            yield part

    async with servers({"fault": refuse_from(0)}, {}) as (first, second), a_call(ours(first), ours(second)) as call:
        speaking = asyncio.ensure_future(call.synthesize(text()))
        await call.track.hears(len(tone(PARTS[0])) / 48000)
        assert now() < SOON
        assert not speaking.done()
        release.set()
        await speaking
        assert_same(call.track.speech, tone(" ".join(PARTS)))


@pytest.mark.parametrize("route", ["websocket", "http"])
@in_virtual_time
async def test_a_plain_text_is_spoken_whole_too(route: str) -> None:
    async with (
        servers({"fault": refuse_from(0)}, {}) as (first, second),
        a_call(ours(first, route), ours(second)) as call,
    ):
        await call.synthesize("This is said in one go. It is short.")
        assert_same(call.track.speech, tone("This is said in one go. It is short."))
        assert [request.text for request in second.requests] == ["This is said in one go. It is short."]
    long = "It is said of a long text that it is sent in parts. " * 8
    async with (
        servers({"fault": refuse_from(1)}, {}) as (first, second),
        a_call(ours(first, route), ours(second)) as call,
    ):
        await call.synthesize(long)
        assert f"{said_by(first)} {said_by(second)}".split() == long.split()


# A voice of another make fails


@pytest.mark.slow
@pytest.mark.parametrize("half", [0.0, 0.3])
@pytest.mark.parametrize("speaks", [0, 2, 4])
@pytest.mark.parametrize("how", ["raise", "emit", "emit and raise", "emit and hang"])
@in_virtual_time
async def test_of_a_voice_that_speaks_item_by_item_the_next_repeats_only_the_one_it_failed_in(
    how: str, speaks: int, half: float
) -> None:
    bad, good, third = Foreign(speaks, how, half=half), Foreign(), Foreign()
    async with a_call(bad, good, third) as call:
        began = now()
        await call.synthesize(items([*PARTS, FlushMarker()]))
        assert bad.said == PARTS[:speaks]
        assert good.said == PARTS[speaks:]
        heard = b"".join(map(tone, PARTS[:speaks])) + tone(PARTS[speaks])[: round(half * 48000)]
        assert_same(call.track.heard, whole_frames(heard) + b"".join(map(tone, PARTS[speaks:])))
        assert len(call.errors) == 1, "emitted and raised, it is one failure"
        assert call.errors[0].endswith("out of order")
        assert third.asked == 0
        assert call.tts.active_provider is good
        assert call.first_bytes == 1
        assert now() - began < 0.1 * len(PARTS) + SOON


@pytest.mark.slow
@pytest.mark.parametrize("pace", [0.0, 0.05, 0.3], ids=["at once", "quickly", "slowly"])
@pytest.mark.parametrize("ahead", [pytest.param(1, marks=pytest.mark.slow), 3, None])
@pytest.mark.parametrize("speaks", [0, 2, 4])
@pytest.mark.parametrize("half", [0.0, 0.3])
@in_virtual_time
async def test_nothing_is_lost_of_what_a_voice_took_before_it_could_speak_it(
    half: float, speaks: int, ahead: int | None, pace: float
) -> None:
    async def text() -> AsyncIterator[str]:
        for part in PARTS:
            await asyncio.sleep(pace)
            yield part

    bad, good = Foreign(speaks, half=half, ahead=ahead), Foreign()
    async with a_call(bad, good) as call:
        await call.synthesize(text())
        assert bad.said == PARTS[:speaks]
        assert good.said == PARTS[len(PARTS) - len(good.said) :]
        assert len(good.said) >= len(PARTS) - speaks, "repeated perhaps, and not lost"


@in_virtual_time
async def test_nothing_is_lost_of_what_a_voice_read_while_it_spoke() -> None:
    """Each item came when it had brought some more of an earlier one's audio."""

    async def text() -> AsyncIterator[str]:
        for part in PARTS:
            await asyncio.sleep(0.2)
            yield part

    async with a_call(bad := Foreign(2, ahead=None, streams=True), good := Foreign()) as call:
        await call.synthesize(text())
        assert bad.taken == PARTS
        assert good.said[-3:] == PARTS[2:]


@in_virtual_time
async def test_nothing_is_lost_of_a_voice_that_looks_at_the_next_item_before_it_speaks_one() -> None:
    class Careful(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            before = None
            async for item in text:
                if before is not None and not await self.speak(before):
                    return
                before = item

    async with a_call(bad := Careful(2), good := Foreign()) as call:
        await call.synthesize(items(PARTS))
        assert (bad.said, good.said) == (PARTS[:2], PARTS[2:])


@in_virtual_time
async def test_what_a_voice_has_told_word_by_word_or_must_have_spoken_is_not_repeated() -> None:
    bad, good = Foreign(3, ahead=None, words=True), Foreign(words=True)
    async with a_call(bad, good) as call:
        await call.synthesize(items(PARTS))
        assert good.said == PARTS[3:]
    number = [f"This is sentence number {number} now." for number in range(30)]
    bad, good = Foreign(27, ahead=None), Foreign()
    async with a_call(bad, good) as call:
        await call.synthesize(items(number))
        assert good.said == number[len(number) - len(good.said) :]
        assert 3 <= len(good.said) <= 23


@in_virtual_time
async def test_a_plain_text_of_another_make_is_repeated_from_a_sentence_that_may_not_have_been_heard() -> None:
    bad, good = Foreign(0, half=1.0), Foreign()
    async with a_call(bad, good) as call:
        await call.synthesize(" ".join(PARTS))
        assert good.said == [" ".join(PARTS)]
    bad, good = Foreign(0, half=4.0), Foreign()
    async with a_call(bad, good) as call:
        await call.synthesize(" ".join(PARTS))
        assert good.said == [" " + " ".join(PARTS[1:])]


@in_virtual_time
async def test_a_voice_that_goes_on_after_it_has_failed_is_not_heard_nor_does_it_fail_again() -> None:
    bad, good, third = Foreign(1, half=0.3001, late=0.1), Foreign(), Foreign()
    async with a_call(bad, good, third) as call:
        await call.synthesize(items(PARTS))
        await asyncio.sleep(1)
        half = tone(PARTS[1])[: round(0.3001 * 48000) // 2 * 2]
        assert_same(call.track.heard, whole_frames(tone(PARTS[0]) + half) + b"".join(map(tone, PARTS[1:])))
        assert len(call.errors) == 1
        assert third.asked == 0
        await call.synthesize("And on we go.")
        assert good.said[-1] == "And on we go."


@in_virtual_time
async def test_half_a_sample_of_a_failed_voice_makes_no_noise_of_the_next() -> None:
    class Odd(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            pcm = tone("Hello there.")
            for start in range(0, 4001, 1333):
                await self.audio_track.add_new_bytes(pcm[start : min(start + 1333, 4001)])
            raise RuntimeError("out of order")

    async with a_call(Odd(), Foreign()) as call:
        await call.synthesize(items(["Hello there."]))
        assert_same(call.track.heard, whole_frames(tone("Hello there.")[:4000]) + tone("Hello there."))


@pytest.mark.parametrize("half", [0.0, 0.3001])
@in_virtual_time
async def test_a_voice_that_hangs_is_left_for_the_next(half: float) -> None:
    bad, good = Foreign(1, "hang", half=half), Foreign()
    async with a_call(bad, good) as call:
        async with asyncio.timeout(20):
            await call.synthesize(items(PARTS))
        assert good.said == PARTS[1:]
        assert "silent" in call.errors[0]
        assert len(call.track.heard) % 2 == 0
        assert call.track.heard.endswith(tone(" ".join(PARTS[1:])))
        frame = len(call.track.heard) - len(tone(" ".join(PARTS[1:])))
        assert frame % FRAME_BYTES == 0
        assert bad.calls == ["interrupt", *bad.calls[1:]], "it is told to stop"
        assert call.track.interrupted == 0, "and what is heard of it is not cut off"


@in_virtual_time
async def test_a_voice_that_waits_for_text_is_not_taken_for_hung() -> None:
    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        await asyncio.sleep(60)
        yield PARTS[1]

    async with a_call(voice := Foreign(), Foreign()) as call:
        await call.synthesize(text())
        assert voice.said == PARTS[:2]
        assert call.errors == []


@in_virtual_time
async def test_a_voice_that_warns_and_speaks_on_may_end_what_it_has() -> None:
    class Warning(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            async for item in text:
                self.emit("error", "a mark was ignored")
                pcm = tone(item)
                for start in range(0, len(pcm), 4800):
                    await self.audio_track.add_new_bytes(pcm[start : start + 4800])
                    await asyncio.sleep(0.1)

    async with a_call(Warning(), good := Foreign()) as call:
        await call.synthesize(items(["This is quite a long first sentence, of several seconds.", *PARTS]))
        assert call.track.heard.startswith(tone("This is quite a long first sentence, of several seconds."))
        assert good.said[-5:] == PARTS
        assert call.errors == ["a mark was ignored"]


@in_virtual_time
async def test_what_a_voice_adds_in_tasks_of_their_own_is_heard_in_order() -> None:
    """Although what is awaited before the first byte takes its time."""

    class Forgets(Foreign):
        async def bring(self, pcm: bytes) -> None:
            chunks = [pcm[start : start + 4800] for start in range(0, len(pcm), 4800)]
            self.background |= {asyncio.ensure_future(self.audio_track.add_new_bytes(chunk)) for chunk in chunks}

    async with a_call(Forgets(), Foreign()) as call:
        call.tts.on_first_audio_byte(lambda: asyncio.sleep(0.05))
        await call.tts.synthesize(items(PARTS[:2]))
        assert_same(call.track.speech, tone("".join(PARTS[:2])))


@in_virtual_time
async def test_a_voice_that_honours_a_long_pause_is_not_taken_for_hung() -> None:
    class Waits(Foreign):
        async def pause(self) -> None:
            self.paused = asyncio.Event()

        async def resume(self) -> None:
            self.paused.set()

        async def bring(self, pcm: bytes) -> None:
            await self.paused.wait()
            await super().bring(pcm)

    async with a_call(voice := Waits(), good := Foreign()) as call:
        await asyncio.sleep(100)
        speaking = asyncio.ensure_future(call.synthesize(items(PARTS)))
        await asyncio.sleep(0)
        await call.tts.pause()
        await asyncio.sleep(60)
        await call.tts.resume()
        await speaking
        assert (voice.said, good.said) == (PARTS, [])


# Between replies


@in_virtual_time
async def test_a_voice_that_emits_an_error_between_replies_is_left_before_the_next_one() -> None:
    first, second, third = Foreign(), Foreign(), Foreign()
    async with a_call(first, second, third) as call:
        await call.synthesize("One.")
        second.emit("error", "nobody listens to the backup")
        assert call.errors == []
        first.emit("error", "the connection is gone")
        first.emit("error", "the connection is gone")
        await call.synthesize("Two.")
        assert (first.said, second.said, third.said) == (["One."], ["Two."], [])
        assert call.errors == ["the connection is gone"]
        assert call.tts.active_provider is second


@in_virtual_time
async def test_a_voice_that_has_recovered_is_heard_and_its_failures_too() -> None:
    first, second = Foreign(0), Foreign()
    async with a_call(first, second, temporary_disable_sec=0.0) as call:
        await call.synthesize("One.")
        first.speaks, first.how = math.inf, "emit"
        await call.synthesize("Two.")
        assert (first.said, second.said) == (["Two."], ["One."])
        first.speaks = 0
        await call.synthesize("Three.")
        assert second.said == ["One.", "Three."], "the framework's has no listener at a voice that it restores"
        assert len(call.errors) == 2


@in_virtual_time
async def test_voices_that_fail_in_turn_are_each_tried_once_in_a_reply() -> None:
    first, second = Foreign(0), Foreign()
    async with a_call(first, second) as call:
        await call.synthesize("One.")
        first.speaks, second.speaks = 1, 0
        await call.synthesize("Two.")
        assert first.said == ["Two."], "it has not been out for a minute, and is better than silence"
        first.speaks, second.speaks = 0, 1
        await call.synthesize("Three.")
        assert second.said == ["One.", "Three."]
        first.speaks = second.speaks = 0
        with pytest.raises(RuntimeError, match="out of order"):
            await call.synthesize("Four.")
        assert len(call.errors) == 5


@in_virtual_time
async def test_a_voice_that_is_disabled_for_good_is_not_returned_to() -> None:
    first, second = Foreign(0), Foreign()
    async with a_call(first, second, permanent_disable_after_attempts=1) as call:
        await call.synthesize("One.")
        second.speaks = 0
        with pytest.raises(RuntimeError, match="out of order"):
            await call.synthesize("Two.")
        assert first.asked == 1


@in_virtual_time
async def test_a_voice_whose_latency_is_too_high_is_left_as_in_the_frameworks() -> None:
    first, second = Foreign(), Foreign()
    async with a_call(first, second, latency_threshold_ms=500, consecutive_latency_hits=2) as call:
        for text in ("One.", "Two."):
            await call.synthesize(text)
            global_event_emitter.emit("COMPONENT_METRIC", {"component": "tts", "metrics": {"ttfb": 600.0}})
            await asyncio.sleep(0.1)
        await call.synthesize("Three.")
        assert (first.said, second.said) == (["One.", "Two."], ["Three."])


# All fail


@pytest.mark.parametrize("route", ["websocket", "http"])
@in_virtual_time
async def test_when_all_voices_fail_the_last_error_is_raised_and_the_text_is_read_to_its_end(route: str) -> None:
    read: list[str] = []

    async def text() -> AsyncIterator[str]:
        for part in PARTS:
            read.append(part)
            yield part

    async with (
        servers({"fault": refuse_from(0)}, {"fault": refuse_from(0)}) as (first, second),
        a_call(ours(first, route), ours(second, route)) as call,
    ):
        with pytest.raises(ServerError) as caught:
            await call.synthesize(text())
        assert " ".join(PARTS).startswith(caught.value.unspoken)
        assert caught.value.unspoken
        assert len(call.errors) == 2
        await asyncio.sleep(0.1)
        assert read == PARTS


@in_virtual_time
async def test_the_last_error_names_also_what_an_earlier_voice_took() -> None:
    async with servers({"fault": refuse_from(0)}, {}) as (first, second), a_call(ours(first), ours(second)) as call:
        await second.stop()
        with pytest.raises(APIConnectionError) as caught:
            await call.synthesize(items(PARTS))
        assert caught.value.unspoken.startswith(" ".join(PARTS[:1]))
        assert " ".join(PARTS).startswith(caught.value.unspoken)


@in_virtual_time
async def test_a_failure_that_is_only_emitted_is_raised_when_nobody_is_left() -> None:
    async with a_call(Foreign(0, "emit"), Foreign(0, "emit")) as call:
        with pytest.raises(RuntimeError, match="out of order"):
            await call.synthesize(items(PARTS))
        assert call.errors == ["out of order", "out of order"]


# Text


@pytest.mark.parametrize("route", ["websocket", "http"])
@in_virtual_time
async def test_an_error_of_the_text_is_the_callers_and_no_voices(route: str) -> None:
    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        raise LookupError("the language model failed")

    async with servers({}, {}) as (first, second), a_call(ours(first, route), ours(second)) as call:
        with pytest.raises(LookupError):
            await call.synthesize(text())
        assert_same(call.track.speech, tone(PARTS[0]))
        assert call.errors == []
        assert call.tts.active_provider is call.tts.providers[0]
    async with (
        servers({"fault": refuse_from(0)}, {}) as (first, second),
        a_call(ours(first, route), ours(second)) as call,
    ):
        with pytest.raises(LookupError):
            await call.synthesize(text())
        assert_same(call.track.speech, tone(PARTS[0]))


@in_virtual_time
async def test_a_voice_that_emits_an_error_of_the_text_is_not_blamed() -> None:
    class Emits(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            try:
                await super().synthesize(text)
            except LookupError as error:
                self.emit("error", str(error))

    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        raise LookupError("the language model failed")

    async with a_call(voice := Emits(), good := Foreign()) as call:
        await call.synthesize(text())
        assert voice.said == PARTS[:1]
        assert good.asked == 0
        assert call.errors == []


@in_virtual_time
async def test_an_error_that_is_its_own_cause_ends_the_attempt_like_others() -> None:
    class Odd(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            try:
                await super().synthesize(text)
            except LookupError:
                error = RuntimeError("out of order")
                raise error from error

    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        raise LookupError("the language model failed")

    async with a_call(Odd(), Foreign()) as call:
        with pytest.raises(LookupError):
            await call.synthesize(text())


@pytest.mark.parametrize("text", ["", "   ", items([]), items([FlushMarker()])], ids=["", "blank", "none", "flush"])
@in_virtual_time
async def test_nothing_to_say_is_no_failure(text: Any) -> None:
    async with servers({}, {}) as (first, second), a_call(ours(first), ours(second)) as call:
        await call.synthesize(text)
        assert not call.track.heard
        assert call.errors == []


async def test_a_text_that_is_none_is_refused() -> None:
    async with a_call(Foreign()) as call:
        with pytest.raises(TypeError, match="text must be"):
            await call.synthesize(None)
        assert call.errors == []


def test_a_wrapper_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one provider"):
        FallbackTTS([])


async def test_without_a_track_no_voice_is_blamed() -> None:
    tts = FallbackTTS([Foreign(), Foreign()])
    errors: list[str] = []
    tts.on("error", lambda message: errors.append(message))
    await tts.synthesize("Hello there.")
    assert errors == ["Audio track or event loop not set"]
    assert tts.active_provider is tts.providers[0]
    await tts.aclose()


# Barge-in


@pytest.mark.slow
@pytest.mark.parametrize(
    "after",
    [0.0, 0.02, 0.3, 0.75, 1.05, 1.4]
    + [pytest.param(after, marks=pytest.mark.slow) for after in (0.001, 0.1, 0.2, 0.5, 1.0, 1.1, 1.2, 2.0)],
)
@pytest.mark.parametrize("first", ["ours", "foreign"])
@in_virtual_time
async def test_after_a_barge_in_at_any_stage_nothing_more_is_heard_and_the_text_is_read(
    first: str, after: float
) -> None:
    """Before the first voice speaks, while it does, while it fails, before the second, and while that speaks."""
    read = 0

    async def text() -> AsyncIterator[str]:
        nonlocal read
        for part in PARTS * 20:
            read += 1
            yield part

    async with servers({"fault": refuse_from(1)}, {"real_time_factor": 1.0}) as (bad, good):
        voice: TTS = ours(bad) if first == "ours" else Foreign(1, half=0.3)
        async with a_call(voice, ours(good, word_timestamps=True)) as call:
            await call.tts.prewarm()
            speaking = asyncio.ensure_future(call.synthesize(text()))
            await asyncio.sleep(after)
            await call.tts.interrupt()
            heard, told = len(call.track.heard), len(call.words)
            assert call.track.interrupted >= 1
            async with asyncio.timeout(2):
                await speaking
            errors = list(call.errors)
            await asyncio.sleep(5)
            assert len(call.track.heard) == heard
            assert len(call.words) == told
            assert read == len(PARTS) * 20
            assert call.errors == errors
            await call.synthesize("Yes, what is it?")
            assert call.track.speech.endswith(tone("Yes, what is it?"))


@in_virtual_time
async def test_after_a_barge_in_nothing_is_heard_of_a_voice_that_minds_none() -> None:
    async with a_call(Foreign(words=True, streams=True), Foreign()) as call:
        speaking = asyncio.ensure_future(call.synthesize(items(PARTS)))
        await call.track.hears(1.0)
        await call.tts.interrupt()
        heard, told = len(call.track.heard), len(call.words)
        await speaking
        await asyncio.sleep(2)
        assert (len(call.track.heard), len(call.words)) == (heard, told)


@in_virtual_time
async def test_a_voice_that_calls_a_barge_in_an_error_is_not_left_for_it() -> None:
    class Touchy(Foreign):
        async def interrupt(self) -> None:
            self.emit("error", "cancelled")

    async with a_call(voice := Touchy(), Foreign()) as call:
        speaking = asyncio.ensure_future(call.synthesize(items(PARTS)))
        await call.track.hears(1.0)
        await call.tts.interrupt()
        await speaking
        assert call.errors == []
        assert call.tts.active_provider is voice


@in_virtual_time
async def test_a_voice_that_calls_a_barge_in_an_error_when_all_has_gone_out_is_not_left_for_it() -> None:
    class Touchy(Foreign):
        async def interrupt(self) -> None:
            self.emit("error", "cancelled")

    async with a_call(voice := Touchy(), Foreign()) as call:
        await call.synthesize(items(PARTS))
        await call.tts.interrupt()
        await call.synthesize("Yes?")
        assert call.errors == []
        assert voice.said == [*PARTS, "Yes?"]


@in_virtual_time
async def test_a_barge_in_on_a_voice_that_hangs_ends_the_reply() -> None:
    class Deaf(Foreign):
        async def interrupt(self) -> None:
            raise RuntimeError("not now")

    async with a_call(bad := Deaf(0, "hang"), good := Foreign()) as call:
        speaking = asyncio.ensure_future(call.synthesize(items(PARTS)))
        await asyncio.sleep(0.5)
        await call.tts.interrupt()
        async with asyncio.timeout(3.5):
            await speaking
        assert good.asked == 0
        assert call.errors == []
        bad.speaks = math.inf
        await call.synthesize("Go on.")
        assert bad.said == ["Go on."]


@in_virtual_time
async def test_a_reply_that_is_cancelled_is_read_to_its_end_too() -> None:
    read: list[str] = []

    async def text() -> AsyncIterator[str]:
        for part in PARTS:
            read.append(part)
            yield part

    async with a_call(voice := Foreign(), good := Foreign(words=True)) as call:
        speaking = asyncio.ensure_future(call.synthesize(text()))
        await asyncio.sleep(0.15)
        speaking.cancel()
        await asyncio.wait({speaking})
        assert speaking.cancelled()
        told = len(call.words)
        await asyncio.sleep(1)
        assert len(call.words) == told
        assert read == PARTS
        assert voice.said == PARTS[:2]
        assert good.asked == 0


# Pause


@in_virtual_time
async def test_pause_and_resume_reach_all_voices_and_the_track_once_and_a_barge_in_the_voice_that_is_heard() -> (
    None
):
    first, second = Foreign(0), Foreign()
    async with a_call(first, second) as call:
        assert call.tts.can_pause
        await call.synthesize("One.")
        await call.tts.pause()
        await call.tts.resume()
        assert first.calls == second.calls == ["pause", "resume"]
        assert call.track.calls == ["pause", "resume"]
        await call.tts.interrupt()
        assert (first.calls, second.calls) == (["pause", "resume"], ["pause", "resume", "interrupt"])
        assert call.track.interrupted == 1
        await call.tts.pause()
        await call.tts.interrupt()
        assert (first.calls[2:], second.calls[3:]) == (["pause", "resume"], ["pause", "interrupt"])


@in_virtual_time
async def test_words_wait_when_the_voice_changes_during_a_pause() -> None:
    release = asyncio.Event()

    def fault(request: SpeechRequest) -> Break | None:
        return Break(0.3) if request.number else None

    async with servers({"fault": fault}, {}) as (first, second):
        voices = [ours(waves, word_timestamps=True) for waves in (first, second)]
        async with a_call(*voices) as call:
            speaking = asyncio.ensure_future(call.synthesize(items(PARTS)))
            await call.track.hears(0.1)
            await call.tts.pause()
            told = len(call.words)
            await speaking
            release.set()
            await asyncio.sleep(10)
            assert len(call.words) == told
            await call.tts.resume()
            await call.tells(told + 1)
            await asyncio.sleep(20)
            assert call.words[-1]["cumulative_text"].endswith(" ".join(PARTS[2:]))
            assert call.track.calls == ["pause", "resume"]


@pytest.mark.parametrize("then", ["resume", "interrupt"])
@in_virtual_time
async def test_a_voice_that_failed_unheard_in_a_pause_is_not_paused_in_its_next_reply(
    then: str,
) -> None:
    def fault(request: SpeechRequest) -> Refuse | None:
        return None if request.number else Refuse(400)

    async with servers({"fault": fault}, {}) as (first, second):
        voices = [ours(waves, word_timestamps=True) for waves in (first, second)]
        async with a_call(*voices, temporary_disable_sec=0.0) as call:
            speaking = asyncio.ensure_future(call.synthesize(PARTS[0]))
            await asyncio.sleep(0)
            await call.tts.pause()
            await speaking
            assert said_by(second) == PARTS[0]
            await getattr(call.tts, then)()
            await asyncio.sleep(10)
            call.words.clear()
            await call.synthesize(PARTS[1])
            assert said_by(first) == PARTS[1]
            await call.tells(len(PARTS[1].split()))


# Words


@pytest.mark.parametrize("failing", [pytest.param(0, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("timed", [(True, True), (True, False), (False, True)], ids=["both", "first", "second"])
@in_virtual_time
async def test_words_are_told_throughout_and_what_was_said_before_stays(
    timed: tuple[bool, bool], failing: int
) -> None:
    async with servers({"fault": refuse_from(failing)}, {}) as (first, second):
        voices = [ours(w, word_timestamps=t) for w, t in zip((first, second), timed, strict=True)]
        async with a_call(*voices) as call:
            assert call.tts.supports_word_timestamps
            await call.synthesize(items(PARTS))
            text = " ".join(PARTS)
            await call.tells(len(text.split()))
            await asyncio.sleep(5)
            assert sorted(event["word"] for event in call.words) == sorted(text.split())
            assert call.words[-1]["cumulative_text"] == text
            await call.synthesize("The next one.")
            await call.tells(len(text.split()) + 3)
            assert call.words[-1]["cumulative_text"] == "The next one."


@pytest.mark.parametrize("failing", [False, True], ids=["two replies", "two voices"])
@in_virtual_time
async def test_estimated_words_come_in_the_order_of_what_is_still_heard(failing: bool) -> None:
    first = Foreign(2 if failing else math.inf)
    async with a_call(first, Foreign(), Foreign(words=True)) as call:
        if failing:
            await call.synthesize(items(PARTS))
        else:
            await call.synthesize(items(PARTS[:2]))
            await call.synthesize(items(PARTS[2:]))
        await asyncio.sleep(30)
        assert [event["word"] for event in call.words] == " ".join(PARTS).split()


@pytest.mark.parametrize("then", ["pause", "interrupt", "aclose"])
@in_virtual_time
async def test_estimated_words_of_a_reply_that_is_still_heard_when_the_next_begins_obey_too(then: str) -> None:
    async with a_call(Foreign(), Foreign(words=True)) as call:
        await call.synthesize(items(PARTS[:2]))
        await call.synthesize(items(PARTS[2:]))
        await call.tells(2)
        await getattr(call.tts, then)()
        told = len(call.words)
        await asyncio.sleep(30)
        assert len(call.words) == told
        if then == "pause":
            await call.tts.resume()
            await asyncio.sleep(30)
            assert [event["word"] for event in call.words] == " ".join(PARTS).split()


@in_virtual_time
async def test_estimated_words_go_on_after_a_pause_in_which_the_next_reply_began() -> None:
    async with a_call(Foreign(), Foreign(words=True)) as call:
        await call.synthesize(items(PARTS[:2]))
        await call.tells(2)
        await call.tts.pause()
        await call.synthesize(items(PARTS[2:]))
        await asyncio.sleep(30)
        await call.tts.resume()
        await asyncio.sleep(30)
        assert [event["word"] for event in call.words] == " ".join(PARTS).split()


NEXT = pytest.mark.parametrize(
    "by", ["the same voice", "another voice", "the same voice, which fails, and another"]
)


@asynccontextmanager
async def two_replies(by: str) -> AsyncIterator[Call]:
    """Two by voices that tell their words when they are heard: the second has gone out, and the first is heard."""
    async with servers({"fault": refuse_from(3) if "fails" in by else None}, {}) as (first, second):
        voices = [ours(waves, word_timestamps=True) for waves in (first, second)]
        async with a_call(*voices) as call:
            await call.synthesize(items(PARTS[:2]))
            if by == "another voice":
                voices[0].emit("error", "gone")
            await call.synthesize(items(PARTS[2:]))
            yield call


@NEXT
@in_virtual_time
async def test_words_that_a_voice_tells_are_those_of_the_reply_that_is_heard(by: str) -> None:
    async with two_replies(by) as call:
        await asyncio.sleep(30)
        replies = [" ".join(PARTS[:2]), " ".join(PARTS[2:])]
        told = [event["cumulative_text"] for event in call.words]
        assert [text for text in told if text.startswith("This")] == growing(replies[0])
        assert sorted(event["word"] for event in call.words) == sorted(" ".join(PARTS).split())
        assert [text for text in told if not text.startswith("This")][-1] == replies[1]


@in_virtual_time
async def test_a_reply_that_begins_as_the_interrupted_one_did_has_all_its_words() -> None:
    text = "Sure, let me check that for you. It takes a moment."
    async with servers({}) as (waves,), a_call(ours(waves, word_timestamps=True), Foreign()) as call:
        await call.synthesize(text)
        await call.tells(2)
        await call.tts.interrupt()
        call.words.clear()
        await call.synthesize(text)
        await asyncio.sleep(20)
        assert [event["cumulative_text"] for event in call.words] == growing(text)


@in_virtual_time
async def test_a_pause_is_one_though_a_voice_that_does_not_speak_fails_in_it() -> None:
    class Unready(Foreign):
        async def pause(self) -> None:
            raise RuntimeError("not connected")

        resume = pause

    async with a_call(voice := Foreign(), Unready(), last := Foreign()) as call:
        await call.tts.pause()
        await call.tts.resume()
        assert call.track.calls == voice.calls == last.calls == ["pause", "resume"]


@in_virtual_time
async def test_a_first_audio_callback_that_cancels_itself_is_no_failure_of_the_voice() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with a_call(Foreign(), second := Foreign()) as call:
        call.tts.on_first_audio_byte(cancelled)
        await call.tts.synthesize(PARTS[0])
        assert call.track.speech == tone(PARTS[0])
        assert (second.asked, call.errors) == (0, [])


@in_virtual_time
async def test_a_stream_may_be_an_iterator_that_is_no_generator() -> None:
    class Chunks(AsyncIterator[bytes]):
        left = 3

        async def __anext__(self) -> bytes:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"\1\2"

    class Plain(Foreign):
        def stream_synthesize(self, text: Any, **kwargs: Any) -> AsyncIterator[bytes]:
            return Chunks()

    async with a_call(Plain(), second := Foreign()) as call:
        assert [pcm async for pcm in call.tts.stream_synthesize(items(PARTS))] == [b"\1\2"] * 3
        assert second.asked == 0


@in_virtual_time
async def test_a_stream_yields_no_chunk_without_a_sample() -> None:
    class Odd(Foreign):
        async def stream_synthesize(self, text: Any, **kwargs: Any) -> AsyncIterator[bytes]:
            yield b"\1"
            yield b"\2\3\4"

    async with a_call(Odd(), Foreign()) as call:
        assert [pcm async for pcm in call.tts.stream_synthesize(items(PARTS))] == [b"\1\2\3\4"]


@NEXT
@in_virtual_time
async def test_words_that_a_voice_tells_of_an_earlier_reply_wait_for_the_end_of_a_pause(by: str) -> None:
    async with two_replies(by) as call:
        await call.tells(2)
        await call.tts.pause()
        told = len(call.words)
        await asyncio.sleep(30)
        assert len(call.words) == told
        await call.tts.resume()
        await asyncio.sleep(30)
        assert sorted(event["word"] for event in call.words) == sorted(" ".join(PARTS).split())


@NEXT
@in_virtual_time
async def test_a_barge_in_ends_the_words_that_a_voice_tells_of_an_earlier_reply(by: str) -> None:
    async with two_replies(by) as call:
        await call.tells(2)
        await call.tts.interrupt()
        told = len(call.words)
        await call.synthesize(items(["And on we go."]))
        await asyncio.sleep(30)
        assert [event["cumulative_text"] for event in call.words[told:]] == growing("And on we go.")


@in_virtual_time
async def test_words_that_a_voice_tells_in_spite_of_a_barge_in_are_not_those_of_the_next_reply() -> None:
    class Deaf(Foreign):
        def tell(self, text: str) -> None:
            for told in growing(text):
                self.emit("word_spoken", {"word": told.split()[-1], "cumulative_text": told})

        async def speak(self, item: str) -> bool:
            await self.bring(tone(item))
            return True

    async with a_call(voice := Deaf(words=True), Foreign()) as call:
        await call.synthesize(PARTS[0])
        await call.tts.interrupt()
        await call.synthesize(PARTS[1])
        voice.tell(PARTS[0])
        voice.tell(PARTS[1])
        assert [event["cumulative_text"] for event in call.words] == growing(PARTS[1])


@in_virtual_time
async def test_of_replies_that_were_heard_or_interrupted_nothing_is_kept() -> None:
    async with a_call(
        first := Foreign(words=True),
        second := Foreign(),
        temporary_disable_sec=0.0,
        permanent_disable_after_attempts=99,
    ) as call:
        left = []
        for number in range(20):
            first.speaks = number % 4 or math.inf
            text = Text(PARTS[number % 5])
            left.append(weakref.ref(text))
            await call.synthesize(items([text, *PARTS]))
            if number % 3 == 0:
                await call.tts.interrupt()
            await asyncio.sleep(20)
            for voice in (first, second):
                voice.taken.clear()
                voice.said.clear()
        del text
        gc.collect()
        assert sum(text() is not None for text in left) <= 3


@in_virtual_time
async def test_of_a_live_stream_that_nobody_reads_to_its_end_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(framework, "speaks_through_tts_hook", lambda: True)
    async with servers({}) as (waves,), a_call(ours(waves), Foreign()) as call:
        left = []
        for part in PARTS * 2:
            text = Text(part)
            left.append(weakref.ref(text))
            async with aclosing(call.tts.stream_synthesize(items([text]))) as stream:
                await anext(stream)
            await asyncio.sleep(20)
        del text
        gc.collect()
        assert sum(text() is not None for text in left) <= 2


@in_virtual_time
async def test_words_of_a_phrase_for_a_cache_are_not_told() -> None:
    async with a_call(Foreign(words=True), Foreign()) as call:
        await call.synthesize(items(PARTS[:1]))
        told = list(call.words)
        assert [pcm async for pcm in call.tts.stream_synthesize(items(PARTS[1:2]))]
        await asyncio.sleep(10)
        assert call.words == told


@in_virtual_time
async def test_words_of_voices_that_tell_none_are_not_told() -> None:
    async with a_call(Foreign(), Foreign()) as call:
        assert not call.tts.supports_word_timestamps
        await call.synthesize(items(PARTS))
        await asyncio.sleep(10)
        assert call.words == []


@in_virtual_time
async def test_estimated_words_are_told_about_when_they_are_heard() -> None:
    async with a_call(Foreign(), Foreign(words=True)) as call:
        times: list[float] = []
        call.tts.on("word_spoken", lambda event: times.append(now()))
        await call.synthesize(items(PARTS))
        await call.tells(17)
        assert [event["cumulative_text"] for event in call.words] == growing(" ".join(PARTS))
        length = len(call.track.heard) / 48000
        assert length * 0.6 < times[-1] - call.track.first_at < length
        assert times[7] - call.track.first_at == pytest.approx(length / 2, abs=length / 4)


# The rest


@in_virtual_time
async def test_all_voices_are_warmed_at_once_and_one_that_cannot_be_does_not_hinder_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Cold(Foreign):
        async def prewarm(self) -> None:
            raise ConnectionError("nobody there")

    class Stuck(Foreign):
        async def prewarm(self) -> None:
            await asyncio.Event().wait()

    async with (
        servers({}, {}) as (first, second),
        a_call(Cold(), ours(first), Stuck(), ours(second), plain := Foreign()) as call,
    ):
        await call.tts.prewarm()
        assert now() < 10
        assert len(first.connections) == len(second.connections) == 1
        assert plain.calls == ["prewarm"]
        assert "nobody there" in caplog.text


@in_virtual_time
async def test_the_next_voice_is_still_warm_late_in_a_call() -> None:
    timing = Timing(warm_for=20.0)
    async with servers({}, {}) as (first, second):
        plugin = {"api_key": "sk_test"}
        voices = [impatient(timing)(base_url=waves.base_url, **plugin) for waves in (first, second)]
        async with a_call(*voices, timing=timing) as call:
            await call.tts.prewarm()
            for _ in range(5):
                await call.synthesize("We are still talking.")
                await asyncio.sleep(9)
            await first.stop()
            await call.synthesize("And on we go.")
            assert call.track.speech.endswith(tone("And on we go."))
            assert len(second.connections) == 1


async def test_all_voices_are_closed_also_when_one_cannot_be() -> None:
    class Stubborn(Foreign):
        async def aclose(self) -> None:
            raise RuntimeError("not now")

    voices = [Stubborn(), Foreign(), Foreign()]
    async with a_call(*voices):
        pass
    assert [voice.calls for voice in voices[1:]] == [["aclose"], ["aclose"]]


@in_virtual_time
async def test_a_reply_ends_normally_when_the_wrapper_is_closed() -> None:
    async with servers({"real_time_factor": 1.0}) as (waves,), a_call(ours(waves), Foreign()) as call:
        speaking = asyncio.ensure_future(call.synthesize(tokens(SEVEN)))
        await call.track.hears(0.5)
        await call.tts.aclose()
        async with asyncio.timeout(2):
            await speaking
        assert call.errors == []


def test_replies_that_wait_behind_each_other_are_spoken_in_one_event_loop_after_another() -> None:
    tts = FallbackTTS([Foreign(), Foreign()])

    @in_virtual_time
    async def use() -> None:
        tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
        await tts.prewarm()
        await asyncio.gather(tts.synthesize("One."), tts.synthesize("Two."))
        assert_same(track.speech, tone("One.Two."))

    use()
    use()


@in_virtual_time
async def test_the_active_voices_attributes_are_the_wrappers() -> None:
    async with servers({}) as (waves,), a_call(ours(waves, voice_id="emily", language="hi"), Foreign()) as call:
        assert (call.tts.model, call.tts.voice_id, call.tts.language) == ("lightning-v3.1", "emily", "hi")
        call.tts.active_provider.emit("error", "gone")
        await asyncio.sleep(0)
        assert call.tts.language == "xx"
        assert not hasattr(call.tts, "model")


@in_virtual_time
async def test_overrides_reach_every_voice() -> None:
    async with servers({"fault": refuse_from(0)}, {}) as (first, second), a_call(ours(first), ours(second)) as call:
        await call.synthesize("Hello there.", speed=1.5, voice_id="emily", anything=True)
        assert {(r.body["speed"], r.body["voice_id"]) for w in (first, second) for r in w.requests} == {
            (1.5, "emily")
        }


@in_virtual_time
async def test_what_the_caller_said_reaches_each_voice_that_wants_to_know() -> None:
    """Any of them may be the one that answers."""
    said = tone("Where am I?")
    async with servers({}, {}) as (first, second):
        voices = [ours(waves, model="lightning_v4") for waves in (first, second)]
        async with a_call(voices[0], Foreign(), voices[1], ours(first)) as call:
            await call.tts.prewarm()
            await call.tts.add_user_turn("Where am I?", said, 24000)
            await asyncio.sleep(1)
            messages = [m for waves in (first, second) for line in waves.connections for m in line.messages]
            assert [m["text"] for m in messages if m.get("event") == "user_audio"] == ["Where am I?"] * 2
            with pytest.raises(ValueError, match="pcm"):
                await call.tts.add_user_turn("Where am I?", said[:-1], 24000)


@in_virtual_time
async def test_the_figures_of_each_voice_are_told() -> None:
    async with servers({"fault": refuse_from(0)}, {}) as (first, second), a_call(ours(first), ours(second)) as call:
        figures: list[Any] = []
        call.tts.on("metrics", lambda told: figures.append(told))
        await call.synthesize(items(PARTS))
        assert [told.error for told in figures] == ["ServerError", None]


@in_virtual_time
async def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async with a_call(Foreign(0), Foreign()) as call:
        await call.synthesize("One.")
    assert capsys.readouterr().out == ""


# stream_synthesize


@pytest.mark.parametrize("route", ["websocket", "http"])
@pytest.mark.parametrize("failing", [0, 2])
@in_virtual_time
async def test_a_stream_falls_over_too_and_no_audio_of_it_is_repeated(route: str, failing: int) -> None:
    async with (
        servers({"fault": refuse_from(failing)}, {}) as (first, second),
        a_call(ours(first, route), ours(second, route)) as call,
    ):
        heard = [pcm async for pcm in call.tts.stream_synthesize(items(PARTS))]
        parts = [whole_frames(tone(said_by(waves))) for waves in (first, second)]
        assert_same(b"".join(heard), b"".join(parts))
        assert f"{said_by(first)} {said_by(second)}".strip() == " ".join(PARTS)
        assert not call.track.heard
        assert call.errors == []
        assert call.tts.active_provider is call.tts.providers[1]


@pytest.mark.parametrize("how", ["raise", "emit", "emit and raise"])
@in_virtual_time
async def test_a_stream_of_another_make_falls_over_too(how: str) -> None:
    async with a_call(Foreign(2, how), good := Foreign()) as call:
        heard = b"".join([pcm async for pcm in call.tts.stream_synthesize(items(PARTS))])
        assert good.said[-3:] == PARTS[2:]
        assert heard.endswith(b"".join(map(tone, PARTS[2:])))
        assert not call.track.heard


@in_virtual_time
async def test_a_stream_that_nobody_can_speak_raises() -> None:
    async with (
        servers({"fault": lambda request: Refuse(400)}) as (first,),
        a_call(ours(first), ours(first)) as call,
    ):
        with pytest.raises(InvalidRequestError):
            [pcm async for pcm in call.tts.stream_synthesize(items(PARTS))]
        assert call.errors == []


async def stream_of(call: Call, text: str) -> bytes:
    return b"".join([pcm async for pcm in call.tts.stream_synthesize(items([text]))])


@in_virtual_time
async def test_streams_and_a_reply_of_one_voice_of_another_make_do_not_take_each_others_audio() -> None:
    async with a_call(Foreign(streams=True), Foreign()) as call:
        texts = ["One phrase is stored.", "And another one."]
        long = SEVEN * 5  # longer than a voice may be silent
        streams = [asyncio.ensure_future(stream_of(call, texts[0]))]
        speaking = asyncio.ensure_future(call.synthesize(long))
        await call.track.hears(0.1)
        streams.append(asyncio.ensure_future(stream_of(call, texts[1])))
        await speaking
        for text, spoken in zip(texts, await asyncio.gather(*streams), strict=True):
            assert_same(spoken, tone(text))
        assert_same(call.track.speech, tone(long))
        call.track.heard.clear()
        await call.synthesize("It still speaks.")
        assert_same(call.track.speech, tone("It still speaks."))
        assert call.errors == []
        assert call.tts.active_provider is call.tts.providers[0]


@in_virtual_time
async def test_an_interrupt_spares_a_stream_that_nobody_hears() -> None:
    async with servers({}) as (waves,), a_call(ours(waves), Foreign()) as call:
        heard = bytearray()
        async for pcm in call.tts.stream_synthesize(items(PARTS)):
            if not heard:
                await call.tts.interrupt()
            heard += pcm
        assert_same(bytes(heard), whole_frames(tone(" ".join(PARTS))))


@pytest.mark.parametrize("how", ["emit", "raise"])
@in_virtual_time
async def test_a_voice_that_fails_in_a_stream_and_in_a_reply_that_waits_for_it_loses_neither(how: str) -> None:
    async with a_call(bad := Foreign(0, how, half=0.2), Foreign()) as call:
        stream = asyncio.ensure_future(stream_of(call, "One phrase is stored."))
        await asyncio.sleep(0)
        await call.synthesize("Hello there.")
        assert call.track.heard.endswith(tone("Hello there."))
        assert (await stream).endswith(tone("One phrase is stored."))
        assert bad.asked == 2


@in_virtual_time
async def test_a_stream_goes_on_when_the_track_is_set_meanwhile() -> None:
    async with a_call(Foreign(streams=True), Foreign()) as call:
        stream = asyncio.ensure_future(stream_of(call, "One phrase is stored."))
        await asyncio.sleep(0.2)
        call.tts.audio_track = call.track
        assert_same(await stream, tone("One phrase is stored."))
        assert not call.track.heard
        await call.synthesize("Hello there.")
        assert_same(call.track.speech, tone("Hello there."))


@in_virtual_time
async def test_outside_a_pipeline_a_stream_of_another_make_is_spoken_too() -> None:
    class Asks(Foreign):
        async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
            if not self.audio_track or not self.loop:
                raise RuntimeError("Audio track or event loop not set")
            await super().synthesize(text)

    tts = FallbackTTS([Asks()])
    heard = [pcm async for pcm in tts.stream_synthesize(items(["Hello there."]))]
    assert_same(b"".join(heard), tone("Hello there."))
    await tts.aclose()


@in_virtual_time
async def test_of_a_stream_that_nobody_reads_to_its_end_nothing_goes_on() -> None:
    async with a_call(voice := Foreign(streams=True), Foreign()) as call:
        before = asyncio.all_tasks()
        async with aclosing(call.tts.stream_synthesize(items(PARTS))) as stream:
            await anext(stream)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        await call.synthesize("Hello there.")
        assert_same(call.track.speech, tone("Hello there."))
        assert voice.said == ["Hello there."]


@in_virtual_time
async def test_a_live_reply_that_fails_does_not_end_what_its_voice_makes_for_a_cache() -> None:
    def fault(request: SpeechRequest) -> Refuse | None:
        return Refuse(400) if request.text == "Hello there." else None

    async with (
        servers({"fault": fault, "real_time_factor": 1.0}, {}) as (first, second),
        a_call(ours(first), ours(second)) as call,
    ):
        phrase = b""
        async for pcm in call.tts.stream_synthesize(items([PARTS[0]])):
            if not phrase:
                await call.synthesize("Hello there.")
            phrase += pcm
        assert_same(phrase, whole_frames(tone(PARTS[0])))
        assert said_by(first) == PARTS[0]
        assert said_by(second) == "Hello there."
        assert_same(call.track.speech, tone("Hello there."))
        assert len(call.errors) == 1


# A whole session of the framework


def dies_in(sentence: str, after: float = 0.2) -> Callable[[SpeechRequest], Break | None]:
    return lambda request: Break(after) if sentence in request.text else None


@contextmanager
def transcript() -> Iterator[list[str]]:
    """What the session tells the caller's screen."""
    told: list[str] = []

    def take(event: dict[str, Any]) -> None:
        told.append(event["text"])

    global_event_emitter.on("AGENT_TRANSCRIPT_ADDED", take)
    try:
        yield told
    finally:
        global_event_emitter.off("AGENT_TRANSCRIPT_ADDED", take)


@pytest.mark.parametrize(
    "timed", [(True, True), (True, False), (False, True)], ids=["both tell words", "the first does", "the second"]
)
@in_virtual_call
async def test_the_caller_of_a_session_hears_all_although_a_voice_dies_in_mid_reply(
    timed: tuple[bool, bool],
) -> None:
    answer = "This is gate three. Five people wait here. It is your turn."
    async with servers({"fault": dies_in("Five people")}, {}) as (first, second):
        voices = [ours(w, word_timestamps=t) for w, t in zip((first, second), timed, strict=True)]
        tts = FallbackTTS(voices)
        errors: list[str] = []
        tts.on("error", lambda message: errors.append(message))
        async with agent_session(tts, [answer, "Yes."]) as call:
            assert len(second.connections) == 1, "it is warm"
            with transcript() as told:
                reply = await call.ask("Where am I?")
            assert reply.heard.startswith(tone("This is gate three."))
            assert reply.heard.endswith(tone("Five people wait here. It is your turn."))
            assert len(reply.heard) < len(tone(answer)) + 0.3 * 48000
            assert max(reply.gaps, default=0.0) < SOON
            assert told[-1].startswith("This is gate three. ")
            assert told[-1].endswith("Five people wait here. It is your turn.")
            assert all(later.startswith(earlier) for earlier, later in pairwise(told)), "it only grows"
            assert len(errors) == 1
            assert_same((await call.ask("Is it really?")).heard, tone("Yes."))
            assert call.said == [answer, "Yes."]
            assert len(second.connections) == 1


@in_virtual_call
async def test_after_a_barge_in_the_agent_remembers_what_both_voices_have_said() -> None:
    answer = "This is gate three. Five people wait here. It is your turn. Please have your ticket ready."
    async with servers({"fault": dies_in("Five people")}, {}) as (first, second):
        tts = FallbackTTS([ours(waves, word_timestamps=True) for waves in (first, second)])
        async with agent_session(tts, [answer, "Yes."]) as call:
            reply = call.ask("Where am I?")
            await reply.hears(len(tone("This is gate three. Five people wait here. It is your turn.")) / 48000)
            await call.ask("Stop it, please.")
            remembered = call.said[0]
            assert remembered.startswith("This is gate three. ")
            assert "Five people wait here. It" in remembered
            assert "ready" not in remembered


@pytest.mark.parametrize("dead", [False, True], ids=["interrupted", "all voices fail"])
@in_virtual_call
async def test_after_a_long_answer_that_ends_early_the_agent_still_answers(
    dead: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also in a pipeline in which nothing reads ahead: the framework's queue holds 50 tokens."""
    answer = "It goes on and on, and it has many more words than anybody wants to hear. " * 12
    faults = {"fault": (lambda request: Refuse(503) if "many" in request.text else None) if dead else None}
    async with servers(faults, faults) as (first, second):
        tts = FallbackTTS([ours(first), ours(second)])
        answers = [answer, "Yes, what is it?"]
        async with agent_session(tts, answers, text_chunking=False, text_filtering=False) as call:
            reply = call.ask("Well, what is it?")
            if dead:
                with pytest.raises(ServerError):
                    await reply
            else:
                await reply.hears(1.0)
            assert_same((await call.ask("Stop it, please.")).heard, tone("Yes, what is it?"))
    assert caplog.text.count("SpeechTextFilter()") == 1, "it says what would read ahead"


@pytest.mark.parametrize("first", ["ours", "foreign", "foreign, emits"])
@in_virtual_call
async def test_a_reply_through_a_tts_hook_falls_over_too(first: str) -> None:
    def speak_through_a_hook(pipeline: Pipeline) -> None:
        @pipeline.on("tts")
        async def hook(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for pcm in run_tts(text):
                yield pcm

    greeting = "This is gate three. Five people wait."
    async with servers({"fault": dies_in("Five people")}, {}) as (bad, good):
        voice = ours(bad) if first == "ours" else Foreign(1, "emit" if "emits" in first else "raise", half=0.2)
        tts = FallbackTTS([voice, ours(good, word_timestamps=True)])
        async with agent_session(tts, prepare=speak_through_a_hook) as call:
            with transcript() as told:
                reply = await call.say(greeting)
                await asyncio.sleep(1.5)  # the last words are still to be heard
            assert reply.heard.startswith(tone("This is gate three."))
            assert reply.heard.endswith(tone("Five people wait."))
            assert told[-1].startswith("This is gate three.")
            assert told[-1].endswith("Five people wait.")


@in_virtual_call
async def test_the_end_of_speech_is_reported_although_a_voice_left_half_a_frame() -> None:
    async with (
        servers({}) as (waves,),
        agent_session(FallbackTTS([Foreign(1, half=0.2031), ours(waves)])) as call,
    ):
        reply = await call.say("This is gate three. Five people wait.")
        assert reply.heard.endswith(tone("Five people wait."))
        assert_same((await call.say("Yes.")).heard, tone("Yes."))
