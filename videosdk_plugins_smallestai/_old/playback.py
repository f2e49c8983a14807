"""One reply's audio into one sink: whole samples, the sink's rate, and what the listener still has to hear."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .resampling import Resampler

__all__ = ["Playback", "QueueSink", "Sink", "TrackSink"]

logger = logging.getLogger(__name__)

SAMPLE_WIDTH = 2
"""Bytes of a sample: the service sends 16-bit PCM, mono, and tracks play 16-bit PCM."""

FRAME_SECONDS = 0.02
"""Of the frames that tracks play: whole ones only."""


class Sink(Protocol):
    """Where a reply's audio goes. ``None`` stands for what the sink does not tell."""

    rate: int | None
    channels: int
    frame_bytes: int | None

    async def add(self, pcm: bytes) -> None:
        """Take audio in the sink's own format."""


class Follower(Protocol):
    """Follows how far a reply has been played."""

    def first_byte(self) -> None:
        """The first byte is about to go out."""

    def pushed(self, seconds_total: float) -> None:
        """So much audio has gone out."""


def _real_int(owner: object, name: str) -> int | None:
    """An attribute that is a positive ``int``. Users' tests pass mocks, whose attributes are mocks."""
    value = getattr(owner, name, None)
    return value if type(value) is int and value > 0 else None


class TrackSink:
    """An audio track of the framework, or anything in its place."""

    def __init__(self, track: Any) -> None:
        self.track = track
        self.rate = _real_int(track, "sample_rate")
        self.channels = _real_int(track, "channels") or 1
        self.frame_bytes = _real_int(track, "chunk_size")

    async def add(self, pcm: bytes) -> None:
        """Hand audio to the track."""
        result = self.track.add_new_bytes(pcm)
        if inspect.isawaitable(result):
            await result


class QueueSink:
    """A queue for whoever iterates over the audio, in the format of the track that it may end on.

    Args:
        track: The track whose format to produce; ``None`` keeps the service's, in frames as tracks have them.
        rate: The service's sample rate, in Hz.
    """

    def __init__(self, track: Any, rate: int) -> None:
        format_of = TrackSink(track)
        self.rate, self.channels, self.frame_bytes = format_of.rate, format_of.channels, format_of.frame_bytes
        if track is None:
            self.frame_bytes = round(rate * FRAME_SECONDS) * SAMPLE_WIDTH
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def add(self, pcm: bytes) -> None:
        """Put audio into the queue."""
        self.queue.put_nowait(pcm)


class Playback:
    """Plays one reply.

    Args:
        sink: Where the audio goes.
        rate: Sample rate of the audio that comes in, in Hz.
        on_first_audio: Awaited once, right before the first byte goes out. Its exceptions are logged.
        heard: Whether somebody listens while it plays, so that time passes for the audio.
        words: Told of the first byte, and of how much audio has gone out.

    Attributes:
        seconds: Audio that went out.
        first_audio_at: When the first byte went out, by the loop's clock.
        gaps: Seconds of silence that a listener heard between the first byte and the last.
    """

    def __init__(
        self,
        sink: Sink,
        rate: int,
        *,
        on_first_audio: Callable[[], Awaitable[None]] | None = None,
        heard: bool = True,
        words: Follower | None = None,
    ) -> None:
        self._sink = sink
        self._rate = rate
        self._on_first_audio = on_first_audio
        self._heard = heard
        self._words = words
        self._clock = asyncio.get_running_loop().time
        self._half_sample = b""
        self._bytes_out = 0
        self._heard_until = 0.0
        self._closed = False
        self._resampler = self._make_resampler()
        self.first_audio_at: float | None = None
        self.gaps: list[float] = []

    def _make_resampler(self) -> Resampler | None:
        out_rate = self._sink.rate or self._rate
        if (out_rate, self._sink.channels) == (self._rate, 1):
            return None
        return Resampler(self._rate, out_rate, self._sink.channels)

    @property
    def seconds(self) -> float:
        """Audio that went out, in seconds."""
        return self._bytes_out / self._bytes_per_second

    @property
    def remaining(self) -> float | None:
        """Seconds that the listener still has to hear; ``None`` where nobody listens.

        Computed from what went out and when. Frames that an earlier reply left in the track do not count.
        """
        return max(0.0, self._heard_until - self._clock()) if self._heard else None

    @property
    def heard_until(self) -> float:
        """When the listener will have heard all that went out, by the loop's clock."""
        return self._heard_until

    @property
    def _bytes_per_second(self) -> int:
        return (self._sink.rate or self._rate) * self._sink.channels * SAMPLE_WIDTH

    async def write(self, pcm: bytes) -> None:
        """Play audio that came in. A sample may be cut in two between calls."""
        pcm = self._half_sample + pcm
        whole = len(pcm) - len(pcm) % SAMPLE_WIDTH
        self._half_sample = pcm[whole:]
        await self._convert(pcm[:whole])

    def end_segment(self) -> None:
        """The next byte begins a sample: half a sample at the end of a segment is noise."""
        self._half_sample = b""

    async def finish(self) -> None:
        """End the reply: what the resampler holds back goes out, and the last frame is filled with silence.

        More may be written all the same, should audio come late.
        """
        if self._resampler is not None:
            await self._send(self._resampler.flush())
        await self._send(bytes(self._missing))

    async def fill_frame(self) -> None:
        """Let the samples of an unfinished last frame be heard now: a track plays whole frames only."""
        if self._resampler is None:
            await self._send(bytes(self._missing))

    @property
    def until_fill(self) -> float | None:
        """Seconds until nothing is left to hear but an unfinished frame; ``None`` where there is none."""
        if not self._missing or self._resampler is not None or self.remaining is None:
            return None
        return max(0.0, self.remaining - FRAME_SECONDS)

    @property
    def _missing(self) -> int:
        """Bytes that the last frame lacks."""
        frame = self._sink.frame_bytes
        return -self._bytes_out % frame if frame and self._bytes_out else 0

    def close(self) -> None:
        """Let nothing through any more, from this moment on."""
        self._closed = True

    async def _convert(self, pcm: bytes) -> None:
        if pcm and self._resampler is not None:
            pcm = self._resampler.process(pcm)
        await self._send(pcm)

    async def _send(self, pcm: bytes) -> None:
        if not pcm:
            return
        if self.first_audio_at is None and not self._closed:
            await self._announce()
        if self._closed:
            return
        if self._words is not None and not self._bytes_out:
            self._words.first_byte()
        self._note(len(pcm))
        await self._sink.add(pcm)
        if self._words is not None:
            self._words.pushed(self.seconds)

    async def _announce(self) -> None:
        self.first_audio_at = self._heard_until = self._clock()
        if self._on_first_audio is None:
            return
        try:
            await self._on_first_audio()
        except Exception:
            logger.exception("Smallest AI: the first-audio callback failed; the audio is played all the same")

    def _note(self, size: int) -> None:
        now = self._clock()
        if now > self._heard_until:
            if self._bytes_out:
                self.gaps.append(now - self._heard_until)
            self._heard_until = now
        self._heard_until += size / self._bytes_per_second
        self._bytes_out += size
