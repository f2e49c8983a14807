"""Cuts text into segments that fit the voice and the service. Pure: no asyncio, no clock.

`split` cuts a whole text, `StreamCutter` a stream of it, `ItemCutter` makes each item a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from videosdk.agents import FlushMarker

from ..pronunciations import Pronunciations
from ..sentences import (
    WIDE_CLAUSE,
    Finish,
    Place,
    Scanner,
    ends_one_word_sentence,
    ends_sentence,
    ends_whole_sentence,
    ends_wide_sentence,
    finish,
    is_edge,
    is_speakable,
    joins,
)

__all__ = ["MAX_SEGMENT", "ItemCutter", "Segment", "StreamCutter", "fitted", "split"]

MAX_SEGMENT = 250
"""Characters: the service's documented maximum per request."""

_MIN_CLAUSE = 20  # characters before a comma cuts: the framework's BasicSentenceChunker(min_sentence_len=20)
_MIN_WIDE_CLAUSE = 8  # the same in Chinese or Japanese, whose characters say two to three times as much
_MIN_WIDE_ITEM = 8  # a longer item without spaces that ends in `。` is a sentence, not a token
_MAX_WORDS = 24  # without a mark: `segment_text`'s own limit, about the 140 characters that the service likes best
_EDGE_RUN = 240  # characters without white space: from here on cut at a word's edge
_ANYWHERE_RUN = 245  # or from here on anywhere but inside a character

_LIST_NUMBER = re.compile(r"[\W_]*\d+\.[*_)]*")  # also `**1.**`
_WORD_OR_CHARACTER = re.compile(r"[^\W_]{2,}|.", re.DOTALL)
_NUMBER_SO_FAR = re.compile(r"\d\.$")
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """One request's text.

    Attributes:
        text: What is spoken, as the caller wrote it: stripped, speakable, at most `MAX_SEGMENT` characters, without
            lone surrogates.
        lead: "" or " ": the white space that stood between the previous segment and this one, for a service that
            joins fragments as they are.
        spoken: What is sent, from `fitted` on: the text, respelled. With the lead at most `MAX_SEGMENT` characters.
    """

    text: str
    lead: str = ""
    spoken: str = ""


def split(text: str) -> list[Segment]:
    """A whole text as few segments: one if it fits, none if there is nothing to speak.

    Longer texts are cut at the end of a sentence, else of a clause, else at white space, else anywhere but inside a
    character. Stretches of more than `MAX_SEGMENT` characters without a letter or digit are left out.
    """
    text = _sendable(text).strip()
    if len(text) <= MAX_SEGMENT:
        return [Segment(text)] if is_speakable(text) else []
    places = _places(text)
    found: list[Segment] = []
    start, lead = 0, ""
    while start < len(text):
        end = _end_of_segment(text, places, start)
        piece = text[start:end].strip()
        if is_speakable(piece):
            found.append(Segment(piece, lead if found else ""))
            lead = ""
        start = _skip_space(text, end)
        if text[start - 1].isspace():
            lead = " "
    return found


def fitted(segment: Segment, pronunciations: Pronunciations) -> Iterator[Segment]:
    """A segment as it is sent: respelled, and in several where it has grown too long for one request.

    It is cut where `split` would cut the caller's text, and never inside what is respelled.
    """
    text, room = segment.text, MAX_SEGMENT - len(segment.lead)
    spelled = pronunciations.spell(text)
    lengths = list(accumulate(map(len, spelled), initial=0))
    if lengths[-1] <= room:
        yield Segment(text, segment.lead, "".join(spelled))
        return
    inside = {at for start, end, _ in pronunciations.places(text) for at in range(start + 1, end)}
    places = _places(text)
    spoken = next(index for index, char in enumerate(text) if char.isalnum())

    def rank(at: int) -> tuple[bool, Place, bool, bool, int]:
        place = places[at - 1] if 2 * lengths[at] >= room else min(places[at - 1], Place.SPACE)
        char, following = text[at - 1], text[at]
        return at > spoken, place, is_edge(char, following), not joins(char, following), at

    at = max((at for at in range(1, len(text)) if at not in inside and lengths[at] <= room), key=rank)
    lead = " " if text[at - 1].isspace() or text[at].isspace() else ""
    for piece in (Segment(text[:at].strip(), segment.lead), Segment(text[at:].strip(), lead)):
        if is_speakable(piece.text):
            yield from fitted(piece, pronunciations)


