"""That each word is told when the listener hears it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
import virtual_time
from timelines import end, spoken
from videosdk.agents import CustomAudioStreamTrack

from videosdk_plugins_smallestai.framework import queued_samples
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.words.emitter import WordEmitter
from videosdk_plugins_smallestai.words.timeline import Timeline

TIMING = Timing(track_stuck=10.0)
RATE = 24000
FRAME = 480


class Track:
    """A track as the framework's: it plays whole frames when `pull` is called."""

    def __init__(self) -> None:
        self.sample_rate, self.channels, self.samples = RATE, 1, FRAME
        self.frame_buffer: list[bytes] = []
        self.audio_data_buffer = bytearray()
        self.frame_time = 0
        self.is_paused = False
        self._counts = [0, 0]

    def add(self, seconds: float) -> None:
        self.audio_data_buffer += bytes(2 * round(seconds * RATE))
        self._counts[1] += round(seconds * RATE)
        while len(self.audio_data_buffer) >= 2 * FRAME:
            self.frame_buffer.append(bytes(self.audio_data_buffer[: 2 * FRAME]))
            del self.audio_data_buffer[: 2 * FRAME]

    def pull(self) -> None:
        self.frame_time += FRAME
        if self.frame_buffer and not self.is_paused:
            self.frame_buffer.pop(0)
            self._counts[0] += FRAME

    def mark_synthesis_start(self) -> None:
        self._counts = [0, 0]

    def snapshot_playback(self) -> tuple[int, int]:
        return self._counts[0], self._counts[1]


class Mixing(Track):
    """Keeps bytes instead of frames, as the framework's mixing track."""

    def add(self, seconds: float) -> None:
        self.audio_data_buffer += bytes(2 * round(seconds * RATE))

    def pull(self) -> None:
        self.frame_time += FRAME
        if len(self.audio_data_buffer) >= 2 * FRAME:
            del self.audio_data_buffer[: 2 * FRAME]
            self._counts[0] += FRAME


class Stage:
    """A reply of ten words, one a second, and when they are told."""

    def __init__(self, track: Any) -> None:
        self.now = asyncio.get_running_loop().time
        self.track = track
        self.timeline = Timeline()
        self.told: list[tuple[str, float]] = []
        self.texts: list[str] = []
        self.emitter = WordEmitter(self.timeline, track, self.hear, timing=TIMING)
        self.not_before = 0.0
        self.start = 0.0

    def hear(self, data: dict[str, str]) -> None:
        self.told.append((data["word"], self.now() - self.start))
        self.texts.append(data["cumulative_text"])

    def speak(self, count: int = 10) -> None:
        """Say the words `a`, `b`, ... of a second each, their times told by the server."""
        segment = self.timeline.begin(" ".join("abcdefghij"[:count]), 0.0)
        for index in range(count):
            segment.place("abcdefghij"[index], float(index))
        end(self.timeline, segment, float(count))
        self.emitter.changed()

    def first(self) -> None:
        self.emitter.first_byte(self.not_before)
        self.start = self.now()

    def push(self, total: float, before: float = 0.0) -> None:
        if isinstance(self.track, Track):
            self.track.add(total - before)
        self.emitter.pushed(total)

    def times(self) -> list[float]:
        return [at for _, at in self.told]


async def pulls(track: Track) -> None:
    while True:
        await asyncio.sleep(0.02)
        track.pull()


@contextlib.asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a clock that jumps."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        virtual_time.run(test(**arguments))

    return run


def near(seconds: list[float]) -> Any:
    return pytest.approx(seconds, abs=0.045)


SECONDS = [float(second) for second in range(10)]


async def say(stage: Stage, *, wait: float = 0.2) -> None:
    """Ask for a reply, and push all of it after a while."""
    stage.emitter.start()
    await asyncio.sleep(wait)
    stage.first()
    stage.speak()
    stage.push(10.0)
    stage.emitter.finish()


@in_virtual_time
async def test_each_word_is_told_when_it_is_heard_on_a_pulled_track() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await stage.emitter.run()
    assert [word for word, _ in stage.told] == list("abcdefghij")
    assert stage.texts[2] == "a b c"
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_each_word_is_told_when_it_is_heard_on_a_track_that_is_not_pulled() -> None:
    stage = Stage(Track())
    await say(stage)
    await stage.emitter.run()
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_mocks_for_tracks_go_by_the_time() -> None:
    for mock in (MagicMock(), AsyncMock(), object(), None):
        stage = Stage(mock)
        await say(stage)
        await stage.emitter.run()
        assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_a_track_that_fails_to_tell_goes_by_the_time() -> None:
    track = MagicMock(sample_rate=RATE, snapshot_playback=MagicMock(side_effect=RuntimeError))
    stage = Stage(track)
    await say(stage)
    await stage.emitter.run()
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_words_wait_while_the_track_is_paused() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track), stage.emitter.run()):
        await say(stage)
        await asyncio.sleep(2.5)
        track.is_paused = True
        stage.emitter.pause()
        await asyncio.sleep(30.0)
        assert len(stage.told) == 3
        track.is_paused = False
        stage.emitter.resume()
        await asyncio.sleep(10.0)
    assert stage.times() == near(SECONDS[:3] + [second + 30.0 for second in SECONDS[3:]])


