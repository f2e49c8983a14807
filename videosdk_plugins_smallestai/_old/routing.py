"""The requests on one connection, and which of them each frame belongs to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import DroppedError, SmallestAIError
from .protocol import Audio, Complete, Event, Failure, Notice, Word
from .signals import Signal

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Request", "Router"]

logger = logging.getLogger(__name__)

PROMPT = 0.5
"""Seconds after a last chunk within which a `complete` counts as prompt. Servers send it at once or after four."""

RELEASED_LIMIT = 64
"""Requests remembered after they were taken for ended, for the `complete` that may still come."""


class Request:
    """One request under way on a connection.

    Attributes:
        id: Our id of the request, which the server echoes.
        on_event: Called with each `Audio` and `Word`, from the receive loop.
        last_chunk_at: When its newest audio came, by the loop's clock; ``None`` before any.
        order: Its place among the connection's requests.
        first_byte: Where its audio begins in that of the connection; ``None`` before any.
        ended: Whether the server has said that it is complete, or it failed.
        released: Whether its speaker takes it for ended although the server has not said so.
    """

    def __init__(
        self,
        request_id: str,
        on_event: Callable[[Event], None],
        on_end: Callable[[], None],
        connection: Connection,
    ) -> None:
        self.id = request_id
        self.on_event = on_event
        self.connection = connection
        self.last_chunk_at: float | None = None
        self.released = False
        self.ended = False
        self.order = 0
        self.first_byte: int | None = None
        self._on_end = [on_end]
        self._error: SmallestAIError | None = None
        self._over = Signal()

    @property
    def prompt(self) -> bool:
        """Whether the server has been sending `complete` promptly on this connection."""
        return self.connection.prompt

    async def wait(self) -> None:
        """Wait until the server says that all was sent. Leaving early does not end the request.

        Raises:
            SmallestAIError: The request failed, or its connection broke.
        """
        while not self.ended:
            await self._over.wait()
        if self._error is not None:
            raise self._error

    async def prove(self, since: float) -> float | None:
        """As `Connection.prove`."""
        return await self.connection.prove(since)

    @property
    def interleaved(self) -> bool:
        """Whether the server has been seen to mix requests on this connection."""
        return self.connection.router.interleaved

    @property
    def stream_bytes(self) -> int:
        """Bytes of audio that the connection had brought before it."""
        return self.connection.router.audio_bytes if self.first_byte is None else self.first_byte

    def farewell(self) -> dict[str, Any] | None:
        """What to send before its connection is dropped, so that the server stops at once."""
        return None

    def completes(self, event: Complete) -> bool:
        """Whether a `complete` ends the request. It does, unless the request has several parts."""
        return True

    def end(self, error: SmallestAIError | None = None) -> None:
        """Note how the request ended."""
        if not self.ended:
            self.ended, self._error = True, error
            self._over.notify()
            on_end, self._on_end = self._on_end, []
            for callback in on_end:
                callback()
            self.connection.changed()

    def release(self, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        """Take it for ended; what still comes goes to another listener."""
        if self.ended:
            on_end()
            return
        self.released = True
        self.on_event = on_event
        self._on_end.append(on_end)
        self.connection.release(self)

    def abort(self, error: SmallestAIError | None = None) -> None:
        """Make the server stop, which a WebSocket only understands as a broken connection."""
        if not self.ended:
            self.connection.last_words = self.farewell()
            self.end(error or DroppedError("The request was stopped"))
            self.connection.drop()


class Router:
    """Which request a frame belongs to. Knows nothing of sockets.

    A frame belongs to the request whose id it echoes, else to the one that the server's own id has been seen with.
    A chunk without any id belongs to the oldest request that is still waited for, a `complete` to the oldest that
    has none yet, an error to all.

    Attributes:
        prompt: Whether the server has been sending `complete` promptly.
        interleaved: Whether it has been seen to mix the chunks of two requests.
        nameless: Whether it sends frames that do not tell their request.
        ambiguous: Whether such a frame came while several requests were waited for, so that nobody can tell whose
            it was.
        audio_bytes: How much audio has come, in all.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.prompt = False
        self.interleaved = False
        self.nameless = False
        self.ambiguous = False
        self.audio_bytes = 0
        self._clock = clock
        self._open: dict[str, Request] = {}
        self._by_server_id: dict[str, Request] = {}
        self._requests = 0
        self._newest_heard = 0

    @property
    def waited_for(self) -> list[Request]:
        """Requests that somebody still waits for, oldest first."""
        return [request for request in self._open.values() if not request.released]

    @property
    def busy(self) -> bool:
        """Whether somebody waits for a request on this connection."""
        return any(not request.released for request in self._open.values())

    def add(self, request: Request) -> None:
        """Expect frames for a request."""
        self._open[request.id] = request
        self._requests += 1
        request.order = self._requests
        released = [r for r in self._open.values() if r.released]
        for old in released[:-RELEASED_LIMIT]:
            self._forget(old)

    def route(self, event: Event) -> None:
        """Hand one event to the request that it belongs to; drop it where there is none."""
        if isinstance(event, (Audio, Word, Complete)):
            self._deliver(event)
        elif isinstance(event, Failure):
            self._fail(event)
        elif isinstance(event, Notice):
            logger.debug("Smallest AI: %s", event.text)

    def tell_all(self, event: Event) -> None:
        """Hand an event to every request that somebody waits for."""
        for request in self.waited_for:
            request.on_event(event)

    def end_all(self, error: SmallestAIError) -> None:
        """The connection is gone: nothing more comes for any request."""
        for request in list(self._open.values()):
            self._forget(request)
            request.end(error)

    def _deliver(self, event: Audio | Word | Complete) -> None:
        request = self._find(event)
        if request is None:
            return
        if isinstance(event, Complete):
            if request.completes(event):
                if request.last_chunk_at is not None:
                    self.prompt = self._clock() - request.last_chunk_at < PROMPT
                self._forget(request)
                request.end()
            return
        if isinstance(event, Audio):
            if request.first_byte is None:
                request.first_byte = self.audio_bytes
            self.audio_bytes += len(event.pcm)
            request.last_chunk_at = self._clock()
            self.interleaved |= request.order < self._newest_heard
            self._newest_heard = max(self._newest_heard, request.order)
        request.on_event(event)

    def _find(self, event: Audio | Word | Complete | Failure) -> Request | None:
        if event.request_id is not None:
            request = self._open.get(event.request_id)
            if request is not None and event.server_id is not None:
                self._by_server_id[event.server_id] = request
            return request
        if event.server_id is not None and event.server_id in self._by_server_id:
            return self._by_server_id[event.server_id]
        self.nameless = True
        if isinstance(event, Complete):
            return next(iter(self._open.values()), None)
        waited_for = self.waited_for
        self.ambiguous |= len(waited_for) > 1
        return waited_for[0] if waited_for and not self.ambiguous else None

    def _fail(self, event: Failure) -> None:
        if event.request_id is not None or (event.server_id or "") in self._by_server_id:
            request = self._find(event)
            failed = [request] if request is not None else []
        else:
            failed = self.waited_for
        if not failed:
            logger.debug("Smallest AI: an error for no request: %s", event.error)
        for request in failed:
            self._forget(request)
            request.end(event.error)

    def _forget(self, request: Request) -> None:
        self._open.pop(request.id, None)
        for server_id in [key for key, value in self._by_server_id.items() if value is request]:
            del self._by_server_id[server_id]
