"""Computes what the listener still has to hear, from what was pushed and when. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Playhead"]


class Playhead:
    """Follows a listener who hears audio from the moment it is pushed, in real time.

    Args:
        clock: The time, in seconds.

    Attributes:
        pushed: Seconds of audio in all.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.pushed = 0.0
        self._clock = clock
        self._heard_until = 0.0  # on a clock that stands still during a pause
        self._paused_at: float | None = None

    @property
    def remaining(self) -> float:
        """Seconds that the listener still has to hear."""
        return max(0.0, self._heard_until - self._now())

    @property
    def heard_until(self) -> float:
        """When the listener will have heard all, if nothing more is pushed; during a pause, if it ended now."""
        if self._paused_at is None:
            return self._heard_until
        return self._heard_until + self._clock() - self._paused_at

    def push(self, seconds: float) -> float:
        """So much audio is there to be heard from now on, after what was pushed before.

        Returns:
            Seconds of silence that the listener has heard since the audio before it; pauses do not count.
        """
        now = self._now()
        silence = max(0.0, now - self._heard_until) if self.pushed else 0.0
        self.pushed += seconds
        self._heard_until = max(now, self._heard_until) + seconds
        return silence

    def drop(self) -> None:
        """What is left will not be heard, and a pause is over."""
        self._paused_at = None
        self._heard_until = min(self._heard_until, self._clock())

    def pause(self) -> None:
        """The listener hears nothing until `resume`. Does nothing during a pause."""
        if self._paused_at is None:
            self._paused_at = self._clock()

    def resume(self) -> None:
        """The listener hears again. Does nothing without a pause."""
        self._heard_until = self.heard_until
        self._paused_at = None

    def _now(self) -> float:
        return self._clock() if self._paused_at is None else self._paused_at
