"""The persistent connection: opened once for all who need it, kept warm between replies, replaced when dropped."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..errors import APIConnectionError, SmallestAIError
from . import protocol
from .connection import Connection
from .protocol import Event
from .route import Route
from .routing import Request
from .service import Service

__all__ = ["WebSocketLink", "WebSocketTransport"]

logger = logging.getLogger(__name__)

WARM_FOR = 600.0
"""Seconds after the last reply for which a connection is kept ready: a call in which nobody has spoken for ten
minutes is over, or can wait for a handshake."""

REOPEN_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to have a connection ready; the last one repeats. A reply does not wait for them."""

SHORT_LIFE = 1.0
"""A connection that the server closed sooner than this many seconds, and not for being idle, was no use: to open
it again at once would be a tight loop, so it counts as a failed attempt."""

IDLE_TIMEOUT = 60
"""Seconds without a message after which the service closes a connection by itself. Less is never asked for: a
reply may be heard for that long after its last request."""

HEARTBEAT = 30.0
"""Seconds between pings: they find out that the peer is gone, and keep middleboxes from forgetting us. (Those of
aiohttp would cost a timer for each chunk.)"""

T = TypeVar("T")


class WebSocketTransport:
    """Keeps one connection open and ready.

    Args:
        service: Where to connect.
        max_age: Seconds after which a connection is replaced, between replies.

    Attributes:
        tells_requests_apart: Whether the server's frames tell which request they belong to.
    """

    def __init__(self, service: Service, max_age: float) -> None:
        self._service = service
        self._max_age = max_age
        self._current: Connection | None = None
        self._opening: tuple[str, asyncio.Task[Connection]] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._connections: set[Connection] = set()
        self._last_used = 0.0
        self._changed = asyncio.Event()
        self.tells_requests_apart = True

    async def open(self, path: str) -> Connection:
        """The connection on a route, opened if there is none. Concurrent callers share one handshake.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        self._last_used = _now()
        if self._current is not None and self._current.usable and self._current.path == path:
            return self._current
        return await self._open_shared(path)

    async def take(self, path: str) -> Connection:
        """A connection to send a request on: the warm one, or one of its own where requests cannot be told apart.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        connection = await self.open(path)
        if self.tells_requests_apart or not connection.router.busy:
            return connection
        own = await self._connect(path)
        own.retire_after_use()
        return own

    @property
    def query(self) -> str:
        """For the unified route: keeps an idle connection open for as long as it is wanted."""
        return f"?timeout={max(IDLE_TIMEOUT, math.ceil(self._max_age))}"

    async def aclose(self) -> None:
        """End every connection and task. The transport can be used again afterwards."""
        tasks = list(self._tasks)
        self._current = self._opening = self._keeper = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that is cancelled before its first step does nothing at all, so that some may be left.
        await asyncio.gather(*(connection.close() for connection in self._connections))
        self._connections.clear()

    async def _open_shared(self, path: str) -> Connection:
        if self._opening is None or self._opening[0] != path or self._opening[1].done():
            self._opening = (path, self._spawn(self._open(path)))
        task = self._opening[1]
        # Not cancelled with one of its callers: others wait for it too, and the next reply will need it.
        await asyncio.wait({task})
        if task.cancelled():
            raise APIConnectionError("The connection was given up while it was being opened")
        return task.result()

    async def _connect(self, path: str) -> Connection:
        socket = await self._service.connect(path)
        connection = Connection(socket, path, self._service.secret, self._look)
        self._connections.add(connection)
        self._spawn(self._serve(connection))
        return connection

    async def _open(self, path: str) -> Connection:
        connection = await self._connect(path)
        old, self._current = self._current, connection
        if old is not None:
            old.retire()
        if self._keeper is None or self._keeper.done():
            self._keeper = self._spawn(self._keep_warm())
        logger.debug("Smallest AI: connected, route %s", path)
        return connection

    async def _serve(self, connection: Connection) -> None:
        """Own a connection from its opening to its end."""
        receiving = asyncio.ensure_future(connection.run())
        closed = asyncio.ensure_future(connection.closed.wait())
        ends = {receiving, closed}
        try:
            while not (await asyncio.wait(ends, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED))[0]:
                await connection.beat()
        finally:
            closed.cancel()
            await connection.close()  # while it is received on: aiohttp then does the closing handshake properly
            self._connections.discard(connection)
            receiving.cancel()
            await asyncio.gather(receiving, closed, return_exceptions=True)

    async def _keep_warm(self) -> None:
        """Have a connection ready until nobody has spoken for a while; never in the way of a reply."""
        failures = 0
        while (left := self._last_used + WARM_FOR - _now()) > 0 and self._current is not None:
            connection = self._current
            young_for = self._until_old(connection)
            if connection.usable and (young_for > 0 or connection.router.busy):
                await self._wait_for_change(min(left, young_for) if young_for > 0 else left)
                continue
            if failures or connection.died_young(SHORT_LIFE):
                await asyncio.sleep(REOPEN_BACKOFF[min(failures, len(REOPEN_BACKOFF) - 1)])
                failures += 1
            if self._current is connection:
                try:
                    await self._open_shared(connection.path)
                    failures = 0
                except SmallestAIError as error:
                    logger.debug("Smallest AI: no connection could be made ready: %s", error)
                    failures = max(failures, 1)
        if self._current is not None:
            self._current.retire()

    def _look(self) -> None:
        """Something has changed on a connection; the keeper is only woken for what it would act on."""
        current = self._current
        if current is not None and current.router.nameless:
            self.tells_requests_apart = False
        if current is None or not current.usable or self._until_old(current) <= 0:
            self._changed.set()

    def _until_old(self, connection: Connection) -> float:
        return connection.opened_at + self._max_age - _now()

    async def _wait_for_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SmallestAIError):
            logger.error("Smallest AI: a background task failed", exc_info=error)


class WebSocketLink:
    """The WebSocket as one reply uses it: a request for each segment.

    Args:
        transport: The connection's keeper, shared with other replies.
        route: The way to the model.
    """

    ends_are_told = False
    """The server may never say that a segment is complete."""

    joins = False
    """Each segment is a request."""

    def __init__(self, transport: WebSocketTransport, route: Route) -> None:
        self._transport = transport
        self.route = route

    @property
    def runs_ahead(self) -> bool:
        """Whether a request may be sent while another is in progress."""
        return self._transport.tells_requests_apart

    async def open(self) -> None:
        """Have a connection.

        Raises:
            SmallestAIError: The service is down, or refuses.
        """
        await self._transport.open(self._path)

    async def send(self, text: str, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> Request:
        """Request the speech of a segment.

        Raises:
            SmallestAIError: It could not be sent.
        """
        connection = await self._transport.take(self._path)
        request = Request(uuid.uuid4().hex, on_event, on_end, connection)
        connection.router.add(request)
        await connection.post(protocol.websocket_body(self.route.settings, text, request.id))
        return request

    @property
    def _path(self) -> str:
        model = self.route.model
        assert model.websocket is not None, "settings have been checked"
        return model.websocket + self._transport.query if model.unified else model.websocket


def _now() -> float:
    return asyncio.get_running_loop().time()