class StreamCutter:
    """A stream of text as segments, each at most one character after its end is certain.

    Items are tokens of any size, or finished sentences, or both. A `FlushMarker` ends a segment.
    """

    def __init__(self) -> None:
        self._style = _ItemStyle()
        self._piece = _Piece()

    @property
    def finish(self) -> Finish:
        """Whether what is held back is a finished sentence, as far as that can be told."""
        return self._piece.finish

    def take(self, item: object) -> Iterator[Segment]:
        """Take the next item; what ends with it. To be iterated to its end.

        Raises:
            TypeError: It is neither a `str` nor a `FlushMarker`.
        """
        text = _checked(item)
        for bit in _WORD_OR_CHARACTER.findall(self._style.joint(text) + text):
            yield from self._piece.push(bit)
        if self._style.finishes(text if isinstance(item, str) else None):
            yield from self._piece.end()

    def release(self) -> Iterator[Segment]:
        """End the segment here: nothing more comes for a while, or at all. To be iterated to its end."""
        return self._piece.end()


class ItemCutter:
    """Each item as one request, or several if it is too long; those with nothing to speak are left out."""

    finish = Finish.NO

    def __init__(self) -> None:
        self._style = _ItemStyle()
        self._lead = ""
        self._any_taken = False

    def take(self, item: object) -> Iterator[Segment]:
        """Take the next item; what it is cut into. To be iterated to its end.

        Raises:
            TypeError: It is neither a `str` nor a `FlushMarker`.
        """
        text = _checked(item)
        self._lead = self._lead or self._style.joint(text) or (" " if text[:1].isspace() else "")
        for segment in split(text):
            yield Segment(segment.text, (self._lead or segment.lead) if self._any_taken else "")
            self._lead, self._any_taken = "", True
        self._style.finishes(text if isinstance(item, str) else None)
        self._lead = " " if text[-1:].isspace() else self._lead

    def release(self) -> Iterator[Segment]:
        """Nothing is held back."""
        return iter(())


class _Piece:
    """The text of a stream since the last cut."""

    def __init__(self) -> None:
        self._text = ""
        self._held = ""  # the last character, until the one after it is known
        self._space = -1  # in `_text`: the last place where a long text may be cut
        self._words = 0  # before such places
        self._lead = ""
        self._speakable = False
        self._any_taken = False
        self._scanner = Scanner()

    @property
    def finish(self) -> Finish:
        if not self._held or self._held.isalnum() or not self._speakable:
            return Finish.NO  # cheap: it is asked after each token
        text = self._text + self._held
        return Finish.NO if _LIST_NUMBER.fullmatch(text) else finish(text)

    def push(self, bit: str) -> Iterator[Segment]:
        """Take one more character or word; what ends before its last character."""
        held, self._held = self._held, bit[-1]
        if held:
            yield from self._settle(held, bit[0])
        if len(self._text) + len(bit) < _EDGE_RUN:
            if len(bit) > 1:
                self._settle_inside(bit[:-1])
            return
        for char, following in pairwise(bit):
            yield from self._settle(char, following)

    def end(self) -> Iterator[Segment]:
        """End the segment here, unless there is nothing to speak in it yet."""
        held, self._held = self._held, ""
        if held:
            yield from self._settle(held, "")
        if self._speakable:
            yield from self._take(len(self._text))
        self._scanner = Scanner()

    def _settle(self, char: str, following: str) -> Iterator[Segment]:
        """Take one character, of which is now known what follows it: "" if nothing does."""
        place = self._scanner.place(char, following)
        if not self._text and char.isspace():
            self._lead = " "
            return
        if char.isspace() and place >= Place.SPACE and self._speakable:
            self._words += self._space < len(self._text) - 1
            self._space = len(self._text)
        self._text += char
        self._speakable = self._speakable or char.isalnum()
        if place < Place.CLAUSE and len(self._text) < _EDGE_RUN and self._words < _MAX_WORDS:
            return  # nothing is cut here: most characters
        if self._space > 0 and (self._words >= _MAX_WORDS or len(self._text) > MAX_SEGMENT):
            yield from self._take(self._space)
        if self._ends(place, char, following):
            yield from self._take(len(self._text))

    def _settle_inside(self, letters: str) -> None:
        """Take letters or digits before another one: nothing is cut between them."""
        self._scanner.pass_over(letters)
        self._text += letters
        self._speakable = True

    def _take(self, length: int) -> Iterator[Segment]:
        """The first `length` characters as a segment, if there is something to speak in them."""
        taken, rest = self._text[:length], self._text[length:]
        spaced = taken[-1:].isspace() or rest[:1].isspace()
        taken, self._text = taken.strip(), rest.lstrip()
        self._space, self._words = -1, 0
        self._speakable = is_speakable(self._text)
        before, self._lead = self._lead, " " if spaced else ""
        if not is_speakable(taken):
            self._lead = before or self._lead
            return
        first, self._any_taken = not self._any_taken, True
        yield Segment(taken, "" if first else before)

    def _ends(self, place: Place, char: str, following: str) -> bool:
        """Whether the segment ends with the text so far, whose last character is `char`."""
        if self._speakable and place == Place.LINE:
            return True
        if self._speakable and place == Place.SENTENCE:
            return not _LIST_NUMBER.fullmatch(self._text)  # `1.` alone would be a request of its own
        if self._speakable and place == Place.CLAUSE:
            shortest = _MIN_WIDE_CLAUSE if self._scanner.mark in WIDE_CLAUSE else _MIN_CLAUSE
            return len(self._text) >= shortest
        return self._must_cut(char, following)

    def _must_cut(self, char: str, following: str) -> bool:
        """Whether a run without white space is so long that it is best cut here."""
        run = len(self._text) - self._space - 1
        if run < _EDGE_RUN:
            return False
        if run >= MAX_SEGMENT:
            return True
        if not following:
            return False
        return is_edge(char, following) or (run >= _ANYWHERE_RUN and not joins(char, following))


