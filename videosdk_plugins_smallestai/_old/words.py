"""Which word of a reply is spoken where in its audio: told by the server, or estimated from the text.

The words are the text's own and never change; only their places do, as more becomes known.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from .wording import Unit, is_unspaced, key_of, units, weight

__all__ = ["PlacedWord", "SpokenPiece", "WordPlan"]

LETTER_SECONDS = 0.05
"""Seconds that a letter takes at speed 1, words and pauses weighed as in `wording`, until the reply's own pace is
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


class WordPlan:
    """The words of one reply, and where they are spoken."""

    def __init__(self) -> None:
        self._pieces: list[SpokenPiece] = []
        self._first: list[int] = []  # the place in the reply of each piece's first word
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
        piece, inside = self._pieces[number], index - self._first[number]
        start = piece.at + piece.places()[inside]
        if number + 1 < len(self._pieces):
            start = min(start, self._pieces[number + 1].at)
        return PlacedWord(piece.units[inside].text, start, self._text[:end])

    def begin(self, text: str, at: float, speed: float = 1.0) -> SpokenPiece:
        """Append a piece of text.

        Args:
            text: What is spoken next.
            at: Where its audio begins, in seconds of the reply's audio.
            speed: How fast it is spoken; 1 is the normal pace.
        """
        if self._pieces:
            at = max(at, self._pieces[-1].at)
        piece = SpokenPiece(self, at, speed)
        self._first.append(len(self._ends))
        self._pieces.append(piece)
        found = units(text)
        if found and not found[0].joint and not self._reads_on(text):
            found[0] = Unit(found[0].text, " ")
        self.take(piece, found)
        return piece

    def take(self, piece: SpokenPiece, found: list[Unit]) -> None:
        """Append words to a piece, for the piece itself. Raises `ValueError` if it is not the last one."""
        if self._pieces[-1] is not piece:
            raise ValueError("only the last piece of a reply can be extended")
        for unit in found:
            self._text += (unit.joint if self._text else "") + unit.text
            self._ends.append(len(self._text))
        piece.append(found)

    def seconds_per_letter(self, piece: SpokenPiece) -> float:
        """The pace at which `piece` is likely to be spoken: that of the finished ones, else a guess."""
        ended = [p for p in self._pieces if p is not piece and p.seconds is not None]
        letters = sum(p.letters / p.speed for p in ended)
        pace = LETTER_SECONDS
        if letters >= MIN_LETTERS_FOR_PACE:
            pace = sum(p.seconds or 0.0 for p in ended) / letters
        # No voice is that slow or quick: audio was lost, or silence added.
        return min(max(pace, LETTER_SECONDS / 2), LETTER_SECONDS * 2) / piece.speed

    def _reads_on(self, text: str) -> bool:
        """Whether `text` follows what there is without a space: Chinese and Japanese have none."""
        return is_unspaced(self._text[-1:]) or is_unspaced(text[:1])


