"""How much of a continuation has come whole, as far as a `complete` for each release of its audio tells."""

from __future__ import annotations

from .boundaries import sentences

__all__ = ["Releases"]


class Releases:
    """Counts what the server says that it has released against the sentences that were sent, in one attempt.

    A sentence is whatever looks like one: behind `Dr.` too. A server that sees fewer is never believed to be done,
    which only costs time after a break; with too few here, what is still to come would be taken for heard.
    """

    def __init__(self) -> None:
        self._ended = 0
        self._open = False
        self._told = 0
        self._begun_with: int | None = None

    def sent(self, text: str) -> None:
        """Text was sent, which goes on where the last one stopped."""
        *ended, rest = sentences(text)
        self._ended += len(ended)
        self._open = bool(rest) or (self._open and not ended)

    def heard(self, *, closed: bool) -> None:
        """Audio has come. What is sent from now on is not in the release that it belongs to."""
        if self._begun_with is None:
            self._begun_with = self._expected(closed=closed)

    def told(self, *, closed: bool) -> None:
        """The server has released something. An unfinished sentence that had waited for too long is not counted."""
        most = self._expected(closed=closed) if self._begun_with is None else self._begun_with
        self._told = max(self._told, min(self._told + 1, most))
        self._begun_with = None

    def all_told(self, *, closed: bool) -> bool:
        """Whether all that was sent has been released; ``closed``: nothing else is sent."""
        return (closed or not self._open) and self._told == self._expected(closed=closed)

    def _expected(self, *, closed: bool) -> int:
        return self._ended + (self._open and closed)
