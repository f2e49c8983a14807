"""What is common to all that serve the messages of one WebSocket."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .channel import Channel, Lane
from .records import Connection, Outcome
from .service import Service

Ending: TypeAlias = Literal["client", "close", "reset", "idle", "policy"]
"""How a connection ends: ``"client"``: it has gone; ``"idle"``: it is timed out; ``"policy"``: with code 1008; else
as a Break."""


@dataclass(frozen=True)
class Link:
    """One open WebSocket, for whom serves its messages.

    Attributes:
        service: What all connections share.
        record: The connection's entry in the log.
        channel: Where frames go.
        spawn: Starts a task that ends with the connection.
        end: Ends the connection.
    """

    service: Service
    record: Connection
    channel: Channel
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    end: Callable[[Ending], None]


class BaseSpeaker(ABC):
    """Takes the messages of one connection and serves them."""

    def __init__(self, link: Link) -> None:
        self._service = link.service
        self._settings = link.service.settings
        self._record = link.record
        self._channel = link.channel
        self._spawn = link.spawn
        self._end = link.end
        self._lane = Lane()

    async def begin(self) -> None:
        """Tell what is told before the first message."""
        return

    @abstractmethod
    async def take(self, body: dict[str, Any]) -> None:
        """Take a message from the client."""

    @abstractmethod
    def let_go(self, outcome: Outcome) -> None:
        """Give all that is open its outcome: the connection has ended."""
