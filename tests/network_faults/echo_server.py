"""A server that repeats all that it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Answer = Callable[[web.Request, str], web.StreamResponse]


def as_text(status: int) -> Answer:
    """The request as the body of an answer, and in its headers."""

    def answer(request: web.Request, told: str) -> web.StreamResponse:
        headers = {"X-Request-Id": told[:900], "Retry-After": "9" + told[:99], "Location": "/" + told[:99]}
        return web.Response(status=status, text=told, headers=headers)

    return answer


def as_json(status: int) -> Answer:
    """The request as the message of an error."""
    return lambda request, told: web.json_response({"error": {"code": told, "message": told}}, status=status)


def as_events(status: int) -> Answer:
    """The request as server-sent events."""

    def answer(request: web.Request, told: str) -> web.StreamResponse:
        return web.Response(status=status, text=f"data: {told}\n\n", content_type="text/event-stream")

    return answer


@asynccontextmanager
async def echo_server(answer: Answer) -> AsyncIterator[str]:
    """Its base URL; WebSockets are opened, and each message comes back."""

    async def handle(request: web.Request) -> web.StreamResponse:
        told = " ".join(f"{name}: {value}" for name, value in request.headers.items())
        if request.headers.get("Upgrade") == "websocket" and answer(request, "").status == 200:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(told)
            async for message in socket:
                await socket.send_str(f"{told} {message.data}")
            return socket
        return answer(request, f"{told} {await request.text()}")

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_echo_server(before: bytes = b"", *, until: bytes = b"\r\n\r\n") -> AsyncIterator[str]:
    """Its base URL; what it says is no HTTP: some bytes, and the request as it came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = await reader.readuntil(until)
        told += await reader.read(4096) if told.startswith(b"POST") else b""
        writer.write(before + told)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
