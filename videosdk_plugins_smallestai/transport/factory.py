"""Makes the transport of a reply, and has a connection ready before the first one."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ModelRetiredError, SmallestAIError
from ..models import resolve
from ..settings import Settings
from ..timing import Timing
from .base import ReplyTransport, Route, TransportEvent
from .http import HttpTransport
from .keeper import Keeper
from .session import Session
from .succession import ModelChoice, Succession
from .websocket import WebSocketTransport, websocket_path

__all__ = ["asked_route", "make_transport", "prewarm"]


def make_transport(
    session: Session,
    keeper: Keeper,
    succession: Succession,
    settings: Settings,
    timing: Timing,
    post: Callable[[TransportEvent], None],
    *,
    joined: bool,
) -> ReplyTransport:
    """The transport that a reply's settings ask for.

    Args:
        session: Where the service is.
        keeper: Of the instance's WebSockets.
        succession: What the instance knows of retired models.
        settings: The reply's.
        timing: How long an answer over HTTP may take.
        post: Called with each event, on the event loop, never from within a call of the transport.
        joined: Whether to speak the reply as one continuation, where settings and route have them.
    """
    choice = ModelChoice(settings, succession, session.base_url)
    if settings.enable_streaming:
        return WebSocketTransport(keeper, choice, post, joined=joined)
    return HttpTransport(session, choice, timing, post)


def asked_route(settings: Settings) -> Route:
    """The route that settings ask for; another one may speak in its place, should it be gone."""
    model = resolve(settings.model)
    if settings.enable_streaming:
        return Route("websocket", model.websocket or "", settings.model, settings.voice_id)
    return Route("http", model.http, settings.model, settings.voice_id)


async def prewarm(session: Session, keeper: Keeper, succession: Succession, settings: Settings) -> None:
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
