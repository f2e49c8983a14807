"""Virtual time with real sockets: a wait costs nothing, and what else the machine does is not heard.

Plugin and emulator share one event loop and talk over loopback. While bytes are on their way no time passes; once
no socket has any, time jumps to the next timer. So a wait of 15 seconds takes milliseconds, and times are exact.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["in_virtual_time"]

TICK = 1e-6
"""Seconds that each turn of the loop takes: a clock that stands still would let a wait of 1e-17 s spin for ever."""

ON_ITS_WAY = 0.001
"""Real seconds to wait for bytes before time jumps. The kernel mostly hands them over at once."""

HUNG = 10.0
"""Real seconds without a byte, and with no timer set, after which nothing will ever come."""

LONGEST = 600.0
"""Virtual seconds of a test that tries something for ever; none of ours takes as long."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += TICK
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        ready = super().select(HUNG if timeout is None else ON_ITS_WAY)
        if not ready:
            if timeout is None or self.now > LONGEST:
                raise RuntimeError("everything waits for what will never happen")
            self.now += timeout
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time. None of its fixtures may need an event loop."""

    @functools.wraps(test)
    def run(*args: Any, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
            runner.run(test(*args, **arguments))

    return run
