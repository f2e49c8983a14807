"""One WebSocket connection, from the handshake to its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from . import refusals
from .base_speaker import Ending, Link
from .catalogue import LIVE_MODEL, Model
from .channel import Channel
from .faults import CloseAfter
from .live_session import LiveSpeaker
from .records import Connection
from .service import Service
from .sockets import reset
from .speaker import Speaker

CLOSE_WAIT = 1.0
"""Seconds the client has to answer a close, so that a stuck one holds nothing up."""


class Socket:
    """Serves one WebSocket connection.

    Args:
        service: What all connections share.
        record: The connection's entry in the log.
        model: The route's model; ``None`` on the unified route, where each message names its own.
        request: The handshake.
        close_after: Ends the connection early; ``None``: it lives until another end.
    """

    def __init__(
        self,
        service: Service,
        record: Connection,
        model: Model | None,
        request: web.Request,
        close_after: CloseAfter | None,
    ) -> None:
        self.record = record
        self._service = service
        self._settings = service.settings
        self._model = model
        self._request = request
        self._close_after = close_after
        self._ws = web.WebSocketResponse(autoping=False, autoclose=False, timeout=CLOSE_WAIT, compress=False)
        self._channel = Channel(self._ws, service.settings, service.next_id("ws"))
        link = Link(service, record, self._channel, self._spawn, self.end)
        self._speaker = LiveSpeaker(link) if model is LIVE_MODEL else Speaker(link, model)
        self._running: set[asyncio.Task[None]] = set()
        self._how: Ending | None = None
        self._ended = asyncio.Event()

    def end(self, how: Ending) -> None:
        """End the connection; the first way of ending stands."""
        self._how = self._how or how
        self._ended.set()

    async def run(self) -> web.WebSocketResponse:
        """Serve the connection until its end."""
        await self._ws.prepare(self._request)
        self.record.status = 101
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._receive())
                self._spawn(self._speaker.begin())
                if self._close_after is not None:
                    self._spawn(self._close_later(self._close_after))
                await self._ended.wait()
                for task in self._running:
                    task.cancel()
            self._let_go()
            await self._say_goodbye()
        finally:
            self._let_go()
            self.record._end(asyncio.get_running_loop().time(), by_client=self._client_ended())
        return self._ws

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _client_ended(self) -> bool:
        # A handler that is cancelled without an ending has lost its client, unless the server stops.
        return self._how == "client" if self._how is not None else not self._service.stopping

    def _let_go(self) -> None:
        self._speaker.let_go("cancelled" if self._client_ended() else "broken")

    async def _say_goodbye(self) -> None:
        if self._channel.silent and self._how == "client":
            # Not even a close frame. The handler is cancelled once the client has gone.
            await asyncio.get_running_loop().create_future()
        if self._channel.silent or self._how == "reset":
            reset(self._request.transport)
            return
        try:
            # A client that does not read must not hold this up.
            async with asyncio.timeout(2 * CLOSE_WAIT):
                if self._how == "idle" and self._settings.idle_close != "silent":
                    await self._channel.send(self._idle_error())
                policy = self._how == "policy"
                await self._ws.close(code=WSCloseCode.POLICY_VIOLATION if policy else WSCloseCode.OK)
        except (ConnectionError, TimeoutError):
            reset(self._request.transport)

    async def _close_later(self, close_after: CloseAfter) -> None:
        await asyncio.sleep(close_after.seconds)
        frame = close_after.frame
        try:
            if frame is not None:
                await self._channel.send(frame if isinstance(frame, str) else json.dumps(frame))
            self.end(close_after.how)
        except ConnectionError:
            self.end("client")

    def _idle_error(self) -> str:
        message = f"Connection timed out after {self._idle_timeout() or 0:g} seconds of inactivity"
        return json.dumps({"status": "error", "message": message})

    def _idle_timeout(self) -> float | None:
        if self._model is LIVE_MODEL:
            return None  # no source knows of one: a call may be quiet for minutes
        heeded = self._model is None and self._settings.idle_close != "default"
        asked = self.record.query.get("timeout", "") if heeded else ""
        return float(asked) if asked.isdecimal() else self._settings.idle_timeout

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        last_message = loop.time()
        try:
            while True:
                seconds = self._idle_timeout()
                try:
                    # A deadline, not a timeout for each frame: pings do not put it off.
                    async with asyncio.timeout_at(None if seconds is None else last_message + seconds):
                        message = await self._ws.receive()
                except TimeoutError:
                    if self._channel.silent:
                        last_message = loop.time()
                        continue
                    return self.end("idle")
                if message.type is WSMsgType.PING:
                    if not self._channel.silent:
                        await self._ws.pong(message.data)
                elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    last_message = loop.time()
                    await self._take(message.data)
                elif message.type is not WSMsgType.PONG:
                    return self.end("client")
        except ConnectionError:
            self.end("client")

    async def _take(self, message: str | bytes) -> None:
        try:
            body = json.loads(message)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            if not self._channel.silent:
                await self._channel.refuse(refusals.not_json(), {})
            return
        self.record.messages.append(body)
        await self._speaker.take(body)
