"""Which word of a reply is spoken where in its audio: told by the server, or estimated from the text.

The words are the text's own and never change; only their places do, as more becomes known. Pure: no clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from .estimate import Unit, key_of, units, weight

__all__ = ["PlacedWord", "SpokenSegment", "Timeline"]

LETTER_SECONDS = 0.05
"""Seconds that a letter takes at speed 1, words and pauses weighed as in `estimate`, until the reply's own pace is
known. For English that is 67 ms of audio for each letter of the text: brisk speech takes 60 to 70."""

MIN_LETTERS_FOR_PACE = 20.0
"""Letters of finished speech from which the reply's own pace is taken: a single `Yes.` says little."""

LOOK_AHEAD = 3
"""Words that the server may leave out before one that it tells."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word and its place.

    Attributes:
        text: The word as it is written, with its punctuation.
        start: Where it begins, in seconds of the reply's audio.
        cumulative: The reply up to and including it, as it reads.
    """

    text: str
    start: float
    cumulative: str


class Timeline:
    """The words of one reply, and where they are spoken.

    Args:
        speed: How fast the reply is spoken; 1 is the normal pace.
        spell: Tells what is said for each character of a text.
    """

    def __init__(self, speed: float = 1.0, spell: Callable[[str], list[str]] = list) -> None:
        self._spell = spell
        self._letter_seconds = LETTER_SECONDS / (speed if speed > 0 else 1.0)
        self._segments: list[SpokenSegment] = []
        self._first: list[int] = []  # the place in the reply of each segment's first word
        self._text = ""
        self._ends: list[int] = []  # where in `_text` each word ends

    @property
    def words(self) -> list[PlacedWord]:
        """All words so far, in order, where they are now believed to be."""
        return [self.word(index) for index in range(len(self._ends))]

    def __len__(self) -> int:
        return len(self._ends)

    def word(self, index: int) -> PlacedWord:
        """The word at a place of the reply, counted from 0. Raises `IndexError` if there is none (yet)."""
        end = self._ends[index]
        number = bisect_right(self._first, index) - 1
        segment, inside = self._segments[number], index - self._first[number]
        start = segment.at + segment.places()[inside]
        if number + 1 < len(self._segments):
            start = min(start, self._segments[number + 1].at)
        return PlacedWord(segment.units[inside].text, start, self._text[:end])

    def begin(self, text: str, at: float) -> SpokenSegment:
        """Append a segment.

        Args:
            text: Its text, white space in front included.
            at: Where its audio begins, in seconds of the reply's audio.
        """
        if self._segments:
            at = max(at, self._segments[-1].at)
        segment = SpokenSegment(at, self._pace())
        self._first.append(len(self._ends))
        self._segments.append(segment)
        self.extend(text)
        return segment

    def extend(self, text: str) -> None:
        """Append to the last segment, which has not ended.

        Args:
            text: More of its text, white space in front included.
        """
        found = units(text, self._spell)
        for unit in found:
            self._text += (unit.joint if self._text else "") + unit.text
            self._ends.append(len(self._text))
        self._segments[-1].take(found)

    def shorten(self, letters: int) -> None:
        """Of the last segment only the words with so many letters and digits were spoken."""
        segment = self._segments[-1]
        counts = accumulate(sum(map(str.isalnum, unit.text)) for unit in segment.units)
        kept = sum(count <= letters for count in counts)
        del self._ends[self._first[-1] + kept :]
        self._text = self._text[: self._ends[-1] if self._ends else 0]
        segment.keep(kept)

    def end(self, segment: SpokenSegment) -> SpokenSegment:
        """All audio of a segment is there. Returns the segment that its words now belong to.

        A segment without audio of its own was spoken together with the one before: they share its audio.
        """
        number = self._segments.index(segment)
        if number and not segment.heard:
            before = self._segments[number - 1]
            before.take(segment.units)
            del self._segments[number], self._first[number]
            segment = before
        segment.end()
        return segment

    def _pace(self) -> float:
        """Seconds that a letter is likely to take from now on: as in what has ended, else a guess."""
        ended = [segment for segment in self._segments if segment.ended]
        letters = sum(segment.letters for segment in ended)
        if letters < MIN_LETTERS_FOR_PACE:
            return self._letter_seconds
        pace = sum(segment.heard for segment in ended) / letters
        # No voice is that slow or quick: audio was lost, or silence added.
        return min(max(pace, self._letter_seconds / 2), self._letter_seconds * 2)


