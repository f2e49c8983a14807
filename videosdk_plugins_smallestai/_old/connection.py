"""One WebSocket: what is sent on it, its receive loop, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from typing import Any

import aiohttp

from ..errors import APIConnectionError, DroppedError, SmallestAIError
from . import protocol
from .protocol import Alive, Failure
from .routing import Request, Router

__all__ = ["LOOK_EVERY", "Connection"]

TEXT = aiohttp.WSMsgType.TEXT

PONG_LIMIT = 10.0
"""Seconds after which an idle peer that has not answered a ping is gone. Nobody waits, so there is time."""

LOOK_EVERY = 0.5
"""Seconds between looks at whether a ping was answered. One that comes later counts for no more."""


class Connection:
    """One open WebSocket. `run` is its receive loop; whoever made it owns the task.

    Attributes:
        path: The route that it is open on.
        opened_at: By the loop's clock.
        router: The requests under way on it.
        closed: Set once nothing can be sent or received any more.
        last_words: A message to send before the socket is closed.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        path: str,
        secret: str,
        on_change: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.path = path
        self.opened_at = loop.time()
        self.router = Router(loop.time)
        self.closed = asyncio.Event()
        self.last_words: dict[str, Any] | None = None
        self._clock = loop.time
        self._on_change = on_change
        self._socket = socket
        self._secret = secret
        self._retired = False
        self._single_use = False
        self._timed_out = False
        self._lived: float | None = None
        self._pings = 0
        self._pinged_at = -math.inf
        self._proved_at = -math.inf
        self._looked_at = 0.0
        self._heard_at = 0.0
        self._waited = 0.0

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return not self._retired and not self.closed.is_set() and not self._socket.closed

    @property
    def prompt(self) -> bool:
        """Whether the server has been sending `complete` promptly."""
        return self.router.prompt

    async def post(self, body: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            APIConnectionError: The connection is gone.
        """
        if self.closed.is_set():
            raise APIConnectionError("The connection broke before a request could be sent")
        try:
            await self._socket.send_str(json.dumps(body))
        except (aiohttp.ClientError, OSError, RuntimeError) as failure:
            reason = type(failure).__name__
        else:
            return
        error = APIConnectionError(f"The connection broke while sending a request ({reason})")
        self._end(error)
        raise error

    async def prove(self, since: float) -> float | None:
        """Find out whether the network still carries both ways, by a ping that is sent after a time.

        Its answer proves more than life: what was sent before the ping has arrived, and what the server had sent
        until then is here.

        Args:
            since: By the loop's clock.

        Returns:
            ``None`` once it has been answered, or on a server that answers no pings; else the seconds for which
            it has been waited for. What the event loop stood still does not count: the answer may be in the socket.
        """
        if self._proved_at > since or not math.isfinite(self._proved_at):
            return None
        if self._pinged_at <= since:
            await self._ping()
        now = self._clock()
        self._waited += min(now - self._looked_at, LOOK_EVERY)
        self._looked_at = now
        return self._waited

    async def _ping(self) -> None:
        self._pings += 1
        self._pinged_at = self._looked_at = self._clock()
        self._waited = 0.0
        with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):  # `run` finds out that it is gone
            await self._socket.ping(str(self._pings).encode())

    def _hear_pong(self, payload: bytes) -> None:
        if payload == str(self._pings).encode():  # not an older one
            self._proved_at = self._pinged_at
            self.router.tell_all(Alive())

    async def beat(self) -> None:
        """Keep the connection alive, and drop it if the last ping was not answered; to be called now and then."""
        answers = math.isfinite(self._proved_at)
        if not answers or self._proved_at == self._pinged_at:
            await self._ping()
        elif max(self._pinged_at, self._heard_at) < self._clock() - PONG_LIMIT:  # audio may be queued before it
            self._end(APIConnectionError("The server does not answer any more"))

    def drop(self) -> None:
        """Stop everything on it at once; the requests of others fail and are asked again elsewhere."""
        self._end(DroppedError("The connection was dropped, since a reply on it was stopped"))

    def release(self, request: Request) -> None:
        """A request is no longer waited for. Without ids its late frames could be taken for another's."""
        if self.router.nameless and not request.ended:
            self.retire()
        self.changed()

    def retire(self) -> None:
        """Send nothing new on it, and close it as soon as nobody waits for a request."""
        self._retired = True
        self.changed()

    def retire_after_use(self) -> None:
        """As `retire`, once a request has been sent on it and has ended."""
        self._single_use = True

    def changed(self) -> None:
        """Whether somebody waits for a request may have changed."""
        if (self._retired or self._single_use) and not self.router.busy:
            self._end(DroppedError("The connection was closed"))
        self._on_change()

    def died_young(self, age: float) -> bool:
        """Whether the server closed it before that age (seconds), and not for being idle."""
        return self._lived is not None and self._lived < age and not self._timed_out

    def _end(self, error: SmallestAIError) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.router.end_all(error)
            self._on_change()

    async def run(self) -> None:
        """Receive until the connection ends; then every request still waited for fails."""
        await self._ping()  # shows early whether this server answers pings at all
        async for message in self._socket:
            if self.closed.is_set():
                return
            self._heard_at = self._clock()
            if message.type is TEXT or message.type is aiohttp.WSMsgType.BINARY:
                self._receive(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                self._hear_pong(bytes(message.data))
            elif message.type is aiohttp.WSMsgType.PING:
                with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
                    await self._socket.pong(message.data)
        self._lived = self._clock() - self.opened_at
        failure = self._socket.exception()
        why = type(failure).__name__ if failure else f"code {self._socket.close_code}"
        self._end(APIConnectionError(f"The server closed the connection ({why})"))

    async def close(self) -> None:
        """Close the socket, with its closing handshake."""
        self._end(DroppedError("The connection was closed"))
        with contextlib.suppress(aiohttp.ClientError, OSError, RuntimeError):
            if self.last_words is not None:
                await self._socket.send_str(json.dumps(self.last_words))
            await self._socket.close()

    def _receive(self, data: str | bytes) -> None:
        event = protocol.parse_frame(data, secret=self._secret)
        if isinstance(event, Failure) and isinstance(event.error, APIConnectionError):
            self._timed_out = True  # the error that announces an idle close is the only one of this kind
        self.router.route(event)
        if self.router.ambiguous:
            # Asked again one by one, each is whole; guessed, their audio could be mixed up.
            self._end(DroppedError("The server does not tell requests apart: they are sent one at a time"))
