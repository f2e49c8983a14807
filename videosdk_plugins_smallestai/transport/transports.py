"""One object's way to the service: makes its replies' transports, and owns what these share."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ModelRetiredError, SmallestAIError
from ..models import Model, resolve
from ..protocol.live_session import live_path, user_audio_body
from ..settings import Settings
from ..timing import Timing
from ..voices import Voice
from .base import ReplyTransport, Route, TransportEvent
from .http import HttpTransport
from .keeper import Keeper
from .live import LiveTransport
from .session import Session
from .session_keeper import SessionKeeper
from .succession import ModelChoice, Succession
from .voice_list import list_voices
from .websocket import WebSocketTransport, websocket_path

__all__ = ["Transports", "asked_route"]


class Transports:
    """Makes the transports of one object's replies, and owns the connections that these share.

    Args:
        session: Where the service is. It is closed with this.
        timing: How long a connection is kept, and an answer over HTTP waited for.
        max_connection_age: Seconds after which a kept WebSocket is replaced.
    """

    def __init__(self, session: Session, timing: Timing, max_connection_age: float) -> None:
        self._session = session
        self._timing = timing
        self._max_connection_age = max_connection_age
        self._succession = Succession(session.log)
        self._keep_anew()

    def _keep_anew(self) -> None:
        self._keeper = Keeper(self._session, self._timing, self._max_connection_age)
        self._live_sessions = SessionKeeper(self._session, self._timing)

    @property
    def base_url(self) -> str:
        """The service's."""
        return self._session.base_url

    @property
    def connected(self) -> bool:
        """Whether a WebSocket is open."""
        return self._keeper.connected or self._live_sessions.connected

    def succeeded(self, model: str) -> bool:
        """Whether another model speaks for that one, whose routes are gone."""
        return self._succession.speaks_for(model) != model

    def make(
        self, settings: Settings, post: Callable[[TransportEvent], None], *, joined: bool, apart: bool = False
    ) -> ReplyTransport:
        """The transport that a reply's settings ask for.

        Args:
            settings: The reply's.
            post: Called with each event, on the event loop, never from within a call of the transport.
            joined: Whether to speak the reply as one continuation, where settings and route have them.
            apart: Whether the reply is none of the conversation that a session of Lightning v4 remembers.
        """
        choice = self._choice(settings)
        if choice.model.live:
            return LiveTransport(self._live_sessions, choice, post, apart=apart)
        if settings.enable_streaming:
            return WebSocketTransport(self._keeper, choice, post, joined=joined)
        return HttpTransport(self._session, choice, self._timing, post)

    async def prewarm(self, settings: Settings) -> None:
        """Have a connection ready for the first reply.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        if not settings.enable_streaming:
            error = await self._session.reach()
            if error is not None:
                raise error
            return
        choice = self._choice(settings)
        if choice.model.live:
            await self._live_sessions.prepare(live_path(settings))
            return
        while (error := await self._prepare(choice)) is not None:
            if not isinstance(error, ModelRetiredError) or error.successor is None:
                raise error
            choice.move_on()

    def renew(self, settings: Settings) -> None:
        """The settings have changed: have the session of Lightning v4 opened anew, where one is kept."""
        self._live_sessions.renew(live_path(settings) if resolve(settings.model).live else None)

    def add_user_turn(self, settings: Settings, text: str, pcm: bytes, sample_rate: int) -> None:
        """Tell the session of Lightning v4 what the user has said.

        Args:
            settings: The conversation's; their model has such sessions.
            text: The words.
            pcm: Mono 16-bit PCM.
            sample_rate: Of the audio, in Hz.
        """
        self._live_sessions.add_user_turn(live_path(settings), user_audio_body(text, pcm, sample_rate))

    async def list_voices(self, model: Model) -> list[Voice]:
        """The voices that the service lists for a model.

        Raises:
            SmallestAIError: It does not tell.
        """
        return await list_voices(self._session, model.voice_list, self._timing)

    def forget(self) -> None:
        """Let go of the connections of an earlier event loop, which can be neither used nor closed."""
        self._session.forget()
        self._keep_anew()

    async def aclose(self) -> None:
        """Close all connections. What is asked for later opens new ones."""
        await self._keeper.aclose()
        await self._live_sessions.aclose()
        await self._session.aclose()

    def _choice(self, settings: Settings) -> ModelChoice:
        return ModelChoice(settings, self._succession, self.base_url)

    async def _prepare(self, choice: ModelChoice) -> SmallestAIError | None:
        try:
            await self._keeper.prepare(websocket_path(choice.model, self._keeper.max_age))
        except SmallestAIError as error:
            return choice.explain(error)
        return None


def asked_route(settings: Settings) -> Route:
    """The route that settings ask for; another one may speak in its place, should it be gone."""
    model = resolve(settings.model)
    if settings.enable_streaming:
        return Route("websocket", model.websocket or "", settings.model, settings.voice_id)
    return Route("http", model.http or "", settings.model, settings.voice_id)
