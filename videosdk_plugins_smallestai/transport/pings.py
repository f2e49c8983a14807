"""Keeps count of the pings on a WebSocket and of their answers."""

from __future__ import annotations

__all__ = ["Pings"]


class Pings:
    """Numbered pings of one connection. All times are those of the event loop's clock.

    Args:
        now: When the connection was opened.
    """

    __slots__ = ("_answered", "_asked", "_heard_at", "_sent", "_sent_at")

    def __init__(self, now: float) -> None:
        self._sent = 0
        self._answered = 0
        self._asked = 0  # the newest that a reply waits for; 0: none
        self._sent_at = self._heard_at = now

    @property
    def are_answered(self) -> bool:
        """Whether the server has ever answered one."""
        return self._answered > 0

    @property
    def waiting(self) -> bool:
        """Whether the newest has not been answered."""
        return self._answered < self._sent

    def silent_since(self) -> float:
        """Since when there was neither a ping nor anything from the server: audio may come before an answer."""
        return max(self._sent_at, self._heard_at)

    def send(self, now: float, *, asked: bool = False) -> bytes:
        """Note that a ping is sent. Returns its payload.

        Args:
            now: When.
            asked: Whether a reply waits for the answer.
        """
        self._sent += 1
        self._sent_at = now
        if asked:
            self._asked = self._sent
        return str(self._sent).encode()

    def hear(self, now: float) -> None:
        """Note that something came."""
        self._heard_at = now

    def hear_pong(self, payload: bytes) -> bool:
        """Note an answer. Returns whether it is the one that a reply waits for."""
        number = int(payload) if payload.isdigit() and len(payload) < 20 else 0
        if self._answered < number <= self._sent:
            self._answered = number
        if not self._asked or self._answered < self._asked:
            return False
        self._asked = 0
        return True
