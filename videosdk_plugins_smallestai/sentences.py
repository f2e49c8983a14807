"""Finds where a text may be cut: a pure scanner of characters that looks one character ahead and no further."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum

__all__ = [
    "WIDE_CLAUSE",
    "Finish",
    "Place",
    "Scanner",
    "ends_one_word_sentence",
    "ends_sentence",
    "ends_whole_sentence",
    "ends_wide_sentence",
    "finish",
    "is_edge",
    "is_speakable",
    "joins",
]

# The tables follow ``videosdk.agents.tokenize.patterns``. They are written out, since that module is no part of
# the framework's public interface; a test compares the two.
SPACED_SENTENCE = ".?!…‼⁇⁈⁉"
WIDE_SENTENCE = "。！？｡．।॥؟۔؞։።፧፨།༎༏༐༑။។៕"
SPACED_CLAUSE = ",;:"
WIDE_CLAUSE = frozenset("、，；：､")
OTHER_CLAUSE = "،؛፣፤፥၊៖"
# Without the framework's dashes, Tibetan tsheg and Armenian accents: they stand inside words and ranges.

_SENTENCE = frozenset(SPACED_SENTENCE + WIDE_SENTENCE)
_CLAUSE = frozenset(SPACED_CLAUSE + OTHER_CLAUSE) | WIDE_CLAUSE
_MARKS = _SENTENCE | _CLAUSE
# Marks that end something only before white space: `main.py`, `c?d=e`, `10:30`, `1,299`.
_SPACED = frozenset(SPACED_SENTENCE + SPACED_CLAUSE)
_NEWLINES = frozenset("\n\r\v\f\x85\u2028\u2029")
_NO_BREAK_SPACES = frozenset("\u00a0\u2007\u202f")
_QUOTES = frozenset("\"'*_~`")  # straight quotes, and Markdown's emphasis
_CLOSER_CATEGORIES = frozenset({"Pe", "Pf", "So", "Sk", "Mn", "Mc", "Me", "Cf"})
# Scripts written without spaces between sentences: Thai, Lao, Burmese, Khmer, kana, Han, Hangul, full-width forms.
_UNSPACED_SCRIPT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
_ZERO_WIDTH_JOINER = "\u200d"
_VIRAMA = 9  # Unicode's canonical combining class of the signs that tie two Indic consonants together

# Longer than any abbreviation; keeps a word of 100,000 characters cheap.
_WORD_TAIL = 16

# Followed by a name or a number, never by the next sentence.
_TITLES_TABLE = (
    "Mr Mrs Ms Dr Prof Capt Lt Sgt Gen Col Rev Hon Gov Sen Maj St Mt Fr Vol vol pp vs cf Fig fig approx e.g i.e "
    "Smt Shri Adv Govt Pvt Apt Ext ext Tel tel "
    "Hr Nr bzw ggf inkl z.B u.a d.h ca Mme Mlle Pr Ste p.ex c.-à-d av J.-C Sra Srta Dra Ud Uds p.ej "
    "Sig Sigra Dott sig dott डॉ डा श्री श्रीमती कु प्रो पं ড শ্রী ડૉ શ્રી પ્રો"
)
_RUPEES = ("Rs", "rs", "रु", "रू", "રૂ", "ரூ", "రూ", "ರೂ", "രൂ")  # titles, unless a number stands before them
# Followed by either: the dot alone does not tell.
_OTHERS_TABLE = (
    "Jr Sr Inc Ltd Co Corp etc al No Ph usw ecc Ave Blvd Rd Dept Jan Feb Aug Sept Oct Nov Dec "
    "Ph.D B.Sc M.Sc B.Tech M.Tech LL.B LL.M Ed.D"
)
_TITLES = frozenset((*_TITLES_TABLE.split(), *_RUPEES))
_ABBREVIATIONS = _TITLES | frozenset(_OTHERS_TABLE.split())
_ANY_CASE = frozenset({"mr", "mrs", "ms", "dr", "prof"})
_DOTS = frozenset(".．")
_AMOUNT = re.compile(rf"\d\s?(?:{'|'.join(_RUPEES)})\.\W*\Z")  # `500 Rs.`
_COLONS = frozenset(":：")
_SCHEMES = frozenset({"http", "https"})
_GOES_ON = re.compile(r"[\d@/.]")  # in a word before a dot: `3.50`, `support@smallest.ai`, `www.x.com`
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")  # a.m, U.S.A


class Place(IntEnum):
    """What stands after a character; the higher, the better to cut there."""

    NONE = 0
    GLUED = 1
    """White space that keeps two things together: `Dr. Smith`, `1 000`."""
    SPACE = 2
    CLAUSE = 3
    SENTENCE = 4
    LINE = 5


class Finish(IntEnum):
    """Whether a sentence has ended, as far as that can be told without what follows."""

    NO = 0
    PERHAPS = 1
    """A number, an address or an abbreviation may go on: `3.` to `3.50`, `5 p.m.` to `5 p.m. sharp`.

    What a colon announces may come from a tool, much later.
    """
    YES = 2


class Scanner:
    """Tells, for each character of a text in turn, what stands after it.

    Attributes:
        mark: The mark that ended the sentence or clause, where `place` has just told one, else "" or undefined.
    """

    def __init__(self) -> None:
        self.mark = ""
        self._word = ""  # since the last white space, its end only
        self._stem = ""  # the word before a dot that stands alone, else ""
        self._before_mark = ""
        self._previous = ""
        self._abbreviated = False

    def place(self, char: str, following: str) -> Place:
        """What stands between `char` and `following` ("" at the end of the text)."""
        place = self._space(following) if _is_space(char) else self._letter(char, following)
        self._previous = char
        return Place.LINE if following in _NEWLINES else place

    def pass_over(self, letters: str) -> None:
        """As `place` for each of some letters or digits before another one: nothing stands between them."""
        self._abbreviated = False
        self.mark = ""
        self._word = (self._word + letters)[-_WORD_TAIL:]
        self._previous = letters[-1]

    def _space(self, following: str) -> Place:
        number = self._previous.isdigit() and following.isdigit()
        glued = number or self._abbreviated
        self._word = self.mark = ""
        if not _is_space(following):
            self._abbreviated = False
        return Place.GLUED if glued else Place.SPACE

    def _letter(self, char: str, following: str) -> Place:
        self._abbreviated = False
        if char in _MARKS:
            self._take_mark(char)
        elif not (self.mark and _closes(char, self.mark)):
            self.mark = ""
        self._word = (self._word + char)[-_WORD_TAIL:]
        if not self.mark or following in _MARKS or (following and _closes(following, self.mark)):
            return Place.NONE
        return self._ended(following)

    def _take_mark(self, char: str) -> None:
        self._stem = self._word if char == "." and not self.mark else ""
        if not self.mark:
            self._before_mark = self._previous
        self.mark = char

    def _ended(self, following: str) -> Place:
        if not self._stands_apart(following):
            return Place.NONE
        if self.mark == "." and _is_abbreviation(self._stem):
            self._abbreviated = True
            return Place.NONE
        return Place.SENTENCE if self.mark in _SENTENCE else Place.CLAUSE

    def _stands_apart(self, following: str) -> bool:
        if not following or _is_space(following):
            return True
        if self.mark in _SPACED:
            return self.mark != "." and bool(_UNSPACED_SCRIPT.match(following))
        inside_number = self._before_mark.isdigit() and following.isdigit()
        return not (inside_number and (self.mark in _CLAUSE or self.mark == "．"))


def is_speakable(text: str) -> bool:
    """Whether `text` has a letter or a digit of any script; a voice makes nothing of the rest alone."""
    # str.isalnum of one character is Unicode's categories L* and N*, in C.
    return any(map(str.isalnum, text))


def _is_abbreviation(word: str) -> bool:
    """Whether a dot after `word` belongs to it: `Dr`, `e.g`, `U.S.A`, the initial `J`."""
    word = _without_openers(word)
    lowered = word[:1].lower() + word[1:]  # `E.g.` at the start of a sentence
    initial = len(word) == 1 and word.lower() != word.upper()
    return (
        initial
        or word in _ABBREVIATIONS
        or lowered in _ABBREVIATIONS
        or word.casefold() in _ANY_CASE
        or _DOTTED.fullmatch(word) is not None
    )


def ends_sentence(text: str) -> bool:
    """Whether the last thing in `text` is a mark, with or without closers, and not the dot of a title."""
    word, mark = _last_word_and_mark(text)
    if mark != ".":
        return bool(mark)
    return bool(_AMOUNT.search(text)) or not (word in _TITLES or word.casefold() in _ANY_CASE)


def ends_whole_sentence(text: str) -> bool:
    """As `ends_sentence`, but a comma, a colon or the like is not enough."""
    _, mark = _last_word_and_mark(text)
    return mark in _SENTENCE and ends_sentence(text)


def finish(text: str) -> Finish:
    """Whether a sentence ends where `text` ends, as far as that can be told without what follows."""
    word, mark = _last_word_and_mark(text)
    if mark in _COLONS and not word[-1:].isdigit() and word.lower() not in _SCHEMES:
        return Finish.PERHAPS
    if mark not in _SENTENCE:
        return Finish.NO
    if mark not in _DOTS or word[-1:] in _MARKS:  # `Wait...`
        return Finish.YES
    if not ends_sentence(text):
        return Finish.NO
    return Finish.PERHAPS if _is_abbreviation(word) or _GOES_ON.search(word) else Finish.YES


def ends_one_word_sentence(text: str) -> bool:
    """Whether `text`, a single word, is a sentence of its own: `Yes.`, but not `J.`, `Inc.` or `Yes,`."""
    word, mark = _last_word_and_mark(text)
    return word != "" and mark in _SENTENCE and not (mark == "." and _is_abbreviation(word))


def ends_wide_sentence(text: str) -> bool:
    """Whether `text` ends in a sentence mark that is one without white space after it: `。`, `।`, `؟`."""
    _, mark = _last_word_and_mark(text)
    return mark != "" and mark in WIDE_SENTENCE


def joins(char: str, following: str) -> bool:
    """Whether `following` is read as part of `char`: a combining mark, a joined emoji, an Indic conjunct."""
    category = unicodedata.category(following)
    return (
        category[0] == "M"
        or category == "Cf"
        or "\U0001f3fb" <= following <= "\U0001f3ff"  # skin tones
        or char == _ZERO_WIDTH_JOINER
        or unicodedata.combining(char) == _VIRAMA
    )


def is_edge(char: str, following: str) -> bool:
    """Whether a word, number or address part ends at `char`, so that a cut there is the least harm."""
    if following.isspace() or char.isspace():
        return True
    return not (char.isalnum() or char in _MARKS or following in _MARKS or joins(char, following))


def _is_space(char: str) -> bool:
    return char.isspace() and char not in _NO_BREAK_SPACES


def _closes(char: str, mark: str) -> bool:
    category = unicodedata.category(char)
    if char in _QUOTES or category in _CLOSER_CATEGORIES:
        return True
    # German closes with “, which opens elsewhere; French puts a no-break space before ». After a mark that asks
    # for white space anyway, taking them for closers is no risk.
    return mark in _SPACED and (category == "Pi" or char in _NO_BREAK_SPACES)


def _without_openers(word: str) -> str:
    start = next((i for i, char in enumerate(word) if char.isalnum()), len(word))
    return word[start:]


def _last_word_and_mark(text: str) -> tuple[str, str]:
    """`Dr` and `.` of `I met Dr.)`; the mark is "" if `text` ends in none."""
    if text[-1:].isalnum():
        return "", ""
    end = len(text.rstrip())
    while end and text[end - 1] not in _MARKS and _closes(text[end - 1], "."):
        end -= 1
    mark = text[end - 1 : end]
    if mark not in _MARKS:
        return "", ""
    return _without_openers("".join(text[: end - 1].rsplit(None, 1)[-1:])), mark
