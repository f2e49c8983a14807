"""One open WebSocket: what is sent on it, its receive loop, its heartbeat, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from abc import ABC, abstractmethod
from asyncio import FIRST_COMPLETED
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp

from ..errors import APIConnectionError, DroppedError, ServerError, SmallestAIError
from ..protocol.frames import NoticeFrame
from ..protocol.redaction import without_speech
from ..timing import Timing
from .outbox import BROKEN, Outbox
from .pings import Pings
from .session import Session

__all__ = ["Wire"]

TEXT = aiohttp.WSMsgType.TEXT

TEXTS_KEPT = 20
"""Texts that were sent last, which the server may repeat in what it says. A reply has two in progress."""


class Wire(ABC):
    """One open WebSocket, which belongs to one reply at a time. `run` serves it in a task of the keeper's.

    Args:
        socket: As aiohttp has opened it.
        path: The route that it is open on.
        session: Has the API key, to be kept out of messages, and the log.
        timing: When it is pinged, and how long its end may take.
        on_end: Called once when nothing can be sent or received any more.

    Attributes:
        path: The route that it is open on.
        opened_at: By the loop's clock.
        reason: Why the connection ended, or what the server told that names no request; ``None`` before.
        idle_told: Whether the server has said that it closes the connection for being idle.
        cancelled: Whether `run` was cancelled, as when the event loop ends.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        path: str,
        session: Session,
        timing: Timing,
        on_end: Callable[[Any], None],
    ) -> None:
        self.path = path
        self.opened_at = asyncio.get_running_loop().time()
        self.reason: SmallestAIError | None = None
        self.idle_told = False
        self.cancelled = False
        self._socket = socket
        self._secret = session.secret
        self._log = session.log
        self._timing = timing
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._outbox = Outbox(self._break)
        self._pings = Pings(self.opened_at)
        self._farewell: dict[str, Any] | None = None
        self._texts: deque[str] = deque(maxlen=TEXTS_KEPT)

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return not self._ended.is_set() and not self._socket.closed

    @property
    @abstractmethod
    def clean(self) -> bool:
        """Whether another reply can have it now."""

    @property
    @abstractmethod
    def brought_audio(self) -> bool:
        """Whether any audio came on it."""

    @abstractmethod
    async def ready(self) -> None:
        """Wait until requests may be sent. To be called once, while it runs.

        Raises:
            SmallestAIError: The server does not let it come to that.
        """

    @abstractmethod
    def let_go(self) -> None:
        """Belong to no reply: nobody is told what comes."""

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
        self.let_go()
        self._outbox.clear()
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
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            ended.cancel()
            self._end(DroppedError("The connection was closed"))
            await self._close()  # while it is received on: aiohttp then does the closing handshake properly
            receiving.cancel()
            await self._outbox.aclose()
            await asyncio.gather(receiving, ended, return_exceptions=True)

    @abstractmethod
    def _receive(self, data: str | bytes) -> None:
        """Take a message."""

    @abstractmethod
    def _ponged(self) -> None:
        """The ping that a reply waits for was answered."""

    @abstractmethod
    def _lost(self, error: SmallestAIError) -> None:
        """The connection is lost, and with it all that is on it."""

    def _post(self, body: dict[str, Any]) -> None:
        if "text" in body:
            self._texts.append(body["text"])
        self._outbox.put(partial(self._socket.send_str, json.dumps(body)))

    def _note(self, notice: NoticeFrame) -> None:
        if self._log.isEnabledFor(logging.DEBUG):
            self._log.debug("the server says: %s", without_speech(notice.text, self._texts))

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
                        self._ponged()
                elif message.type is aiohttp.WSMsgType.PING:
                    self._outbox.put(partial(self._socket.pong, message.data))
        except Exception as mistake:
            self._log.exception("the receive loop failed")
            self._break(ServerError(f"A message could not be processed ({type(mistake).__name__})"))
            return
        failure = self._socket.exception()
        why = type(failure).__name__ if failure else f"code {self._socket.close_code}"
        self._break(self._closed(self._socket.close_code, why))

    def _closed(self, code: int | None, why: str) -> SmallestAIError:
        """What it means that the server has closed the connection."""
        return APIConnectionError(f"The server closed the connection ({why})")

    def _break(self, error: SmallestAIError) -> None:
        """The connection is lost, for what the server told before, or else for this."""
        if self._end(error := self.reason or error):
            self._lost(error)

    def _end(self, error: SmallestAIError) -> bool:
        """Nothing can be sent or received any more. Returns whether that is new."""
        if self._ended.is_set():
            return False
        self.reason = error
        self._ended.set()
        self._on_end(self)
        return True

    async def _close(self) -> None:
        with contextlib.suppress(*BROKEN, TimeoutError):
            async with asyncio.timeout(self._timing.close):  # a server that does not read must not hold this up
                await self._outbox.flushed()
                if self._farewell is not None:
                    await self._socket.send_str(json.dumps(self._farewell))
        with contextlib.suppress(*BROKEN):
            await self._socket.close()
