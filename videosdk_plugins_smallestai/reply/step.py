"""One call of the reply machine: when it is, what the listener still has to hear, and what is to be done."""

from __future__ import annotations

import math

from .effects import Effect

__all__ = ["Step"]


class Step:
    """One event, while it is dealt with.

    Args:
        now: When, in seconds.
        buffered: Seconds that the listener still has to hear; ``None`` where nobody listens.

    Attributes:
        effects: What is to be done, in order.
        wake_at: When to look again at the latest, if nothing happens before.
    """

    __slots__ = ("buffered", "effects", "now", "wake_at")

    def __init__(self, now: float, buffered: float | None) -> None:
        self.now = now
        self.buffered = buffered
        self.effects: list[Effect] = []
        self.wake_at = math.inf

    def do(self, effect: Effect) -> None:
        """Have something done."""
        self.effects.append(effect)

    def wake(self, at: float) -> None:
        """Look again then."""
        self.wake_at = min(self.wake_at, at)

    def is_due(self, at: float) -> bool:
        """Whether that time has come; else look again then."""
        if self.now >= at:
            return True
        self.wake(at)
        return False
