"""The marks that are looked for in a language model's text: tables of patterns, in the order of their trial."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from .reasoning import REASONING_TAGS

__all__ = [
    "AT_LINE_START",
    "CODE",
    "INLINE",
    "IN_CODE",
    "IN_QUOTED_CODE",
    "IN_URL",
    "PLAIN",
    "SPACE",
    "URL",
    "Kind",
    "Mark",
]


class Kind(Enum):
    """What is done with a mark."""

    DROP = auto()
    DROP_LINE = auto()
    LEAVE_OUT = auto()
    """As `DROP`, but it was a thing of its own: no two spaces are left."""
    EMOJI = auto()
    SAY = auto()
    """Its first group is spoken as it is."""
    READ = auto()
    """Its first group is read in its place."""
    PAUSE = auto()
    BLOCK = auto()
    """Of a heading or a list item."""
    QUOTE = auto()
    KEYCAP = auto()
    OPEN_FENCE = auto()
    CLOSE_FENCE = auto()
    ROW = auto()
    BAR = auto()
    SEPARATOR = auto()
    """The line below a table's head."""
    CODE = auto()
    EMPHASIS = auto()
    STRIKE = auto()
    LINK = auto()
    TAG = auto()
    ENTITY = auto()
    FORMULA = auto()
    DISPLAYED_FORMULA = auto()
    DOLLARS = auto()
    URL = auto()


class Mark(NamedTuple):
    """A mark of a text.

    Attributes:
        kind: What is done with it.
        whole: Matches all of it. What follows never changes the match.
        begun: Matches, to the end of the text, what may still become one.
    """

    kind: Kind
    whole: re.Pattern[str]
    begun: re.Pattern[str]


_NEVER = r"(?!)"


def _mark(kind: Kind, whole: str, begun: str = _NEVER) -> Mark:
    return Mark(kind, re.compile(whole), re.compile(begun))


def _begun(*parts: str) -> str:
    """A pattern of the first part, and of as many of the next ones as there are."""
    pattern = ""
    for part in reversed(parts[1:]):
        pattern = f"(?:{part}{pattern})?"
    return parts[0] + pattern


def _unfinished(excluded: str, most: int = 300) -> str:
    """A pattern of a part of a sentence on one line, without the characters `excluded`."""
    return rf"(?:[^{excluded}\n.!?。！？।۔؟]|[.!?](?!\s)){{0,{most}}}+"


def _inside(excluded: str, most: int = 300) -> str:
    """A pattern of what stands inside a mark: at most one sentence that has ended, and a part of the next one."""
    return rf"{_unfinished(excluded, most)}(?:[.!?。！？।۔؟][^{excluded}\n.!?。！？।۔؟]{{0,{most}}}+)?"


_LINE_ENDS = r"[ \t\r]{0,99}"
_INFO = _inside("`~", most=100)  # `python`, behind a fence

_EMOJI = (
    "\U0001f000-\U0001faff\u2600-\u2604\u2607-\u266c\u2670-\u2775\u2794-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u24c2\u3030\u303d\u3297\u3299"
)  # without ★☆, ♭♮♯, and digits in circles
_SELECTORS = "\ufe0e\ufe0f\U000e0020-\U000e007f"

_TEXT = _inside(r"\[\]")
_MORE_TEXT = _unfinished(r"\[\]")
_IN_BRACKETS = r"\[[^\[\]\n]{0,100}+"
_LINK_TEXT = rf"{_TEXT}(?:{_IN_BRACKETS}\]{_MORE_TEXT})?"
_ADDRESS = r"[^\s()]{0,1000}+(?:\([^\s()]{0,200}+\)[^\s()]{0,200}+){0,2}"
_TARGET = rf"\({_ADDRESS}(?:[ \t]{{1,9}}(?:\"[^\"\n]{{0,200}}\"|'[^'\n]{{0,200}}'))?[ \t]{{0,9}}\)"
_REFERENCE = r"\[([^\[\]\n]{1,60})\]"
_TARGET_BEGUN = _begun(rf"\({_ADDRESS}(?:\([^\s()]{{0,200}}+)?", r"[ \t]{1,9}", r"[\"'][^\n]{0,220}")
_REFERENCE_BEGUN = r"\[[^\[\]\n]{0,60}"
_LINK_BEGUN = _begun(
    r"\[", rf"(?:{_LINK_TEXT}|{_TEXT}{_IN_BRACKETS})", r"\]", rf"(?:{_TARGET_BEGUN}|{_REFERENCE_BEGUN})"
)
_IMAGE = r"(?:(?<=[\n\[(|>])|(?<=[\W_]\s))!"  # not after a word: `Bonjour !` is a sentence

_TAGS = (
    "a|abbr|article|b|blockquote|body|br|center|code|dd|del|details|div|dl|dt|em|figure|font|footer|h[1-6]|head|header"
    "|hr|html|i|img|ins|kbd|li|main|mark|ol|p|pre|q|s|samp|section|small|span|strike|strong|sub|summary|sup|table"
    "|tbody|td|tfoot|th|thead|tr|tt|u|ul|var"
)

