"""What is sent to be spoken: a text, or a stream of it, as segments that fit the voice and the service.

The stream is cut by the framework's `segment_text`. It knows delimiters wherever they stand and nothing of
numbers or abbreviations, so it is not shown the text but the text's shadow, of the same length: a letter for every
character that must not be cut away from the next, a space where a long text may be cut, and one delimiter after
each real boundary. The text's own characters never meet the markers: whatever the user writes comes out as it was.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from videosdk.agents import FlushMarker, segment_text

from .boundaries import (
    WIDE_CLAUSE,
    Place,
    Scanner,
    ends_one_word_sentence,
    ends_sentence,
    ends_whole_sentence,
    ends_wide_sentence,
    is_edge,
    is_speakable,
    joins,
)

__all__ = ["MAX_SEGMENT", "Segment", "is_speakable", "items_as_segments", "segments", "split"]

MAX_SEGMENT = 250
"""Characters: the service's documented maximum per request."""

_MIN_CLAUSE = 20  # characters before a comma cuts: the framework's BasicSentenceChunker(min_sentence_len=20)
_MIN_WIDE_CLAUSE = 8  # the same in Chinese or Japanese, whose characters say two to three times as much
_MIN_WIDE_ITEM = 8  # a longer item without spaces that ends in `。` is a sentence, not a token
_MAX_WORDS = 24  # segment_text's own limit: twice its default min_words
_MANY_SPACES = _MAX_WORDS - 2  # from here on a further word may be that many
_EDGE_RUN, _ANYWHERE_RUN = (
    240,
    245,
)  # characters without white space: from here on cut at a word's edge, or anywhere

_SOLID, _SOFT, _BOUNDARY = "a", " ", "|"  # the shadow's three characters
_LIST_NUMBER = re.compile(r"[\W_]*\d+\.[*_)]*")  # also `**1.**`
_WORD_OR_CHARACTER = re.compile(r"[^\W_]{2,}|.", re.DOTALL)
_NUMBER_SO_FAR = re.compile(r"\d\.$")
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """One request's text.

    Attributes:
        text: What is sent: stripped, speakable, at most `MAX_SEGMENT` characters.
        lead: "" or " ": the white space that stood between the previous segment and this one, for a service that
            joins fragments as they are.
    """

    text: str
    lead: str = ""


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


async def segments(items: AsyncIterator[str | FlushMarker]) -> AsyncGenerator[Segment, None]:
    """A stream of text as segments, each at most one character after its end is certain.

    The next item is taken only when nothing is left to release. `items` is never closed here.

    Args:
        items: Tokens of any size, or finished sentences, or both. A `FlushMarker` ends a segment.

    Raises:
        TypeError: An item is neither a `str` nor a `FlushMarker`.
    """
    piece = _Piece()
    shadow = _shadow(items, piece)
    # One more than MAX_SEGMENT, so that a sentence of just that length meets its boundary before the soft cut.
    cuts = segment_text(
        shadow,
        delimiters=_BOUNDARY,
        keep_delimiter=False,
        min_chars=1,
        min_words=_MAX_WORDS // 2,
        max_buffer=MAX_SEGMENT + 1,
    )
    try:
        async for cut in cuts:
            segment = piece.take(len(cut))
            if segment is not None:
                yield segment
    finally:
        await cuts.aclose()
        await shadow.aclose()


async def items_as_segments(items: AsyncIterator[str | FlushMarker]) -> AsyncGenerator[Segment, None]:
    """Each item as one request, or several if it is too long; those with nothing to speak are left out.

    Raises:
        TypeError: An item is neither a `str` nor a `FlushMarker`.
    """
    style, lead, spoken = _Style(), "", False
    async for item in items:
        text = _checked(item)
        lead = lead or style.joint(text) or (" " if text[:1].isspace() else "")
        for segment in split(text):
            yield Segment(segment.text, (lead or segment.lead) if spoken else "")
            lead, spoken = "", True
        style.finishes(item)
        lead = " " if text[-1:].isspace() else lead


async def _shadow(items: AsyncIterator[str | FlushMarker], piece: _Piece) -> AsyncGenerator[str, None]:
    """The shadow of all items, bit by bit: `piece` has to be right when a boundary is decided."""
    style = _Style()
    async for item in items:
        text = _checked(item)
        for bit in _WORD_OR_CHARACTER.findall(style.joint(text) + text):
            for shadow in piece.push(bit):
                yield shadow
        if style.finishes(item):
            for shadow in piece.end():
                yield shadow
    for shadow in piece.end():
        yield shadow


