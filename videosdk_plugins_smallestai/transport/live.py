"""Lightning v4 as one reply uses it: each stream is a turn of the call's one session."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace

from ..errors import APIConnectionError, SmallestAIError
from ..protocol.live_session import live_path
from .base import Audio, Failed, Opened, OpenFailed, Pong, Route, Traits, TransportEvent
from .events import Events
from .live_session import LiveSession
from .session_keeper import SessionKeeper
from .succession import ModelChoice

__all__ = ["LiveTransport"]


class LiveTransport:
    """A `ReplyTransport` on a session of Lightning v4.

    Args:
        sessions: Lends the session.
        choice: The model that speaks, and how.
        post: Called with each event.
        apart: Whether the reply is none of the conversation: it has a session of its own, which ends with it.
    """

    def __init__(
        self,
        sessions: SessionKeeper,
        choice: ModelChoice,
        post: Callable[[TransportEvent], None],
        *,
        apart: bool,
    ) -> None:
        self._sessions = sessions
        self._choice = choice
        self._events = Events(post)
        self._apart = apart
        self._path = live_path(choice.settings)
        self._session: LiveSession | None = None
        self._opening: asyncio.Task[None] | None = None
        self._turn_ids: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """See `ReplyTransport.open`."""
        self._cancel_opening()
        if self._session is not None and not self._session.usable:
            self._give_back()
        if self._session is None and not self._apart:
            self._have(self._sessions.take_idle(self._path))
        if self._session is not None:
            self._events.post_soon(self._opened(reused=True))
        else:
            self._opening = asyncio.ensure_future(self._open())
            self._tasks.add(self._opening)
            self._opening.add_done_callback(self._tasks.discard)

    def send(self, stream: int, text: str, *, joined: bool) -> str:
        """See `ReplyTransport.send`."""
        turn_id = self._turn_ids[stream] = uuid.uuid4().hex
        session = self._session
        if session is None or not session.usable:
            error = APIConnectionError("The session was lost before a turn could be sent")
            self._events.post_soon(Failed((stream,), error, connection_lost=True))
        else:
            session.speak(stream, turn_id, text)
        return turn_id

    def close_stream(self, stream: int) -> None:
        """See `ReplyTransport.close_stream`. There are no contexts here."""

    def drop(self, stream: int) -> None:
        """See `ReplyTransport.drop`. Not called, since streams share the session."""

    def abandon(self, *, broken: bool = False) -> None:
        """See `ReplyTransport.abandon`. The session goes on, unless it is broken."""
        self._cancel_opening()
        self._events.clear()
        if broken and self._session is not None:
            self._session.drop()
        self._give_back()

    def ping(self, stream: int) -> None:
        """See `ReplyTransport.ping`."""
        if self._session is None or not self._session.usable or not self._session.ping():
            self._events.post_soon(Pong())

    def move_on(self) -> None:
        """See `ReplyTransport.move_on`. Not called, since the model has no successor."""

    def linger(self) -> None:
        """See `ReplyTransport.linger`. Nothing comes after the end of a turn."""

    def release(self) -> None:
        """See `ReplyTransport.release`."""
        self.abandon()

    async def aclose(self) -> None:
        """See `ReplyTransport.aclose`."""
        self.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self) -> None:
        try:
            take = self._sessions.take_apart if self._apart else self._sessions.take
            self._have(await take(self._path))
        except SmallestAIError as error:
            self._events.post(OpenFailed(self._choice.explain(error)))
        else:
            self._events.post(self._opened(reused=False))

    def _have(self, session: LiveSession | None) -> None:
        self._session = session
        if session is not None:
            session.attach(self._hear, self._choice.settings.sample_rate)

    def _hear(self, session: LiveSession, event: TransportEvent) -> None:
        if isinstance(event, Audio):
            self._choice.spoke()
        elif isinstance(event, Failed):
            error = self._choice.explain(event.error)
            if error.request_id is None and event.streams:
                error.request_id = self._turn_ids[event.streams[0]]
            event = replace(event, error=error)
            if event.connection_lost:
                self._give_back()
        self._events.post(event)

    def _opened(self, *, reused: bool) -> Opened:
        settings = self._choice.settings
        route = Route("websocket", self._choice.model.websocket or "", settings.model, settings.voice_id)
        return Opened(Traits(ends_told=True, shared=True), route=route, reused=reused)

    def _give_back(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._sessions.give_back(session)

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