class SpokenSegment:
    """A text whose audio is in one place. Made by `Timeline.begin`, ended by `Timeline.end`.

    Args:
        at: Where its audio begins, in seconds of the reply's audio.
        letter_seconds: Seconds that a letter is likely to take.

    Attributes:
        at: Where its audio begins, in seconds of the reply's audio.
        units: Its words.
        letters: How long it is, in letters of average length.
        heard: Seconds of its audio that are there.
        ended: Whether that is all of it.
    """

    def __init__(self, at: float, letter_seconds: float) -> None:
        self.at = at
        self.units: list[Unit] = []
        self.letters = 0.0
        self.heard = 0.0
        self.ended = False
        self._letter_seconds = letter_seconds
        self._keys: list[str] = []
        self._before: list[float] = [0.0]  # letters before each word, and before the end
        self._told: dict[int, float] = {}
        self._next = 0  # the next word that the server may tell
        self._rest = ""  # what is left of it, when the server has told its beginning
        self._missed = 0  # words told since the last one that was found in the text
        self._known: list[float] | None = None

    def take(self, found: list[Unit]) -> None:
        """Append words, for the timeline."""
        self.units = self.units + found
        self._keys = [key_of(unit.spoken) for unit in self.units]
        last = len(self.units) - 1
        self._before = [0.0, *accumulate(weight(u.spoken, last=i == last) for i, u in enumerate(self.units))]
        self.letters = self._before[-1]
        self._known = None

    def keep(self, count: int) -> None:
        """Only so many of its words are spoken, for the timeline."""
        self.units = self.units[:count]
        self.take([])

    def end(self) -> None:
        """What has been heard is all of it, for the timeline."""
        self.ended = True
        self._known = None

    def place(self, word: str, start: float) -> None:
        """The server's time for the next word, in seconds from the start of the segment's audio."""
        key = key_of(word)
        if not key or not math.isfinite(start) or self._continues(key):
            return
        found = self._find(key)
        if found is None:
            self._missed += 1
            return
        index, self._rest = found
        self._next = index + 1
        self._missed = 0
        self._told.setdefault(index, max(0.0, start))
        self._known = None

    def restart(self) -> None:
        """The server speaks the segment again from its start, after a break.

        Words that it told before keep their places as far as their audio has arrived: that audio is not replaced.
        """
        self._next = 0
        self._rest, self._missed = "", 0
        self._told = {index: start for index, start in self._told.items() if start < self.heard}
        self._known = None

    def add_audio(self, seconds: float) -> None:
        """More of its audio is there."""
        self.heard += seconds
        self._known = None

    def places(self) -> list[float]:
        """Where each word begins, in seconds from the start of the segment's audio; never one before another's."""
        if self._known is None:
            self._known = self._estimate()
        return self._known

    # Times from the server

    def _continues(self, key: str) -> bool:
        """Whether `key` is more of the word whose beginning was told, as where one is respelled by several."""
        rest, self._rest = self._rest, ""
        if not rest or not rest.startswith(key):
            return False
        self._rest = rest[len(key) :]
        return True

    def _find(self, key: str) -> tuple[int, str] | None:
        """The word that `key` is or begins, and what is left of a word that it begins."""
        left_out = 0
        for index in range(self._next, len(self.units)):
            text = self._keys[index]
            if not text:
                continue  # a dash between spaces is no word for the server
            if left_out > LOOK_AHEAD + self._missed:
                return None
            if text == key:
                return index, ""
            # Further on it is too likely to be another word: `a` and `apple`.
            if not left_out and text.startswith(key):
                return index, text[len(key) :]
            left_out += 1
        return None

    # Estimates

    def _estimate(self) -> list[float]:
        """Known places, and between them places in proportion to the text."""
        if not self.units:
            return []
        whole = self._length()
        indices = sorted(self._told)
        starts = list(accumulate((min(self._told[index], whole) for index in indices), max))
        if not indices or indices[0] > 0:
            indices, starts = [0, *indices], [0.0, *starts]
        found: list[float] = []
        for first, start, after, end in zip(
            indices, starts, [*indices[1:], len(self.units)], [*starts[1:], whole], strict=True
        ):
            found += self._spread(first, start, after, end)
        if self._told and not self.ended:
            # The server's times come with the audio: a word that it has not told is not in what has arrived.
            last = indices[-1] + 1
            found[last:] = [max(place, min(self.heard, whole)) for place in found[last:]]
        return found

    def _length(self) -> float:
        """Seconds of the segment's audio, as far as that can be told."""
        if self.ended:
            return self.heard
        last, start = max(self._told.items(), default=(0, 0.0))
        guess = (self.letters - self._before[last]) * self._letter_seconds
        return max(start + guess, self.heard)

    def _spread(self, first: int, start: float, after: int, end: float) -> list[float]:
        """Places for the words from `first` to before `after`, the first of them at `start`."""
        base = self._before[first]
        whole = self._before[after] - base
        pace = (end - start) / whole if whole else 0.0
        return [min(start + (self._before[index] - base) * pace, end) for index in range(first, after)]
