"""How much of a reply the listener has heard: by the track's own count, or by the time that has passed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

__all__ = ["PassedTime", "TrackTime"]

SAMPLE_WIDTH = 2
"""Bytes of a sample: tracks play 16-bit PCM."""


class TrackTime:
    """What a track tells about its playing. Users' tests pass mocks: what is not a real ``int`` counts as absent.

    Attributes:
        advanced: Whether it has played anything since `begin`.
        tells: Whether it tells how much it has played.
    """

    def __init__(self, track: Any) -> None:
        self._track = track
        self._rate = _natural(track, "sample_rate") or 0
        self._channels = _natural(track, "channels") or 1
        self._seen = 0
        self._played = 0
        self._before = 0
        self.advanced = False
        self.tells = False

    @property
    def played(self) -> int:
        """Samples played since `begin`, earlier replies' included."""
        return self._played

    def frame_time(self) -> int | None:
        """What advances with each frame that is pulled, also with silent ones."""
        return _natural(self._track, "frame_time")

    def begin(self) -> None:
        """A reply's first byte comes: what is still queued is played before it."""
        seen = self._snapshot()
        self.tells = seen is not None
        self._seen = seen or 0
        self._before = self._queued() if self.tells else 0

    def position(self) -> float | None:
        """Seconds played of what was added since `begin`, or ``None``; negative while older audio plays."""
        seen = self._snapshot() if self.tells else None
        if seen is None:
            return None
        # The framework counts anew for each reply, and the next one may be asked for while this one is still heard.
        self._played += seen - self._seen if seen >= self._seen else seen
        self._seen = seen
        self.advanced = self._played > 0
        return (self._played - self._before) / self._rate

    def _snapshot(self) -> int | None:
        """Samples played, by the track's own count."""
        ask = getattr(self._track, "snapshot_playback", None)
        if not self._rate or not callable(ask):
            return None
        try:
            told = ask()
        except Exception:
            return None
        if isinstance(told, tuple | list) and len(told) == 2 and all(type(value) is int for value in told):
            played: int = told[0]
            return played
        if asyncio.iscoroutine(told):
            told.close()  # a mock's: never awaited, it would warn
        return None

    def _queued(self) -> int:
        """Samples that the track still has to play."""
        frames = getattr(self._track, "frame_buffer", None)
        data = getattr(self._track, "audio_data_buffer", None)
        samples = len(frames) * (_natural(self._track, "samples") or 0) if isinstance(frames, list) else 0
        if isinstance(data, bytes | bytearray):
            samples += len(data) // (SAMPLE_WIDTH * self._channels)
        return samples


class PassedTime:
    """What the listener has heard, by the time that has passed. All in seconds.

    Args:
        now: The loop's clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._position = 0.0  # at `_since`
        self._since = math.inf
        self._pushed = 0.0
        self._paused = False

    def begin(self, not_before: float) -> None:
        """Playing begins now, or later."""
        self._since = self._now()
        self._position = min(0.0, self._since - not_before)

    def allow(self, pushed: float) -> None:
        """So much audio is there by now. Time without audio is lost: it has to be counted before."""
        self.position()
        self._pushed = max(self._pushed, pushed)

    def pause(self) -> None:
        """No time passes until `resume`."""
        self.position()
        self._paused = True

    def resume(self) -> None:
        """Time passes again."""
        self.position()
        self._paused = False

    def position(self) -> float:
        """Seconds heard; negative before the beginning."""
        now = self._now()
        if now > self._since:
            passed = 0.0 if self._paused else now - self._since
            self._position = min(self._pushed, self._position + passed)
            self._since = now
        return self._position


def _natural(owner: object, name: str) -> int | None:
    """An attribute that is a real ``int`` and not negative."""
    value = getattr(owner, name, None)
    return value if type(value) is int and value >= 0 else None
