"""`Gate` stands between a voice and the audio track."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol

from .. import framework

__all__ = ["Follower", "Gate", "QueueTrack", "WholeSamples", "done"]


class Follower(Protocol):
    """Follows what goes out to the track."""

    async def first_byte(self) -> None:
        """The first byte is about to go out."""

    def hear(self, size: int) -> None:
        """So many bytes have gone out."""


class WholeSamples:
    """Holds back half a sample. Left in front of what another voice says, it would make noise of it."""

    def __init__(self) -> None:
        self._half = b""

    def take(self, pcm: bytes) -> bytes:
        """More audio. Returns what of it, and of what was held back, is whole samples."""
        pcm = self._half + pcm
        whole = len(pcm) - len(pcm) % framework.SAMPLE_WIDTH
        pcm, self._half = pcm[:whole], pcm[whole:]
        return pcm


class Gate:
    """A voice's audio track. All but these methods is the real track's own.

    A voice that has failed may go on in the background: nothing of that reaches the track. Nor may one voice
    pause or empty the track while another is heard on it: that is for the wrapper.

    Attributes:
        track: The real track.
    """

    def __init__(self) -> None:
        self.track: Any = None
        self._follower: Follower | None = None
        self._muted = False
        self._samples = WholeSamples()
        self._bytes = 0
        self._order = asyncio.Lock()  # some voices add each chunk in a task of its own

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.track, name)
        return _leave_alone if name in ("interrupt", "pause", "resume") else value

    def open(self, follower: Follower) -> None:
        """An attempt of the voice begins, which is told of what goes out."""
        self._follower = follower
        self._muted = False
        self._samples = WholeSamples()
        self._bytes = 0
        self._order = asyncio.Lock()

    def mute(self) -> None:
        """Let no byte through."""
        self._muted = True

    async def close(self) -> None:
        """Let no byte through. An unfinished frame is filled with silence: tracks play whole ones only."""
        if self._muted:
            return
        self._muted = True
        frame = framework.track_format(self.track).frame_bytes
        if frame and self._bytes % frame:
            await done(self.track.add_new_bytes(bytes(-self._bytes % frame)))

    async def add_new_bytes(self, pcm: bytes) -> None:
        """Add audio to the track, in whole samples."""
        async with self._order:
            pcm = self._samples.take(pcm)
            if pcm and not self._muted and self._follower is not None:
                await self._follower.first_byte()
            if not pcm or self._muted:
                return
            self._bytes += len(pcm)
            await done(self.track.add_new_bytes(pcm))
            if self._follower is not None:
                self._follower.hear(len(pcm))


class QueueTrack(Gate):
    """A voice's audio track while its audio goes into a queue.

    Attributes:
        audio: The queue. This class never puts the ``None`` that ends it.
    """

    def __init__(self, track: Any) -> None:
        super().__init__()
        self.track = track
        self.audio: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def add_new_bytes(self, pcm: bytes) -> None:
        """Put audio into the queue."""
        self.audio.put_nowait(pcm)


class _Nothing:
    """Nothing is done, whether it is awaited or not."""

    def __await__(self) -> Any:
        return iter(())


def _leave_alone(*_: Any, **__: Any) -> _Nothing:
    return _Nothing()


async def done(result: Any) -> None:
    """Wait for what was called, if it is to be awaited."""
    if inspect.isawaitable(result):
        await result
