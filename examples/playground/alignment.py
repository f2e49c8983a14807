"""Which part of a reply's text became which request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher


def aligned(written: str, filtered: str, sent: Sequence[str], *, whole: bool) -> list[dict[str, str]]:
    """A row for each request: what the model wrote for it, what the filter left of that, and what was sent.

    Args:
        written: The model's text.
        filtered: What the filter made of it.
        sent: The requests' texts, in their order, without those that were repeated.
        whole: The text has ended: what follows the last request belongs to it.
    """
    own, left = _words(written), _words(filtered)
    ends, count = [], 0
    for text in sent:
        count += len(_words(text))
        ends.append(count)
    left_ends = _ends(_words(" ".join(sent)), left, ends)
    own_ends = _ends(left, own, left_ends)
    if whole and sent:
        left_ends[-1], own_ends[-1] = len(left), len(own)
    return [
        {"written": "".join(own[a:b]).strip(), "filtered": "".join(left[c:d]).strip(), "sent": text}
        for a, b, c, d, text in zip([0, *own_ends], own_ends, [0, *left_ends], left_ends, sent, strict=False)
    ]


def _words(text: str) -> list[str]:
    """The words, each with the white space before it."""
    return re.findall(r"\s*\S+", text)


def _key(word: str) -> str:
    return re.sub(r"[\W_]", "", word).casefold() or word.strip()


def _ends(words: list[str], others: list[str], ends: list[int]) -> list[int]:
    """Where among `others` the parts of `words` end that end at `ends`."""
    steps = SequenceMatcher(None, [*map(_key, words)], [*map(_key, others)], autojunk=False).get_opcodes()
    found = []
    for end in ends:
        place = 0
        for kind, start, stop, other_start, other_stop in steps:
            if start < end < stop:
                place = other_start + (end - start) if kind == "equal" else other_stop
            elif stop <= end and kind != "insert":
                place = other_stop
            elif kind == "insert" and stop == end:  # what was taken out, such as an emoji, up to the line's end
                line_ends = [i for i in range(other_start, other_stop) if "\n" in others[i]]
                place = min([other_stop, *line_ends])
        found.append(place)
    return found
