"""Takes out of a language model's text what is not to be spoken. Pure: no asyncio.

It does without a Markdown parser: the well-kept ones read a whole document, since a later line may change what an
earlier one means, and a voice begins with the first sentence. (The plugin needs no further dependency either.)

At each place the first mark of the table that matches is applied, and text is held back while one may still match.
So what is spoken depends on the text alone, not on how it was divided. No mark reaches over more than one finished
sentence, unless nothing in it is spoken.
"""

from __future__ import annotations

import html
import re
import unicodedata

from .formulas import spoken_formula
from .marks import AT_LINE_START, CODE, IN_CODE, IN_QUOTED_CODE, IN_URL, INLINE, PLAIN, SPACE, URL, Kind, Mark
from .speech_writer import SpeechWriter

__all__ = ["SpokenText"]

_SCHEME = re.compile(r"\bhttps?://(?:www\.)?")
_CITATION = re.compile(r"\[\d{1,3}\]|\^\d{1,3}\^?")
_NO_MONEY = re.compile(r"\\|[\^_=]|\d[a-z]|\d+\Z")
_LINES = frozenset({"br", "p", "div"})  # HTML tags that end one
_ROWS = frozenset({"li", "tr", "h1", "h2", "h3", "h4", "h5", "h6"})  # whose line stands alone
_CELLS = frozenset({"td", "th"})


