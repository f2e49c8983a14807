"""What a reply knows of its way to the service: whether it is open, what it is like, and whether it is alive."""

from __future__ import annotations

import math
from enum import Enum, auto

from ..transport.base import Habits, Opened, Traits
from .retry import RetryPolicy

__all__ = ["Line", "LineState"]


class LineState(Enum):
    """Whether requests can be sent."""

    CLOSED = auto()
    OPENING = auto()
    OPEN = auto()


class Line:
    """The transport as one reply has seen it so far.

    Attributes:
        state: Whether requests can be sent.
        traits: How the route serves requests.
        habits: What the server was seen to do on this connection.
        route: How often the reply has moved on to another model.
        reopen_at: It is not opened earlier.
        policy: Counts the failures to open it while no segment waits for it.
        pinged_at: When the newest ping was sent.
    """

    def __init__(self) -> None:
        self.state = LineState.CLOSED
        self.traits = Traits()
        self.habits = Habits()
        self.route = 0
        self.reopen_at = -math.inf
        self.policy = RetryPolicy()
        self.pinged_at = -math.inf
        self._answered = False
        self._opened_once = False

    @property
    def opened_once(self) -> bool:
        """Whether the service was there at all."""
        return self._opened_once

    def opening(self) -> None:
        """It is being opened."""
        self.state = LineState.OPENING

    def opened(self, event: Opened) -> None:
        """It is open."""
        self.state = LineState.OPEN
        self.traits, self.habits = event.traits, event.habits
        self.policy = RetryPolicy()
        self.pinged_at = -math.inf
        self._answered = False
        self._opened_once = True

    def lost(self, reopen_at: float = -math.inf) -> None:
        """It is not open any more, and not to be opened before then."""
        self.state = LineState.CLOSED
        self.reopen_at = reopen_at

    def move_on(self) -> None:
        """It leads to another model from now on."""
        self.lost()
        self.route += 1

    def ping(self, now: float) -> None:
        """A ping is sent."""
        self.pinged_at = now
        self._answered = False

    def pong(self) -> None:
        """The newest ping was answered."""
        self._answered = True

    def pinged_since(self, at: float) -> bool:
        """Whether a ping has been sent since then."""
        return self.pinged_at >= at

    def alive_since(self, at: float) -> bool:
        """Whether a ping that was sent since then has been answered."""
        return self.pinged_at >= at and self._answered
