"""Infers where the server's word times count from: sources do not agree, so the times themselves must tell."""

from __future__ import annotations

__all__ = ["ServerTimes"]

NEAR = 0.5
"""Seconds within which the first word of a request is spoken, and a word is told before or after its audio."""


class ServerTimes:
    """Places the words of one attempt to have a segment spoken.

    Times count from the start of the attempt's own audio, or from that of all audio of its connection. Where the
    server speaks a segment in several releases, each with an id of its own, they may also count from the release.
    """

    def __init__(self) -> None:
        self._release: str | None = None
        self._last: float | None = None
        self._base = 0.0

    def place(self, start: float, *, server_id: str | None, heard: float, stream_began: float) -> float:
        """Seconds from the start of the segment's audio to the word.

        Args:
            start: As the server tells it, in seconds.
            server_id: The server's ``request_id``.
            heard: Seconds of the segment's audio that this attempt has brought, repetitions included.
            stream_began: Seconds of audio that the connection had brought before.
        """
        if self._last is None:
            self._base = self._base_of(start, 0.0, heard, stream_began)
            self._release = server_id
        elif (server_id is not None and server_id != self._release) or start < self._last - NEAR:
            self._base = self._base_of(start, heard, heard, stream_began)
            self._release = server_id
        self._last = start
        return max(0.0, self._base + start)

    def _base_of(self, start: float, released_at: float, heard: float, stream_began: float) -> float:
        """What to add to the times of a release of which this is the first word."""
        if start < NEAR:
            return released_at
        if -NEAR <= start - stream_began <= heard + NEAR:
            return -stream_began
        if released_at + start <= heard + NEAR:
            return released_at  # its first word is told late
        return heard - start  # from further back than is known: words come with their audio
