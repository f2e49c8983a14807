"""What a transport offers to a reply: calls that return at once, and events that tell what came of them.

No I/O and no asyncio here, so that what decides about a reply can be run without either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ..errors import SmallestAIError

__all__ = [
    "Accepted",
    "Audio",
    "Complete",
    "Failed",
    "Habits",
    "OpenFailed",
    "Opened",
    "Pong",
    "ReplyTransport",
    "Route",
    "Traits",
    "TransportEvent",
    "Word",
]


@dataclass(slots=True)
class Habits:
    """What a server was seen to do on a route. Kept by the connections' keeper; only the reply machine writes it.

    Attributes:
        prompt: Whether its newest ``complete`` came within half a second of the last chunk; ``None``: not seen yet.
        mixes: Whether it has interleaved the chunks of two requests.
    """

    prompt: bool | None = None
    mixes: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """How a route serves requests.

    Attributes:
        joined: All segments are fragments of one stream (a continuation's context). Their audio comes in the order
            sent; whose it is, the frames may not say (``reply/continuation.py``).
        ends_told: Each request's end is told, and no silence is taken for it (HTTP, Lightning v4).
        shared: Requests share one connection, so that one of them cannot be dropped without the others.
    """

    joined: bool = False
    ends_told: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """What a reply is spoken by.

    Attributes:
        transport: ``"websocket"`` or ``"http"``.
        path: Below the base URL.
        model: The id of the model.
        voice_id: The voice.
    """

    transport: str
    path: str
    model: str
    voice_id: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The service is there: requests can be sent. Answers `ReplyTransport.open`.

    Attributes:
        traits: How it serves requests.
        habits: What it was seen to do.
        route: What speaks.
        reused: Whether there was an open connection.
    """

    traits: Traits
    habits: Habits = field(default_factory=Habits)
    route: Route | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class OpenFailed:
    """The service is not there. Answers `ReplyTransport.open`."""

    error: SmallestAIError


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service has accepted a request; its audio may take a while (HTTP only)."""

    stream: int


class Audio(NamedTuple):  # not a dataclass: there are many, and it is made in a third of the time
    """Audio of a stream, in bytes of mono 16-bit PCM. May end in the middle of a sample."""

    stream: int
    pcm: bytes
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """When a word of a stream is spoken.

    Attributes:
        stream: The stream.
        text: The word.
        start: Seconds, from an origin on which sources disagree (``words/server_times.py``).
        server_id: The server's ``request_id``.
        stream_began: Seconds of audio that the connection had brought before this stream's first.
    """

    stream: int
    text: str
    start: float
    server_id: str | None = None
    stream_began: float = 0.0


@dataclass(frozen=True, slots=True)
class Complete:
    """The server says that a request, or one release of a continuation, has been sent whole."""

    stream: int
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Streams ended before their end. All that were lost together are in one event.

    Attributes:
        streams: The streams; nothing more comes for them. Empty where the connection was lost while none was on it.
        error: Why.
        connection_lost: Whether their connection is gone, so that `open` comes before the next `send`.
        indistinct: Whether they were given up since the server's frames do not tell them apart.
    """

    streams: tuple[int, ...]
    error: SmallestAIError
    connection_lost: bool = False
    indistinct: bool = False


@dataclass(frozen=True, slots=True)
class Pong:
    """The connection carries both ways: the newest `ReplyTransport.ping` was answered."""


TransportEvent = Opened | OpenFailed | Accepted | Audio | Word | Complete | Failed | Pong


class ReplyTransport(Protocol):
    """The service as one reply uses it. Every call returns at once.

    What comes of a call arrives at the `post` callback that the transport was made with, in the order in which it
    happened, and never from within the call itself. A stream is one attempt to have a segment spoken (of a
    continuation: the context, with all its fragments); its number is the caller's choice and never used twice.
    After `drop` of a stream, or `abandon`, nothing more comes for it: no `Failed` either.

    A WebSocket belongs to one reply at a time, so that nothing that happens to another reply can touch this one.
    """

    def open(self) -> None:
        """Find out that the service is there, and have a connection to send on.

        Answered by `Opened` or `OpenFailed`. To be called first, and again after each `Failed` with
        ``connection_lost``, each `abandon` and each `move_on`, before the next `send`.
        """

    def send(self, stream: int, text: str, *, joined: bool) -> str | None:
        """Have a text spoken. To be called after `Opened`.

        Args:
            stream: A new number, or with ``joined`` that of the context to which the text is the next fragment.
            text: At most 250 characters. With ``joined`` it is sent as it is, white space included.
            joined: Whether the stream is a context.

        Returns:
            The id under which it is sent, on routes where requests have one.
        """

    def close_stream(self, stream: int) -> None:
        """Tell the server that a context gets no further text. Its audio still comes."""

    def drop(self, stream: int) -> None:
        """Give up one stream. Only where streams do not share a connection (`Traits.shared`)."""

    def abandon(self, *, broken: bool = False) -> None:
        """Give up all streams, and the connection that they share; the server is told to stop.

        Args:
            broken: Whether the connection has failed us. Else Lightning v4 keeps it: it can stop without its end.
        """

    def ping(self, stream: int) -> None:
        """Find out whether the connection of a stream carries both ways.

        `Pong` follows when this ping is answered; at once where the server answers no pings at all, or where
        there is no connection to ask.
        """

    def move_on(self) -> None:
        """Speak with the successor of the model, whose routes are gone. `open` comes next.

        To be called only after an error whose `ModelRetiredError.successor` names one.
        """

    def linger(self) -> None:
        """The reply has ended, but late audio may come: have another connection ready for the next reply."""

    def release(self) -> None:
        """The reply waits for nothing more: give the connection back, for the next reply."""

    async def aclose(self) -> None:
        """Give up all that is left, and wait until nothing of it runs any more."""
