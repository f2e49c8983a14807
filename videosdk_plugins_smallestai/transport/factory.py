"""Makes the transport of a reply, and has a connection ready before the first one."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ModelRetiredError, SmallestAIError
from ..models import resolve
from ..protocol.live_session import live_path, user_audio_body
from ..settings import Settings
from ..timing import Timing
from .base import ReplyTransport, Route, TransportEvent
from .http import HttpTransport
from .keeper import Keeper
from .live import LiveTransport
from .session import Session
from .session_keeper import SessionKeeper
from .succession import ModelChoice, Succession
from .websocket import WebSocketTransport, websocket_path

__all__ = ["add_user_turn", "asked_route", "make_transport", "prewarm", "renew"]


def make_transport(
    session: Session,
    keeper: Keeper,
    sessions: SessionKeeper,
    succession: Succession,
    settings: Settings,
    timing: Timing,
    post: Callable[[TransportEvent], None],
    *,
    joined: bool,
    apart: bool = False,
) -> ReplyTransport:
    """The transport that a reply's settings ask for.

    Args:
        session: Where the service is.
        keeper: Of the instance's WebSockets.
        sessions: Keeps the instance's session of Lightning v4.
        succession: What the instance knows of retired models.
        settings: The reply's.
        timing: How long an answer over HTTP may take.
        post: Called with each event, on the event loop, never from within a call of the transport.
        joined: Whether to speak the reply as one continuation, where settings and route have them.
        apart: Whether the reply is none of the conversation that a session of Lightning v4 remembers.
    """
    choice = ModelChoice(settings, succession, session.base_url)
    if choice.model.live:
        return LiveTransport(sessions, choice, post, apart=apart)
    if settings.enable_streaming:
        return WebSocketTransport(keeper, choice, post, joined=joined)
    return HttpTransport(session, choice, timing, post)


def asked_route(settings: Settings) -> Route:
    """The route that settings ask for; another one may speak in its place, should it be gone."""
    model = resolve(settings.model)
    if settings.enable_streaming:
        return Route("websocket", model.websocket or "", settings.model, settings.voice_id)
    return Route("http", model.http or "", settings.model, settings.voice_id)


async def prewarm(
    session: Session, keeper: Keeper, sessions: SessionKeeper, succession: Succession, settings: Settings
) -> None:
    """Have a connection ready for the first reply.

    Raises:
        SmallestAIError: It cannot be opened.
    """
    if not settings.enable_streaming:
        error = await session.reach()
        if error is not None:
            raise error
        return
    choice = ModelChoice(settings, succession, session.base_url)
    if choice.model.live:
        await sessions.prepare(live_path(settings))
        return
    while (error := await _prepare(keeper, choice)) is not None:
        if not isinstance(error, ModelRetiredError) or error.successor is None:
            raise error
        choice.move_on()


async def _prepare(keeper: Keeper, choice: ModelChoice) -> SmallestAIError | None:
    try:
        await keeper.prepare(websocket_path(choice.model, keeper.max_age))
    except SmallestAIError as error:
        return choice.explain(error)
    return None


def renew(sessions: SessionKeeper, settings: Settings) -> None:
    """The settings have changed: have the session of Lightning v4 opened anew, where one is kept."""
    sessions.renew(live_path(settings) if resolve(settings.model).live else None)


def add_user_turn(sessions: SessionKeeper, settings: Settings, text: str, pcm: bytes, sample_rate: int) -> bool:
    """Tell the session of Lightning v4 what the user has said.

    Args:
        sessions: Keeps the instance's session.
        settings: The conversation's.
        text: The words.
        pcm: Mono 16-bit PCM.
        sample_rate: Of the audio, in Hz.

    Returns:
        Whether the model has such sessions.
    """
    if not resolve(settings.model).live:
        return False
    sessions.add_user_turn(live_path(settings), user_audio_body(text, pcm, sample_rate))
    return True
