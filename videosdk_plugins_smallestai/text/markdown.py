"""Takes out of a language model's text what is not to be spoken. Pure: no asyncio.

It does without a Markdown parser: the well-kept ones read a whole document, since a later line may change what an
earlier one means, and a voice begins with the first sentence. (Also, the plugin needs no further dependency.)

Each rule has two patterns: all of a mark, and what may still become one. At each place the first rule that matches
is applied, and text is held back while one may still match. So what is spoken depends on the text alone, not on how
it was divided. No pattern reaches over more than one finished sentence, unless nothing in it is spoken.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from .speech_writer import SpeechWriter

__all__ = ["SpokenText"]

_EMOJI = (
    "\U0001f000-\U0001faff\u2600-\u266c\u2670-\u2775\u2794-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u24c2\u3030\u303d\u3297\u3299"
)  # without ♭♮♯, and the digits in circles
_JOINERS = "\ufe0e\ufe0f\U000e0020-\U000e007f"
_URL = r"A-Za-z0-9_\-.~:/@!$&+,;=%"
_TAGS = (
    "a|abbr|article|b|blockquote|body|br|center|code|dd|del|details|div|dl|dt|em|figure|font|footer|h[1-6]|head|header"
    "|hr|html|i|img|ins|kbd|li|main|mark|ol|p|pre|q|s|samp|section|small|span|strike|strong|sub|summary|sup|table"
    "|tbody|td|tfoot|th|thead|tr|tt|u|ul|var"
)
_FUNCTIONS = "cos|exp|gcd|lim|log|max|min|mod|sin|tan"  # what is longer has a backslash
_SYMBOLS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠", "approx": "≈", "infty": "∞", "to": "→", "rightarrow": "→", "circ": "°", "quad": " ", "left": "",
    "right": "", "displaystyle": "",
}  # fmt: skip


def _begun(*parts: str) -> str:
    """A pattern of the first part, and of as many of the next ones as there are."""
    pattern = ""
    for part in reversed(parts[1:]):
        pattern = f"(?:{part}{pattern})?"
    return parts[0] + pattern


def _sentence(excluded: str, *more: str, most: int = 300) -> str:
    """A pattern of what stands inside a mark: up to a line without the characters `excluded`.

    In it one sentence at most is finished.
    """
    inside = "|".join([rf"[^{excluded}\n.!?。！？।۔؟]|[.!?](?!\s)", *more])
    return rf"(?:{inside}){{0,{most}}}+(?:[.!?。！？।۔؟](?:{inside}){{0,{most}}}+)?"


_LINK_TEXT = _sentence(r"\[\]", r"\[[^\[\]\n]{0,100}+\]")
_LINK_TEXT_BEGUN = _sentence(r"\[\]", r"\[[^\[\]\n]{0,100}+\]?+")
_TARGET = r"\((?:[^\s()]|\([^\s()]*+\)){0,2000}+(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
_TARGET_BEGUN = _begun(r"\((?:[^\s()]|\([^\s()]*+\)?+){0,2000}+", r"\s+", r"[\"'][^\n]{0,300}")
_IMAGE = r"(?:(?<=[\n\[(|>])|(?<=[\W_]\s))!"  # not after a word: `Bonjour !` is a sentence
_TERM = (  # of a formula: no word of three letters, since `$5 and $6` is none
    r"\\[A-Za-z]+(?:\{[^{}$\n]*+\}?+)*+|\\[^A-Za-z\n()\[\]]|[_^]\{[A-Za-z0-9 ]*+"
    rf"|(?<![A-Za-z])(?:[A-Za-z]{{1,2}}|{_FUNCTIONS})(?![A-Za-z])"
)
_FORMULA = rf"(?:{_TERM}|[^A-Za-z$\\]){{1,400}}+"
# Between single dollars, which stand for money as well. After a digit a full stop ends a sentence: `It is $5.`
_LETTERS_FIRST = rf"(?![\d\s])(?:{_TERM}|[^A-Za-z\s$\\.!?]|[.!?](?!\s)|[ ]){{1,200}}+"
_DIGITS_FIRST = rf"(?=\d)(?:{_TERM}|[^A-Za-z\s$\\.!?]|[ ]){{1,200}}+"
_NO_MONEY = re.compile(r"\\|[\^_=]|\d[a-z]|\d+\Z")


class SpokenText:
    """One reply's text, as it is spoken."""

    def __init__(self) -> None:
        self._text = "\n\n"  # two characters that have been read, and what has not been
        self._writer = SpeechWriter()
        self._fence = ""  # what closes the block of code
        self._in_url = False
        self._in_table = False
        self._in_row = False
        self._open = {"*": 0, "_": 0}  # marks of emphasis that have been opened

    def feed(self, text: str) -> str:
        """Take more of the text; what can be spoken now, perhaps ""."""
        self._text += text
        return self._read(ended=False)

    def finish(self) -> str:
        """Nothing more comes; the rest of what can be spoken."""
        self._text += "\n"  # many marks end with a line
        return self._read(ended=True)

    def _read(self, *, ended: bool) -> str:
        place: int | None = 2
        while place is not None and place < len(self._text):
            start = place
            place = self._step(start, ended)
        self._text = self._text[(start if place is None else place) - 2 :] if len(self._text) > 2 else self._text
        return self._writer.take()

    def _step(self, start: int, ended: bool) -> int | None:
        """Read what stands at `start`; where to go on, `None` if that depends on what comes."""
        text = self._text
        if self._in_url and not _URL_PART.match(text, start):
            self._in_url = False
        for rule in self._rules():
            if found := rule.whole.match(text, start):
                again = rule.act(self, found)
                if again is None:
                    return found.end()
                self._text = text[:start] + again + text[found.end() :]
                return start
            if not ended and rule.begun.fullmatch(text, start):
                return None
        return self._pass_on(start, last=ended and start == len(text) - 1)

    def _rules(self) -> tuple[_Rule, ...]:
        if self._fence:
            return _IN_CODE if self._writer.at_line_start else ()
        if self._in_url:
            return _IN_URL
        return _AT_LINE_START if self._writer.at_line_start else _INLINE

    def _pass_on(self, start: int, *, last: bool) -> int:
        """Pass on what is no mark."""
        text = self._text
        if text[start] == "\n":
            self._new_line(last=last)
            return start + 1
        if space := _SPACE.match(text, start):
            self._writer.space(space[0])
            return space.end()
        pattern = _CODE if self._fence else _URL_PART if self._in_url else _PLAIN
        found = pattern.match(text, start)
        end = found.end() if found else start + 1
        self._writer.say(text[start:end])
        return end

    def _new_line(self, *, last: bool = False, dropped: bool = False) -> None:
        if self._writer.at_line_start and not dropped:
            self._in_table = False
            self._open = {"*": 0, "_": 0}
        if dropped:
            self._writer.drop_line()
        else:
            self._writer.new_line(last=last)
        self._in_row = self._in_table
        if self._fence or self._in_row:
            self._writer.mark()

    # What is done with a mark: what it returns is read in the mark's place

    def _say(self, found: re.Match[str]) -> None:
        self._writer.say(found[1])

    def _drop(self, found: re.Match[str]) -> None:
        pass

    def _leave_out(self, found: re.Match[str]) -> None:
        self._writer.leave_out()

    def _emoji(self, found: re.Match[str]) -> None:
        self._writer.leave_out(apart=True)

    def _keycap(self, found: re.Match[str]) -> None:
        self._writer.end_block()

    def _drop_line(self, found: re.Match[str]) -> None:
        self._new_line(dropped=True)

    def _block(self, found: re.Match[str]) -> None:
        self._writer.mark()
        self._open = {"*": 0, "_": 0}

    def _quote(self, found: re.Match[str]) -> None:
        self._writer.mark(block=False)

    def _open_fence(self, found: re.Match[str]) -> None:
        self._fence = found[1]
        self._new_line(dropped=True)

    def _close_fence(self, found: re.Match[str]) -> None:
        if found[1].startswith(self._fence):
            self._fence = ""
            self._new_line(dropped=True)
        else:
            self._writer.say(found[1])
            self._new_line()

    def _row(self, found: re.Match[str]) -> None:
        self._in_row = True
        self._writer.mark()

    def _separator(self, found: re.Match[str]) -> None:
        self._in_table = True
        self._new_line(dropped=True)

    def _pipe(self, found: re.Match[str]) -> None:
        self._writer.pause()

    def _bar(self, found: re.Match[str]) -> None:
        if self._in_row:
            self._writer.pause()
        else:
            self._writer.say("|")

    def _code(self, found: re.Match[str]) -> None:
        if code := _SCHEME.sub("", found[1].strip()):
            self._writer.say(code)

    def _emphasis(self, found: re.Match[str]) -> None:
        mark, length = found[0][0], len(found[0])
        before, after = found.string[found.start() - 1], found.string[found.end()]
        inside = _is_word(before) and _is_word(after)
        product = inside and mark == "*" and (before + after).isascii()  # `5*3`, `a*b`, `x**2`
        if before.isdigit() and after.isdigit():
            self._writer.say(found[0])
        elif self._open[mark] and not before.isspace() and not (mark == "_" and inside):
            self._open[mark] = max(0, self._open[mark] - length)
            if after == "\n":
                self._writer.end_block()  # a line that ends in bold type is a heading
        elif (
            after.isspace()
            or (mark == "_" and _is_word(before))
            or (product and (length == 1 or not (before + after).isalpha()))
            or (after in ".,;:!?)]}/" and (length == 1 or _is_word(before)))  # `*.py`, `f***,`
        ):
            self._writer.say(found[0])
        else:
            self._open[mark] += length

    def _strike(self, found: re.Match[str]) -> None:
        if len(found[0]) == 1:
            self._writer.say("~")

    def _link(self, found: re.Match[str]) -> str | None:
        image, text, reference = found.groups()
        before = found.string[found.start() - 1]
        if reference is not None and (text.isdigit() or _is_word(before)):
            self._writer.say("[")  # `grid[2][3]`
            return found[0][1:]
        if image:
            text = text.strip()
            if text:
                self._writer.say(text)
            else:
                self._writer.leave_out()
            return None
        if (
            not text.strip()
            or _CITATION.fullmatch(text)
            or (text.isdigit() and len(text) < 3 and not before.isspace())
        ):
            self._writer.leave_out()
            return None
        return " " + text if before == "!" else text

    def _tag(self, found: re.Match[str]) -> None:
        closing, name = found.groups()
        if name == "br" or (closing and name in {"p", "div", "li", "tr"}) or (closing and name[0] == "h"):
            if self._in_row and name == "br":
                self._writer.pause()
            elif not self._writer.at_line_start:
                if name not in {"br", "p", "div"}:
                    self._writer.end_block()
                self._new_line()
        elif closing and name in {"td", "th"}:
            self._writer.pause()

    def _address(self, found: re.Match[str]) -> str:
        return found[1]

    def _entity(self, found: re.Match[str]) -> str | None:
        char = html.unescape(found[0]).replace("\xa0", " ")
        if not char.isascii() or char.isspace():
            return char
        self._writer.say(char)
        return None

    def _formula(self, found: re.Match[str]) -> None:
        if spoken := _spoken_formula(found[1]):
            self._writer.say(spoken)

    def _dollars(self, found: re.Match[str]) -> str | None:
        if found[1][0].isdigit() and not _NO_MONEY.search(found[1]):
            self._writer.say("$")
            return found[0][1:]
        self._formula(found)
        return None

    def _url(self, found: re.Match[str]) -> None:
        self._in_url = True