class _Piece:
    """The text since the last cut, and its shadow; what `segment_text` has in its buffer."""

    def __init__(self) -> None:
        self._text = ""
        self._shadow = ""
        self._sent = 0  # characters of the shadow that segment_text has got
        self._spaces = 0  # in the shadow, where it may be cut
        self._lead = ""
        self._speakable = False
        self._any_taken = False
        self._held = ""  # the last character, until the one after it is known
        self._scanner = Scanner()

    def push(self, bit: str) -> Iterator[str]:
        """Take one more character or word; what this tells about what came before it, for `segment_text`."""
        held, self._held = self._held, bit[-1]
        if held:
            yield from self._settle(held, bit[0])
        if len(self._text) + len(bit) < _EDGE_RUN:
            if len(bit) > 1:
                self._settle_inside(bit[:-1])
            return
        for char, following in pairwise(bit):
            yield from self._settle(char, following)

    def end(self) -> Iterator[str]:
        """End the segment here, unless there is nothing to speak in it yet."""
        held, self._held = self._held, ""
        if held:
            yield from self._settle(held, "")
        yield self._send()
        if self._text and self._speakable:
            yield _BOUNDARY
        self._scanner = Scanner()

    def take(self, length: int) -> Segment | None:
        """The first `length` characters as a segment, if there is something to speak in them."""
        taken, self._text = self._text[:length].strip(), self._text[length:]
        self._shadow = self._shadow[length:]
        blank = len(self._shadow) - len(self._shadow.lstrip())
        self._text, self._shadow = self._text[blank:], self._shadow[blank:]
        self._sent, self._spaces = len(self._shadow), self._shadow.count(_SOFT)
        self._speakable = is_speakable(self._text)
        lead, self._lead = self._lead, " " if blank else ""
        if not is_speakable(taken):
            self._lead = lead or self._lead
            return None
        first, self._any_taken = not self._any_taken, True
        return Segment(taken, "" if first else lead)

    def _settle(self, char: str, following: str) -> Iterator[str]:
        place = self._scanner.place(char, following)
        if not self._text and char.isspace():
            self._lead = " "
            return
        self._add(char, _SOFT if char.isspace() and place >= Place.SPACE and self._speakable else _SOLID)
        self._speakable = self._speakable or char.isalnum()
        if place < Place.CLAUSE and len(self._text) < _EDGE_RUN and self._spaces < _MANY_SPACES:
            return  # nothing is cut here
        yield self._send()
        # By now segment_text may have cut, so that `_text` is what is left.
        if self._text and self._ends(place, char, following):
            yield _BOUNDARY

    def _settle_inside(self, letters: str) -> None:
        """Take letters or digits before another one: nothing is cut between them."""
        self._scanner.pass_over(letters)
        self._add(letters, _SOLID * len(letters))
        self._speakable = True

    def _add(self, text: str, shadow: str) -> None:
        self._text += text
        self._shadow += shadow
        self._spaces += shadow == _SOFT

    def _send(self) -> str:
        """What `segment_text` has not got yet."""
        unsent, self._sent = self._shadow[self._sent :], len(self._shadow)
        return unsent

    def _ends(self, place: Place, char: str, following: str) -> bool:
        if self._speakable and place == Place.LINE:
            return True
        if self._speakable and place == Place.SENTENCE:
            return not _LIST_NUMBER.fullmatch(self._text)  # `1.` alone would be a request of its own
        if self._speakable and place == Place.CLAUSE:
            shortest = _MIN_WIDE_CLAUSE if self._scanner.mark in WIDE_CLAUSE else _MIN_CLAUSE
            return len(self._text) >= shortest
        return len(self._text) >= _EDGE_RUN and self._must_cut(char, following)

    def _must_cut(self, char: str, following: str) -> bool:
        """Whether a run without white space, which `segment_text` would cut anywhere, is cut best here."""
        run = len(self._shadow) - (self._shadow.rfind(_SOFT) + 1)
        if run < _EDGE_RUN or not following:
            return False
        if run >= MAX_SEGMENT or is_edge(char, following):
            return True
        return run >= _ANYWHERE_RUN and not joins(char, following)


class _Style:
    """Whether items are finished sentences or tokens, and what stands between them."""

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
        # Who ever puts white space at an edge puts it wherever it belongs: `photosyn` and `thesis` are one word.
        phrase = self._stripped and _several_words(left)
        return " " if self._apart or phrase or self._begins_sentence(right) else ""

    def finishes(self, item: str | FlushMarker) -> bool:
        """Whether a segment ends with `item` for certain. To be asked once for each item, in order."""
        if not isinstance(item, str):
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
