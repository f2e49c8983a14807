"""Where the server's word times count from: its sources do not agree, so it is told from the times themselves."""

from __future__ import annotations

from .protocol import Word

__all__ = ["WordTimes"]

NEAR_START = 0.5
"""Seconds within which the first word of a release is spoken: a later one counts from further back."""


class WordTimes:
    """Places the words of one request, which may be released in parts.

    Times count from the start of the request's (or the release's) own audio, or from that of the whole stream of
    the connection. The first word of each release tells: near 0 it is its own.

    Args:
        stream_seconds: Audio that the connection had brought before this request.
    """

    def __init__(self, stream_seconds: float) -> None:
        self._stream_seconds = stream_seconds
        self._release: str | None = None
        self._last: float | None = None
        self._base = 0.0

    def place(self, word: Word, heard: float) -> float:
        """Seconds from the start of the request's audio to the word.

        Args:
            word: As the server tells it.
            heard: Seconds of the request's audio that have come.
        """
        if self._last is None or self._begins_release(word):
            self._base = self._base_of(word.start, heard)
            self._release = word.server_id
        self._last = word.start
        return max(0.0, self._base + word.start)

    def _base_of(self, start: float, heard: float) -> float:
        if start < NEAR_START or self._stream_seconds + heard < NEAR_START:
            return heard
        if start < self._stream_seconds - NEAR_START:
            return 0.0  # the stream's time is further on: the request's own, of which the first word is told late
        return -self._stream_seconds

    def _begins_release(self, word: Word) -> bool:
        if word.server_id is not None and word.server_id != self._release:
            return True
        return self._last is not None and word.start < self._last - NEAR_START
