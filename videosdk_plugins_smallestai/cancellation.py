"""Tells the cancellation of a task from that of something that the task waits for: both raise `CancelledError`."""

from __future__ import annotations

import asyncio

__all__ = ["is_being_cancelled"]


def is_being_cancelled() -> bool:
    """Whether somebody cancels the current task, so that a `CancelledError` is to be passed on."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