class SpokenPiece:
    """A piece of text whose audio is in one place. Made by `WordPlan.begin`.

    Attributes:
        at: Where its audio begins, in seconds of the reply's audio.
        speed: How fast it is spoken.
        units: Its words.
        letters: How long it is, in letters of average length.
        seconds: How long its audio is, once that is known.
    """

    def __init__(self, plan: WordPlan, at: float, speed: float) -> None:
        self.at = at
        self.speed = speed if speed > 0 else 1.0
        self.units: list[Unit] = []
        self.letters = 0.0
        self.seconds: float | None = None
        self._plan = plan
        self._heard = 0.0
        self._keys: list[str] = []
        self._weights: list[float] = []
        self._before: list[float] = [0.0]  # letters before each word, and before the end
        self._parts: list[int] = []  # the first word of each `append`
        self._told: dict[int, float] = {}
        self._next = 0  # the next word that the server may tell
        self._rest = ""  # what is left of it, when the server has told its beginning
        self._missed = 0  # words told since the last one that was found in the text
        self._known: list[float] | None = None

    def append(self, found: list[Unit]) -> None:
        """Take more words, for the plan."""
        self._parts.append(len(self.units))
        self.units += found
        self._keys += [key_of(unit.text) for unit in found]
        if found:
            if self._weights:  # no longer the last word, after which there is less of a pause
                self._weights[-1] = weight(self.units[-len(found) - 1].text)
            self._weights += [weight(unit.text) for unit in found[:-1]] + [weight(found[-1].text, last=True)]
        self._before = [0.0, *accumulate(self._weights)]
        self.letters = self._before[-1]
        self._known = None

    def extend(self, text: str) -> None:
        """Append text that the same audio goes on to speak, its leading white space included (a continuation)."""
        self._plan.take(self, units(text))

    def place(self, word: str, start: float) -> None:
        """The server's time for the next word, in seconds from the start of the piece's audio."""
        key = key_of(word)
        if not key or not math.isfinite(start) or self._continues(key):
            return
        found = self._find(key)
        if found is None:
            self._missed += 1
            return
        index, self._next, self._rest = found
        self._missed = 0
        self._told.setdefault(index, max(0.0, start))
        self._known = None

    def restart(self, part: int = 0) -> None:
        """The server speaks the piece again, from its start or from its ``part``-th `extend`, after a break.

        Words that it told before keep their places as far as their audio has arrived: that audio is not replaced.
        """
        self._next = self._parts[part]
        self._rest, self._missed = "", 0
        self._told = {index: start for index, start in self._told.items() if start < self._heard}
        self._known = None

    def heard(self, seconds: float) -> None:
        """So much of the piece's audio has arrived."""
        self._heard = max(self._heard, seconds)
        if self.seconds is None:
            self._known = None

    def end(self, seconds: float) -> None:
        """The piece's whole audio is that long."""
        self.seconds = max(0.0, seconds)
        self._known = None

    def places(self) -> list[float]:
        """Where each word begins, in seconds from the start of the piece's audio; never one before another's."""
        if self._known is None:
            self._known = self._estimate()
        return self._known

    # Times from the server

    def _continues(self, key: str) -> bool:
        """Whether `key` is more of the word whose beginning was told; if so it is dealt with."""
        rest, self._rest = self._rest, ""
        if not rest or not rest.startswith(key):
            return False
        self._rest = rest[len(key) :]
        return True

    def _find(self, key: str) -> tuple[int, int, str] | None:
        """The word that `key` is or begins, the word to expect next, and what is left of a word that it begins."""
        left_out = 0
        for index in range(self._next, len(self.units)):
            text = self._keys[index]
            if not text:
                continue  # a dash between spaces is no word for the server
            if left_out > LOOK_AHEAD + self._missed:
                return None
            if text == key:
                return index, index + 1, ""
            if key.startswith(text) and (after := self._joined(key, index)):
                return index, after, ""
            # Further on it is too likely to be another word: `a` and `apple`.
            if not left_out and text.startswith(key):
                return index, index + 1, text[len(key) :]
            left_out += 1
        return None

    def _joined(self, key: str, index: int) -> int | None:
        """The word after those that the server has joined to `key`, from `index` on."""
        length = 0
        while index < len(self._keys) and length < len(key):
            if not key.startswith(self._keys[index], length):
                return None
            length += len(self._keys[index])
            index += 1
        return index if length == len(key) else None

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
        if self.seconds is None and self._told:
            # The server's times come with the audio: a word that it has not told is not in what has arrived.
            last = indices[-1] + 1
            found[last:] = [max(place, min(self._heard, whole)) for place in found[last:]]
        return found

    def _length(self) -> float:
        """Seconds of the piece's audio, as far as that can be told."""
        if self.seconds is not None:
            return self.seconds
        last, start = max(self._told.items(), default=(0, 0.0))
        guess = (self.letters - self._before[last]) * self._plan.seconds_per_letter(self)
        return max(start + guess, self._heard)

    def _spread(self, first: int, start: float, after: int, end: float) -> list[float]:
        """Places for the words from `first` to before `after`, the first of them at `start`."""
        base = self._before[first]
        whole = self._before[after] - base
        pace = (end - start) / whole if whole else 0.0
        return [min(start + (self._before[index] - base) * pace, end) for index in range(first, after)]
