"""Plays one reply's audio into one sink, in whole samples, at the sink's rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..cancellation import run_callback
from ..framework import SAMPLE_WIDTH
from ..log import Log
from ..playhead import Playhead
from ..resampler import Resampler
from .sinks import Sink

__all__ = ["Follower", "Player"]


class Follower(Protocol):
    """Follows how far a reply has been played."""

    def first_byte(self, not_before: float) -> None:
        """The first byte is about to go out, to be heard at once or from then on, by the loop's clock."""

    def pushed(self, seconds_total: float) -> None:
        """So much audio has gone out."""


class Player:
    """Plays one reply. To be made in a running event loop; `write`, `finish` and `fill_frame` one at a time.

    Args:
        sink: Where the audio goes.
        rate: Sample rate of the audio that comes in, in Hz.
        on_first_audio: Awaited once, right before the first byte goes out. What it raises is logged, a
            `CancelledError` of its own too; only the cancellation of the current task is passed on.
        heard: Whether somebody listens while it plays, so that time passes for the audio.
        listener: Follows what the listener hears of all replies, this one and those before it; ``None``: there are
            no others.
        words: Told of the first byte, and of how much audio has gone out.
        log: That of the reply.

    Attributes:
        first_audio_at: When the first byte went out, by the loop's clock; ``None`` before.
        gaps: Seconds of each silence that the listener heard between the first byte and the last.
    """

    def __init__(
        self,
        sink: Sink,
        rate: int,
        *,
        on_first_audio: Callable[[], Awaitable[None]] | None = None,
        heard: bool = True,
        listener: Playhead | None = None,
        words: Follower | None = None,
        log: Log | None = None,
    ) -> None:
        self.first_audio_at: float | None = None
        self.gaps: list[float] = []
        self._sink = sink
        self._on_first_audio = on_first_audio
        self._heard = heard
        self._words = words
        self._log = log or Log()
        self._clock = asyncio.get_running_loop().time
        self._playhead = Playhead(self._clock)
        self._listener = listener or Playhead(self._clock)
        self._half_sample = b""
        self._bytes_out = 0
        self._closed = False
        out_rate = sink.rate or rate
        self._bytes_per_second = out_rate * sink.channels * SAMPLE_WIDTH
        same = (out_rate, sink.channels) == (rate, 1)
        self._resampler = None if same else Resampler(rate, out_rate, sink.channels)

    @property
    def seconds(self) -> float:
        """Audio that went out, in seconds."""
        return self._bytes_out / self._bytes_per_second

    @property
    def remaining(self) -> float | None:
        """Seconds that the listener still has to hear; ``None`` where nobody listens.

        Frames that an earlier reply left in the track do not count.
        """
        return self._playhead.remaining if self._heard else None

    def pause(self) -> None:
        """The listener hears nothing until `resume`: what remains stands still."""
        self._playhead.pause()

    def resume(self) -> None:
        """The listener hears the reply again."""
        self._playhead.resume()

    async def write(self, pcm: bytes) -> None:
        """Play audio that came in. A sample may be cut in two between calls."""
        if self._half_sample or len(pcm) % SAMPLE_WIDTH:
            pcm = self._half_sample + pcm
            whole = len(pcm) - len(pcm) % SAMPLE_WIDTH
            pcm, self._half_sample = pcm[:whole], pcm[whole:]
        if pcm and self._resampler is not None:
            pcm = self._resampler.process(pcm)
        await self._send(pcm)

    def end_segment(self) -> None:
        """The next byte begins a sample: half a sample at the end of a segment is noise."""
        self._half_sample = b""

    async def finish(self) -> None:
        """End the reply: what the resampler holds back goes out, and the last frame is filled with silence.

        More may be written all the same, should audio come late; then this is to be called again.
        """
        if self._resampler is not None:
            await self._send(self._resampler.flush())
        await self._send(bytes(self._missing))

    async def fill_frame(self) -> None:
        """Let the samples of an unfinished last frame be heard now: a track plays whole frames only.

        More may be written after it. Does nothing while audio is converted: then the last samples are held back
        until `finish`.
        """
        if self._resampler is None:
            await self._send(bytes(self._missing))

    def close(self) -> None:
        """Play nothing more, from this moment on."""
        self._closed = True

    @property
    def _missing(self) -> int:
        """Bytes that the last frame lacks."""
        frame = self._sink.frame_bytes
        return -self._bytes_out % frame if frame and self._bytes_out else 0

    async def _send(self, pcm: bytes) -> None:
        if not pcm or self._closed:
            return
        if self.first_audio_at is None:
            await self._announce()
            if self._closed:
                return
            if self._words is not None:
                self._words.first_byte(self._listener.heard_until)
        if (silence := self._playhead.push(len(pcm) / self._bytes_per_second)) > 0:
            self.gaps.append(silence)
        self._listener.push(len(pcm) / self._bytes_per_second)
        self._bytes_out += len(pcm)
        await self._sink.add(pcm)
        if self._words is not None:
            self._words.pushed(self.seconds)

    async def _announce(self) -> None:
        self.first_audio_at = self._clock()
        if self._on_first_audio is not None:
            failed = "the first-audio callback failed; the audio is played all the same"
            await run_callback(self._on_first_audio, self._log, failed)
