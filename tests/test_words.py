"""Which word is spoken where, and that it is told when the listener hears it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from videosdk.agents import CustomAudioStreamTrack

from videosdk_plugins_smallestai._old.wordclock import NO_PROGRESS, SESSION_GONE, WordClock
from videosdk_plugins_smallestai._old.words import SpokenPiece, WordPlan
from videosdk_plugins_smallestai.emulator import espeak
from videosdk_plugins_smallestai.emulator.orders import Order

# Places in the reply's audio


def spoken(text: str, seconds: float | None = None, *told: tuple[str, float]) -> dict[str, float]:
    """The words of a text and their places, after the server has told some."""
    plan = WordPlan()
    piece = plan.begin(text, 0.0)
    for word, start in told:
        piece.place(word, start)
    if seconds is not None:
        piece.end(seconds)
    return {word.text: word.start for word in plan.words}


def cumulative(*texts: str) -> str:
    plan = WordPlan()
    for text in texts:
        plan.begin(text, 0.0)
    return plan.words[-1].cumulative


def test_words_grow_into_the_text() -> None:
    plan = WordPlan()
    plan.begin("Go to gate 3.", 0.0)
    plan.begin("Now!", 1.0)
    assert [word.text for word in plan.words] == ["Go", "to", "gate", "3.", "Now!"]
    assert [word.cumulative for word in plan.words[2:]] == ["Go to gate", "Go to gate 3.", "Go to gate 3. Now!"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Well – “yes”, he’s in.", ["Well", "–", "“yes”,", "he’s", "in."]),
        ("你好，我爱NBA。", ["你", "好，", "我", "爱", "NBA。"]),
        ("「東京」へ3時に。", ["「東", "京」", "へ", "3", "時", "に。"]),
        ("コーヒー、ちょっと", ["コー", "ヒー、", "ちょっ", "と"]),
        ("안녕하세요, 내일", ["안녕하세요,", "내일"]),
        ("नमस्ते क्या हाल।", ["नमस्ते", "क्या", "हाल।"]),
        ("สวัสดีครับ", ["สวัสดี", "ครับ"]),
        ("  \n ", []),
    ],
)
def test_what_counts_as_a_word(text: str, words: list[str]) -> None:
    assert list(spoken(text)) == words


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["Go.", "Now."], "Go. Now."),
        (["你好。", "再见。"], "你好。再见。"),
        (["你好。", " OK."], "你好。 OK."),
        (["สวัสดี", "ครับ"], "สวัสดี ครับ"),
        (["a  b\n", "\tc"], "a b c"),
    ],
)
def test_pieces_read_as_written(texts: list[str], whole: str) -> None:
    assert cumulative(*texts) == whole


def test_a_continuation_grows_as_written() -> None:
    plan = WordPlan()
    piece = plan.begin("Hello", 0.0)
    for more in (" there.", "你", "好", " Ok", "ay"):
        piece.extend(more)
    assert plan.words[-1].cumulative == "Hello there.你好 Okay"
    plan.begin("Next.", 2.0)
    with pytest.raises(ValueError, match="last piece"):
        piece.extend("x")


def test_the_servers_times_are_taken() -> None:
    found = spoken("It costs $100 now, sir.", 3.0, ("It", 0.0), ("costs", 0.4), ("$100", 1.1), ("now,", 1.9))
    assert list(found.values())[:4] == [0.0, 0.4, 1.1, 1.9]
    assert 1.9 < found["sir."] < 3.0


def test_case_and_punctuation_do_not_matter() -> None:
    found = spoken("“Hello,” she SAID.", None, ("hello", 0.1), ("She", 0.5), ("said", 0.9))
    assert list(found.values()) == [0.1, 0.5, 0.9]


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ([("on", 0.2), ("line", 0.4), ("shop", 0.8), ("here", 1.5)], 1.5),  # split
        ([("online shop", 0.2), ("here", 1.5)], 1.5),  # joined
        ([("here", 1.5)], 1.5),  # skipped
        ([("s", 0.1), ("online", 0.2), ("here", 1.5)], 1.5),  # `s` is not the beginning of `shop`
        ([("online", 0.2), ("uh", 0.3), ("store", 0.5), ("here", 1.5)], 1.5),  # others than in the text
    ],
)
def test_the_servers_words_need_not_be_the_texts(told: list[tuple[str, float]], last: float) -> None:
    found = list(spoken("online shop is here", 2.0, *told).values())
    assert found[-1] == last
    assert found == sorted(found)


def test_more_unknown_words_than_the_look_ahead_do_not_lose_the_rest() -> None:
    plan = WordPlan()
    piece = plan.begin("a b c d e f g h i j", 0.0)
    for index, word in enumerate("qrstuvwxij"):
        piece.place(word, float(index))
    assert [word.start for word in plan.words[-2:]] == [8.0, 9.0]


def test_words_between_told_ones_are_spread_by_their_length() -> None:
    found = spoken("a bb internationalization z", 4.0, ("a", 0.0), ("z", 3.0))
    assert 0 < found["bb"] < found["internationalization"] < 1.0


def test_a_break_does_not_double_words() -> None:
    plan = WordPlan()
    piece = plan.begin("one two three", 0.0)
    for word, start in (("one", 0.0), ("two", 0.5), ("three", 1.0)):
        piece.place(word, start)
    piece.heard(0.8)
    piece.restart()
    for word, start in (("one", 0.1), ("two", 0.6), ("three", 1.2)):
        piece.place(word, start)
    assert [(word.text, word.start) for word in plan.words] == [("one", 0.0), ("two", 0.5), ("three", 1.2)]


def test_a_continuation_resumes_in_its_middle() -> None:
    plan = WordPlan()
    piece = plan.begin("so so", 0.0)
    piece.extend(" so it is")
    piece.restart(1)
    piece.place("so", 2.0)
    assert [word.start for word in plan.words][2] == 2.0


def test_estimates_use_the_audios_real_length() -> None:
    plan = WordPlan()
    piece = plan.begin("some words to speak", 1.0)
    guess = [word.start for word in plan.words]
    piece.end(8.0)
    assert plan.words[0].start == 1.0
    assert guess[-1] < plan.words[-1].start < 9.0


def test_a_guess_is_never_shorter_than_what_has_arrived() -> None:
    plan = WordPlan()
    piece = plan.begin("some words to speak", 0.0)
    piece.heard(10.0)
    assert plan.words[-1].start > 5.0


def test_a_guess_goes_by_the_pace_of_what_was_spoken_before() -> None:
    plan = WordPlan()
    first = plan.begin("these are some quite ordinary words", 0.0)
    first.end(3.0)
    plan.begin("these are some quite ordinary words", 3.0)
    starts = [word.start for word in plan.words]
    assert starts[6:] == pytest.approx([3.0 + start for start in starts[:6]])


def test_pauses_and_digits_take_time() -> None:
    found = spoken("one. two, six 123 ten", 5.0)
    starts = list(found.values())
    lengths = [after - before for before, after in itertools.pairwise(starts)]
    assert lengths[0] > lengths[1] > lengths[2] < lengths[3]


def test_twice_the_speed_takes_half_the_time() -> None:
    slow, fast = WordPlan(), WordPlan()
    slow.begin("some words to speak", 0.0)
    fast.begin("some words to speak", 0.0, speed=2.0)
    assert fast.words[-1].start == pytest.approx(slow.words[-1].start / 2)


def test_a_word_that_is_not_told_yet_is_not_in_what_has_arrived() -> None:
    plan = WordPlan()
    piece = plan.begin("one two three", 0.0)
    piece.place("one", 0.0)
    piece.heard(2.0)
    assert [word.start for word in plan.words] == [0.0, 2.0, 2.0]
    piece.end(3.0)
    assert plan.words[1].start < 2.0


def test_a_word_never_lies_behind_the_next_piece() -> None:
    plan = WordPlan()
    plan.begin("some words to speak", 0.0).place("speak", 1e9)
    plan.begin("next", 1.0)
    assert [word.start for word in plan.words][-2:] == [1.0, 1.0]


def test_absurd_times_do_no_harm() -> None:
    found = spoken("a b c", 3.0, ("a", math.nan), ("a", -1.0), ("b", math.inf), ("c", 7.0))
    assert found["a"] == 0.0
    assert found["c"] == 3.0


WORDS = st.text(st.sampled_from("ab1,. 你好「」กเา-—\n"), max_size=30) | st.text(max_size=30)
STEPS = st.lists(
    st.tuples(st.just("begin"), WORDS)
    | st.tuples(st.just("extend"), WORDS)
    | st.tuples(st.just("place"), st.tuples(st.text("ab1你好", max_size=3), st.floats(-1, 20)))
    | st.tuples(st.just("heard"), st.floats(0, 10))
    | st.tuples(st.just("end"), st.floats(0, 10))
    | st.tuples(st.just("restart"), st.none()),
    max_size=20,
)


def test_no_pace_is_taken_from_lost_audio() -> None:
    plan = WordPlan()
    plan.begin("these are some quite ordinary words", 0.0).end(0.0)
    plan.begin("and some more", 0.0)
    assert plan.words[-1].start > 0.2


@given(STEPS)
def test_whatever_comes_no_word_is_lost_doubled_or_out_of_order(steps: list[tuple[str, Any]]) -> None:
    plan, texts, at = WordPlan(), [""], 0.0
    piece = plan.begin("", 0.0)
    for name, value in steps:
        if name == "begin":
            at += 1.0
            piece = plan.begin(value, at)
            texts.append(value)
        elif name == "extend":
            piece.extend(value)
            texts.append(value)
        elif name == "place":
            piece.place(*value)
        elif name == "restart":
            piece.restart()
        else:
            getattr(piece, name)(value)
        check(plan, texts)


def check(plan: WordPlan, texts: list[str]) -> None:
    words = plan.words
    assert len(words) == len(plan)
    assert "".join(word.text for word in words) == "".join("".join(text.split()) for text in texts)
    read = ""
    for word in words:
        assert word.cumulative in (read + word.text, f"{read} {word.text}")
        read = word.cumulative
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(map(math.isfinite, starts))


@given(st.lists(st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), min_size=1), min_size=1))
def test_verbatim_words_get_exactly_their_times(words: list[str]) -> None:
    plan = WordPlan()
    piece = plan.begin(" ".join(words), 1.0)
    for index, word in enumerate(words):
        piece.place(word, index / 2)
    piece.end(len(words) / 2)
    assert [word.start for word in plan.words] == [1.0 + index / 2 for index in range(len(words))]


SPEECH = [
    "Hello there, I am calling about your order of three chairs, which costs a lot in total.",
    "Your balance is $1,299.50 and the payment is due on March 15.",
    "Unfortunately, the item is out of stock at the moment; we expect more within two weeks.",
    "Sure. Let me check. One moment, please.",
    "Okay, your appointment with Dr. Smith is confirmed for Tuesday at 9 a.m.",
]


def test_estimates_are_near_a_real_voices_words() -> None:
    """Measured over 21 English sentences: 0.09 s off on average, 0.23 s or less for 95 of 100 words."""
    pytest.importorskip("espeakng_loader")
    errors = []
    for text in SPEECH:
        speech = espeak.speak(Order(text, "magnus", sample_rate=24000))
        plan = WordPlan()
        plan.begin(text, 0.0).end(len(speech.audio) / 48000)
        errors += [abs(plan.words[word.index].start - word.start) for word in speech.words]
    assert sum(errors) / len(errors) < 0.15


# The clock

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

    def __init__(self, track: Any, **options: Any) -> None:
        self.now = asyncio.get_running_loop().time
        self.track = track
        self.plan = WordPlan()
        self.told: list[tuple[str, float]] = []
        self.texts: list[str] = []
        self.clock = WordClock(self.plan, track, self.hear, **options)
        self.start = 0.0

    def hear(self, data: dict[str, str]) -> None:
        self.told.append((data["word"], self.now() - self.start))
        self.texts.append(data["cumulative_text"])

    def speak(self, count: int = 10) -> None:
        """Say the words `a`, `b`, ... of a second each, their times told by the server."""
        piece = self.plan.begin(" ".join("abcdefghij"[:count]), 0.0)
        for index in range(count):
            piece.place("abcdefghij"[index], float(index))
        piece.end(float(count))
        self.clock.changed()

    def first(self) -> None:
        self.clock.first_byte()
        self.start = self.now()

    def push(self, total: float, before: float = 0.0) -> None:
        if isinstance(self.track, Track):
            self.track.add(total - before)
        self.clock.pushed(total)

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
    stage.clock.note_start()
    await asyncio.sleep(wait)
    stage.first()
    stage.speak()
    stage.push(10.0)
    stage.clock.finish()


@in_virtual_time
async def test_each_word_is_told_when_it_is_heard_on_a_pulled_track() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await stage.clock.run()
    assert [word for word, _ in stage.told] == list("abcdefghij")
    assert stage.texts[2] == "a b c"
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_each_word_is_told_when_it_is_heard_on_a_track_that_is_not_pulled() -> None:
    stage = Stage(Track())
    await say(stage)
    await stage.clock.run()
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_mocks_for_tracks_go_by_the_time() -> None:
    for mock in (MagicMock(), AsyncMock(), object(), None):
        stage = Stage(mock)
        await say(stage)
        await stage.clock.run()
        assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_a_track_that_fails_to_tell_goes_by_the_time() -> None:
    track = MagicMock(sample_rate=RATE, snapshot_playback=MagicMock(side_effect=RuntimeError))
    stage = Stage(track)
    await say(stage)
    await stage.clock.run()
    assert stage.times() == near(SECONDS)


@in_virtual_time
async def test_words_wait_while_the_track_is_paused() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track), stage.clock.run()):
        await say(stage)
        await asyncio.sleep(2.5)
        track.is_paused = True
        stage.clock.pause()
        await asyncio.sleep(30.0)
        assert len(stage.told) == 3
        track.is_paused = False
        stage.clock.resume()
        await asyncio.sleep(10.0)
    assert stage.times() == near(SECONDS[:3] + [second + 30.0 for second in SECONDS[3:]])


@in_virtual_time
async def test_words_wait_during_a_pause_on_a_track_that_cannot_tell() -> None:
    stage = Stage(MagicMock())
    async with running(stage.clock.run()):
        await say(stage)
        await asyncio.sleep(2.5)
        stage.clock.pause()
        await asyncio.sleep(30.0)
        assert len(stage.told) == 3
        stage.clock.resume()
        await asyncio.sleep(10.0)
    assert stage.times() == near(SECONDS[:3] + [second + 30.0 for second in SECONDS[3:]])


@pytest.mark.parametrize("pulled", [True, False])
@in_virtual_time
async def test_an_underrun_delays_the_rest(pulled: bool) -> None:
    track = Track()
    stage = Stage(track)
    async with running(*([pulls(track)] if pulled else []), stage.clock.run()):
        stage.clock.note_start()
        await asyncio.sleep(0.2)
        stage.first()
        stage.speak()
        stage.push(2.0)
        await asyncio.sleep(5.0)
        assert len(stage.told) == 2
        stage.push(10.0, 2.0)
        stage.clock.finish()
        await asyncio.sleep(9.0)
    assert stage.times() == near([0.0, 1.0, *(second + 3.0 for second in SECONDS[2:])])


@pytest.mark.parametrize("kind", [Track, Mixing])
@in_virtual_time
async def test_what_an_earlier_reply_left_in_the_track_is_heard_first(kind: type[Track]) -> None:
    track = kind()
    track.add(3.2)
    async with running(pulls(track)):
        stage = Stage(track)
        await say(stage)
        await stage.clock.run()
    assert stage.times() == near([second + 3.0 for second in SECONDS])


@in_virtual_time
async def test_an_earlier_reply_is_waited_for_on_a_track_that_cannot_tell() -> None:
    stage = Stage(MagicMock(), not_before=3.2)
    await say(stage)
    stage.clock.pause()
    await asyncio.sleep(1.0)
    stage.clock.resume()
    await stage.clock.run()
    assert stage.times() == near([second + 4.0 for second in SECONDS])


@in_virtual_time
async def test_the_next_reply_may_be_asked_for_while_this_one_is_heard() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track), stage.clock.run()):
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

    async with running(late(), stage.clock.run()):
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
        asyncio.get_running_loop().call_later(4.5, stage.clock.stop)
        await stage.clock.run()
        assert len(stage.told) == 5
        assert stage.now() - stage.start == pytest.approx(4.5, abs=0.03)


@in_virtual_time
async def test_a_listener_may_interrupt_or_fail_in_the_middle_of_words() -> None:
    stage = Stage(MagicMock())

    def hear(data: dict[str, str]) -> None:
        stage.hear(data)
        if len(stage.told) == 3:
            stage.clock.stop()
        raise RuntimeError("a listener's own")

    stage.clock._emit = hear
    await say(stage)
    await asyncio.sleep(9.0)  # so that many words are due at once
    await stage.clock.run()
    assert len(stage.told) == 3


@in_virtual_time
async def test_no_word_is_told_before_its_audio_is_there() -> None:
    stage = Stage(MagicMock())
    async with running(stage.clock.run()):
        stage.clock.note_start()
        stage.speak()
        stage.first()
        await asyncio.sleep(1.0)
        assert stage.told == []
        stage.push(1.0)
        await asyncio.sleep(3.0)
        assert len(stage.told) == 1


@in_virtual_time
async def test_a_reply_without_audio_ends_at_once() -> None:
    stage = Stage(Track(), not_before=5.0)
    stage.clock.note_start()
    stage.speak()
    stage.first()
    stage.clock.finish()
    await stage.clock.run()
    assert stage.told == []


@in_virtual_time
async def test_of_a_reply_that_failed_only_what_was_heard_is_told() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        stage.clock.note_start()
        await asyncio.sleep(0.2)
        piece = stage.plan.begin("one two three four five six seven", 0.0)
        for index, word in enumerate(["one", "two", "three", "four", "five"]):
            piece.place(word, index / 2)
        stage.first()
        stage.push(1.2)
        piece.heard(1.2)
        stage.clock.finish()
        await stage.clock.run()
    assert stage.texts[-1] == "one two three"
    assert stage.now() - stage.start < 1.5


@in_virtual_time
async def test_the_last_words_are_told_although_the_last_frame_is_not_whole() -> None:
    track = Track()
    track.add(0.01)  # an earlier reply's remainder, which shifts the frames
    stage = Stage(track)
    async with running(pulls(track)):
        stage.clock.note_start()
        await asyncio.sleep(0.2)
        piece = stage.plan.begin("one two", 0.0)
        piece.place("two", 0.999)
        piece.end(1.003)
        stage.first()
        stage.push(1.0)
        stage.clock.finish()
        await stage.clock.run()
    assert stage.texts == ["one", "one two"]


@in_virtual_time
async def test_a_session_that_is_gone_is_not_waited_for() -> None:
    track = Track()
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await asyncio.sleep(2.5)
    before = stage.now()
    await stage.clock.run()
    assert len(stage.told) == 3
    assert stage.now() - before == pytest.approx(SESSION_GONE, abs=0.2)


@in_virtual_time
async def test_a_track_that_dropped_the_audio_is_not_waited_for() -> None:
    track = Track()
    track.add = lambda seconds: None  # type: ignore[method-assign]
    stage = Stage(track)
    async with running(pulls(track)):
        await say(stage)
        await stage.clock.run()
    assert stage.told == []
    assert stage.now() - stage.start == pytest.approx(NO_PROGRESS, abs=0.2)


@in_virtual_time
async def test_estimates_follow_the_audio_as_it_arrives() -> None:
    """Nothing is told by the server; the audio comes at 3.3 times real time and turns out slower than guessed."""
    stage = Stage(MagicMock())
    text, seconds = "some quite ordinary words, and then several more", 8.0
    async with running(stage.clock.run()):
        stage.clock.note_start()
        piece: SpokenPiece = stage.plan.begin(text, 0.0)
        stage.first()
        arrived = 0.0
        while arrived < seconds:
            arrived += 0.1
            piece.heard(arrived)
            stage.push(arrived)
            await asyncio.sleep(0.03)
        piece.end(seconds)
        stage.clock.changed()
        stage.clock.finish()
        await asyncio.sleep(seconds)
    assert stage.texts[-1] == text
    expected = list(spoken(text, seconds).values())
    assert stage.times()[4:] == near(expected[4:])


async def test_on_the_frameworks_own_track() -> None:
    """In real time: half a second of an interrupted reply's tail, then words, with a pause of the track."""
    track = CustomAudioStreamTrack(asyncio.get_running_loop())

    async def listen() -> None:
        while True:
            await track.recv()

    told: list[tuple[str, float]] = []
    plan = WordPlan()
    clock = WordClock(plan, track, lambda data: told.append((data["word"], time.monotonic())))
    async with running(listen()):
        await track.add_new_bytes(bytes(RATE * 2 * 2))
        await asyncio.sleep(0.1)
        track.interrupt()  # leaves 0.4 s
        track.mark_synthesis_start()
        clock.note_start()
        await asyncio.sleep(0.1)
        piece = plan.begin("a b c d", 0.0)
        for index, word in enumerate("abcd"):
            piece.place(word, index * 0.3)
        clock.first_byte()
        start = time.monotonic()
        await track.add_new_bytes(bytes(round(RATE * 1.2) * 2))
        clock.pushed(1.2)
        piece.end(1.2)
        clock.finish()
        work = asyncio.ensure_future(clock.run())
        await asyncio.sleep(0.7)
        await track.pause()
        await asyncio.sleep(0.5)
        await track.resume()
        await asyncio.wait_for(work, 10.0)
    assert [word for word, _ in told] == list("abcd")
    times = [at - start for _, at in told]
    assert 0.2 < times[0] < 0.6
    assert times[0] + 0.2 < times[1] < times[0] + 0.6
    assert times[3] - times[0] > 1.2
