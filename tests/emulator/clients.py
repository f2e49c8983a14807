"""A bare client of the Waves protocol: what a test says to the emulator, and what it hears."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp

from videosdk_plugins_smallestai.emulator import WavesEmulator

OLD_STREAM = "/lightning-v3.1/get_speech/stream"
OLD_POST = "/lightning-v3.1/get_speech"
STREAM = "/tts/live"
FIELDS: dict[str, Any] = {"voice_id": "magnus", "language": "en", "sample_rate": 24000, "complete_backoff_ms": 1}


def message(text: str | None, **fields: Any) -> dict[str, Any]:
    """Return a request body; a field that is ``None`` is left out."""
    body = {**FIELDS, "text": text, **fields}
    return {name: value for name, value in body.items() if value is not None}


def audio(frames: list[dict[str, Any]], request_id: str | None = None) -> bytes:
    """Return the PCM in the frames (of one request)."""
    chunks = [frame for frame in frames if frame["status"] == "chunk"]
    if request_id is not None:
        chunks = [frame for frame in chunks if frame["external_request_id"] == request_id]
    return b"".join(base64.b64decode(frame["data"]["audio"]) for frame in chunks)


class Line:
    """One WebSocket to the emulator."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, text: str, **fields: Any) -> None:
        """Send a request."""
        await self.ws.send_json(message(text, **fields))

    async def hear(self) -> dict[str, Any]:
        """Return the next frame."""
        frame: dict[str, Any] = await self.ws.receive_json(timeout=5)
        return frame

    async def hear_until(self, status: str, times: int = 1) -> list[dict[str, Any]]:
        """Return the frames up to the n-th with this status."""
        frames: list[dict[str, Any]] = []
        while sum(frame.get("status") == status for frame in frames) < times:
            frames.append(await self.hear())
        return frames

    async def hear_out(self) -> list[dict[str, Any]]:
        """Return the frames up to the connection's end."""
        frames = []
        while (received := await self.ws.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            frames.append(received.json())
        return frames

    async def hears_nothing(self, seconds: float = 0.1) -> bool:
        """Return whether nothing arrives for a while."""
        try:
            await self.ws.receive(timeout=seconds)
        except TimeoutError:
            return True
        return False


class Client:
    """What a test uses to talk to an emulator."""

    def __init__(self, waves: WavesEmulator, session: aiohttp.ClientSession) -> None:
        self.waves = waves
        self.session = session
        self._lines: list[Line] = []

    async def open(self, path: str = OLD_STREAM, **options: Any) -> Line:
        """Open a WebSocket."""
        # A connection under a fault does not answer a close.
        patience = aiohttp.ClientWSTimeout(ws_close=0.2)
        url = self.waves.base_url + path
        self._lines.append(Line(await self.session.ws_connect(url, timeout=patience, **options)))
        return self._lines[-1]

    async def close(self) -> None:
        """Close all WebSockets."""
        for line in self._lines:
            await line.ws.close()

    async def post(self, text: str | None, path: str = OLD_POST, **fields: Any) -> tuple[int, bytes]:
        """POST a request; return the status and the whole body."""
        async with self.session.post(self.waves.base_url + path, json=message(text, **fields)) as response:
            return response.status, await response.read()