def _is_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _spoken_formula(formula: str) -> str:
    """LaTeX as it is spoken: `1/2` for `\\frac{1}{2}`; powers and indices as they are written."""
    for pattern, replacement in _LATEX:
        formula = pattern.sub(replacement, formula)
    return " ".join(_COMMAND.sub(_symbol, formula).replace("{", "").replace("}", "").split())


def _symbol(command: re.Match[str]) -> str:
    name = command[1]
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name}")
    except KeyError:
        return name


_BRACES = r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
_LATEX = (
    (re.compile(rf"\\[dt]?frac{_BRACES}{_BRACES}"), r"\1/\2"),
    (re.compile(rf"\\[dt]?frac{_BRACES}{_BRACES}"), r"\1/\2"),  # in another one
    (re.compile(rf"\\sqrt{_BRACES}"), r"√\1"),
    (re.compile(rf"\\(?:text|mathrm|mathbf|mathit|operatorname|boxed){_BRACES}"), r"\1"),
    (re.compile(r"\\[^A-Za-z]"), " "),  # spaces of a certain width
)
_COMMAND = re.compile(r"\\([A-Za-z]+)")


class _Rule(NamedTuple):
    """A mark, all of it; what may still become one; and what is done with it."""

    whole: re.Pattern[str]
    begun: re.Pattern[str]
    act: Callable[[SpokenText, re.Match[str]], str | None]


