"""Posts what happens to a reply's transport."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from .base import Failed, TransportEvent

__all__ = ["Events"]


class Events:
    """Posts events in the order in which they happened, and none from within a call of the transport's user.

    Args:
        post: Called with each event.
    """

    def __init__(self, post: Callable[[TransportEvent], None]) -> None:
        self._post = post
        self._pending: deque[TransportEvent] = deque()
        self._flushing: asyncio.Handle | None = None

    def post(self, event: TransportEvent) -> None:
        """Post an event now. Not to be called from within a call of the transport's user."""
        if self._pending:
            self._flush()
        self._post(event)

    def post_soon(self, event: TransportEvent) -> None:
        """Post an event as soon as the event loop comes to it."""
        self._pending.append(event)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)

    def discard(self, stream: int) -> None:
        """Do not post that a stream has failed. What else is of one stream is posted at once."""
        self._pending = deque(e for e in self._pending if not (isinstance(e, Failed) and e.streams == (stream,)))

    def clear(self) -> None:
        """Post nothing more of what has happened so far."""
        self._pending.clear()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        while self._pending:
            self._post(self._pending.popleft())