@in_virtual_time
async def test_words_wait_during_a_pause_on_a_track_that_cannot_tell() -> None:
    stage = Stage(MagicMock())
    async with running(stage.emitter.run()):
        await say(stage)
        await asyncio.sleep(2.5)
        stage.emitter.pause()
        await asyncio.sleep(30.0)
        assert len(stage.told) == 3
        stage.emitter.resume()
        await asyncio.sleep(10.0)
    assert stage.times() == near(SECONDS[:3] + [second + 30.0 for second in SECONDS[3:]])


@pytest.mark.parametrize("pulled", [True, False])
@in_virtual_time
async def test_an_underrun_delays_the_rest(pulled: bool) -> None:
    track = Track()
    stage = Stage(track)
    async with running(*([pulls(track)] if pulled else []), stage.emitter.run()):
        stage.emitter.start()
        await asyncio.sleep(0.2)
        stage.first()
        stage.speak()
        stage.push(2.0)
        await asyncio.sleep(5.0)
        assert len(stage.told) == 2
        stage.push(10.0, 2.0)
        stage.emitter.finish()
        await asyncio.sleep(9.0)
    assert stage.times() == near([0.0, 1.0, *(second + 3.0 for second in SECONDS[2:])])


@pytest.mark.parametrize("kind", [Track, Mixing])
@in_virtual_time
async def test_what_an_earlier_reply_left_in_the_track_is_heard_first(kind: type[Track]) -> None:
    track = kind()
    track.add(13.2)
    async with running(pulls(track)):
        stage = Stage(track)
        await say(stage)
        await stage.emitter.run()
    assert stage.times() == near([second + 13.0 for second in SECONDS])


@in_virtual_time
async def test_an_earlier_reply_is_waited_for_on_a_track_that_cannot_tell() -> None:
    stage = Stage(MagicMock())
    stage.not_before = 3.2
    await say(stage)
    stage.emitter.pause()
    await asyncio.sleep(1.0)
    stage.emitter.resume()
    await stage.emitter.run()
    assert stage.times() == near([second + 4.0 for second in SECONDS])


@in_virtual_time
async def test_the_next_reply_may_be_asked_for_while_this_one_is_heard() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track), stage.emitter.run()):
        await say(stage)
        await asyncio.sleep(4.5)
        track.mark_synthesis_start()
        await asyncio.sleep(6.0)
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_a_track_that_is_pulled_only_later_is_followed_from_then_on() -> None:
    track = Track()
    track.frame_time = None  # type: ignore[assignment]  # nothing tells beforehand
    stage = Stage(track)

    def pull() -> None:
        track.frame_buffer.pop(0)
        track._counts[0] += FRAME

    async def late() -> None:
        while track.frame_buffer or not stage.told:
            await asyncio.sleep(0.02)
            if stage.now() - stage.start > 1.5 and stage.told:
                pull()

    async with running(late(), stage.emitter.run()):
        await say(stage)
        await asyncio.sleep(13.0)
    assert stage.times() == near([0.0, 1.0, *(second + 1.5 for second in SECONDS[2:])])


@pytest.mark.parametrize("pulled", [True, False])
@in_virtual_time
async def test_after_a_barge_in_nothing_is_told(pulled: bool) -> None:
    track = Track()
    stage = Stage(track)
    async with running(*([pulls(track)] if pulled else [])):
        await say(stage)
        asyncio.get_running_loop().call_later(4.5, stage.emitter.stop)
        await stage.emitter.run()
        assert len(stage.told) == 5
        assert stage.now() - stage.start == pytest.approx(4.5, abs=0.03)


@in_virtual_time
async def test_a_listener_may_interrupt_or_fail_in_the_middle_of_words() -> None:
    stage = Stage(MagicMock())

    def hear(data: dict[str, str]) -> None:
        stage.hear(data)
        if len(stage.told) == 3:
            stage.emitter.stop()
        raise RuntimeError("a listener's own")

    stage.emitter._emit = hear
    await say(stage)
    await asyncio.sleep(9.0)  # so that many words are due at once
    await stage.emitter.run()
    assert len(stage.told) == 3


@in_virtual_time
async def test_no_word_is_told_before_its_audio_is_there() -> None:
    stage = Stage(MagicMock())
    async with running(stage.emitter.run()):
        stage.emitter.start()
        stage.speak()
        stage.first()
        await asyncio.sleep(1.0)
        assert stage.told == []
        stage.push(1.0)
        await asyncio.sleep(3.0)
        assert len(stage.told) == 1


@in_virtual_time
async def test_a_reply_without_audio_ends_at_once() -> None:
    stage = Stage(Track())
    stage.not_before = 5.0
    stage.emitter.start()
    stage.speak()
    stage.first()
    stage.emitter.finish()
    await stage.emitter.run()
    assert stage.told == []


