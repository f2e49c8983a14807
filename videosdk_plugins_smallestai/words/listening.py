"""Measures how much of a reply the listener has heard, by the track's own count."""

from __future__ import annotations

from typing import Any

from ..framework import frame_time, played_samples, queued_samples, track_format

__all__ = ["TrackTime"]


class TrackTime:
    """What a track tells about its playing.

    Attributes:
        advanced: Whether it has played anything since `begin`.
        tells: Whether it tells how much it has played.
        before: Seconds that it still had to play at `begin`.
    """

    def __init__(self, track: Any) -> None:
        self.advanced = False
        self.tells = False
        self.before = 0.0
        self._track = track
        self._rate = track_format(track).rate
        self._seen = 0
        self._played = 0  # since `begin`, what earlier replies have left included

    def frame_time(self) -> int | None:
        """What advances with each frame that is pulled, also with silent ones."""
        return frame_time(self._track)

    def begin(self) -> None:
        """A reply's first byte comes: what is still queued is played before it."""
        seen = played_samples(self._track) if self._rate else None
        self.tells = seen is not None
        self._seen = seen or 0
        self.before = queued_samples(self._track) / self._rate if self.tells and self._rate else 0.0

    def position(self) -> float | None:
        """Seconds played of what was added since `begin`, or ``None``; negative while older audio plays."""
        seen = played_samples(self._track) if self.tells else None
        if seen is None or not self._rate:
            return None
        # The framework counts anew for each reply, and the next one may be asked for while this one is still heard.
        self._played += seen - self._seen if seen >= self._seen else seen
        self._seen = seen
        self.advanced = self._played > 0
        return self._played / self._rate - self.before
