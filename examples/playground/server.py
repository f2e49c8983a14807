"""The playground's server: one page, and a WebSocket for each that is open."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from _shared import OFFLINE_KEY, CannotSayError, told
from aiohttp import WSMsgType, web
from speaker import Message, Speaker, Wish
from switches import Switches

from videosdk_plugins_smallestai import SmallestAIError
from videosdk_plugins_smallestai.emulator import VoiceUnavailable, WavesEmulator

PAGE = Path(__file__).parent / "index.html"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:"
)


def make_app() -> web.Application:
    """The page, and its WebSocket."""
    app = web.Application(middlewares=[_only_this_machine])
    app.router.add_get("/", _page)
    app.router.add_get("/ws", _connect)
    return app


@web.middleware
async def _only_this_machine(request: web.Request, handler: Any) -> web.StreamResponse:
    """Other sites that the browser shows may not speak with the user's key."""
    if urlsplit(f"//{request.host}").hostname not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden(text="Open the playground by the address that it printed.")
    if request.headers.get("Origin", f"http://{request.host}") != f"http://{request.host}":
        raise web.HTTPForbidden(text="Only the playground's own page may connect.")
    response: web.StreamResponse = await handler(request)
    return response


async def _page(request: web.Request) -> web.Response:
    text = PAGE.read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def _connect(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=20.0, compress=False)
    await socket.prepare(request)
    messages: asyncio.Queue[Message] = asyncio.Queue()
    sending = asyncio.create_task(_send(socket, messages))
    try:
        await _serve(socket, messages)
    finally:
        sending.cancel()
        await asyncio.wait({sending})
    return socket


async def _send(socket: web.WebSocketResponse, messages: asyncio.Queue[Message]) -> None:
    try:
        while True:
            message = await messages.get()
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_json(message)
    except ConnectionError:
        pass  # the page was closed


async def _serve(socket: web.WebSocketResponse, messages: asyncio.Queue[Message]) -> None:
    out = messages.put_nowait
    switches = Switches(out)
    try:
        async with _service(switches) as address:
            speaker = Speaker(address, out)
            try:
                await _greet(speaker, out, live=not address)
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        await _obey(message.data, speaker, switches, out)
            finally:
                await speaker.aclose()
    except CannotSayError as error:
        await socket.send_json({"type": "error", "message": str(error)})


@asynccontextmanager
async def _service(switches: Switches) -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to the service, or to an emulator for this page alone."""
    if os.environ.get("SMALLEST_API_KEY"):
        yield {}
        return
    try:
        async with WavesEmulator(fault=switches.fault) as waves:
            yield {"api_key": OFFLINE_KEY, "base_url": waves.base_url}
    except VoiceUnavailable as missing:
        raise CannotSayError(f"{missing} Or set SMALLEST_API_KEY, and the service speaks") from missing


async def _greet(speaker: Speaker, out: Any, *, live: bool) -> None:
    try:
        voices = [{"id": v.id, "name": v.name, "languages": v.languages} for v in await speaker.voices()]
    except SmallestAIError as error:
        voices = []
        out({"type": "error", "message": told(error)})
    await speaker.prewarm()
    out({"type": "hello", "live": live, "voices": voices})


async def _obey(text: str, speaker: Speaker, switches: Switches, out: Any) -> None:
    """Do what the page asks for."""
    try:
        asked = json.loads(text)
        if asked["type"] == "speak":
            await speaker.speak(Wish.of(asked))
        elif asked["type"] == "interrupt":
            await speaker.interrupt()
        elif asked["type"] == "fault":
            switches.set(asked["kind"], on=asked["on"])
    except CannotSayError as error:
        out({"type": "error", "message": str(error)})
    except (KeyError, TypeError, ValueError) as error:
        out({"type": "error", "message": f"The page asked for something that cannot be done: {error}"})