class SpokenText:
    """One reply's text, as it is spoken."""

    def __init__(self) -> None:
        self._text = "\n\n"  # two characters that have been read, and what has not been
        self._writer = SpeechWriter()
        self._fence = ""  # what closes the block of code
        self._quoted = False  # the line is one of a quotation
        self._fence_quoted = False  # so is each line of the block of code
        self._in_url = False
        self._in_table = False
        self._in_row = False
        self._open = {"*": 0, "_": 0}  # emphasis

    def feed(self, text: str) -> str:
        """Take more of the text; what can be spoken now, perhaps ""."""
        self._text += text
        return self._read(ended=False)

    def finish(self) -> str:
        """Nothing more comes; the rest of what can be spoken. To be called once."""
        self._text += "\n"  # many marks end with a line
        return self._read(ended=True)

    def _read(self, *, ended: bool) -> str:
        start = 2
        while start < len(self._text):
            after = self._step(start, ended)
            if after is None:
                break
            start = after
        self._text = self._text[start - 2 :]
        return self._writer.take()

    def _step(self, start: int, ended: bool) -> int | None:
        """Read what stands at `start`; where to go on, `None` if that depends on what comes."""
        text = self._text
        if self._in_url and not URL.match(text, start):
            self._in_url = False
        if self._fence_quoted and not self._quoted and self._writer.at_line_start and text[start] not in "> \t\r":
            self._close_fence()  # with the quotation that it is in
        for mark in self._marks():
            if found := mark.whole.match(text, start):
                again = self._apply(mark.kind, found)
                if again is None:
                    return found.end()
                self._text = text[:start] + again + text[found.end() :]
                return start
            if not ended and mark.begun.fullmatch(text, start):
                return None
        if text[start] == "\n":
            self._new_line(last=ended and start == len(text) - 1)
            return start + 1
        if space := SPACE.match(text, start):
            self._writer.space(space[0])
            return space.end()
        passed = (CODE if self._fence else URL if self._in_url else PLAIN).match(text, start)
        end = passed.end() if passed else start + 1
        self._writer.say(text[start:end])
        return end

    def _close_fence(self) -> None:
        self._fence, self._fence_quoted = "", False
        self._next_line()

    def _marks(self) -> tuple[Mark, ...]:
        """Those that are looked for here."""
        if self._fence:
            in_code = IN_QUOTED_CODE if self._fence_quoted else IN_CODE
            return in_code if self._writer.at_line_start else ()
        if self._in_url:
            return IN_URL
        return AT_LINE_START if self._writer.at_line_start else INLINE

    def _apply(self, kind: Kind, found: re.Match[str]) -> str | None:
        """Do what is done with a mark; a text that is to be read in its place, if there is one."""
        match kind:
            case Kind.DROP_LINE:
                self._next_line()
            case Kind.LEAVE_OUT:
                self._writer.leave_out()
            case Kind.EMOJI:
                self._writer.leave_out(apart=True)
            case Kind.SAY:
                self._writer.say(found[1])
            case Kind.READ:
                return found[1]
            case Kind.PAUSE:
                self._writer.pause()
            case Kind.BLOCK:
                self._writer.mark()
                self._open = {"*": 0, "_": 0}
            case Kind.QUOTE:
                self._quoted = True
                self._writer.mark(block=False)
            case Kind.KEYCAP:
                self._writer.end_block()
            case Kind.OPEN_FENCE:
                self._fence, self._fence_quoted = found[1], self._quoted
                self._next_line()
            case Kind.CLOSE_FENCE if found[1].startswith(self._fence):
                self._close_fence()
            case Kind.CLOSE_FENCE:
                self._writer.say(found[1])
                self._new_line()
            case Kind.ROW:
                self._in_row = True
                self._writer.mark()
            case Kind.BAR if self._in_row:
                self._writer.pause()
            case Kind.BAR:
                self._writer.say("|")
            case Kind.SEPARATOR:
                self._in_table = True
                self._next_line()
            case Kind.CODE:
                self._say(_SCHEME.sub("", found[2].strip()))
            case Kind.EMPHASIS:
                self._emphasis(found)
            case Kind.STRIKE if len(found[0]) == 1:
                self._writer.say("~")  # about, or a folder
            case Kind.STRIKE if not _before(found).isspace():
                self._writer.pause()  # `~~$50~~ $40` is no `$50 $40`
            case Kind.LINK:
                return self._link(found)
            case Kind.TAG:
                self._tag(closes=bool(found[1]), name=found[2])
            case Kind.ENTITY:
                return self._entity(html.unescape(found[0]).replace("\xa0", " "))
            case Kind.FORMULA:
                self._say(spoken_formula(found[1]))
            case Kind.DISPLAYED_FORMULA:
                self._say(spoken_formula(found[1]))
                self._writer.end_block()
            case Kind.DOLLARS if found[1][0].isdigit() and not _NO_MONEY.search(found[1]):
                self._writer.say("$")
                return found[0][1:]
            case Kind.DOLLARS:
                self._say(spoken_formula(found[1]))
            case Kind.URL:
                self._in_url = True
        return None

    def _say(self, text: str) -> None:
        """Say all of a mark's text, or leave the mark out if there is none."""
        if text:
            self._writer.say(text)
        else:
            self._writer.leave_out()

    def _new_line(self, *, last: bool = False) -> None:
        if self._writer.at_line_start:
            self._in_table = False
            self._open = {"*": 0, "_": 0}
        self._writer.new_line(last=last)
        self._next_line()

    def _next_line(self) -> None:
        """Begin one. A line of which nothing was said is dropped."""
        self._writer.drop_line()
        self._quoted = False
        self._in_row = self._in_table
        if self._fence or self._in_row:
            self._writer.mark()

    def _emphasis(self, found: re.Match[str]) -> None:
        run, mark, before, after = found[0], found[0][0], _before(found), found.string[found.end()]
        inside = _is_word(before) and _is_word(after)
        if before.isdigit() and after.isdigit():
            self._writer.say(run)
        elif self._open[mark] and not before.isspace() and not (mark == "_" and inside):
            self._open[mark] = max(0, self._open[mark] - len(run))
            if after == "\n":
                self._writer.end_block()  # a line that ends in bold type is a heading
        elif after.isspace() or (mark == "_" and _is_word(before)) or _is_product(run, before, after):
            self._writer.say(run)
        else:
            self._open[mark] += len(run)

    def _link(self, found: re.Match[str]) -> str | None:
        image, text, reference = found.groups()
        before = _before(found)
        if reference is not None and (text.isdigit() or _is_word(before)):
            self._writer.say("[")  # `grid[2][3]`
            return found[0][1:]
        if image:
            self._say(text.strip())
            return None
        note = text.isdigit() and len(text) < 3 and not before.isspace()
        if note or not text.strip() or _CITATION.fullmatch(text):
            self._writer.leave_out()
            return None
        text = text.removeprefix("!") if text.startswith("![") else text
        return " " + text if before == "!" else text

    def _tag(self, *, closes: bool, name: str) -> None:
        ends = "br" if name == "br" else name if closes else ""
        if ends in _CELLS or (ends == "br" and self._in_row):
            self._writer.pause()
        elif ends in _LINES | _ROWS and not self._writer.at_line_start:
            if ends in _ROWS:
                self._writer.end_block()
            self._new_line()

    def _entity(self, char: str) -> str | None:
        if not char.isascii() or char.isspace():
            return char
        self._writer.say(char)
        return None


def _before(found: re.Match[str]) -> str:
    return found.string[found.start() - 1]


def _is_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _is_product(stars: str, before: str, after: str) -> bool:
    """Whether stars that open nothing else are meant as such: `a*b`, `x**2`, `*.py`, `f***ing`."""
    if after in ".,;:!?)]}/":
        return len(stars) == 1 or _is_word(before)
    if not ((before + after).isalnum() and (before + after).isascii()):
        return False
    return len(stars) != 2 or not (before + after).isalpha()
