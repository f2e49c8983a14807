"""What is going on, on the standard error: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

SELDOM = 10.0
"""Seconds between lines where they cannot be overwritten."""


class Progress:
    """Shows how far a long run has come.

    Args:
        out: Where to.
        clock: In seconds.
    """

    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()
        self._started = clock()
        self._last = float("-inf")
        self._what = ""
        self._width = 0

    def say(self, text: str) -> None:
        """Something that is worth a line of its own."""
        self.end()
        print(f"[{self._clock() - self._started:5.0f} s] {text}", file=self._out, flush=True)

    def begin(self, done: int, total: int, what: str) -> None:
        """A contestant begins."""
        self._what = f"{done + 1} of {total}: {what}"
        self._last = float("-inf")

    def step(self, part: str, done: int, total: int) -> None:
        """So much of a part is done."""
        now = self._clock()
        if not self._terminal and now - self._last < SELDOM and done < total:
            return
        self._last = now
        text = f"[{now - self._started:5.0f} s] {self._what}, {part}: {done} of {total}"
        if self._terminal:
            print(f"\r{text.ljust(self._width)}", end="", file=self._out, flush=True)
            self._width = len(text)
        else:
            print(text, file=self._out, flush=True)

    def end(self) -> None:
        """Leave the line that changes."""
        if self._width:
            print(file=self._out, flush=True)
            self._width = 0
