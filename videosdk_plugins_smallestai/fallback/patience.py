"""How long a voice of any make may take before it is taken for hung."""

from __future__ import annotations

import asyncio

from ..playhead import Playhead
from ..timing import Timing

__all__ = ["Patience"]


class Patience:
    """Waits for one voice. To be made in a running event loop.

    Args:
        timing: The waits.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._now = asyncio.get_running_loop().time
        self._listener = Playhead(self._now)
        self._heard_at = self._now()
        self._ends_at: float | None = None
        self._told_to_end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def expect(self) -> None:
        """From now on, if no audio of an earlier text is to be heard, the voice is expected to bring some."""
        self._listener.push(0.0)

    def hear(self, seconds: float) -> None:
        """The voice has brought audio."""
        self._listener.push(seconds)
        self._heard_at = self._now()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self._listener.pause()

    def resume(self) -> None:
        """The listener hears the voice again."""
        self._listener.resume()

    def tell_to_end(self) -> None:
        """The voice has failed or is stopped: it may still say what it has."""
        if self._ends_at is None:
            self._ends_at = self._now()
            self._told_to_end.set_result(None)

    def left(self, *, asks: bool) -> float:
        """Seconds that the voice may still take.

        Args:
            asks: Whether it waits for text, so that nothing can be expected of it.
        """
        if self._ends_at is not None:
            return max(self._ends_at, self._heard_at) + self._timing.fallback_grace - self._now()
        if asks:
            return self._timing.fallback_silence
        # Some wait until what they have brought has been heard.
        return self._listener.heard_until + self._timing.fallback_silence - self._now()

    async def wait(self, task: asyncio.Task[None], seconds: float) -> None:
        """Wait until the voice has ended or is told to, at most so long."""
        waits = {task} if self._told_to_end.done() else {task, self._told_to_end}
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
