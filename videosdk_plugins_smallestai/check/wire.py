"""The service's wire: an HTTP session that records, and a WebSocket whose frames are heard one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import aiohttp
from aiohttp import WSMsgType

from ..protocol.frames import AudioFrame, ErrorFrame, Frame, parse_frame
from ..transport.session import Session
from .recording import Exchange, Recorder

__all__ = ["FIRST_AUDIO", "QUIET", "Heard", "Line", "RecordingSession", "open_line"]

ENDINGS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)

SAMPLE_BYTES = 2

FIRST_AUDIO = 12.0
"""Seconds to wait for the first audio: as long as the plugin, and a little more."""

QUIET = 0.8
"""Seconds without a frame after which a release counts as sent: chunks come every 30 to 100 ms."""


class RecordingSession:
    """An `aiohttp.ClientSession` that records WebSockets and POSTs; all else is the real one's, and not recorded.

    Not a subclass: aiohttp discourages that.

    Args:
        session: Makes the real one: with its certificates, and without redirects.
        recorder: Where to write.
        key: Which key is sent, as a recording tells it.
    """

    closed = False
    trust_env = True  # so that `Session` looks for the environment's proxy

    def __init__(self, session: Session, recorder: Recorder, key: str) -> None:
        self._session = session
        self._recorder = recorder
        self._key = key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session.client(), name)

    def as_client(self) -> aiohttp.ClientSession:
        """This, as what it stands in for."""
        return cast(aiohttp.ClientSession, self)

    async def ws_connect(self, url: str, **options: Any) -> RecordingSocket:
        """As `aiohttp.ClientSession.ws_connect`."""
        exchange = self._recorder.exchange(handshake=self._path(url), key=self._key)
        try:
            socket = await self._session.client().ws_connect(url, **options)
        except aiohttp.ClientResponseError as refusal:
            exchange.answered(refusal.status, refusal.headers)
            raise
        except BaseException as failure:
            exchange.note(failed=type(failure).__name__)
            raise
        exchange.note(status=101)
        return RecordingSocket(socket, exchange)

    @asynccontextmanager
    async def post(self, url: str, **options: Any) -> AsyncIterator[RecordingResponse]:
        """As `aiohttp.ClientSession.post`, of a body in ``json``."""
        exchange = self._recorder.exchange(post=self._path(url), key=self._key, sent=options["json"])
        try:
            async with self._session.client().post(url, **options) as response:
                exchange.answered(response.status, response.headers)
                yield RecordingResponse(response, exchange)
        except (aiohttp.ClientError, OSError) as failure:
            exchange.over(failed=type(failure).__name__)
            raise
        finally:
            exchange.over(left=True)

    def _path(self, url: str) -> str:
        _, _, rest = url.partition("://")
        _, _, base = self._session.base_url.partition("://")
        return rest.removeprefix(base)


class RecordingSocket:
    """An `aiohttp.ClientWebSocketResponse` that records its frames."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, exchange: Exchange) -> None:
        self._socket = socket
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> aiohttp.WSMessage:
        message = await self.receive()
        if message.type in ENDINGS[:-1]:
            raise StopAsyncIteration
        return message

    async def receive(self) -> aiohttp.WSMessage:
        """As of aiohttp's."""
        message = await self._socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._exchange.heard(message.data)
        elif message.type in ENDINGS:
            code = None if message.type is WSMsgType.ERROR else self._socket.close_code
            self._exchange.over(closed=code)
        return message

    async def send_str(self, data: str) -> None:
        """As of aiohttp's."""
        self._exchange.note(sent=json.loads(data))
        await self._socket.send_str(data)

    async def close(self) -> bool:
        """As of aiohttp's."""
        self._exchange.over(left=True)
        return await self._socket.close()


