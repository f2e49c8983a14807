"""What the plugin sends: seen in the HTTP session that it is given, with the live service too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp


def watched_session(on_request: Callable[[str], None], on_broken: Callable[[], None]) -> aiohttp.ClientSession:
    """A session for the plugin.

    Args:
        on_request: Called with the text of each request for speech.
        on_broken: Called when a WebSocket ends that nobody here has closed.
    """

    class Socket(aiohttp.ClientWebSocketResponse):
        _ours = False
        _receiver: asyncio.Task[Any] | None = None

        async def send_str(self, data: str, *args: Any, **kwargs: Any) -> None:
            _tell(data, on_request)
            await super().send_str(data, *args, **kwargs)

        async def receive(self, *args: Any, **kwargs: Any) -> Any:
            self._receiver = asyncio.current_task()  # which closes it too, at the server's end
            message = await super().receive(*args, **kwargs)
            ended = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            if message.type in ended and not self._ours:
                self._ours = True
                on_broken()
            return message

        async def close(self, *args: Any, **kwargs: Any) -> bool:
            if asyncio.current_task() is not self._receiver:
                self._ours = True
            return await super().close(*args, **kwargs)

    async def body_sent(
        session: aiohttp.ClientSession, context: SimpleNamespace, sent: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        _tell(sent.chunk, on_request)

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(body_sent)
    return aiohttp.ClientSession(ws_response_class=Socket, trace_configs=[trace], trust_env=True)


def _tell(data: str | bytes, on_request: Callable[[str], None]) -> None:
    try:
        body = json.loads(data)
    except ValueError:
        return
    text = body.get("text") if isinstance(body, dict) else None
    if text:
        on_request(text)
