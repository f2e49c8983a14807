"""The words of one reply, from their text to the moment when they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .wordclock import WordClock
from .words import SpokenPiece, WordPlan

__all__ = ["SpokenWords"]


class SpokenWords:
    """Tells each word of a reply when the listener hears it, also after the reply has been sent to its track.

    Args:
        track: What the reply is heard on.
        emit: Takes the event.
    """

    def __init__(self, track: Any, emit: Callable[[dict[str, str]], None]) -> None:
        self._plan = WordPlan()
        self.clock = WordClock(self._plan, track, emit)
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The reply begins."""
        self.clock.note_start()
        self._telling = asyncio.ensure_future(self.clock.run())

    def begin(self, text: str, at: float, speed: float) -> SpokenPiece:
        """A piece of the reply is played, from a place of the reply's audio (seconds) on."""
        return self._plan.begin(text, at, speed)

    @property
    def pending(self) -> bool:
        """Whether words are still to be told."""
        return self._telling is not None and not self._telling.done()

    def stop(self) -> None:
        """Tell nothing any more, from this moment on."""
        self.clock.stop()
        if self._telling is not None:
            self._telling.cancel()

    async def aclose(self) -> None:
        """Stop, and leave no task behind."""
        self.stop()
        if self._telling is not None:
            await asyncio.wait({self._telling})