class RecordingResponse:
    """An `aiohttp.ClientResponse` that records its body as it is read: `content.readany` alone."""

    def __init__(self, response: aiohttp.ClientResponse, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._is_text = "json" in response.content_type or response.content_type.startswith("text/")
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    @property
    def content(self) -> Self:
        """The body."""
        return self

    async def readany(self) -> bytes:
        """As of `aiohttp.StreamReader`."""
        chunk = await self._response.content.readany()
        self._hear(chunk)
        return chunk

    def _hear(self, chunk: bytes) -> None:
        if chunk and not self._is_text:
            self._exchange.heard(chunk)
            return
        # An event, or a body of JSON, is recorded whole: the audio in it, or the key, may have been cut.
        whole, end, self._held = (self._held + chunk).rpartition(b"\n\n") if chunk else (self._held, b"", b"")
        if whole + end:
            self._exchange.heard((whole + end).decode("utf-8", "replace"))
        if not chunk:
            self._exchange.over(ended=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame from the server.

    Attributes:
        at: When it came, by the loop's clock.
        raw: As it came; of a binary frame its length.
        frame: What it says.
    """

    at: float
    raw: str
    frame: Frame

    @property
    def seconds(self) -> float:
        """Seconds of audio in it, at 24000 Hz."""
        return len(self.frame.pcm) / SAMPLE_BYTES / 24000 if isinstance(self.frame, AudioFrame) else 0.0


def _never(_: list[Heard]) -> bool:
    return False


class Line:
    """One WebSocket.

    Args:
        socket: As it was opened.
        secret: The key, kept out of what is heard.

    Attributes:
        closed: The code with which the server closed it (1006: it broke off); ``None`` while it is open.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, secret: str) -> None:
        self._socket = socket
        self._secret = secret
        self.closed: int | None = None

    async def say(self, body: dict[str, Any]) -> float:
        """Send a message. Returns when, by the loop's clock.

        Raises:
            ConnectionError: The connection has ended.
        """
        await self._socket.send_str(json.dumps(body))
        return asyncio.get_running_loop().time()

    async def hear(self, patience: float) -> Heard | None:
        """The next frame; ``None`` where none comes for so many seconds, or the connection has ended."""
        try:
            async with asyncio.timeout(patience):
                while self.closed is None:
                    message = await self._socket.receive()
                    if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                        return self._heard(message.data)
                    if message.type is WSMsgType.PING:
                        await self._socket.pong(message.data)
                    elif message.type in ENDINGS:
                        self.closed = self._socket.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        except TimeoutError:
            pass
        return None

    async def ask(
        self, body: dict[str, Any], until: Callable[[list[Heard]], bool] = _never, *, quiet: float = QUIET
    ) -> list[Heard]:
        """Send a message, and `listen`."""
        await self.say(body)
        return await self.listen(until, quiet=quiet)

    async def listen(
        self, until: Callable[[list[Heard]], bool] = _never, *, patience: float = FIRST_AUDIO, quiet: float = QUIET
    ) -> list[Heard]:
        """Frames, until there are those that are waited for, an error comes, or the connection has ended.

        Args:
            until: Whether they are there.
            patience: Seconds to wait for the first audio.
            quiet: Seconds without a frame, after that, for which to go on.
        """
        heard: list[Heard] = []
        while not until(heard):
            begun = any(each.seconds for each in heard)
            frame = await self.hear(quiet if begun else patience)
            if frame is None:
                break
            heard.append(frame)
            if isinstance(frame.frame, ErrorFrame):
                break
        return heard

    def _heard(self, data: str | bytes) -> Heard:
        raw = data if isinstance(data, str) else f"{len(data)} bytes"
        return Heard(asyncio.get_running_loop().time(), raw, parse_frame(data, secret=self._secret))


@asynccontextmanager
async def open_line(session: Session, path: str) -> AsyncIterator[Line]:
    """A WebSocket, for as long as it is needed.

    Raises:
        SmallestAIError: It cannot be opened.
    """
    socket = await session.connect(path)
    try:
        yield Line(socket, session.secret)
    finally:
        await socket.close()
