"""What a listener reads of a reply, word by word, while it is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.playback.player import Player
from videosdk_plugins_smallestai.playback.sinks import TrackSink
from videosdk_plugins_smallestai.playhead import Playhead
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.words.reply_words import EARLY_WORDS, ReplyWords

RATE = 24000
CHUNK = 0.1
"""Seconds of a chunk."""


class PlainTrack:
    """Takes audio, and tells nothing."""

    async def add_new_bytes(self, pcm: bytes) -> None: ...


@dataclass
class Reply:
    """A reply on its way to the listener, and the words that are told, with the seconds since its first byte."""

    told: list[tuple[str, float]] = field(default_factory=list)
    text: str = ""
    listener: Playhead | None = None

    def __post_init__(self) -> None:
        self.words = ReplyWords(None, self._hear, speed=1.0, timing=Timing())
        self.player = Player(TrackSink(PlainTrack()), RATE, listener=self.listener, words=self.words)
        self.words.start()

    def _hear(self, event: dict[str, str]) -> None:
        assert self.player.first_audio_at is not None
        self.told.append((event["word"], asyncio.get_running_loop().time() - self.player.first_audio_at))
        self.text = event["cumulative_text"]

    async def play(self, index: int, seconds: float) -> None:
        """Audio of a segment comes, at the pace of the service."""
        for _ in range(round(seconds / CHUNK)):
            self.words.add_audio(index, CHUNK)
            await self.player.write(bytes(round(CHUNK * RATE) * 2))
            await asyncio.sleep(CHUNK / 3.3)

    async def speak(self, index: int, text: str, seconds: float, lead: str = " ") -> None:
        self.words.begin(index, text, lead if index else "", self.player.seconds)
        await self.play(index, seconds)
        self.words.end(index)

    async def finish(self) -> None:
        await self.player.finish()
        self.words.finish()
        while self.words.pending:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(0.1)

    def place(self, index: int, word: str, start: float, heard: float = 0.0, began: float = 0.0) -> None:
        self.words.place(index, word, start, server_id=None, heard=heard, stream_began=began)

    @property
    def times(self) -> dict[str, float]:
        return dict(self.told)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def run() -> None:
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_the_first_word_of_each_segment_is_told_when_its_audio_is_heard() -> None:
    """Nothing is told by the server, and the voice is half as fast as is guessed."""
    reply = Reply()
    await reply.speak(0, "This is a first sentence.", 4.0)
    await reply.speak(1, "Second it goes.", 2.0)
    await reply.speak(2, "Third ends it.", 2.0)
    await reply.finish()
    assert reply.text == "This is a first sentence. Second it goes. Third ends it."
    assert [reply.times[word] for word in ("This", "Second", "Third")] == pytest.approx([0.0, 4.0, 6.0], abs=0.02)


@in_virtual_time
async def test_a_word_that_is_told_before_its_segment_is_played_has_its_place() -> None:
    reply = Reply()
    reply.place(1, "Two", 0.0)
    reply.place(1, "three", 1.5, heard=1.5)
    await reply.speak(0, "One.", 1.0)
    await reply.speak(1, "Two three.", 2.0)
    await reply.finish()
    assert reply.times == pytest.approx({"One.": 0.0, "Two": 1.0, "three.": 2.5}, abs=0.02)


@in_virtual_time
async def test_after_a_break_the_words_that_are_told_again_are_heard_once() -> None:
    reply = Reply()
    reply.words.begin(0, "One two three.", "", 0.0)
    for word, start in (("One", 0.0), ("two", 0.8)):
        reply.place(0, word, start, heard=start)
    await reply.play(0, 0.5)
    reply.words.restart(0)
    for word, start in (("One", 7.0), ("two", 7.9), ("three", 8.8)):  # on another connection, which has brought 7 s
        reply.place(0, word, start, heard=start - 7.0, began=7.0)
    await reply.play(0, 1.5)
    reply.words.end(0)
    await reply.finish()
    assert [word for word, _ in reply.told] == ["One", "two", "three."]
    assert reply.times == pytest.approx({"One": 0.0, "two": 0.9, "three.": 1.8}, abs=0.02)


@in_virtual_time
async def test_segments_whose_audio_cannot_be_told_apart_are_told_while_it_is_heard() -> None:
    reply = Reply()
    reply.words.begin(0, "One two.", "", 0.0)
    await reply.play(0, 4.0)
    reply.words.begin(1, "Six ten.", " ", 4.0)
    reply.words.end(0)
    reply.words.end(1)
    await reply.finish()
    assert reply.text == "One two. Six ten."
    assert 1.5 < reply.times["Six"] < 2.5


@in_virtual_time
async def test_words_wait_during_a_pause() -> None:
    reply = Reply()
    for index, word in enumerate(("One", "two", "three")):
        reply.place(0, word, float(index), heard=float(index))
    await reply.speak(0, "One two three.", 3.0)
    reply.words.pause()
    reply.player.pause()
    await asyncio.sleep(60.0)
    assert len(reply.told) == 1
    reply.words.resume()
    reply.player.resume()
    await reply.finish()
    assert reply.times["three."] == pytest.approx(62.0, abs=0.02)


@in_virtual_time
async def test_an_earlier_reply_is_heard_out_first() -> None:
    earlier = Playhead(asyncio.get_running_loop().time)
    earlier.push(5.0)
    reply = Reply(listener=earlier)
    await reply.speak(0, "One.", 1.0)
    await reply.finish()
    assert reply.times["One."] == pytest.approx(5.0, abs=0.02)


@in_virtual_time
async def test_after_an_interruption_nothing_is_told_and_no_task_is_left() -> None:
    reply = Reply()
    await reply.speak(0, "One two three four five six.", 3.0)
    before = len(reply.told)
    assert before
    reply.words.stop()
    await asyncio.sleep(10.0)
    await reply.words.aclose()
    assert not reply.words.pending
    assert len(reply.told) == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_a_server_gone_mad_does_not_fill_the_memory() -> None:
    reply = Reply()
    for index in range(6 * EARLY_WORDS):
        reply.place(index % 2, "word", 0.0)
    remembered = sum(len(segment.early) for segment in reply.words._segments.values())
    assert remembered == 2 * EARLY_WORDS
    await reply.words.aclose()


@in_virtual_time
async def test_a_segment_that_has_not_begun_may_be_ended_and_asked_for_again() -> None:
    """A reply that fails before its first byte, or asks for what waits behind another segment again."""
    reply = Reply()
    reply.place(1, "Wrong", 0.0)
    reply.words.restart(1)
    reply.words.end(1)
    reply.words.add_audio(1, 1.0)
    await reply.speak(0, "One.", 1.0)
    await reply.speak(1, "Two.", 1.0)
    await reply.finish()
    assert reply.text == "One. Two."


ACTIONS = st.lists(
    st.sampled_from(["begin", "play", "end", "restart", "pause", "resume"])
    | st.tuples(st.integers(0, 5), st.sampled_from(["one", "two", "six", "x"]), st.floats(-1, 30), st.floats(0, 9)),
    max_size=30,
)


@given(ACTIONS)
def test_whatever_comes_each_word_is_told_at_most_once_and_in_order(actions: list[Any]) -> None:
    async def act() -> list[str]:
        reply, index = Reply(), -1
        for action in actions:
            if action == "begin":
                index += 1
                reply.words.begin(index, "one two six", " " if index else "", reply.player.seconds)
            elif isinstance(action, tuple):
                segment, word, start, heard = action
                reply.place(segment, word, start, heard, heard)
            elif action in ("pause", "resume"):
                getattr(reply.words, action)()
            elif index >= 0 and action == "play":
                await reply.play(index, 0.5)
            elif index >= 0:
                getattr(reply.words, action)(index)
        reply.words.resume()
        await reply.finish()
        return [word for word, _ in reply.told]

    told = virtual_time.run(act())
    begun = actions.count("begin")
    assert told == (["one", "two", "six"] * begun)[: len(told)]
