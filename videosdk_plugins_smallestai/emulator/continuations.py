"""Continuations: the fragments of one reply, joined as they are and released at sentence ends.

Text that continues without a ``context_id`` is the older form: it is held until it ends or is flushed.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from typing import Any

from .channel import Lane
from .orders import Order

DEFAULT_DELAY = 3.0
"""Seconds without new text until what is buffered is released, where the message does not say."""

# A sentence end counts once white space follows it: "3." may become "3.5".
_SENTENCE_END = re.compile(r"[.!?。！？।॥…]['\"”’)\]]*(?=\s)|[。！？।॥]")


class Context:
    """The text of one continuation that has not been released yet.

    Attributes:
        body: The latest message; its settings are those of the next release.
        order: What that message asks for.
        due: When what is buffered is released without a sentence end, in ``loop.time()``.
        closed: Whether the closing message has come.
        pending: Releases whose last chunk has not been sent yet.
        spoken: Whether anything has been released.
        older: Whether it has no id: no sentence end releases it, and it gets one ``complete``. Both the vendor's
            SDK and LiveKit's plugin take the first one for the end of all.
        turn: Held while a release is taken out and taken in, so that releases keep their order.
        lane: Where its releases are served in turn, on a connection that serves all at once.
        timer: Releases what has waited too long.
    """

    def __init__(self, *, older: bool = False) -> None:
        self.older = older
        self.body: dict[str, Any] = {}
        self.order = Order("", "")
        self.due = 0.0
        self.closed = False
        self.pending = 0
        self.spoken = False
        self.turn = asyncio.Lock()
        self.lane = Lane()
        self.timer: asyncio.Task[None] | None = None
        self._buffer = ""

    @property
    def over(self) -> bool:
        """Whether everything has been sent."""
        return self.closed and not self.pending

    @property
    def has_text(self) -> bool:
        """Whether anything is buffered that can be spoken."""
        return bool(self._buffer.strip())

    def add(self, body: dict[str, Any], order: Order) -> None:
        """Join a message's text to what is buffered."""
        text = str(body.get("text") or "")
        self._buffer += text
        self.body, self.order = body, order
        if text:
            self.due = asyncio.get_running_loop().time() + self._delay()
        self.closed = not body.get("continue", False) and (self.older or not _only_flushes(body))

    def take(self, *, everything: bool) -> str:
        """Take out what is released: all of it, or up to the last sentence end."""
        ends = [] if self.older else [match.end() for match in _SENTENCE_END.finditer(self._buffer)]
        cut = len(self._buffer) if everything or self.closed else (ends[-1] if ends else 0)
        text, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return text

    def _delay(self) -> float:
        if self.older:
            return self.body.get("max_buffer_flush_ms", 0) / 1000 or math.inf
        return float(self.body.get("max_buffer_delay_ms", DEFAULT_DELAY * 1000) / 1000)


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


def _only_flushes(body: Mapping[str, Any]) -> bool:
    return flushes(body) and not body.get("text") and "continue" not in body
