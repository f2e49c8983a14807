"""Audio that comes after its segment was taken for ended: played while it can be, counted where it cannot."""

from __future__ import annotations

import asyncio
import logging

from .ending import SILENCE
from .playback import SAMPLE_WIDTH, Playback
from .protocol import Audio, Event

__all__ = ["Dropped", "LateAudio"]

logger = logging.getLogger(__name__)


class Dropped:
    """Counts audio that came when something else had already followed it.

    Args:
        rate: Sample rate of the audio, in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._bytes = 0

    def hear(self, event: Event) -> None:
        """Count what came."""
        if isinstance(event, Audio):
            self._bytes += len(event.pcm)

    def end(self) -> None:
        """Nothing more comes: say what was lost."""
        if self._bytes:
            logger.warning(
                "Smallest AI: %.2f s of audio came too late to be played: the server had neither said that the "
                "segment goes on nor that it was complete, and the next one had begun",
                self._bytes / SAMPLE_WIDTH / self._rate,
            )
            self._bytes = 0


class LateAudio:
    """Plays late audio of a segment to the same sink, until something else goes there.

    Args:
        playback: The reply's playback.
        rate: Sample rate of the audio, in Hz.

    Attributes:
        is_open: Whether what comes is still played.
        reply_over: Whether the reply has ended, so that its last frame must be whole.
    """

    def __init__(self, playback: Playback, rate: int) -> None:
        self._playback = playback
        self._dropped = Dropped(rate)
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.is_open = True
        self.reply_over = False

    def hear(self, event: Event) -> None:
        """Play what came, or count it."""
        if not self.is_open:
            self._dropped.hear(event)
        elif isinstance(event, Audio):
            self._chunks.put_nowait(event.pcm)
            if self._task is None:
                self._task = asyncio.ensure_future(self._play())

    def end(self) -> None:
        """Nothing more comes from the server."""
        self._dropped.end()

    def close(self) -> None:
        """Something else goes to the sink now, or the listener has interrupted."""
        self.is_open = False
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Close, and leave no task behind."""
        self.close()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _play(self) -> None:
        frame_open = False  # what came last may have left a frame unfinished
        while True:
            try:
                async with asyncio.timeout(SILENCE if frame_open else None):
                    pcm = await self._chunks.get()
            except TimeoutError:
                frame_open = False
                if self.reply_over:
                    await self._playback.finish()
            else:
                frame_open = True
                await self._playback.write(pcm)
