"""One WebSocket: what is sent on it, its receive loop, its heartbeat, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio import FIRST_COMPLETED
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp

from ..errors import APIConnectionError, DroppedError, ServerError, SmallestAIError
from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame, NoticeFrame, WordFrame, parse_frame
from ..timing import Timing
from .base import Audio, Complete, Failed, Habits, Pong, TransportEvent, Word
from .demultiplexing import Demultiplexer
from .outbox import BROKEN, Outbox
from .pings import Pings
from .session import Session

__all__ = ["Connection", "Listener"]

TEXT = aiohttp.WSMsgType.TEXT

Listener = Callable[["Connection", TransportEvent], None]
"""Told of what comes on a connection."""


class Connection:
    """One open WebSocket, which belongs to one reply at a time. `run` serves it in a task of the keeper's.

    Args:
        socket: As aiohttp has opened it.
        path: The route that it is open on.
        session: Has the API key, to be kept out of messages, and the log.
        timing: When it is pinged, and how long its end may take.
        habits: What the server was seen to do on earlier connections of the route.
        on_end: Called once when nothing can be sent or received any more.

    Attributes:
        path: The route that it is open on.
        opened_at: By the loop's clock.
        habits: What the server was seen to do, on it and before.
        reason: Why the connection ended, or what the server told that names no request; ``None`` before.
        idle_told: Whether the server has said that it closes the connection for being idle.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        path: str,
        session: Session,
        timing: Timing,
        on_end: Callable[[Connection], None],
        habits: Habits,
    ) -> None:
        self.path = path
        self.opened_at = asyncio.get_running_loop().time()
        self.habits = habits
        self.reason: SmallestAIError | None = None
        self.idle_told = False
        self._socket = socket
        self._secret = session.secret
        self._log = session.log
        self._timing = timing
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._outbox = Outbox(self._break)
        self._pings = Pings(self.opened_at)
        self._use = _Use(None, 1)
        self._seconds = 0.0
        self._farewell: dict[str, Any] | None = None

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return not self._ended.is_set() and not self._socket.closed

    @property
    def clean(self) -> bool:
        """Whether nothing can come any more of what was asked for."""
        return self._use.streams.clean

    @property
    def streams(self) -> tuple[int, ...]:
        """The streams on it that have not ended, oldest first."""
        return self._use.streams.streams

    @property
    def brought_audio(self) -> bool:
        """Whether any audio came on it."""
        return self._seconds > 0

    def attach(self, listener: Listener | None, bytes_per_second: int = 1) -> None:
        """Give the connection to a reply; ``None``: to nobody.

        Args:
            listener: Called with each event, from the receive loop.
            bytes_per_second: Of the audio that the reply asks for.
        """
        self._use = _Use(listener, bytes_per_second)

    def request(self, stream: int, request_id: str, body: dict[str, Any]) -> None:
        """Send a plain request."""
        self._use.streams.begin(stream, request_id)
        self._post(body)

    def send_fragment(self, stream: int, body: dict[str, Any]) -> None:
        """Send a fragment of a context."""
        self._use.streams.begin_fragment(stream, body["request_id"])
        self._post(body)

    def close_context(self, body: dict[str, Any]) -> None:
        """Send the end of a context's text."""
        self._use.streams.close_context()
        self._post(body)

    def ping(self) -> bool:
        """Ask whether the connection carries both ways.

        Returns:
            Whether a `Pong` follows, if it does; else this server has answered no ping so far.
        """
        if not self._pings.are_answered:
            return False
        self._send_ping(asked=True)
        return True

    def drop(self, farewell: dict[str, Any] | None = None) -> None:
        """Stop everything on it at once. Its listener is not told.

        Args:
            farewell: A message to send before the socket is closed.
        """
        self._farewell = farewell
        self._outbox.clear()
        self.attach(None)
        self._end(DroppedError("The connection was dropped"))

    async def run(self) -> None:
        """Receive until the connection ends, and close the socket."""
        self._send_ping()  # shows early whether this server answers pings at all
        receiving = asyncio.ensure_future(self._receive_all())
        ended = asyncio.ensure_future(self._ended.wait())
        beat = self._timing.heartbeat
        try:
            while not (await asyncio.wait((receiving, ended), timeout=beat, return_when=FIRST_COMPLETED))[0]:
                self._beat()
        finally:
            ended.cancel()
            self._end(DroppedError("The connection was closed"))
            await self._close()  # while it is received on: aiohttp then does the closing handshake properly
            receiving.cancel()
            await self._outbox.aclose()
            await asyncio.gather(receiving, ended, return_exceptions=True)

    def _post(self, body: dict[str, Any]) -> None:
        self._outbox.put(partial(self._socket.send_str, json.dumps(body)))

    def _send_ping(self, *, asked: bool = False) -> None:
        payload = self._pings.send(asyncio.get_running_loop().time(), asked=asked)
        self._outbox.put(partial(self._socket.ping, payload))

    def _beat(self) -> None:
        """Ping again, or end the connection if the last ping was not answered."""
        now = asyncio.get_running_loop().time()
        if not self._pings.are_answered or not self._pings.waiting:
            self._send_ping()
        elif self._pings.silent_since() < now - self._timing.pong_idle:
            self._break(APIConnectionError("The server does not answer any more"))

    async def _receive_all(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            async for message in self._socket:
                if self._ended.is_set():
                    return
                self._pings.hear(clock())
                if message.type is TEXT or message.type is aiohttp.WSMsgType.BINARY:
                    self._receive(message.data)
                elif message.type is aiohttp.WSMsgType.PONG:
                    if self._pings.hear_pong(bytes(message.data)):
                        self._tell(Pong())
                elif message.type is aiohttp.WSMsgType.PING:
                    self._outbox.put(partial(self._socket.pong, message.data))
        except Exception as mistake:
            self._log.exception("the receive loop failed")
            self._break(ServerError(f"A message could not be processed ({type(mistake).__name__})"))
            return
        failure = self._socket.exception()
        why = type(failure).__name__ if failure else f"code {self._socket.close_code}"
        self._break(APIConnectionError(f"The server closed the connection ({why})"))

    def _receive(self, data: str | bytes) -> None:
        frame = parse_frame(data, secret=self._secret)
        use = self._use
        if isinstance(frame, AudioFrame):
            stream = use.streams.owner(frame)
            if stream is not None:
                use.began.setdefault(stream, self._seconds)
                self.reason = None  # an error told before did not end the connection
                self._tell(Audio(stream, frame.pcm, frame.server_id))
            elif use.streams.indistinct:
                self._give_up_indistinct()
            self._seconds += len(frame.pcm) / use.bytes_per_second
        elif isinstance(frame, WordFrame):
            stream = use.streams.owner(frame)
            if stream is not None:
                began = use.began.get(stream, self._seconds)
                self._tell(Word(stream, frame.text, frame.start, frame.server_id, began))
            elif use.streams.indistinct:
                self._give_up_indistinct()
        elif isinstance(frame, CompleteFrame):
            stream = use.streams.complete(frame)
            if stream is not None:
                self._tell(Complete(stream, frame.server_id))
        elif isinstance(frame, ErrorFrame):
            self._fail(frame)
        elif isinstance(frame, NoticeFrame):
            self._log.debug("%s", frame.text)

    def _fail(self, frame: ErrorFrame) -> None:
        if isinstance(frame.error, APIConnectionError):  # only the announcement of an idle close is of this type
            self.idle_told = True
            self._break(frame.error)
            return
        if frame.request_id is None:
            self.reason = frame.error  # should the server close the connection now, it is for this
        streams = self._use.streams.failed(frame)
        if streams:
            self._tell(Failed(streams, frame.error))
        else:
            self._log.debug("an error of no open request: %s", frame.error)

    def _give_up_indistinct(self) -> None:
        # A guess could mix their audio up. Sent again one by one, each is whole.
        self._break(ServerError("The service does not tell requests apart"), indistinct=True)

    def _break(self, error: SmallestAIError, *, indistinct: bool = False) -> None:
        """The connection is lost, and with it every stream."""
        if self._ended.is_set():
            return
        if not indistinct:
            error = self.reason or error
        self._end(error)
        self._tell(Failed(self.streams, error, connection_lost=True, indistinct=indistinct))

    def _end(self, error: SmallestAIError) -> None:
        if not self._ended.is_set():
            self.reason = error
            self._ended.set()
            self._on_end(self)

    def _tell(self, event: TransportEvent) -> None:
        if self._use.listener is not None:
            self._use.listener(self, event)

    async def _close(self) -> None:
        with contextlib.suppress(*BROKEN, TimeoutError):
            async with asyncio.timeout(self._timing.close):  # a server that does not read must not hold this up
                await self._outbox.flushed()
                if self._farewell is not None:
                    await self._socket.send_str(json.dumps(self._farewell))
        with contextlib.suppress(*BROKEN):
            await self._socket.close()


class _Use:
    """One reply's use of a connection.

    Attributes:
        listener: Told of what comes; ``None``: nobody is.
        bytes_per_second: Of its audio.
        streams: What it has asked for.
        began: Seconds of audio that the connection had brought before each stream's first.
    """

    __slots__ = ("began", "bytes_per_second", "listener", "streams")

    def __init__(self, listener: Listener | None, bytes_per_second: int) -> None:
        self.listener = listener
        self.bytes_per_second = bytes_per_second
        self.streams = Demultiplexer()
        self.began: dict[int, float] = {}
