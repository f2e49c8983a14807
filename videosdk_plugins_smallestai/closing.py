"""Tells whether an object is being closed, so that nothing is opened meanwhile that nobody would close."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Closing"]


class Closing:
    """The calls of ``aclose`` in progress; true while there are any.

    Of one event loop: one that ends in the middle of a call must not count in the next loop.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any] | None] = set()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Note that the current task closes the object, for as long as the block lasts."""
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)
