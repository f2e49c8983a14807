"""The limit: aiohttp, json, base64 and the framework's track, and nothing that could go wrong dealt with."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Sequence

import aiohttp

from . import API_KEY, FRAME_BYTES, RATE, VOICE
from .framework import FrameworkTrack


class BareLoop:
    """Sends every sentence at once, and hands over what comes. A connection that ends is opened again."""

    def __init__(self, base_url: str) -> None:
        self.track = FrameworkTrack()
        self._url = base_url.replace("http", "ws", 1) + "/lightning-v3.1/get_speech/stream"
        self._session = aiohttp.ClientSession()
        self._ids = itertools.count()
        self._ready = asyncio.Event()
        self._over: asyncio.Future[None] | None = None
        self._last = ""
        self._bytes = 0
        self._receiving: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[bool]] = set()

    async def open(self) -> None:
        """Connect."""
        self._receiving = asyncio.ensure_future(self._receive())
        await self._ready.wait()

    async def speak(self, sentences: Sequence[str]) -> None:
        """One request a sentence, all at once; over at the last one's `complete`."""
        self.track.enable_audio_input(manual_control=True)
        self._over = asyncio.get_running_loop().create_future()
        await self._ready.wait()
        self._bytes = 0
        for sentence in sentences:
            self._last = str(next(self._ids))
            body = {
                "voice_id": VOICE,
                "text": sentence,
                "language": "en",
                "sample_rate": RATE,
                "speed": 1.0,
                "request_id": self._last,
                "complete_backoff_ms": 0,
            }
            await self._socket.send_str(json.dumps(body))
        await self._over
        await self.track.add_new_bytes(bytes(-self._bytes % FRAME_BYTES))

    async def interrupt(self) -> None:
        """Stop the server by leaving the connection, and open another one."""
        if self._receiving is not None:
            self._receiving.cancel()
        self._ready.clear()
        self._last = ""
        closing = asyncio.ensure_future(self._socket.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self.track.interrupt()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        self._receiving = asyncio.ensure_future(self._receive())

    async def close(self) -> None:
        """Let go."""
        if self._receiving is not None:
            self._receiving.cancel()
        await self._session.close()

    async def _receive(self) -> None:
        while True:
            self._socket = await self._session.ws_connect(self._url, headers={"Authorization": f"Bearer {API_KEY}"})
            self._ready.set()
            async for message in self._socket:
                frame = json.loads(message.data)
                if frame["status"] == "chunk":
                    pcm = base64.b64decode(frame["data"]["audio"])
                    self._bytes += len(pcm)
                    await self.track.add_new_bytes(pcm)
                elif frame["status"] == "complete" and frame["external_request_id"] == self._last and self._over:
                    self._over.set_result(None)
            self._ready.clear()


def make(base_url: str) -> BareLoop:
    """A bare loop."""
    return BareLoop(base_url)