_BLANKS = r"\s[ \t]{0,9}"
_ATTRIBUTES = rf"{_BLANKS}(?:[a-z-]{{1,20}}[ \t]{{0,9}}={_inside('<>')}|open[ \t]{{0,9}})"  # `a<b and c>d` has none
_ATTRIBUTES_BEGUN = rf"{_BLANKS}(?:[a-z-]{{1,20}}[ \t]{{0,9}}(?:={_inside('<>')})?)?"

# Of a block of reasoning that began in the prompt.
_REASONED = rf"</(?i:{'|'.join(REASONING_TAGS)})>"
_REASONED_BEGUN = ("<", "/", r"[A-Za-z]{1,9}")

# Part of a formula. It has no word of three letters, since `$5 and $6` is none.
_TERM = (
    r"\\[A-Za-z]+(?:\{[^{}$\n]*+\}?+)*+|\\[^A-Za-z\n()\[\]]|[_^]\{[A-Za-z0-9 ]*+"
    r"|(?<![A-Za-z])(?:[A-Za-z]{1,2}|cos|exp|gcd|lim|log|max|min|mod|sin|tan)(?![A-Za-z])"
)
_FORMULA = rf"(?:{_TERM}|[^A-Za-z$\\]){{1,400}}+"
_FORMULA_BEGUN = rf"(?:{_FORMULA})?\\?"
# Single dollars stand for money as well. Where a digit follows, a full stop ends a sentence: `It is $5.`
_IN_DOLLARS = (
    rf"(?:(?![\d\s])(?:{_TERM}|[^A-Za-z\s$\\.!?]|[.!?](?!\s)|[ ]){{1,200}}+"
    rf"|(?=\d)(?:{_TERM}|[^A-Za-z\s$\\.!?]|[ ]){{1,200}}+)"
)

_URL = r"A-Za-z0-9_\-.~:/@!$&+,;=%"
_URL_ENDS = rf"[.,;:!?]{{0,9}}[^{_URL}?#]"
_HTTP_BEGUN = (r"[hH]", r"[tT]", r"[tT]", r"[pP]", r"[sS]?", ":", "/", "/")

INLINE = (
    _mark(Kind.FORMULA, rf"\\\(({_FORMULA})\\\)", _begun(r"\\", r"\(", _FORMULA_BEGUN)),
    _mark(Kind.DISPLAYED_FORMULA, rf"\\\[({_FORMULA})\\\]", _begun(r"\\", r"\[", _FORMULA_BEGUN)),
    _mark(Kind.DISPLAYED_FORMULA, rf"\$\$({_FORMULA})\$\$", _begun(r"\$", r"\$", rf"{_FORMULA_BEGUN}\$?")),
    _mark(
        Kind.DOLLARS,
        rf"(?<![\w$])\$({_IN_DOLLARS})(?<!\s)\$(?=[^\w$])",
        rf"(?<![\w$])\$(?:{_IN_DOLLARS}(?:\\|(?<!\s)\$)?|\\)?",
    ),
    _mark(Kind.SAY, r"\\([!-/:-@\[-`{-~])", r"\\"),
    _mark(Kind.DROP, r"\\(?=\n)"),
    _mark(Kind.CODE, rf"(?<!`)(`{{1,3}})(?!`)({_inside('`')})\1", _begun("(?<!`)`{1,3}", _inside("`"), "`{1,2}")),
    _mark(Kind.DROP, "`"),
    _mark(Kind.LEAVE_OUT, r"\[\^[^\[\]\s]{1,40}\]", _begun(r"\[", r"\^", r"[^\[\]\s]{0,40}")),  # a footnote
    _mark(
        Kind.LINK,
        rf"({_IMAGE})?\[({_LINK_TEXT})\](?:{_TARGET}|{_REFERENCE})",
        rf"{_IMAGE}(?:{_LINK_BEGUN})?|{_LINK_BEGUN}",
    ),
    _mark(Kind.DROP, r"\]\(https?://[^\s()]{0,2000}\)", r"\](?:\([^\s()]{0,2000})?"),  # after a very long text
    _mark(Kind.EMPHASIS, r"\*{1,50}(?=[^*])|_{1,50}(?=[^_])", r"\*{1,50}|_{1,50}"),
    _mark(Kind.STRIKE, r"~{1,50}(?=[^~])", r"~{1,50}"),
    _mark(
        Kind.TAG,
        rf"<(/?)({_TAGS})(?:{_ATTRIBUTES}|{_BLANKS})?/?>",
        rf"<(?:/?(?:[a-z][a-z0-9]{{0,9}}|(?:{_TAGS}){_ATTRIBUTES_BEGUN})?/?)",
    ),
    _mark(Kind.LEAVE_OUT, rf"{_REASONED}(?={_LINE_ENDS}\n)", _begun(*_REASONED_BEGUN, f">{_LINE_ENDS}")),
    _mark(Kind.LEAVE_OUT, r"<!--[\s\S]{0,500}?-->", _begun("<", "!", "-", r"-[\s\S]{0,500}")),
    _mark(Kind.READ, r"<(?:mailto:)?(https?://[^\s<>]+|[A-Za-z][^\s<>@:]*@[^\s<>]+)>", r"<[A-Za-z][^\s<>]{0,300}"),
    _mark(
        Kind.ENTITY,
        r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",
        r"&(?:#(?:\d{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9]{0,30})?",
    ),
    _mark(
        Kind.URL,
        r"(?<![A-Za-z0-9])[hH][tT][tT][pP][sS]?://(?:www\.(?!\Z)|(?!www\.|w{0,3}\Z))",
        r"(?<![A-Za-z0-9])" + _begun(*_HTTP_BEGUN, "w{1,3}", r"\."),
    ),
    _mark(Kind.PAUSE, r"(?<=\s)\|(?=\s)", r"(?<=\s)\|"),
    _mark(Kind.BAR, r"\|"),
    _mark(
        Kind.LEAVE_OUT, "【[^【】\n]{0,60}†[^【】\n]{0,60}】", "【[^【】\n]{0,60}(?:†[^【】\n]{0,60})?"
    ),  # a source
    _mark(Kind.EMOJI, f"[{_EMOJI}]|ℹ\ufe0f", "ℹ"),
    _mark(Kind.KEYCAP, "\u20e3"),
    _mark(Kind.DROP, f"[{_SELECTORS}]|(?<=[{_EMOJI}\ufe0f])\u200d"),
)

