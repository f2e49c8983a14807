"""The other end of the call: hears what reaches it as a client does that plays it in real time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType

__all__ = ["Caller", "News"]


class News:
    """Wakes whoever waits for a condition, each time that something has changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        """Something has changed."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait_until(self, condition: Callable[[], Any], limit: float) -> bool:
        """Wait until the condition holds.

        Args:
            condition: Asked after each change.
            limit: Seconds to wait at most.

        Returns:
            Whether it holds.
        """
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(waiter)
                    await waiter
        except TimeoutError:
            return bool(condition())
        return True


class Caller:
    """Plays what comes, a frame at a time, and drops what it has not played when it is told of an interruption.

    Places in what came are counted in bytes from the beginning of the call, dropped ones included.

    Attributes:
        sample_rate: Samples per second of what is heard.
        frame: Seconds of a frame.
        sent: Bytes that the agent's track has sent, whether they have come or not.
        received: Bytes that have come.
        time: Frames since the call began.
        spoke: The latest `time` at which there was something to play.
        interruptions: How often the caller was told of one.
        heard: What has been played: PCM in the track's format, without the silence where there was nothing to play.

    Args:
        news: Told of every change.
    """

    def __init__(self, news: News) -> None:
        self._news = news
        self._buffer = bytearray()
        self._dropped: list[tuple[int, int]] = []
        self._silences: list[tuple[int, int]] = []
        self._track: Any = None
        self.sample_rate = 0
        self.frame = 0.0
        self.sent = 0
        self.received = 0
        self.time = 0
        self.spoke = 0
        self.interruptions = 0
        self.heard = bytearray()

    def follow(self, track: Any) -> None:
        """The agent's track is this. Count what it sends."""
        self._track = track
        self.sample_rate = track.sample_rate
        self.frame = track.samples / track.sample_rate
        track.add_sink(self._count)

    async def listen(self, socket: ClientWebSocketResponse) -> None:
        """Take what comes, until the connection ends."""
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.take(message.data)
            elif message.type is WSMsgType.TEXT and json.loads(message.data).get("type") == "interrupt":
                self.interruptions += 1
                self.drop()
            self._news.tell()

    async def play(self) -> None:
        """Play a frame whenever the track does. As in a room, its frames are pulled in real time."""
        while True:
            await self._track.recv()
            self.play_frame(self._track.chunk_size)

    def take(self, pcm: bytes) -> None:
        """Put audio behind what is still to be played."""
        self.received += len(pcm)
        self._buffer += pcm

    def drop(self) -> None:
        """Forget what has not been played."""
        if self._buffer:
            self._dropped.append((self.received - len(self._buffer), len(self._buffer)))
            self._buffer.clear()

    def play_frame(self, size: int) -> None:
        """Play for the time of one frame, of `size` bytes: what is there, or silence."""
        self.time += 1
        if self._buffer:
            silence = self.time - self.spoke - 1
            if silence:
                self._silences.append((self.received - len(self._buffer), silence))
            self.spoke = self.time
            self.heard += self._buffer[:size]
            del self._buffer[:size]
        self._news.tell()

    @property
    def has_heard_all(self) -> bool:
        """Whether nothing that was sent is still to be played."""
        return self.received >= self.sent and not self._buffer

    def heard_between(self, start: int, end: int) -> bytes:
        """What was played of the bytes from one place to another."""
        return bytes(self.heard[self._index(start) : self._index(end)])

    def silences_between(self, start: int, end: int) -> list[int]:
        """The pauses in what was played from one place to another, in frames; not those at its ends."""
        return [frames for place, frames in self._silences if start < place < end]

    def _count(self, pcm: bytes) -> None:
        self.sent += len(pcm)

    def _index(self, place: int) -> int:
        return place - sum(min(max(place - at, 0), size) for at, size in self._dropped)
