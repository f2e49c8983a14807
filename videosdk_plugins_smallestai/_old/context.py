"""Continuations: a whole reply as one generation, its segments joined as they are."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from ..settings import Settings
from . import protocol
from .boundaries import ends_sentence, sentences
from .connection import Connection
from .protocol import Complete, Event
from .route import Route
from .routing import Request
from .text import Segment
from .websocket import WebSocketLink, WebSocketTransport

__all__ = ["ContextLink", "ContextRequest"]


class ContextRequest(Request):
    """A context on the server: fragments of text go in, one stream of audio comes out.

    It has no end that the server tells: a `complete` may mean one release of audio or all of it.
    """

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[Event], None],
        on_end: Callable[[], None],
        connection: Connection,
    ) -> None:
        super().__init__(uuid.uuid4().hex, on_event, on_end, connection)
        self._settings = settings
        self._context_id = uuid.uuid4().hex
        self._space_sent = True

    @property
    def prompt(self) -> bool:
        """No `complete` can be waited for."""
        return False

    def farewell(self) -> dict[str, Any]:
        """Drops the context on the server."""
        return protocol.cancel_body(self._settings, self._context_id)

    async def add(self, segment: Segment) -> None:
        """Send a further part of the reply.

        A sentence is sent with the white space that follows it, which tells the server that it has ended; and by
        itself, so that there are as many releases on a server that speaks all that has come at once.

        Raises:
            APIConnectionError: The connection is gone.
        """
        lead = "" if self._space_sent else segment.lead
        space = " " if ends_sentence(segment.text) and segment.text.isascii() else ""
        self._space_sent = bool(space)
        for sentence in filter(None, sentences(lead + segment.text + space)):
            await self._post(sentence, more=True)

    async def close(self) -> None:
        """The reply has no further part.

        Raises:
            APIConnectionError: The connection is gone.
        """
        await self._post("", more=False)

    def completes(self, event: Complete) -> bool:
        """Some of it is complete; whether all is, nobody can tell."""
        self.on_event(event)
        return False

    async def _post(self, text: str, *, more: bool) -> None:
        body = protocol.context_body(self._settings, text, self.id, self._context_id, more=more)
        await self.connection.post(body)


class ContextLink(WebSocketLink):
    """The WebSocket as one reply uses it: one context."""

    joins = True

    async def send(
        self, text: str, on_event: Callable[[Event], None], on_end: Callable[[], None]
    ) -> ContextRequest:
        """Begin a context; `ContextRequest.add` sends the text.

        Raises:
            SmallestAIError: There is no connection.
        """
        connection = await self._transport.take(self._path)
        request = ContextRequest(self.route.settings, on_event, on_end, connection)
        connection.router.add(request)
        return request


def make_link(transport: WebSocketTransport, route: Route, *, joins: bool) -> WebSocketLink:
    """The link for a reply: a context where the model's route has them and they are wanted."""
    if joins and route.settings.continuations and route.model.unified:
        return ContextLink(transport, route)
    return WebSocketLink(transport, route)
