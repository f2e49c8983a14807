"""Keeps a reply's text, so that a second voice can have again what the first one took and did not speak."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..text.cutting import StreamCutter
from ..text.read_ahead import ReadAhead

__all__ = ["Place", "Reader", "Tape", "after_audio", "after_words", "before_unspoken", "letters", "sentence_start"]

SLOWEST_LETTER = 0.15
"""Seconds of audio for a letter or digit. A brisk voice takes 0.067; hardly any at half its pace takes more."""

_SENTENCE_END = re.compile(r"[.!?…。！？।॥][\"'”’»)\]]*|\n")


class Place(NamedTuple):
    """A place in a reply's text.

    Attributes:
        item: Index of an item.
        char: Of a character in it; 0 for a `FlushMarker`.
    """

    item: int
    char: int


class Tape:
    """The text of one reply: all that was taken of it, for whoever reads it, and however often.

    Args:
        text: A ``str``, or an async iterator of ``str`` and `FlushMarker`.
        at_once: Read the iterator without waiting for a voice.

    Attributes:
        items: What was taken so far, in order.
        reading: Reads the iterator; ``None`` if the text is a ``str``.
        ended: Whether nothing more comes.
        error: What the iterator raised.
    """

    def __init__(self, text: str | AsyncIterator[Any], *, at_once: bool) -> None:
        self.items: list[Any] = [text] if isinstance(text, str) else []
        self.reading = None if isinstance(text, str) else ReadAhead[Any](text, at_once=at_once)
        self.ended = self.reading is None
        self.error: BaseException | None = None
        self._taking: asyncio.Task[None] | None = None

    def take(self) -> asyncio.Task[None]:
        """Take one more item; done when it is there, or the text has ended. Not to be cancelled."""
        if self._taking is None or self._taking.done():
            self._taking = asyncio.ensure_future(self._take())
        return self._taking

    async def _take(self) -> None:
        assert self.reading is not None
        try:
            self.items.append(await anext(self.reading))
        except StopAsyncIteration:
            self.ended = True
        except (Exception, asyncio.CancelledError) as error:  # the caller's own: raised where it is read
            self.ended, self.error = True, error

    def text(self, start: Place, end: int | None = None) -> str:
        """The text from a place on, up to before the item `end`, as it was taken."""
        return "".join(self._parts(start, len(self.items) if end is None else end))

    def readable(self, start: Place) -> str:
        """The text from a place on, as it reads: items may come without the white space between them."""
        cutter = StreamCutter()
        cuts = [cut for part in self._parts(start, len(self.items)) for cut in cutter.take(part)]
        return "".join(cut.lead + cut.text for cut in [*cuts, *cutter.release()])

    def place(self, start: Place, offset: int) -> Place:
        """The place so many characters of `text` after `start`: at an item's end it is the start of the next."""
        first = offset + start.char
        for index in range(start.item, len(self.items)):
            length = len(self.items[index]) if isinstance(self.items[index], str) else 0
            if first < length:
                return Place(index, first)
            first -= length
        return Place(len(self.items), 0)

    def joints(self, start: Place, end: int) -> list[int]:
        """Where in `text` each item begins, and where the last one ends."""
        return [0, *accumulate(map(len, self._parts(start, end)))]

    def _parts(self, start: Place, end: int) -> list[str]:
        parts = [item if isinstance(item, str) else "" for item in self.items[start.item : end]]
        return [parts[0][start.char :], *parts[1:]] if parts else []


class Reader(AsyncIterator[Any]):
    """Reads a tape for one voice.

    Args:
        tape: What is read.
        start: From where.
        on_item: Called with each item that the voice gets.

    Attributes:
        index: The item that is read next.
        waiting: Whether the voice waits for an item.
        failed: Whether the voice was given what the caller's iterator raised.
    """

    def __init__(self, tape: Tape, start: Place, on_item: Callable[[Any], None]) -> None:
        self.start = start
        self.index = start.item
        self.waiting = False
        self.failed = False
        self._tape = tape
        self._on_item = on_item
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __anext__(self) -> Any:
        """The next item. To cancel this loses nothing."""
        self.waiting = True
        try:
            while not self._closed.done() and self.index >= len(self._tape.items) and not self._tape.ended:
                await asyncio.wait({self._tape.take(), self._closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting = False
        if self._closed.done() or self.failed:
            raise StopAsyncIteration
        if self.index >= len(self._tape.items):
            if self._tape.error is None:
                raise StopAsyncIteration
            self.failed = True
            raise self._tape.error
        return self.give()

    def give(self) -> Any:
        """The next item, which is there."""
        item = self._tape.items[self.index]
        if self.index == self.start.item and self.start.char:
            item = item[self.start.char :]
        self.index += 1
        self._on_item(item)
        return item

    def close(self) -> None:
        """End here, also for who waits for an item: it stays on the tape."""
        if not self._closed.done():
            self._closed.set_result(None)


def before_unspoken(taken: str, unspoken: str) -> int:
    """Where in the text that was taken its unspoken end begins.

    Letters and digits are counted, since white space, and what has nothing to speak in it, may be left out of
    ``unspoken``.
    """
    left = letters(unspoken)
    start = len(taken)
    while left and start:
        start -= 1
        left -= taken[start].isalnum()
    lead = unspoken[: next((i for i, char in enumerate(unspoken) if char.isalnum()), 0)]
    return start - len(lead) if taken[:start].endswith(lead) else start


def after_audio(taken: str, seconds: float) -> int:
    """Where in the text that was taken even the slowest voice has come, after so much audio."""
    surely = int(seconds / SLOWEST_LETTER)
    reached = (index for index, count in enumerate(accumulate(map(str.isalnum, taken))) if count > surely)
    return next(reached, len(taken))


def after_words(taken: str, told: str) -> int:
    """Where in the text that was taken the words end that were told; 0 if they are not its own.

    Letters and digits are compared; marks after them are taken to be told too.
    """
    said = [char for char in told if char.isalnum()]
    places = [index for index, char in enumerate(taken) if char.isalnum()][: len(said)]
    if not said or said != [taken[index] for index in places]:
        return 0
    rest = enumerate(taken[places[-1] + 1 :], places[-1] + 1)
    return next((index for index, char in rest if char.isalnum() or char.isspace()), len(taken))


def sentence_start(taken: str, joints: Sequence[int], offset: int) -> int:
    """Where the sentence begins that goes on at an offset. One ends before white space, or before an item."""
    marks = (mark.end() for mark in _SENTENCE_END.finditer(taken))
    ends = (end for end in marks if end in joints or taken[end : end + 1].isspace())
    return max((end for end in ends if end <= offset), default=0)


def letters(text: str) -> int:
    """Letters and digits in a text."""
    return sum(map(str.isalnum, text))
