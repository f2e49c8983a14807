"""What the reply machine is told besides the transport's events, and what it answers.

The driver feeds events in one at a time and carries the effects out in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SmallestAIError
from ..transport.base import TransportEvent

__all__ = [
    "Abandon",
    "Begin",
    "CloseStream",
    "Done",
    "Drop",
    "Effect",
    "Emit",
    "End",
    "Event",
    "Fail",
    "FillFrame",
    "GivenUp",
    "Interrupted",
    "MoveOn",
    "Open",
    "Ping",
    "PlaceWord",
    "Play",
    "Refused",
    "Release",
    "Restart",
    "Send",
    "SendsAgain",
    "Started",
    "StopText",
    "Superseded",
    "TakeText",
    "TextCame",
    "TextEnded",
    "TextFailed",
    "Wake",
    "WakeAt",
]

# Events, besides the transport's


@dataclass(frozen=True, slots=True)
class Started:
    """The reply begins. The first event."""


@dataclass(frozen=True, slots=True)
class TextCame:
    """A segment of the text, as `TakeText` asked for.

    Attributes:
        text: What is to be spoken, as the caller wrote it.
        lead: White space between the segment before and this one.
        spoken: What is sent for it; "" for the text itself.
    """

    text: str
    lead: str = ""
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class TextEnded:
    """There is no further segment."""


@dataclass(frozen=True, slots=True)
class TextFailed:
    """The caller's text raised; there is no further segment.

    Attributes:
        error: What it raised. Raised again once what came before has been spoken.
    """

    error: BaseException


@dataclass(frozen=True, slots=True)
class Wake:
    """The time that `WakeAt` named has come."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The listener has interrupted, or nobody wants the reply any more."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Another voice is to go on in its place: whatever it still hopes for, it fails with this error."""

    error: SmallestAIError


@dataclass(frozen=True, slots=True)
class Superseded:
    """The first byte of the next reply is about to be played."""


Event = Started | TransportEvent | TextCame | TextEnded | TextFailed | Wake | Interrupted | GivenUp | Superseded

# Effects


@dataclass(frozen=True, slots=True)
class Open:
    """Call `ReplyTransport.open`."""


@dataclass(frozen=True, slots=True)
class MoveOn:
    """Call `ReplyTransport.move_on`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Call `ReplyTransport.send`.

    Attributes:
        stream: Its number.
        segment: Index of the segment that is sent.
        text: The text, with ``joined`` with the white space before it.
        joined: Whether the stream is a context.
    """

    stream: int
    segment: int
    text: str
    joined: bool


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Call `ReplyTransport.close_stream`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Call `ReplyTransport.drop`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Call `ReplyTransport.abandon`.

    Attributes:
        broken: Whether the connection has failed us.
    """

    broken: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """Call `ReplyTransport.ping`."""

    stream: int


@dataclass(frozen=True, slots=True)
class Release:
    """Call `ReplyTransport.release`: nothing more comes that anybody waits for."""


@dataclass(frozen=True, slots=True)
class TakeText:
    """Take the next segment of the text. `TextCame`, `TextEnded` or `TextFailed` follows."""


@dataclass(frozen=True, slots=True)
class StopText:
    """Take nothing more from the caller; what was taken before still comes."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A segment's audio begins: what is known about its words counts from here.

    Attributes:
        segment: Its index.
        text: Its text.
        lead: White space between the segment before and this one.
        at: Units of the reply's audio before it.
        new_sample: Whether its first unit begins a sample; else it may be the second half of one.
    """

    segment: int
    text: str
    lead: str
    at: int
    new_sample: bool


class Play:
    """Play audio of a segment."""

    __slots__ = ("audio", "segment")

    def __init__(self, segment: int, audio: Sequence[Any]) -> None:
        self.segment = segment
        self.audio = audio


@dataclass(frozen=True, slots=True)
class Restart:
    """A segment of which some was heard is asked for again: its words are told again.

    Attributes:
        segment: Its index.
    """

    segment: int


@dataclass(frozen=True, slots=True)
class PlaceWord:
    """The server tells when a word is spoken.

    Attributes:
        segment: Index of the segment that it belongs to.
        word: The word.
        start: Seconds, from an origin on which sources disagree.
        server_id: The server's ``request_id``.
        heard: Units that this attempt had brought of the segment.
        before: Units that this attempt had brought of segments before it.
        stream_began: Seconds of audio that the connection had brought before.
    """

    segment: int
    word: str
    start: float
    server_id: str | None
    heard: int
    before: int
    stream_began: float


@dataclass(frozen=True, slots=True)
class End:
    """A segment has ended, as far as is known.

    Attributes:
        segment: Its index.
    """

    segment: int


@dataclass(frozen=True, slots=True)
class FillFrame:
    """Let the samples of an unfinished last frame be heard: the reply has probably ended."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Answer with `Wake` then. Replaces an earlier one that has not come."""

    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The account has refused a request for being too many.

    Replies that have been played are to give their connections up, on which a request may still be counted.

    Attributes:
        alone_until: Until then no reply of this object is to send a request beside another.
    """

    alone_until: float


@dataclass(frozen=True, slots=True)
class SendsAgain:
    """A fault is being mended: what it has cost will be sent again.

    Attributes:
        reason: The fault.
    """

    reason: SmallestAIError


@dataclass(frozen=True, slots=True)
class Emit:
    """The reply fails: tell it. `Fail` follows when the caller's text has let go."""

    error: SmallestAIError


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise it. The last effect.

    Attributes:
        error: What to raise: the caller's own error if its text raised.
        unspoken: Text that was taken and has not, or not wholly, been heard.
    """

    error: BaseException
    unspoken: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The reply has been played.

    Attributes:
        lingers: Whether late audio is still played until `Superseded`.
    """

    lingers: bool = False


Effect = (
    Open | MoveOn | Send | CloseStream | Drop | Abandon | Ping | Release | TakeText | StopText | Begin | Play |
    Restart
    | PlaceWord | End | FillFrame | WakeAt | Refused | SendsAgain | Emit | Fail | Done
)  # fmt: skip