def _rule(whole: str, begun: str, act: Callable[[SpokenText, re.Match[str]], str | None]) -> _Rule:
    return _Rule(re.compile(whole), re.compile(begun), act)


_NEVER = r"(?!)"  # one character decides
_END_OF_LINE = r"[ \t\r]*\n"
_URL_END = rf"[.,;:!?]*[^{_URL}?#]"
_LINK_BEGUN = _begun(r"\[", _LINK_TEXT_BEGUN, r"\]", rf"(?:{_TARGET_BEGUN}|\[[^\[\]\n]{{0,60}})")
_HTTP_BEGUN = (r"[hH]", r"[tT]", r"[tT]", r"[pP]", r"[sS]?", ":", "/", "/")
_INLINE = (
    _rule(rf"\\\(({_FORMULA})\\\)", _begun(r"\\", r"\(", rf"(?:{_FORMULA})?\\?"), SpokenText._formula),
    _rule(rf"\\\[({_FORMULA})\\\]", _begun(r"\\", r"\[", rf"(?:{_FORMULA})?\\?"), SpokenText._formula),
    _rule(r"\\([!-/:-@\[-`{-~])", r"\\", SpokenText._say),
    _rule(r"\\(?=\n)", _NEVER, SpokenText._drop),
    _rule(rf"`(?!`)({_sentence('`')})`", _begun("`", _sentence("`")), SpokenText._code),
    _rule("`", _NEVER, SpokenText._drop),
    _rule(r"\[\^[^\[\]\s]{1,40}\]", _begun(r"\[", r"\^", r"[^\[\]\s]{0,40}"), SpokenText._leave_out),
    _rule(
        rf"({_IMAGE})?\[({_LINK_TEXT})\](?:{_TARGET}|\[([^\[\]\n]{{1,60}})\])",
        rf"{_IMAGE}(?:{_LINK_BEGUN})?|{_LINK_BEGUN}",
        SpokenText._link,
    ),
    _rule(r"\]\(https?://[^\s()]{0,2000}\)", r"\](?:\([^\s()]{0,2000})?", SpokenText._drop),  # of a long text
    _rule(r"(?:\*+(?=[^*])|_+(?=[^_]))", r"\*+|_+", SpokenText._emphasis),
    _rule(r"~+(?=[^~])", r"~+", SpokenText._strike),
    _rule(
        rf"<(/?)({_TAGS})(?:\s{_sentence('<>')})?/?>",
        rf"<(?:/?(?:[a-z][a-z0-9]{{0,9}}|(?:{_TAGS})\s{_sentence('<>')})?/?)",
        SpokenText._tag,
    ),
    _rule(r"<!--[\s\S]{0,500}?-->", _begun("<", "!", "-", r"-[\s\S]{0,500}"), SpokenText._leave_out),
    _rule(
        r"<(?:mailto:)?(https?://[^\s<>]+|[A-Za-z][^\s<>@:]*@[^\s<>]+)>",
        r"<[A-Za-z][^\s<>]{0,300}",
        SpokenText._address,
    ),
    _rule(
        r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",
        r"&(?:#(?:\d{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9]{0,30})?",
        SpokenText._entity,
    ),
    _rule(rf"\$\$({_FORMULA})\$\$", r"\$(?:\$(?:" + _FORMULA + r")?[\\$]?)?", SpokenText._formula),
    _rule(
        rf"(?<![\w$])\$({_LETTERS_FIRST}|{_DIGITS_FIRST})(?<!\s)\$(?=[^\w$])",
        rf"(?<![\w$])\$(?:(?:{_LETTERS_FIRST}|{_DIGITS_FIRST})(?:\\|(?<!\s)\$)?|\\)?",
        SpokenText._dollars,
    ),
    _rule(
        r"(?<![A-Za-z0-9])[hH][tT][tT][pP][sS]?://(?:www\.(?!\Z)|(?!www\.|w{0,3}\Z))",
        r"(?<![A-Za-z0-9])" + _begun(*_HTTP_BEGUN, "w{1,3}", r"\."),
        SpokenText._url,
    ),
    _rule(r"(?<=\s)\|(?=\s)", r"(?<=\s)\|", SpokenText._pipe),
    _rule(r"\|", _NEVER, SpokenText._bar),
    _rule("【[^【】\n]{0,60}†[^【】\n]{0,60}】", "【[^【】\n]{0,60}(?:†[^【】\n]{0,60})?", SpokenText._leave_out),
    _rule(f"[{_EMOJI}]|ℹ\ufe0f", "ℹ", SpokenText._emoji),
    _rule("\u20e3", _NEVER, SpokenText._keycap),
    _rule(f"[{_JOINERS}]|(?<=[{_EMOJI}\ufe0f])\u200d", _NEVER, SpokenText._drop),
)
_AT_LINE_START = (
    _rule(rf"(?:([-*_])\1\1+|==+){_END_OF_LINE}", r"([-*_=])\1*[ \t\r]*", SpokenText._drop_line),
    _rule(
        rf"(`{{3,}}|~{{3,}}){_sentence('`', most=100)}\n",
        rf"`{{1,2}}|~{{1,2}}|(?:`{{3,}}|~{{3,}}){_sentence('`', most=100)}",
        SpokenText._open_fence,
    ),
    _rule(r"(?=[|:-])[:\- \t]*\|[|:\- \t]*\r?\n", r"[|:-][|:\- \t\r]*", SpokenText._separator),
    _rule(r"\|", _NEVER, SpokenText._row),
    _rule(r"#{1,6}(?=[ \t])", r"#{1,6}", SpokenText._block),
    _rule(r"[-*+•‣◦▪▫●○■□·](?=\s)", r"[-*+•‣◦▪▫●○■□·]", SpokenText._block),
    _rule(r"\[[ xX]\](?=\s)", _begun(r"\[", r"[ xX]", r"\]"), SpokenText._block),
    _rule(r">(?=[^\d=])", ">", SpokenText._quote),
    _rule(r"\[\^[^\[\]\s]{1,40}\]:", _begun(r"\[", r"\^", r"[^\[\]\s]{0,40}", r"\]"), SpokenText._block),
    _rule(
        rf"\[[^\[\]\n.!?]{{1,80}}\]:[ \t]+<?https?://\S{{0,2000}}+{_END_OF_LINE}",
        _begun(r"\[", r"[^\[\]\n.!?]{0,80}", r"\]", ":", r"[ \t]+", r"<?", *_HTTP_BEGUN, r"\S{0,2000}[ \t\r]*"),
        SpokenText._drop_line,
    ),
    *_INLINE,
)
_IN_CODE = (_rule(rf"(`{{3,}}|~{{3,}}){_END_OF_LINE}", r"(?:`+|~+)[ \t\r]*", SpokenText._close_fence),)
_IN_URL = (
    _rule(
        rf"[?#](?=[A-Za-z0-9%/&=+~_-])[{_URL}?#]{{1,2000}}?(?={_URL_END})",
        rf"[?#](?:[A-Za-z0-9%/&=+~_-][{_URL}?#]{{0,2000}})?",
        SpokenText._drop,
    ),
    _rule(rf"/(?={_URL_END}|[?#][A-Za-z0-9%])", r"/[.,;:!?#]*", SpokenText._drop),
)
_SPACE = re.compile(r"[^\S\n]+")
_URL_PART = re.compile(rf"(?:(?!/)[{_URL}])+|[/?#]")
_CODE = re.compile(r"\S+")
_PLAIN = re.compile(rf"(?:[^\s\\`*_~\[\]!<&$|【ℹhH{_EMOJI}{_JOINERS}\u200d\u20e3]|(?<=[A-Za-z0-9])[hH])+")
_SCHEME = re.compile(r"\bhttps?://(?:www\.)?")
_CITATION = re.compile(r"\[\d{1,3}\]|\^\d{1,3}\^?")
