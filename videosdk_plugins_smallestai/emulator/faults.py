"""Faults on demand: what a :class:`~.WavesEmulator`'s ``fault`` callback may answer for a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

F = TypeVar("F")

BreakHow: TypeAlias = Literal["close", "reset", "silence"]


@dataclass(frozen=True)
class Stall:
    """Pause the delivery of audio. The connection stays alive: pings are answered.

    Attributes:
        seconds: How long, in seconds; ``math.inf``: for good.
        after: Seconds of audio that are sent first.
        every: Pause again each time this many chunks have been sent, instead of once.
    """

    seconds: float
    after: float = 0.0
    every: int | None = None


@dataclass(frozen=True)
class Break:
    """Break the connection off in the middle of a request.

    Attributes:
        after: Seconds of audio that are sent first. 0.0 breaks when the first chunk is due; more than
            the audio has breaks after its last chunk, before ``complete``.
        how: ``"close"``: a clean WebSocket close, or an HTTP body that ends without its terminator.
            ``"reset"``: a TCP reset. ``"silence"``: nothing is ever sent on the connection again, not
            even a pong, but the socket stays open.
    """

    after: float = 0.3
    how: BreakHow = "close"


@dataclass(frozen=True)
class Hangup:
    """Drop the connection as the request arrives: whatever is being served on it ends there, too.

    Attributes:
        how: ``"close"``: a clean close; ``"reset"``: a TCP reset. Over HTTP there are no headers in either case.
    """

    how: Literal["close", "reset"] = "close"


@dataclass(frozen=True)
class NoIds:
    """Leave all ids out of some frames of the request, the server's and the echoed ones. WebSocket only.

    Attributes:
        chunks: The chunks' places in the request, 0-based.
        complete: Whether ``complete`` is one of the frames.
    """

    chunks: Collection[int] = ()
    complete: bool = False


@dataclass(frozen=True)
class Refuse:
    """Refuse the request as it arrives.

    Attributes:
        status: HTTP status; on a WebSocket it selects the default frame.
        headers: Extra HTTP response headers, such as ``Retry-After``.
        body: HTTP body, sent as JSON; ``None``: one that fits the status.
        frame: WebSocket frame, a dict sent as JSON or a raw string; ``None``: an error frame that fits
            the status and carries the request's external id.
    """

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    frame: Mapping[str, Any] | str | None = None


@dataclass(frozen=True)
class Mute:
    """Accept the request and never answer it (HTTP: not even with headers). Later requests are served."""


@dataclass(frozen=True)
class NoAudio:
    """Complete the request without a single chunk (HTTP: 200 with an empty body)."""


@dataclass(frozen=True)
class Frames:
    """Send raw frames: ``str`` as text frames, ``bytes`` as binary ones.

    Attributes:
        before: Sent when the first chunk is due, before it.
        instead: Sent instead of everything else, without a ``complete``. Over HTTP it is the body (a
            sequence is joined) of a 200.
        after: Sent after ``complete``.
        content_type: Of the HTTP body in ``instead``.
    """

    before: Sequence[str | bytes] = ()
    instead: Sequence[str | bytes] | str | bytes | None = None
    after: Sequence[str | bytes] = ()
    content_type: str = "application/json"


@dataclass(frozen=True)
class ChunkBytes:
    """Cut the audio into chunks of these sizes in bytes, in a cycle; odd sizes split samples."""

    sizes: Sequence[int]

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise ValueError("sizes must be positive numbers of bytes")


Fault: TypeAlias = Stall | Break | Hangup | NoIds | Refuse | Mute | NoAudio | Frames | ChunkBytes
"""What may go wrong with one request."""


@dataclass(frozen=True)
class CloseAfter:
    """Accept a WebSocket handshake and close the connection later: an answer of the ``handshake`` callback.

    Attributes:
        seconds: How long the connection lives, in seconds.
        frame: Sent right before the close, a dict as JSON or a raw string; ``None``: nothing is.
        how: ``"close"``: a clean close; ``"reset"``: a TCP reset.
    """

    seconds: float = 0.0
    frame: Mapping[str, Any] | str | None = None
    how: Literal["close", "reset"] = "close"


@dataclass(frozen=True)
class Plan:
    """The faults of one request, sorted by kind."""

    stalls: tuple[Stall, ...] = ()
    breaks: Break | None = None
    hangup: Hangup | None = None
    no_ids: NoIds = NoIds()
    refuse: Refuse | None = None
    mute: bool = False
    no_audio: bool = False
    frames: Frames = Frames()
    sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, faults: Fault | Sequence[Fault] | None) -> Plan:
        """Sort what a fault callback answered; the last one of a kind holds, but stalls add up.

        Raises:
            TypeError: It is no fault, nor some of them.
        """
        if faults is None:
            return cls()
        listed = list(faults) if isinstance(faults, Sequence) and not isinstance(faults, str) else [faults]
        for fault in listed:
            if not isinstance(fault, Fault):
                raise TypeError(
                    f"fault must return a fault such as Refuse(503), a list of them, or None; got {fault!r}"
                )
        return cls(
            stalls=tuple(fault for fault in listed if isinstance(fault, Stall)),
            breaks=_last(listed, Break),
            hangup=_last(listed, Hangup),
            no_ids=_last(listed, NoIds) or NoIds(),
            refuse=_last(listed, Refuse),
            mute=_last(listed, Mute) is not None,
            no_audio=_last(listed, NoAudio) is not None,
            frames=_last(listed, Frames) or Frames(),
            sizes=tuple(sizes.sizes) if (sizes := _last(listed, ChunkBytes)) else (),
        )

    def pause_before(self, index: int, begins: float, previous: float) -> float:
        """Return the seconds to pause before a chunk.

        Args:
            index: The chunk's place, 0-based.
            begins: Seconds of audio before it.
            previous: Seconds of audio before the chunk ahead of it; -1.0 for the first.
        """
        pause = 0.0
        for stall in self.stalls:
            if stall.every is not None:
                due = index > 0 and index % stall.every == 0 and begins >= stall.after
            else:
                due = previous < stall.after <= begins
            pause += stall.seconds if due else 0.0
        return pause


def _last(faults: list[Fault], kind: type[F]) -> F | None:
    return next((fault for fault in reversed(faults) if isinstance(fault, kind)), None)
