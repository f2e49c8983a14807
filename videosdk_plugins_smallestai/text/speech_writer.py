"""Writes what is spoken of a text: sees to the white space, pauses and full stops around what was taken out."""

from __future__ import annotations

import re

from ..sentences import OTHER_CLAUSE, SPACED_CLAUSE, SPACED_SENTENCE, WIDE_CLAUSE, WIDE_SENTENCE, ends_sentence

__all__ = ["SpeechWriter"]

_NO_SPACE_BEFORE = frozenset(SPACED_SENTENCE + WIDE_SENTENCE + SPACED_CLAUSE + OTHER_CLAUSE + ")]}") | WIDE_CLAUSE
_NO_SPACE_AFTER = frozenset("([{“‘«¿¡")
_NUMBERED = re.compile(r"\s*(?:\(?(?:\d{1,9}|[A-Za-z])[.)]\s|\d{1,9}、)")  # `1. eggs`, `b) milk`
_STOPS = ((re.compile("[\u0900-\u09ff\u0a00-\u0a7f]"), "।"), (re.compile("[\u3040-\u30ff\u3400-\u9fff]"), "。"))
_LONGEST_LINE = 400  # characters of a line that are kept: its beginning and its end are looked at


class SpeechWriter:
    """Takes what is to be said, and what stood between it, in order; `take` gives it out.

    White space after a word waits for what follows it, since it goes where an emoji before a full stop was.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._line = ""  # said since the last line break
        self._space = ""  # not given out yet
        self._gap = False  # something was taken out since
        self._apart = False  # it stood between two words
        self._pause = False  # a comma is due
        self._marked = False  # a mark was taken out at the line's beginning
        self._block = False  # the line is one that ends in a full stop

    @property
    def at_line_start(self) -> bool:
        """Whether nothing has been said since the last line break."""
        return not self._line

    def take(self) -> str:
        """What has been given out since the last call."""
        text = "".join(self._out)
        self._out.clear()
        return text

    def say(self, text: str) -> None:
        """Give out `text`, and what stands before it."""
        said = self._joint(text[0]) + text
        self._out.append(said)
        self._line += said
        if len(self._line) > _LONGEST_LINE:
            self._line = self._line[:20] + self._line[-100:]
        self._space, self._gap, self._apart, self._pause = "", False, False, False

    def space(self, space: str) -> None:
        """White space other than a line break."""
        if self._line and not self._gap and not self._pause and ends_sentence(self._line):
            self._out.append(space)  # at once: it shows that the sentence has ended
            self._line += space
        elif self._line or not self._marked:
            self._space += space

    def leave_out(self, *, apart: bool = False) -> None:
        """Something is not spoken.

        Args:
            apart: It keeps the words around it apart, as an emoji does.
        """
        self._gap = True
        self._apart = self._apart or apart
        if apart and not self._line:
            self.mark()

    def pause(self) -> None:
        """A short pause before what comes, as between two cells of a table."""
        self._pause = True

    def mark(self, *, block: bool = True) -> None:
        """The mark of a heading, a list item or the like is not spoken.

        Args:
            block: Its line is not glued to the next one: it ends in a full stop.
        """
        self._marked, self._space = True, ""
        self._block = self._block or block

    def end_block(self) -> None:
        """The line so far stands alone, as a heading does."""
        self._block = True

    def new_line(self, *, last: bool = False) -> None:
        """A line break.

        Args:
            last: It only ends the text, and is not spoken.
        """
        untouched = not (self._gap or self._pause or self._marked or self._block)
        self._out.append(self._space if untouched else "")
        if not last:
            self._out.append(self._stop() + "\n")
        self.drop_line()

    def drop_line(self) -> None:
        """A new line begins, and the line break is not spoken."""
        self._line = self._space = ""
        self._gap = self._apart = self._pause = self._marked = self._block = False

    def _joint(self, first: str) -> str:
        """What stands between what was said and `first`."""
        if not self._gap and not self._pause:
            return self._space
        if not self._line or self._line[-1].isspace() or self._line[-1] in _NO_SPACE_AFTER:
            return ""
        if first in _NO_SPACE_BEFORE:
            return ""
        if self._pause:
            return " " if ends_sentence(self._line) else ", "
        if self._apart and self._line[-1].isalnum() and first.isupper():
            return ", "  # an emoji often stands in a full stop's place
        return " " if self._space or (self._apart and first.isalnum()) else ""

    def _stop(self) -> str:
        """The full stop that the line needs, in its script."""
        last = next((char for char in reversed(self._line) if char.isalnum()), "")
        stands_alone = self._block or self._apart or _NUMBERED.match(self._line)
        if not last or not stands_alone or ends_sentence(self._line):
            return ""
        return next((stop for script, stop in _STOPS if script.match(last)), ".")
