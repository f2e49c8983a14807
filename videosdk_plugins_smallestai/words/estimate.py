"""Splits a text into words, and estimates how long each takes to say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ..sentences import OTHER_CLAUSE, SPACED_CLAUSE, SPACED_SENTENCE, WIDE_CLAUSE, WIDE_SENTENCE, joins

__all__ = ["Unit", "key_of", "units", "weight"]

_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WIDE_MARK = re.compile("[\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")
_WIDE = re.compile(f"{_KANA.pattern}|{_HAN.pattern}|{_WIDE_MARK.pattern}")

_TRAILING_LETTERS = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ")

_SENTENCE = frozenset(SPACED_SENTENCE + WIDE_SENTENCE)
_CLAUSE = frozenset(SPACED_CLAUSE + OTHER_CLAUSE) | WIDE_CLAUSE
_SPOKEN_SYMBOLS = frozenset("%&@#+=/°€$£¥₹")
_SPOKEN_SEPARATOR = re.compile(r"(?<=\d)[.,](?=\d)")  # "thousand", "point"

# In letters of average length. Tuned on eSpeak NG's English and Hindi, see tests/words/test_timeline.py.
_WORD = 1.0  # each word, however short
_DIGIT = 5.0  # `1,299.50`: a digit is a word
_CAPITAL = 2.5  # in `NBA`, spelt
_SYMBOL = 6.0
_CLAUSE_PAUSE = 4.0
_SENTENCE_PAUSE = 6.0
_LAST_PAUSE = 2.0  # after the last word there is hardly any audio
_SCRIPTS = (
    (_KANA, 1.0),  # a mora, beside the word's own
    (_HAN, 2.5),  # Han: a syllable, with a tone
    (re.compile("[\uac00-\ud7af]"), 2.5),  # Hangul: a syllable
    (re.compile("[\u0900-\u0dff]"), 1.8),  # vowels are marks or not written
    (re.compile("[\u0590-\u07ff]"), 1.5),  # Hebrew and Arabic: short vowels are not written
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A word, or what stands for one in scripts without spaces.

    Attributes:
        text: As it is written, with its punctuation.
        joint: "" or " ": what stands before it.
        spoken: What is said for it: the text, unless it is respelled. "" where the word after it is said for both.
    """

    text: str
    joint: str
    spoken: str


def units(text: str, spell: Callable[[str], list[str]] = list) -> list[Unit]:
    """The words of a text: what stands between white space, and each character of unspaced scripts.

    Args:
        text: The text.
        spell: Tells what is said for each character of it.
    """
    found: list[Unit] = []
    spelled, end = spell(text), 0
    spaced = text[:1].isspace()
    for word in text.split():
        for part in _parts(word):
            start = text.index(part, end)
            end = start + len(part)
            found.append(Unit(part, " " if spaced else "", "".join(spelled[start:end]).strip()))
            spaced = False
        spaced = True
    return found


def key_of(word: str) -> str:
    """What of a word is compared: letters, digits and marks, without case. "" if there is nothing of these."""
    return "".join(char for char in word.casefold() if unicodedata.category(char)[0] in "LNM")


def weight(word: str, *, last: bool = False) -> float:
    """How long it takes to say a word and to pause after it, in letters of average length.

    Args:
        word: The word, with its punctuation.
        last: Whether it is the last word of what is spoken in one go.
    """
    spelt = len(word) > 1 and word.isupper() and word.isascii() and sum(map(str.isalpha, word)) <= 3
    said = sum(_CAPITAL if spelt and char.isalpha() else _char_weight(char) for char in word)
    said += _SYMBOL * len(_SPOKEN_SEPARATOR.findall(word))
    return (said + _WORD if said else 0.0) + (_LAST_PAUSE if last else _pause(word))


def _char_weight(char: str) -> float:
    if char.isascii():
        if char.isalpha():
            return 1.0
        return _DIGIT if char.isdigit() else _SYMBOL if char in _SPOKEN_SYMBOLS else 0.0
    if char.isdigit():
        return _DIGIT
    if not char.isalnum():
        return _SYMBOL if char in _SPOKEN_SYMBOLS else 0.0
    return next((value for script, value in _SCRIPTS if script.match(char)), 1.0)


def _pause(word: str) -> float:
    for char in reversed(word):
        if char in _SENTENCE:
            return _SENTENCE_PAUSE
        if char in _CLAUSE:
            return _CLAUSE_PAUSE
        if char.isalnum():
            return 0.0
    return 0.0


def _parts(word: str) -> list[str]:
    if word.isascii():
        return [word]
    found, start = [], 0
    for index in range(1, len(word)):
        if _divides(word[index - 1], word[index]):
            found.append(word[start:index])
            start = index
    return [*found, word[start:]]


def _divides(char: str, following: str) -> bool:
    """Whether a unit ends between two characters."""
    if joins(char, following) or _opens(char) or not (following.isalnum() or _opens(following)):
        return False
    if following in _TRAILING_LETTERS or unicodedata.category(following) == "Lm":
        return False
    return bool(_WIDE.match(char) or _WIDE.match(following))


def _opens(char: str) -> bool:
    return unicodedata.category(char) in ("Ps", "Pi")
