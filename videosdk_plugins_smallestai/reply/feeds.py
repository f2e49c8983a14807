"""What the driver is fed from: the inbox of events, and the task that takes the text."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from ..cancellation import is_being_cancelled
from ..text.segmenter import ReplyText
from . import effects as fx

__all__ = ["Inbox", "Reader"]


class Inbox:
    """The events of one reply, in order, for one reader."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> bool:
        """Whether there is one."""
        return bool(self._events)

    def put(self, event: Any) -> None:
        """Add one; after `close` it is dropped."""
        if self._closed:
            return
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> Any:
        """The next one."""
        while not self._events:
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._events.popleft()

    def close(self) -> None:
        """Drop what is queued, and what is still put."""
        self._closed = True
        self._events.clear()


class Reader:
    """Takes the text segment by segment, in a task of its own, as the machine asks for it."""

    def __init__(self, text: ReplyText, post: Callable[[Any], None]) -> None:
        self._text = text
        self._post = post
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Take the next segment."""
        self._asked.set()
        if self._task is None:
            self._task = asyncio.create_task(self._read())

    def stop(self) -> None:
        """Take nothing more from the caller; what was taken before still comes."""
        self._text.stop()

    async def aclose(self) -> None:
        """Take nothing more; an item that is being awaited is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _read(self) -> None:
        try:
            async with aclosing(self._text.segments()) as segments:
                async for segment in segments:
                    self._asked.clear()
                    self._post(fx.TextCame(segment.text, segment.lead, segment.spoken))
                    await self._asked.wait()
        except Exception as error:  # the caller's own: raised when what was taken before has been spoken
            self._post(fx.TextFailed(error))
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._post(fx.TextFailed(error))  # something that the text waits for: the caller's own as well
        else:
            self._post(fx.TextEnded())
