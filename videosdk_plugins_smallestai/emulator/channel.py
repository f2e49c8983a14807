"""The sending side of one WebSocket: frames out, with the ids that belong in them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from .delivery import SAMPLE_BYTES
from .refusals import Refusal
from .service import Job
from .settings import Settings
from .speech import Word


class Lane:
    """Requests that are served in turn."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self, received: float) -> AsyncIterator[float]:
        """Wait for a turn and hold it; gives the ``loop.time()`` at which it began."""
        async with self._lock:
            # Not the time at which this task happens to run: the pace starts from the true one.
            try:
                yield max(received, self._free_at)
            finally:
                self._free_at = asyncio.get_running_loop().time()


class Channel:
    """Sends one WebSocket's frames.

    Args:
        ws: The WebSocket.
        settings: How the service behaves.
        session_id: The server's id of the connection.
    """

    def __init__(self, ws: web.WebSocketResponse, settings: Settings, session_id: str) -> None:
        self._ws = ws
        self._settings = settings
        self._session_id = session_id
        self._silent = False
        self._seconds = 0.0

    @property
    def silent(self) -> bool:
        """Whether nothing is sent any more; who tries waits for the connection's end."""
        return self._silent

    @property
    def seconds(self) -> float:
        """Seconds of audio sent so far."""
        return self._seconds

    def fall_silent(self) -> None:
        """Send nothing from now on, not even pongs."""
        self._silent = True

    def count(self, seconds: float) -> None:
        """Add to the audio sent, in seconds."""
        self._seconds += seconds

    async def send(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        if self._silent:
            await asyncio.get_running_loop().create_future()
        if isinstance(frame, str):
            await self._ws.send_str(frame)
        else:
            await self._ws.send_bytes(frame)

    async def send_status(
        self,
        status: str,
        request_id: str,
        body: Mapping[str, Any],
        data: Mapping[str, Any] | None = None,
        *,
        ids: bool = True,
    ) -> None:
        """Send a frame about a request.

        Args:
            status: ``chunk``, ``word_timestamp`` or ``complete``.
            request_id: The server's id of it.
            body: The client's message, whose ids are echoed.
            data: The frame's ``data``.
            ids: Whether it carries any id, the server's or an echoed one.
        """
        frame: dict[str, Any] = {}
        if ids:
            frame = {"session_id": self._session_id, "request_id": request_id, **self.echoed(body)}
        frame["status"] = status
        if data is not None:
            frame["data"] = data
        await self.send(json.dumps(frame))

    async def refuse(self, refusal: Refusal, body: Mapping[str, Any]) -> None:
        """Send the error frame of a refusal."""
        await self.send(refusal.frame(self.echoed(body)))

    def echoed(self, body: Mapping[str, Any]) -> dict[str, str]:
        """Return the client's own ids, as frames echo them."""
        if not self._settings.echo_ids:
            return {}
        names = ("request_id", "session_id")
        return {f"external_{name}": body[name] for name in names if isinstance(body.get(name), str)}


class JobSink:
    """Takes one request's audio to its WebSocket."""

    def __init__(self, channel: Channel, job: Job, request_id: str, *, absolute: bool) -> None:
        self._channel = channel
        self._body = job.request.body
        self._rate = job.order.sample_rate
        self._id = request_id
        self._without_ids = job.plan.no_ids.chunks
        self._chunks = 0
        self._origin = channel.seconds if absolute else 0.0

    async def start(self) -> None:
        """Nothing comes before the first chunk."""

    async def raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self._channel.send(frame)

    async def word(self, word: Word) -> None:
        """Send a word's times."""
        start, end = (round(self._origin + seconds, 3) for seconds in (word.start, word.end))
        data = {"id": word.index, "word": word.text, "start": start, "end": end}
        await self._channel.send_status("word_timestamp", self._id, self._body, data)

    async def chunk(self, pcm: bytes) -> None:
        """Send a chunk of audio."""
        data = {"audio": base64.b64encode(pcm).decode()}
        ids = self._chunks not in self._without_ids
        self._chunks += 1
        await self._channel.send_status("chunk", self._id, self._body, data, ids=ids)
        self._channel.count(len(pcm) / SAMPLE_BYTES / self._rate)
