"""The line to the service, as the reply machine knows it: whether it is open, how the route serves requests, and
whether it is alive. The machine never sees the transport itself.
"""

from __future__ import annotations

import math
from enum import Enum, auto

from ..transport.base import Habits, Opened, Traits

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
        pinged_at: When the newest ping was sent.
    """

    def __init__(self) -> None:
        self.state = LineState.CLOSED
        self.traits = Traits()
        self.habits = Habits()
        self.route = 0
        self.reopen_at = -math.inf
        self.pinged_at = -math.inf
        self._pinged: int | None = None
        self._alive_at: dict[int | None, float] = {}  # by connection: when the newest answered ping was sent
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
        self.pinged_at = -math.inf
        self._alive_at.clear()
        self._opened_once = True

    def lost(self, reopen_at: float = -math.inf) -> None:
        """It is not open any more, and not to be opened before then."""
        self.state = LineState.CLOSED
        self.reopen_at = reopen_at

    def move_on(self) -> None:
        """It leads to another model from now on."""
        self.lost()
        self.route += 1

    def ping(self, stream: int, now: float) -> None:
        """A ping is sent, on a stream's connection."""
        self.pinged_at = now
        self._pinged = self._connection(stream)

    def pong(self) -> None:
        """The newest ping was answered."""
        self._alive_at[self._pinged] = self.pinged_at

    def pinged_since(self, stream: int, at: float) -> bool:
        """Whether a ping has been sent since then on a stream's connection."""
        newest = self._connection(stream) == self._pinged and self.pinged_at >= at
        return newest or self.alive_since(stream, at)

    def alive_since(self, stream: int, at: float) -> bool:
        """Whether a ping that was sent since then on a stream's connection has been answered."""
        return self._alive_at.get(self._connection(stream), -math.inf) >= at

    def _connection(self, stream: int) -> int | None:
        """That of a stream: its own, or the one that all share."""
        return None if self.traits.shared else stream
