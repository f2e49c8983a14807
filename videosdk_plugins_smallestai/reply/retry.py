"""Decides whether a failed request is sent again, and when. Pure: no clock, no I/O."""

from __future__ import annotations

from ..errors import APIConnectionError, APITimeoutError, RateLimitError, ServerError, SmallestAIError
from ..timing import Timing

__all__ = ["IncompleteAudioError", "NoAudioError", "RetryPolicy"]

ATTEMPTS = 8
"""Requests for the same segment after which it is given up, whatever each of them brought."""


class NoAudioError(ServerError):
    """The service says that a segment is complete, and has not spoken."""


class IncompleteAudioError(ServerError):
    """The service stopped in the middle of a segment and did not say that it was complete."""


class RetryPolicy:
    """Counts the failures of one segment since its last new sample.

    Args:
        timing: The waits.

    Attributes:
        first: The failure to raise in the end: a retry's own failure tells less.
    """

    def __init__(self, timing: Timing) -> None:
        self.first: SmallestAIError | None = None
        self._timing = timing
        self._counts: dict[str, int] = {}
        self._waited = 0.0

    @property
    def asked_again(self) -> bool:
        """Whether the segment was asked for again since its last new sample, for having stopped too early."""
        return "incomplete" in self._counts

    def progress(self) -> None:
        """New audio came: what failed before is overcome."""
        if self.first is not None:
            self.first = None
            self._counts.clear()
            self._waited = 0.0

    def note(self, error: SmallestAIError) -> None:
        """Remember a failure without charging it: more than one request was lost, and nobody knows for which."""
        self.first = self.first or error

    def delay(self, error: SmallestAIError, *, new_audio: bool) -> float | None:
        """Charge a failure.

        Args:
            error: What went wrong.
            new_audio: Whether the attempt had brought a new sample. Then a break is not counted: only two in a row
                without one show that the next would be no better.

        Returns:
            Seconds to wait before the request is sent again; ``None`` to give up.
        """
        self.first = self.first or error
        if not error.retryable or isinstance(error, APITimeoutError):
            return None
        if isinstance(error, RateLimitError):
            return self._wait_for_rate(error.retry_after)
        if isinstance(error, APIConnectionError) and error.opening:
            return _step(self._timing.reconnect, self._count("opening"))
        if isinstance(error, IncompleteAudioError):
            return _step((0.0,), self._count("incomplete"))
        if isinstance(error, NoAudioError):
            return _step((0.0,), self._count("no audio"))
        if isinstance(error, APIConnectionError):
            return 0.0 if new_audio else _step((0.0,), self._count("break"))
        return _step(self._timing.server_retry, self._count("server"))

    def _wait_for_rate(self, retry_after: float | None) -> float | None:
        wait = _step(self._timing.rate_retry, self._count("rate"))
        if wait is None or retry_after is None:
            return wait
        self._waited += retry_after
        return retry_after if self._waited <= self._timing.retry_after else None

    def _count(self, what: str) -> int:
        count = self._counts.get(what, 0)
        self._counts[what] = count + 1
        return count


def _step(delays: tuple[float, ...], count: int) -> float | None:
    return delays[count] if count < len(delays) else None
