"""What this package reads of videosdk-agents beyond its public interface, each thing in a function of its own.

Every one has a test in ``tests/test_framework_private.py`` that fails when a release of the framework changes it.
Users' tests pass mocks and small fakes for tracks: an attribute that is not a real ``int`` counts as absent.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

__all__ = [
    "SAMPLE_WIDTH",
    "TrackFormat",
    "frame_time",
    "played_samples",
    "queued_samples",
    "speaks_through_tts_hook",
    "track_format",
]

SAMPLE_WIDTH = 2
"""Bytes of a sample: tracks play 16-bit PCM, and the service sends it."""


class TrackFormat(NamedTuple):
    """What a track plays. ``None`` stands for what it does not tell.

    Attributes:
        rate: Sample rate, in Hz.
        channels: 1 where it does not tell.
        frame_bytes: Bytes of the frames that it plays: whole ones only.
    """

    rate: int | None
    channels: int
    frame_bytes: int | None


def track_format(track: Any) -> TrackFormat:
    """The format of the bytes that ``track.add_new_bytes`` takes."""
    return TrackFormat(
        rate=_natural(track, "sample_rate") or None,
        channels=_natural(track, "channels") or 1,
        frame_bytes=_natural(track, "chunk_size") or None,
    )


def frame_time(track: Any) -> int | None:
    """A count that advances with each frame that is pulled from the track, silent ones included."""
    return _natural(track, "frame_time")


def played_samples(track: Any) -> int | None:
    """Samples that the track has played since the framework last began a reply on it."""
    ask = getattr(track, "snapshot_playback", None)
    if not callable(ask):
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


def queued_samples(track: Any) -> int:
    """Samples that the track still has to play, those that a pause holds back included."""
    frames = sum(
        len(held)
        for name in ("frame_buffer", "_paused_frames")
        if isinstance(held := getattr(track, name, None), list)
    )
    samples = frames * (_natural(track, "samples") or 0)
    data = getattr(track, "audio_data_buffer", None)
    if isinstance(data, bytes | bytearray):
        samples += len(data) // (SAMPLE_WIDTH * (_natural(track, "channels") or 1))
    return samples


def speaks_through_tts_hook() -> bool:
    """Whether the current job's pipeline has a ``tts`` hook, so that ``stream_synthesize`` is the live reply."""
    from videosdk.agents.job import get_current_job_context

    hooks = getattr(getattr(get_current_job_context(), "_pipeline", None), "hooks", None)
    has_hook = getattr(hooks, "has_tts_stream_hook", None)
    return has_hook is not None and has_hook() is True


def _natural(owner: object, name: str) -> int | None:
    """An attribute that is a real ``int`` and not negative."""
    value = getattr(owner, name, None)
    return value if type(value) is int and value >= 0 else None
