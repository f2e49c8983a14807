"""Continuations: the fragments of one reply, joined as they are and released to the voice.

Text that continues without a ``context_id`` is the older form: it is held until it ends or is flushed.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from typing import Any

from .channel import Lane
from .orders import MAX_TEXT, Order

SHORTEST = 10
"""Characters below which no sentence end releases what is buffered. The vendor says "not too short"; assumed."""

# "3." may become "3.5" until white space follows.
_SENTENCE_END = re.compile(r"(?:[?!…]|(?<!\d)\.|\.(?=\s))['\"”’)\]]*\s*\Z")
_ABBREVIATION = re.compile(r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs)\.\s*\Z")


class Context:
    """The text of one continuation that has not been released yet, and how many of its releases are being served.

    Attributes:
        older: Whether it has no id: no sentence end releases it, and it gets one ``complete``. Both the vendor's
            SDK and LiveKit's plugin take the first one for the end of all.
        turn: Held while a release is taken out and accepted, so that releases keep their order.
        lane: Where its releases are served in turn, on a connection that serves requests interleaved.
    """

    def __init__(self, *, older: bool = False) -> None:
        self.older = older
        self.turn = asyncio.Lock()
        self.lane = Lane()
        self._buffer = ""
        self._began = 0.0
        self._body: dict[str, Any] = {}
        self._order = Order("", "")
        self._closed = False
        self._releases = 0
        self._pending = 0

    @property
    def body(self) -> dict[str, Any]:
        """The latest message; its settings are those of the next release."""
        return self._body

    @property
    def order(self) -> Order:
        """What the latest message asks for."""
        return self._order

    @property
    def closed(self) -> bool:
        """Whether no more text follows."""
        return self._closed

    @property
    def releases(self) -> int:
        """How many releases there have been."""
        return self._releases

    @property
    def resting(self) -> bool:
        """Whether the last chunk of each release has been sent."""
        return not self._pending

    def add(self, body: dict[str, Any], order: Order) -> None:
        """Join a message's text to what is buffered."""
        if not self._buffer.strip():
            self._began = asyncio.get_running_loop().time()
        self._buffer += str(body.get("text") or "")
        self._body, self._order = body, order
        self._closed = not body.get("continue", False)

    def due(self, merge_within: float) -> float:
        """Return when what is buffered is to be released, in ``loop.time()``; ``inf``: not before more comes.

        Args:
            merge_within: Seconds for which fragments are collected, whatever asks for the release.
        """
        if not self._buffer.strip():
            return math.inf
        if self._closed:
            return self._began
        if self.older:
            return self._began + self._order.flush_delay
        at_once = _ends_a_sentence(self._buffer) or len(self._buffer) > MAX_TEXT
        return self._began + max(merge_within, 0.0 if at_once else self._order.buffer_delay)

    def take(self) -> str:
        """Take out all that is buffered, as a release; ``""`` if none of it can be spoken."""
        text, self._buffer = self._buffer, ""
        if not text.strip():
            return ""
        self._releases += 1
        self._pending += 1
        return text

    def served(self) -> None:
        """Count a release as served: its last chunk has been sent, or it was refused."""
        self._pending -= 1

    def discard(self) -> None:
        """Drop what is buffered. What has been released is still spoken."""
        self._buffer = ""

    def close(self) -> None:
        """Drop what is buffered and take no more."""
        self.discard()
        self._closed = True


def continues(body: Mapping[str, Any], context: Context | None) -> bool:
    """Return whether a message is part of a continuation.

    Args:
        body: The message.
        context: The last continuation of the same ``context_id`` (or of none), if there was one.
    """
    if body.get("context_id") is not None or body.get("continue") is True:
        return True
    is_open = context is not None and not context.closed
    return is_open and ("continue" in body or flushes(body) or body.get("text") == "")


def flushes(body: Mapping[str, Any]) -> bool:
    """Return whether a message asks to speak what is buffered."""
    return body.get("flush") is True


def _ends_a_sentence(text: str) -> bool:
    ends = _SENTENCE_END.search(text) is not None and _ABBREVIATION.search(text) is None
    return ends and len(text.strip()) >= SHORTEST
