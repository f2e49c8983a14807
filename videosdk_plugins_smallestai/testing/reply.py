"""What the agent says in one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Self

from ..framework import SAMPLE_WIDTH
from .caller import Caller

__all__ = ["Reply", "current_reply"]


class Reply:
    """What the agent says in one turn, from its beginning on. Await it to wait for its end.

    ::

        reply = await c.ask("When is my appointment?")

        reply = c.ask("Tell me everything.")
        await reply.hears(1.5)
        await c.ask("Stop, please. When is it?")
        assert reply.interrupted
    """

    def __init__(
        self,
        caller: Caller,
        until: Callable[[Callable[[], Any], str], Awaitable[None]],
        work: Callable[[Reply], Coroutine[Any, Any, None]],
    ) -> None:
        self._caller = caller
        self._until = until
        self._start: int | None = None
        self._end: int | None = None
        self._handle: Any = None
        self._error: Exception | None = None
        self._over = False
        self._told = False
        self._task = asyncio.ensure_future(work(self))

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait until it has been heard, or was interrupted.

        Raises:
            Exception: What the voice, the model, a tool or a hook raised in this turn.
            TimeoutError: Nothing came of it for too long.
        """
        return self._wait().__await__()

    async def _wait(self) -> Self:
        try:
            await asyncio.shield(self._task)
        finally:
            self._told = self._told or self._task.done()
        return self

    async def hears(self, seconds: float) -> None:
        """Wait until the caller has heard so much of it.

        Raises:
            RuntimeError: It ended before.
            Exception: As for waiting for its end.
        """
        rate = self._caller.sample_rate
        size = round(seconds * rate) * SAMPLE_WIDTH
        await self._until(
            lambda: self._task.done() or len(self._heard) >= size, f"{seconds} s of the reply to be heard"
        )
        if len(self._heard) < size:
            await self
            heard = len(self._heard) / SAMPLE_WIDTH / rate
            raise RuntimeError(f"the reply ended after {heard:.2f} s, before {seconds} s of it were heard")

    @property
    def heard(self) -> bytes:
        """What the caller has heard of it: 16-bit PCM, mono, without the silence that fills its last frame."""
        pcm = self._heard
        end = len(pcm)
        while end >= SAMPLE_WIDTH and not any(pcm[end - SAMPLE_WIDTH : end]):
            end -= SAMPLE_WIDTH
        return pcm[:end]

    @property
    def gaps(self) -> list[float]:
        """The pauses in it, in seconds, in which the caller had nothing to hear although it went on."""
        if self._start is None:
            return []
        return [frames * self._caller.frame for frames in self._caller.silences_between(*self._span)]

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its end."""
        return self._handle is not None and bool(self._handle.interrupted)

    @property
    def _span(self) -> tuple[int, int]:
        sent = self._caller.sent
        return (sent if self._start is None else self._start), (sent if self._end is None else self._end)

    @property
    def _heard(self) -> bytes:
        return self._caller.heard_between(*self._span)

    def _outcome(self) -> BaseException | None:
        if self._task.done() and not self._task.cancelled():
            return self._task.exception()
        return self._error

    def _know_handle(self, handle: Any) -> None:
        self._handle = handle

    def _begin(self) -> None:
        """What is sent from now on is its audio."""
        self._start = self._caller.sent

    def _finish(self) -> None:
        """What is sent from now on is not, unless that was known before."""
        if self._end is None:
            self._end = self._caller.sent

    def _end_turn(self) -> None:
        """The framework has ended its turn."""
        self._over = True
        self._end = self._caller.sent

    def _failed(self, error: Exception) -> None:
        self._error = self._error or error


current_reply: ContextVar[Reply | None] = ContextVar("current reply", default=None)
"""The reply in which something happens: the framework's tasks inherit it from the caller's words on."""
