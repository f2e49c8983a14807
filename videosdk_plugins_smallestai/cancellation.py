"""Tells the cancellation of a task from that of something that the task waits for: both raise `CancelledError`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .log import Log

__all__ = ["is_being_cancelled", "run_callback"]


def is_being_cancelled() -> bool:
    """Whether somebody cancels the current task, so that a `CancelledError` is to be passed on."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def run_callback(callback: Callable[[], Awaitable[None]], log: Log, failed: str) -> None:
    """Await a callback of the user's. What it raises is logged, a `CancelledError` of its own too.

    Args:
        callback: Is called once.
        log: Where a failure is logged.
        failed: What is logged of it.

    Raises:
        CancelledError: The current task is cancelled.
    """
    try:
        await callback()
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        log.exception(failed)
