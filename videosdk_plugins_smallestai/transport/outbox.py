"""Queues what is to be sent on a WebSocket, so that callers need not wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import aiohttp

from ..errors import APIConnectionError, SmallestAIError

__all__ = ["BROKEN", "Outbox"]

BROKEN = (aiohttp.ClientError, OSError, RuntimeError)
"""Exceptions that a closed or broken socket raises."""


class Outbox:
    """Sends one thing after another, in a task of its own.

    Args:
        on_failure: Called when something could not be sent.
    """

    def __init__(self, on_failure: Callable[[SmallestAIError], None]) -> None:
        self._on_failure = on_failure
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    def put(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send something, after all that was put before."""
        self._waiting.append(send)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    def clear(self) -> None:
        """Give up what has not been sent."""
        self._waiting.clear()

    async def flushed(self) -> None:
        """Wait until all has been sent, or cannot be."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def aclose(self) -> None:
        """End what is being sent. The last call."""
        self._waiting.clear()
        self._on_failure = _nobody_waits  # its owner knows this one too: nothing is left for the garbage collector
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        except BROKEN as failure:
            reason = type(failure).__name__
        else:
            return
        self._waiting.clear()
        self._on_failure(APIConnectionError(f"The connection broke while sending a request ({reason})"))


def _nobody_waits(error: SmallestAIError) -> None:
    pass