@in_virtual_time
async def test_of_a_reply_that_failed_only_what_was_heard_is_told() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        stage.emitter.start()
        await asyncio.sleep(0.2)
        segment = stage.timeline.begin("one two three four five six seven", 0.0)
        for index, word in enumerate(["one", "two", "three", "four", "five"]):
            segment.place(word, index / 2)
        stage.first()
        stage.push(1.2)
        segment.add_audio(1.2)
        stage.emitter.finish()
        await stage.emitter.run()
    assert stage.texts[-1] == "one two three"
    assert stage.now() - stage.start < 1.5


@in_virtual_time
async def test_the_last_words_are_told_although_the_last_frame_is_not_whole() -> None:
    track = Track()
    track.add(0.01)  # an earlier reply's remainder, which shifts the frames
    stage = Stage(track)
    async with running(pulls(track)):
        stage.emitter.start()
        await asyncio.sleep(0.2)
        segment = stage.timeline.begin("one two", 0.0)
        segment.place("two", 0.999)
        end(stage.timeline, segment, 1.003)
        stage.first()
        stage.push(1.0)
        stage.emitter.finish()
        await stage.emitter.run()
    assert stage.texts == ["one", "one two"]


@in_virtual_time
async def test_a_session_that_is_gone_is_not_waited_for() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await asyncio.sleep(2.5)
    await stage.emitter.run()
    assert len(stage.told) == 3
    assert stage.now() - stage.start == pytest.approx(10.0 + TIMING.track_stuck, abs=0.2)


@in_virtual_time
async def test_a_track_that_dropped_the_audio_is_not_waited_for() -> None:
    track = Track()
    track.add = lambda seconds: None  # type: ignore[method-assign]
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await stage.emitter.run()
    assert stage.told == []
    assert stage.now() - stage.start == pytest.approx(10.0 + TIMING.track_stuck, abs=0.2)


@in_virtual_time
async def test_estimates_follow_the_audio_as_it_arrives() -> None:
    """Nothing is told by the server; the audio comes at 3.3 times real time and turns out slower than guessed."""
    stage = Stage(MagicMock())
    text, seconds = "some quite ordinary words, and then several more", 8.0
    async with running(stage.emitter.run()):
        stage.emitter.start()
        segment = stage.timeline.begin(text, 0.0)
        stage.first()
        arrived = 0.0
        while arrived < seconds:
            arrived += 0.1
            segment.add_audio(0.1)
            stage.push(arrived)
            await asyncio.sleep(0.03)
        end(stage.timeline, segment, seconds)
        stage.emitter.changed()
        stage.emitter.finish()
        await asyncio.sleep(seconds)
    assert stage.texts[-1] == text
    expected = list(spoken(text, seconds).values())
    assert stage.times()[4:] == near(expected[4:])


async def test_on_the_frameworks_own_track() -> None:
    """In real time: the tail of an interrupted reply, then words, with a pause of the track."""
    track = CustomAudioStreamTrack(asyncio.get_running_loop())

    async def listen() -> None:
        while True:
            await track.recv()

    def played() -> float:
        return track.snapshot_playback()[0] / RATE

    told: list[tuple[str, float]] = []
    second = asyncio.Event()

    def hear(data: dict[str, str]) -> None:
        told.append((data["word"], played()))
        if len(told) == 2:
            second.set()

    timeline = Timeline()
    emitter = WordEmitter(timeline, track, hear, timing=TIMING)
    async with running(listen()):
        await track.add_new_bytes(bytes(RATE * 2 * 2))
        while not track.snapshot_playback()[0]:  # noqa: ASYNC110 - a track has no event to await
            await asyncio.sleep(0.02)
        track.interrupt()  # leaves 0.4 s
        track.mark_synthesis_start()
        emitter.start()
        while not track.snapshot_playback()[0]:  # noqa: ASYNC110 - a track has no event to await
            await asyncio.sleep(0.02)
        segment = timeline.begin("a b c d", 0.0)
        for index, word in enumerate("abcd"):
            segment.place(word, index * 0.3)
        before = played() + queued_samples(track) / RATE
        assert 0.3 <= before <= 0.4
        emitter.first_byte()
        await track.add_new_bytes(bytes(round(RATE * 1.2) * 2))
        emitter.pushed(1.2)
        end(timeline, segment, 1.2)
        emitter.finish()
        work = asyncio.ensure_future(emitter.run())
        await asyncio.wait_for(second.wait(), 30.0)
        await track.pause()
        at_pause = len(told)
        await asyncio.sleep(0.5)
        assert len(told) <= at_pause + 1, "what had been played when it was paused"
        await track.resume()
        await asyncio.wait_for(work, 30.0)
    assert [word for word, _ in told] == list("abcd")
    for index, (_, at) in enumerate(told):
        assert before + 0.3 * index <= at < before + 0.3 * index + 0.3