class _ItemStyle:
    """Infers whether items are finished sentences or tokens, and what stands between them."""

    def __init__(self) -> None:
        self._left = ""  # the item before
        self._apart = False  # a segment was ended after it
        self._stripped = True  # no item so far had white space at an edge
        self._sentences = False  # a finished sentence came before

    def joint(self, right: str) -> str:
        """The white space to put before the item `right`: "" or " "."""
        left = self._left
        if not left or not right or left[-1].isspace() or right[0].isspace():
            return ""
        # Items with white space at an edge have it wherever it belongs: `photosyn` and `thesis` are one word.
        phrase = self._stripped and _several_words(left)
        return " " if self._apart or phrase or self._begins_sentence(right) else ""

    def finishes(self, item: str | None) -> bool:
        """Take the next item, ``None`` for a `FlushMarker`. Whether a segment ends with it for certain."""
        if item is None:
            self._apart = not ends_wide_sentence(self._left)
            return True
        if not item:
            return False
        self._left = item
        self._stripped = self._stripped and item == item.strip()
        finished = self._is_sentence(item) if _several_words(item) else self._is_one_word_sentence(item)
        self._sentences = self._sentences or finished
        self._apart = finished and not ends_wide_sentence(item)
        return finished

    @property
    def _chunked(self) -> bool:
        """Whether a sentence chunker is at work; a language model's tokens have white space at their edges."""
        return self._stripped and self._sentences

    def _is_sentence(self, item: str) -> bool:
        if self._stripped:
            return ends_sentence(item)
        # Some of a model's tokens at once: ` is $1,` and ` costs 3.` may go on in the middle of the number.
        return ends_whole_sentence(item) and not _NUMBER_SO_FAR.search(item)

    def _is_one_word_sentence(self, item: str) -> bool:
        if ends_wide_sentence(item):
            return len(item.strip()) > _MIN_WIDE_ITEM or self._chunked
        return self._chunked and ends_one_word_sentence(item) and not _LIST_NUMBER.fullmatch(item)

    def _begins_sentence(self, right: str) -> bool:
        """Whether the one word before, `Hello.`, was a sentence, as `right` shows: `How are you?`, but not `py`."""
        left = self._left
        if not (is_speakable(left) and ends_sentence(left)):
            return False
        if self._chunked:
            return True
        number = right[0].isdigit() and any(map(str.isdigit, left))
        return _several_words(right) and right == right.rstrip() and not right[0].islower() and not number


def _several_words(item: str) -> bool:
    return len(item.split(None, 2)) > 1


def _checked(item: object) -> str:
    """An item's text: "" for a marker."""
    if isinstance(item, str):
        return _sendable(item)
    if isinstance(item, FlushMarker):
        return ""
    raise TypeError(f"text items must be str or FlushMarker; got {type(item).__name__}")


def _sendable(text: str) -> str:
    """`text` without lone surrogates, which no JSON in UTF-8 can carry."""
    return _SURROGATES.sub("\ufffd", text)


def _places(text: str) -> list[Place]:
    scanner = Scanner()
    return [scanner.place(char, text[i + 1 : i + 2]) for i, char in enumerate(text)]


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _end_of_segment(text: str, places: list[Place], start: int) -> int:
    """Where the segment that begins at `start` is cut best."""
    limit = _skip_space(text, start + MAX_SEGMENT)
    if limit >= len(text):
        return len(text)
    spoken = next((i for i in range(start, limit) if text[i].isalnum()), None)
    if spoken is None:
        return limit
    middle = max(start + MAX_SEGMENT // 2, spoken + 1)

    def last(fits: Callable[[int], bool], first: int = spoken + 1) -> int | None:
        return next((end for end in range(limit, first - 1, -1) if fits(end)), None)

    return (
        last(lambda end: places[end - 1] >= Place.SENTENCE, middle)
        or last(lambda end: places[end - 1] >= Place.CLAUSE, middle)
        or last(lambda end: places[end - 1] >= Place.SPACE)
        or last(lambda end: places[end - 1] >= Place.GLUED)
        or last(lambda end: is_edge(text[end - 1], text[end]))
        or last(lambda end: not joins(text[end - 1], text[end]))
        or limit
    )
