"""Respells words before they are sent, so that a voice says them as the caller wants. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

from .sentences import Place, Scanner, is_speakable

__all__ = ["LONGEST", "Pronunciations"]

LONGEST = 200
"""Characters of a respelling, at most: a request has 250, and what is attached to the word must fit too."""

# Written without spaces between words: Thai, Lao, Burmese, Khmer, hiragana, Han. Katakana and Hangul make words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_JOINERS = frozenset("_\u200c\u200d")  # Persian and Indic words have zero-width ones inside
# A word that goes on after a mark: the 4 of `4.5`, the Don of `Don't`. But `SQL's` and `TBMM'nin` are SQL and TBMM.
_GOES_ON = re.compile(r"(?<=\d)[.,:]\d|(?<=\w)['’][tT](?!\w)")
_WORD = re.compile(r"\S+")


class Pronunciations:
    """Words and phrases of the caller's, and how they are respelled.

    A key is found where it stands as a whole word, with the case that it has. A hyphen or an apostrophe beside it
    is no part of the word (``SQL-based``, ``SQL's``), a combining mark is. In scripts without spaces between words
    it is found anywhere. Of keys that begin at the same place the longest is taken, and a respelling is not
    respelled again.

    Args:
        spellings: From what the caller writes to what is sent instead.

    Raises:
        ValueError: A key or a respelling cannot be used.
    """

    def __init__(self, spellings: Mapping[str, str]) -> None:
        self._rules: dict[str, list[tuple[re.Pattern[str], str]]] = {}  # by the first character, the longest first
        for written, said in sorted(spellings.items(), key=lambda item: -len(item[0])):
            words, said = written.split(), " ".join(said.split())
            _check(" ".join(words), said)
            pattern = re.compile(r"\s+".join(map(re.escape, words)))
            self._rules.setdefault(words[0][0], []).append((pattern, said))

    @staticmethod
    def of(spellings: Mapping[str, str] | None) -> Pronunciations:
        """Those of an argument, made once for the same contents.

        Raises:
            TypeError: It is no mapping of ``str`` to ``str``.
            ValueError: A key or a respelling cannot be used.
        """
        expected = "pronunciations must be a mapping from str to str, such as {'SQL': 'sequel'}"
        if not isinstance(spellings, Mapping | None):
            raise TypeError(f"{expected}; got {type(spellings).__name__}")
        items = tuple((spellings or {}).items())
        for written, said in items:
            if not (isinstance(written, str) and isinstance(said, str)):
                raise TypeError(f"{expected}; got {written!r}: {said!r}")
        return _made(items)

    def spell(self, text: str) -> list[str]:
        """What is said for each character of a text; joined, what is said for the text.

        Most characters stand for themselves. Those of a word that is respelled share the respelling, in its order:
        each word of a phrase has as many of its words, as far as there are enough.
        """
        spelled = list(text)
        for start, end, said in self.places(text):
            spelled[start:end] = _shares(text[start:end], said)
        return spelled

    def places(self, text: str) -> Iterator[tuple[int, int, str]]:
        """What is respelled: where it begins and ends, and what is said instead."""
        end = 0
        for start, char in enumerate(text):
            if start < end or char not in self._rules or not _is_boundary(text, start, start - 1):
                continue
            for pattern, said in self._rules[char]:
                found = pattern.match(text, start)
                if found is not None and _is_boundary(text, found.end(), found.end()):
                    end = found.end()
                    yield start, end, said
                    break


@lru_cache(maxsize=64)
def _made(items: tuple[tuple[str, str], ...]) -> Pronunciations:
    return Pronunciations(dict(items))


def _check(written: str, said: str) -> None:
    scanner = Scanner()
    cut = any(scanner.place(char, following) >= Place.CLAUSE for char, following in pairwise(written))
    if cut or not is_speakable(written):
        raise ValueError(
            "pronunciations: a word or phrase must have a letter or digit, and no mark inside that ends a sentence "
            f"or a clause, since the text may be cut there; got {written!r}"
        )
    if not is_speakable(said) or len(said) > LONGEST:
        raise ValueError(
            f"pronunciations: what is said for {written!r} must have a letter or digit, and at most {LONGEST} "
            f"characters; got {said!r}"
        )


def _is_boundary(text: str, at: int, outside: int) -> bool:
    """Whether a word may begin or end there, as the character shows that would be outside of it."""
    if at in (0, len(text)):
        return True
    if _GOES_ON.match(text, at) or _GOES_ON.match(text, at - 1):
        return False
    before, after = text[at - 1], text[at]
    if not _in_word(text[outside]):
        return True
    mark = unicodedata.category(after)[0] == "M" or after in _JOINERS or before in _JOINERS
    return not mark and bool(_UNSPACED.match(before) or _UNSPACED.match(after))


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M" or char in _JOINERS


def _shares(written: str, said: str) -> list[str]:
    """What is said for each character of a word or phrase."""
    spelled = [""] * len(written)
    words = list(_WORD.finditer(written))
    starts = [word.start() for word in _WORD.finditer(said)]
    ends = [*(starts[number * len(starts) // len(words)] for number in range(len(words))), len(said)]
    for word, (start, end) in zip(words, pairwise(ends), strict=True):
        steps = [start + index * (end - start) // len(word[0]) for index in range(len(word[0]) + 1)]
        spelled[word.start() : word.end()] = [said[first:last] for first, last in pairwise(steps)]
    return spelled
