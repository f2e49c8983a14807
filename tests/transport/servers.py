"""Small WebSocket servers that do one thing each, for what the emulator does not do."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

PCM = bytes(range(200)) * 24
"""A tenth of a second at 24 kHz."""


def chunk(pcm: bytes = PCM, **ids: str) -> str:
    return json.dumps({"status": "chunk", "data": {"audio": base64.b64encode(pcm).decode()}} | ids)


def complete(**ids: str) -> str:
    return json.dumps({"status": "complete"} | ids)


@dataclass
class SmallServer:
    """Hands each socket to a function.

    Attributes:
        base_url: What to give a client.
        opened: When each handshake came, by the loop's clock.
        messages: What clients sent, in order.
        sockets: All that were opened.
    """

    base_url: str = ""
    opened: list[float] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, count: int) -> None:
        """Wait for so many handshakes in all."""
        while len(self.opened) < count:
            self.changed.clear()
            await self.changed.wait()

    async def read(self, socket: web.WebSocketResponse) -> dict[str, Any] | None:
        """A client's next message; ``None`` once it has gone."""
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))
                return self.messages[-1]
        return None


class _Deaf(web.WebSocketResponse):
    """A socket that stops answering pings."""

    def __init__(self, pongs: int) -> None:
        super().__init__()
        self._pongs = pongs

    async def pong(self, message: bytes = b"") -> None:
        self._pongs -= 1
        if self._pongs >= 0:
            await super().pong(message)


Serve = Callable[[SmallServer, web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def small_server(serve: Serve, *, pongs: int | None = None) -> AsyncIterator[SmallServer]:
    """A server on all WebSocket routes; when the function returns, it closes the socket.

    Args:
        serve: Serves one socket.
        pongs: Pings that it answers on each connection; ``None``: all.
    """
    small = SmallServer()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        small.opened.append(asyncio.get_running_loop().time())
        small.changed.set()
        socket = web.WebSocketResponse() if pongs is None else _Deaf(pongs)
        await socket.prepare(request)
        small.sockets.append(socket)
        await serve(small, socket)
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/{model}/get_speech/stream", accept)
    app.router.add_get("/tts/live", accept)
    app.router.add_get("/lightning-v4/live", accept)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    small.base_url = str(server.make_url("")).rstrip("/")
    try:
        yield small
    finally:
        for socket in small.sockets:
            await socket.close()
        await server.close()
