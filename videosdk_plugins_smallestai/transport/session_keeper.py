"""Keeps the one session in which Lightning v4 speaks a call."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import aiohttp

from ..timing import Timing
from .keeper import WireKeeper
from .live_session import LiveSession
from .session import Session

__all__ = ["SessionKeeper"]


class SessionKeeper(WireKeeper[LiveSession]):
    """Keeps one session, through replies and barge-ins, for it remembers the conversation: its age does not matter.

    The settings of the voice are in the path that it is asked for. When they change it is opened anew.

    Args:
        session: Where to connect.
        timing: How long a session is kept, and how soon a failed attempt is repeated.
    """

    def __init__(self, session: Session, timing: Timing) -> None:
        super().__init__(session, timing, math.inf)
        self._apart: set[LiveSession] = set()
        self._user_turn: dict[str, Any] | None = None  # until a reply to it has ended

    async def take_apart(self, path: str) -> LiveSession:
        """Open a session for one reply, which is none of the conversation. `give_back` ends it.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        session = await self._connect(path)
        self._apart.add(session)
        return session

    def give_back(self, connection: LiveSession) -> None:
        """Take a session back from a reply. What is still to be spoken in it is stopped."""
        if connection in self._apart:
            connection.drop()
            return
        if connection.usable:
            self._user_turn = None
        super().give_back(connection)

    def renew(self, path: str | None) -> None:
        """The settings have changed: where a session is kept, keep one on that path.

        Args:
            path: The path; ``None``: none is wanted any more.
        """
        if path == self._path or asyncio.get_running_loop().time() >= self._warm_until:
            return
        if path is None:
            self._warm_until = 0.0
        else:
            self._path = path
        self._arrange()

    def add_user_turn(self, path: str, body: dict[str, Any]) -> None:
        """Say in the session what the user has said; in the next one, if there is none just now.

        Args:
            path: Of the session; one is opened if there is none.
            body: The message.
        """
        self._want(path)
        self._user_turn = body
        for session in (self._idle, *self._lent):
            if session is not None:
                self._tell_user_turn(session)
        self._arrange()

    def _make(self, socket: aiohttp.ClientWebSocketResponse, path: str) -> LiveSession:
        return LiveSession(socket, path, self._session, self._timing, self._ended)

    def _lend(self, connection: LiveSession, *, ahead: bool) -> None:
        self._tell_user_turn(connection)
        super()._lend(connection, ahead=ahead)

    def _tell_user_turn(self, session: LiveSession) -> None:
        turn = self._user_turn
        if turn is not None and session.user_turn is not turn and session.path == self._path and session.usable:
            session.tell_user_turn(turn)

    def _ended(self, connection: LiveSession) -> None:
        if connection in self._apart:
            self._apart.discard(connection)
        else:
            super()._ended(connection)
