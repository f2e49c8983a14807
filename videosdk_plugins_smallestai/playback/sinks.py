"""Where a reply's audio goes: the framework's audio track, or a queue for whoever iterates over it."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol

from ..cancellation import is_being_cancelled
from ..framework import SAMPLE_WIDTH, track_format

__all__ = ["FRAME_SECONDS", "QueueSink", "Sink", "TrackSink"]

FRAME_SECONDS = 0.02
"""Length of the frames that tracks play. An unfinished frame is not played."""


class Sink(Protocol):
    """Where a reply's audio goes. ``None`` stands for what the sink does not tell.

    Attributes:
        rate: Sample rate of the PCM that it takes, in Hz.
        channels: 1 or 2.
        frame_bytes: Bytes of a frame; an unfinished one is not heard.
    """

    rate: int | None
    channels: int
    frame_bytes: int | None

    async def add(self, pcm: bytes) -> None:
        """Take audio in the sink's own format."""


class TrackSink:
    """An audio track of the framework, or anything in its place."""

    def __init__(self, track: Any) -> None:
        self.track = track
        self.rate, self.channels, self.frame_bytes = track_format(track)

    async def add(self, pcm: bytes) -> None:
        """Hand audio to the track.

        Raises:
            RuntimeError: Something that the track waits for was cancelled.
            Exception: Whatever the track raises.
        """
        try:
            result = self.track.add_new_bytes(pcm)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            raise RuntimeError("The audio track cancelled what was added to it") from error


class QueueSink:
    """A queue for whoever iterates over the audio, in the format of the track that it may end on.

    Args:
        track: The track whose format to produce; ``None`` keeps the service's, in frames as tracks have them.
        rate: The service's sample rate, in Hz.

    Attributes:
        queue: The audio. This class never puts the ``None`` that ends it.
    """

    def __init__(self, track: Any, rate: int) -> None:
        self.rate, self.channels, self.frame_bytes = track_format(track)
        if track is None:
            self.frame_bytes = round(rate * FRAME_SECONDS) * SAMPLE_WIDTH
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def add(self, pcm: bytes) -> None:
        """Put audio into the queue."""
        self.queue.put_nowait(pcm)
