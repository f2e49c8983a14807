"""The WebSocket as one reply uses it.

What a reply's streams are on it depends on the model's route:

====================  =============================================  ==========================================
route                 a stream is                                    its connection
====================  =============================================  ==========================================
per model             a plain request                                shared by the reply's streams
unified, joined       a continuation's context, with its fragments   shared, though there is rarely a second
unified, not joined   a plain request                                its own: the server closes it after
                                                                     `complete`
====================  =============================================  ==========================================

Where a server's frames do not tell plain requests apart, each has a connection of its own for the rest of the
reply.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from ..errors import APIConnectionError, DroppedError, SmallestAIError
from ..models import Model
from ..protocol import requests
from ..protocol.redaction import conceal
from .base import Audio, Complete, Failed, Opened, OpenFailed, Pong, Route, Traits, TransportEvent
from .connection import Connection
from .events import Events
from .keeper import Keeper
from .succession import ModelChoice

__all__ = ["WebSocketTransport", "websocket_path"]

SAMPLE_BYTES = 2

IDLE_TIMEOUT = 60
"""Seconds without a message after which the service closes a connection by itself. Less is never asked for: a reply
may be heard for that long after its last request."""

OWN_CONNECTIONS = 4
"""Connections of one reply whose streams have one each, at most: the vendor documents five, and one is kept ready.
Those that have more have not been told the ends of the oldest, which nobody waits for."""


def websocket_path(model: Model, max_age: float) -> str:
    """The route of a model below the base URL.

    Args:
        model: One that has a WebSocket.
        max_age: Seconds for which an idle connection is wanted; the unified route can be asked for that.
    """
    assert model.websocket is not None, "settings have been checked"
    return (
        f"{model.websocket}?timeout={max(IDLE_TIMEOUT, math.ceil(max_age))}" if model.unified else model.websocket
    )


class WebSocketTransport:
    """A `ReplyTransport` on WebSockets.

    Args:
        keeper: Lends the connections.
        choice: The model that speaks.
        post: Called with each event.
        joined: Whether to speak the reply as one continuation, where the settings and the route have them.
    """

    def __init__(
        self, keeper: Keeper, choice: ModelChoice, post: Callable[[TransportEvent], None], *, joined: bool
    ) -> None:
        self._keeper = keeper
        self._choice = choice
        self._events = Events(post)
        self._joined = joined
        self._indistinct = False
        self._connection: Connection | None = None  # shared; else ready for the next stream
        self._opening: asyncio.Task[None] | None = None
        self._own: dict[int, Connection] = {}  # of streams that have one each
        self._taking: dict[int, asyncio.Task[None]] = {}  # one for such a stream
        self._contexts: dict[int, str] = {}
        self._request_ids: dict[int, str] = {}
        self._pinged: Connection | None = None
        self._texts: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """See `ReplyTransport.open`."""
        self._cancel_opening()
        connection = self._connection
        if connection is None or not connection.usable or connection.path != self._path:
            self._leave_connection()
            connection = self._keeper.take_idle(self._path, ahead=not self._traits.shared)
        if connection is not None:
            self._events.post_soon(self._have(connection, reused=True))
        else:
            self._opening = self._spawn(self._open())

    def send(self, stream: int, text: str, *, joined: bool) -> str:
        """See `ReplyTransport.send`."""
        self._texts.append(text)
        request_id = self._request_ids.setdefault(stream, uuid.uuid4().hex)
        if self._traits.shared:
            self._send_on_shared(stream, text, joined=joined)
        else:
            self._send_on_its_own(stream, text)
        return request_id

    def _send_on_shared(self, stream: int, text: str, *, joined: bool) -> None:
        connection = self._connection
        if connection is None or not connection.usable:
            error = APIConnectionError("The connection broke before a request could be sent")
            self._events.post_soon(Failed((stream,), error, connection_lost=True))
        elif joined:
            context_id = self._contexts.setdefault(stream, self._request_ids[stream])
            body = requests.fragment_body(self._choice.settings, text, context_id, context_id)
            connection.send_fragment(stream, body)
        else:
            self._request(connection, stream, text)

    def close_stream(self, stream: int) -> None:
        """See `ReplyTransport.close_stream`."""
        context_id = self._contexts.get(stream)
        if context_id is not None and self._connection is not None and self._connection.usable:
            self._connection.close_context(requests.close_body(self._choice.settings, context_id, context_id))

    def drop(self, stream: int) -> None:
        """See `ReplyTransport.drop`."""
        self._events.discard(stream)
        taking = self._taking.pop(stream, None)
        if taking is not None:
            taking.cancel()
        connection = self._own.pop(stream, None)
        if connection is not None:
            connection.drop()

    def abandon(self, *, broken: bool = False) -> None:
        """See `ReplyTransport.abandon`."""
        self._cancel_opening()
        self._events.clear()
        self._leave_connection()
        for stream in [*self._own, *self._taking]:
            self.drop(stream)

    def ping(self, stream: int) -> None:
        """See `ReplyTransport.ping`."""
        connection = self._connection if self._traits.shared else self._own.get(stream)
        if connection is not None and connection.usable and connection.ping():
            self._pinged = connection
        else:
            self._pinged = None
            self._events.post_soon(Pong())

    def move_on(self) -> None:
        """See `ReplyTransport.move_on`. What is still in progress on the connection fails with it."""
        self._cancel_opening()
        self._choice.move_on()
        connection = self._connection
        if connection is not None and (connection.path != self._path or connection.streams):
            streams = connection.streams
            self._leave_connection()
            if streams:
                error = DroppedError("The connection was dropped, since the model is retired")
                self._events.post_soon(Failed(streams, error, connection_lost=True))

    def linger(self) -> None:
        """See `ReplyTransport.linger`."""
        if self._connection is not None and self._traits.shared:
            self._keeper.linger(self._connection)

    def release(self) -> None:
        """See `ReplyTransport.release`."""
        self._cancel_opening()
        self._events.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._keeper.give_back(connection)
        for stream in [*self._own, *self._taking]:
            self.drop(stream)

    async def aclose(self) -> None:
        """See `ReplyTransport.aclose`."""
        self.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _traits(self) -> Traits:
        unified = self._choice.model.unified
        if unified and self._joined and self._choice.settings.continuations:
            return Traits(joined=True, shared=True)
        return Traits(shared=not unified and not self._indistinct)

    @property
    def _path(self) -> str:
        return websocket_path(self._choice.model, self._keeper.max_age)

    async def _open(self) -> None:
        connection = await self._take()
        if isinstance(connection, SmallestAIError):
            self._events.post(OpenFailed(connection))
        else:
            self._events.post(self._have(connection, reused=False))

    async def _take(self) -> Connection | SmallestAIError:
        try:
            return await self._keeper.take(self._path, ahead=not self._traits.shared)
        except SmallestAIError as error:
            return self._explain(error)

    def _have(self, connection: Connection, *, reused: bool) -> Opened:
        if connection is not self._connection:
            self._connection = connection
            self._attach(connection)
        settings = self._choice.settings
        route = Route("websocket", connection.path, settings.model, settings.voice_id)
        return Opened(self._traits, connection.habits, route, reused)

    def _attach(self, connection: Connection) -> None:
        connection.attach(self._hear, self._choice.settings.sample_rate * SAMPLE_BYTES)

    def _request(self, connection: Connection, stream: int, text: str) -> None:
        request_id = self._request_ids[stream]
        connection.request(stream, request_id, requests.websocket_body(self._choice.settings, text, request_id))

    def _send_on_its_own(self, stream: int, text: str) -> None:
        if len(self._own) >= OWN_CONNECTIONS:
            oldest = min(self._own)
            self.drop(oldest)
            error = DroppedError("Too many requests of one reply are in progress")
            self._events.post_soon(Failed((oldest,), error))
        connection, self._connection = self._connection, None
        if connection is None or not connection.usable:
            connection = self._keeper.take_idle(self._path, ahead=True)
        if connection is None:
            self._taking[stream] = self._spawn(self._take_and_request(stream, text))
        else:
            self._request_on_its_own(connection, stream, text)

    async def _take_and_request(self, stream: int, text: str) -> None:
        connection = await self._take()
        del self._taking[stream]
        if isinstance(connection, SmallestAIError):
            self._events.post(Failed((stream,), connection))
        else:
            self._request_on_its_own(connection, stream, text)

    def _request_on_its_own(self, connection: Connection, stream: int, text: str) -> None:
        self._attach(connection)
        self._own[stream] = connection
        self._request(connection, stream, text)

    def _hear(self, connection: Connection, event: TransportEvent) -> None:
        """Take an event of one of the connections."""
        if isinstance(event, Audio):
            self._choice.spoke()
        elif isinstance(event, Failed):
            event = self._take_failure(connection, event)
            if not event.streams and not event.connection_lost:
                return
        elif isinstance(event, Pong) and connection is not self._pinged:
            return  # another one was pinged since
        self._events.post(event)
        if isinstance(event, Complete) and self._own.get(event.stream) is connection:
            del self._own[event.stream]
            connection.drop()  # the server closes it too

    def _take_failure(self, connection: Connection, failed: Failed) -> Failed:
        """Note what a failure means for the connections. Returns it as the reply is to know it."""
        error = self._explain(failed.error)
        if error.request_id is None and failed.streams:
            error.request_id = self._request_ids[failed.streams[0]]
        failed = replace(failed, error=error)
        if connection is not self._connection or not self._traits.shared:
            was_ready = connection is self._connection  # nobody was using it: the next stream gets another one
            if was_ready:
                self._connection = None
            for stream in failed.streams:
                self.drop(stream)
            return replace(failed, connection_lost=was_ready)
        self._indistinct |= failed.indistinct
        if self._contexts or len(failed.streams) > 1:
            # What the server still sends of what failed could be taken for what is asked for next.
            failed = replace(failed, connection_lost=True)
        if failed.connection_lost:
            self._leave_connection()
        return failed

    def _explain(self, error: SmallestAIError) -> SmallestAIError:
        error = self._choice.explain(error)
        conceal(error, self._texts)
        return error

    def _leave_connection(self) -> None:
        connection, self._connection = self._connection, None
        contexts, self._contexts = self._contexts, {}
        if connection is not None:
            newest = next(reversed(contexts.values()), None)
            connection.drop(None if newest is None else requests.context_close_body(newest))

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
