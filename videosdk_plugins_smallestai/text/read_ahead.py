"""`ReadAhead`: reads an async iterator to its end, however slowly or briefly its own reader reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

__all__ = ["ReadAhead"]

T = TypeVar("T")

_running: set[asyncio.Task[None]] = set()  # the event loop itself keeps only weak references to its tasks


class ReadAhead(AsyncIterator[T], Generic[T]):
    """Reads a source to its end in a task of its own, and gives what came, in order.

    The framework's queue in front of a voice holds 50 tokens. It must never stand full when a reply ends early,
    since nobody would empty it, and the language model's next answer waits for it. So whoever stops reading this
    stops only itself: the source is still read to its end.

    Args:
        source: What is read. From now on nobody else may.
        at_once: Read it without waiting for the reader; else, until `aclose`, only what the reader asks for.
    """

    def __init__(self, source: AsyncIterator[T], *, at_once: bool = True) -> None:
        self._items: deque[T] = deque()
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self._at_once = at_once
        self._wanted = True
        if at_once:
            self._asked.set()
        self._task = asyncio.ensure_future(self._read(source))
        _running.add(self._task)
        self._task.add_done_callback(self._forget)

    def __aiter__(self) -> ReadAhead[T]:
        return self

    async def __anext__(self) -> T:
        """The next item.

        Raises:
            StopAsyncIteration: The source has ended, or this was closed.
            BaseException: What the source raised, when all before it has been read.
        """
        while not self._items:
            if self._task.done() or not self._wanted:
                return self._end()
            self._news.clear()
            self._asked.set()
            await self._news.wait()
        return self._items.popleft()

    def _end(self) -> T:
        if self._wanted:
            self._wanted = False
            self._task.result()  # raises what the source raised, once
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Read nothing more from this. The source is still read to its end, and what comes is dropped."""
        self._wanted = False
        self._items.clear()
        self._news.set()
        self._asked.set()

    def cancel(self) -> None:
        """Stop reading the source too."""
        self._task.cancel()

    async def _read(self, source: AsyncIterator[T]) -> None:
        items = aiter(source)
        while True:
            await self._asked.wait()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            if self._wanted:
                if not self._at_once:
                    self._asked.clear()
                self._items.append(item)
                self._news.set()

    def _forget(self, task: asyncio.Task[None]) -> None:
        _running.discard(task)
        self._news.set()
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not warn of one that nobody reads any more