AT_LINE_START = (
    _mark(Kind.DROP_LINE, rf"(?:([-*_])\1{{2,300}}|={{2,300}}){_LINE_ENDS}\n", rf"([-*_=])\1{{0,300}}{_LINE_ENDS}"),
    _mark(
        Kind.OPEN_FENCE,
        rf"(`{{3,50}}+|~{{3,50}}+){_INFO}\n",
        rf"`{{1,2}}|~{{1,2}}|(?:`{{3,50}}+|~{{3,50}}+){_INFO}",
    ),
    _mark(Kind.SEPARATOR, r"(?=[|:-][|:\- \t]{0,999}\r?\n)[:\- \t]*\|[|:\- \t]*\r?\n", r"[|:-][|:\- \t\r]{0,999}"),
    _mark(Kind.ROW, r"\|"),
    _mark(Kind.BLOCK, r"#{1,6}(?=[ \t])", r"#{1,6}"),
    _mark(Kind.BLOCK, r"[-*+•‣◦▪▫●○■□·](?=\s)", r"[-*+•‣◦▪▫●○■□·]"),
    _mark(Kind.BLOCK, r"\[[ xX]\](?=\s)", _begun(r"\[", r"[ xX]", r"\]")),  # a task's box
    _mark(Kind.QUOTE, r">(?=[^\d=])", ">"),
    _mark(Kind.LEAVE_OUT, _REASONED, _begun(*_REASONED_BEGUN)),
    _mark(
        Kind.DROP_LINE,  # `[name]: address`
        rf"\[[^\[\]\n.!?]{{1,80}}\]:[ \t]+<?https?://\S{{0,2000}}+{_LINE_ENDS}\n",
        _begun(
            r"\[", r"[^\[\]\n.!?]{0,80}", r"\]", ":", r"[ \t]+", r"<?", *_HTTP_BEGUN, rf"\S{{0,2000}}+{_LINE_ENDS}"
        ),
    ),
    _mark(Kind.BLOCK, r"\[\^[^\[\]\s]{1,40}\]:", _begun(r"\[", r"\^", r"[^\[\]\s]{0,40}", r"\]")),  # a footnote's
    *INLINE,
)

IN_CODE = (
    _mark(Kind.CLOSE_FENCE, rf"(`{{3,50}}+|~{{3,50}}+){_LINE_ENDS}\n", rf"(?:`{{1,50}}|~{{1,50}}){_LINE_ENDS}"),
)

IN_QUOTED_CODE = (_mark(Kind.QUOTE, ">"), *IN_CODE)

IN_URL = (
    _mark(
        Kind.DROP,  # the query
        rf"[?#](?=[A-Za-z0-9%/&=+~_-])[{_URL}?#]{{1,1000}}?(?={_URL_ENDS})",
        rf"[?#](?:[A-Za-z0-9%/&=+~_-][{_URL}?#]{{0,1010}})?",
    ),
    _mark(Kind.DROP, rf"/(?=[.,;:!?]{{0,9}}[^\w{_URL}?#]|[?#][A-Za-z0-9%])", r"/[.,;:!?#]{0,9}"),
)

# What is passed on at once. Where none matches, it is one character.
SPACE = re.compile(r"[^\S\n]+")
CODE = re.compile(r"\S+")
URL = re.compile(rf"(?:(?!/)[{_URL}])+|[/?#]")
PLAIN = re.compile(rf"(?:[^\s\\`*_~\[\]!<&$|【ℹhH{_EMOJI}{_SELECTORS}\u200d\u20e3]|(?<=[A-Za-z0-9])[hH])+")
