"""Leaves out the block of reasoning with which some language models begin what they write. Pure: no asyncio."""

from __future__ import annotations

import re
from enum import Enum, auto

__all__ = ["REASONING_TAGS", "Reasoning"]

REASONING_TAGS = ("think", "thinking", "thought", "reasoning")
"""Names. The first is DeepSeek's and Qwen's; prompts ask for the others."""

_OPENS = re.compile(r"\s{0,100}<([A-Za-z]{1,9})>")
_MAY_OPEN = re.compile(r"\s{0,100}(?:<([A-Za-z]{0,9}))?")


class _Place(Enum):
    BEFORE = auto()
    INSIDE = auto()
    AFTER = auto()
    """White space may still come that belongs to the block."""
    BEYOND = auto()


class Reasoning:
    """Reads a text, and leaves out of it ``<think>...</think>`` where that stands at its beginning.

    Elsewhere the tag is a word like others (but see `marks` for one that only ends). What is spoken does not depend
    on how the text is divided.
    """

    def __init__(self) -> None:
        self._place = _Place.BEFORE
        self._held = ""  # of the beginning, until it is clear what it is; of the block, what may begin its end
        self._tag = ""  # that ends it

    @property
    def is_open(self) -> bool:
        """Whether the block has begun, and not ended."""
        return self._place is _Place.INSIDE

    def feed(self, text: str) -> str:
        """Take more of the text; what of it is no reasoning, perhaps ""."""
        if self._place is _Place.BEYOND:
            return text
        self._held += text
        if self._place is _Place.BEFORE:
            self._look_for_beginning()
        if self._place is _Place.INSIDE:
            self._look_for_end()
        if self._place is _Place.AFTER:
            self._held = self._held.lstrip()
            if self._held:
                self._place = _Place.BEYOND
        return self.finish() if self._place is _Place.BEYOND else ""

    def finish(self) -> str:
        """Nothing more comes; what was held back and is no reasoning."""
        if self.is_open:
            return ""
        text, self._held = self._held, ""
        return text

    def _look_for_beginning(self) -> None:
        found = _OPENS.match(self._held)
        if found and found[1].lower() in REASONING_TAGS:
            self._place = _Place.INSIDE
            self._held = self._held[found.end() :]
            self._tag = f"</{found[1]}>"
        elif not self._may_begin():
            self._place = _Place.BEYOND

    def _may_begin(self) -> bool:
        found = _MAY_OPEN.fullmatch(self._held)
        return found is not None and any(name.startswith((found[1] or "").lower()) for name in REASONING_TAGS)

    def _look_for_end(self) -> None:
        if found := re.search(self._tag, self._held, re.I | re.A):
            self._place = _Place.AFTER
            self._held = self._held[found.end() :]
        else:
            self._held = self._held[1 - len(self._tag) :]
