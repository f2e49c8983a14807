"""What the emulator writes down: every speech request and every WebSocket connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Transport: TypeAlias = Literal["websocket", "http", "sse"]
Outcome: TypeAlias = Literal["served", "refused", "broken", "cancelled"]


@dataclass(eq=False)
class SpeechRequest:
    """One request for speech, from its arrival to its outcome. All times are ``loop.time()`` seconds.

    Attributes:
        number: Its place among all requests, 0-based.
        transport: ``"websocket"``, ``"http"`` or ``"sse"``.
        path: URL path it came on.
        headers: Request or handshake headers, names in lower case.
        body: The message as received.
        text: The text to speak; of a continuation, the text released.
        connection: Number of its WebSocket connection, ``None`` over HTTP.
        received: When it arrived.
        audio: The whole PCM it will speak, at the requested rate (mono, 16-bit little-endian).
        sent: Bytes of ``audio`` sent so far.
        first_sent: When the first chunk was sent.
        last_sent: When the latest chunk was sent.
        completed: When ``complete`` was sent, or the HTTP body ended.
        outcome: ``None`` while open. ``"broken"``: the server ended it; ``"cancelled"``: the client did.
    """

    number: int
    transport: Transport
    path: str
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] = field(repr=False)
    text: str
    connection: int | None
    received: float
    audio: bytes = field(default=b"", repr=False)
    sent: int = 0
    first_sent: float | None = None
    last_sent: float | None = None
    completed: float | None = None
    outcome: Outcome | None = None


@dataclass(eq=False)
class Connection:
    """One attempt to open a WebSocket, and the connection that came of it. Times are ``loop.time()``.

    Attributes:
        number: Its place among all attempts, 0-based.
        path: URL path.
        query: URL query.
        headers: Handshake headers, names in lower case.
        opened: When the handshake arrived.
        status: The handshake's answer: 101, the status it was refused with, or ``None`` while it hangs.
        closed: When it was over, ``None`` while open.
        messages: The JSON objects received, in order.
        client_closed: Whether the client ended it.
    """

    number: int
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    opened: float
    status: int | None = None
    closed: float | None = None
    messages: list[dict[str, Any]] = field(default_factory=list, repr=False)
    client_closed: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    async def wait_closed(self) -> None:
        """Wait until the connection is over (a refused handshake is over at once)."""
        await self._over.wait()

    def _end(self, now: float, *, by_client: bool) -> None:
        if self.closed is None:
            self.closed = now
            self.client_closed = by_client
            self._over.set()
