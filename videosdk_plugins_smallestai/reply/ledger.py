"""Keeps the segments of a reply in order, how far it has come, and what is still awaited of its text."""

from __future__ import annotations

from enum import Enum, auto

from .streams import Segment, Tape

__all__ = ["Ledger", "TextState"]


class TextState(Enum):
    """What is awaited of the caller's text."""

    IDLE = auto()
    ASKED = auto()
    ENDED = auto()


class Ledger:
    """The segments of one reply.

    Attributes:
        segments: All that came, in order.
        text: What is awaited of the caller's text.
        text_error: What the caller's text raised.
    """

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.text = TextState.IDLE
        self.text_error: BaseException | None = None
        self._head = 0

    @property
    def head(self) -> Segment | None:
        """The first segment that has not ended: the one that is heard."""
        return self.segments[self._head] if self._head < len(self.segments) else None

    @property
    def waiting(self) -> list[Segment]:
        """The head and the segments behind it."""
        return self.segments[self._head :]

    @property
    def before_head(self) -> Segment | None:
        """The segment that ended last."""
        return self.segments[self._head - 1] if self._head else None

    @property
    def unspoken(self) -> str:
        """The text that has not, or not wholly, been heard."""
        return "".join(segment.lead + segment.text for segment in self.waiting).strip()

    def add(self, text: str, lead: str, tape: Tape, spoken: str) -> None:
        """A segment came."""
        self.text = TextState.IDLE
        self.segments.append(Segment(len(self.segments), text, lead, tape, spoken or text))

    def ask(self) -> None:
        """A segment is awaited."""
        self.text = TextState.ASKED

    def end(self, error: BaseException | None = None) -> None:
        """No segment comes any more."""
        self.text = TextState.ENDED
        self.text_error = error

    def go_on(self) -> None:
        """The head has ended."""
        self._head += 1

    def rewind(self) -> None:
        """Segments before the head may not have ended after all."""
        while self._head and self.segments[self._head - 1].ended is None:
            self._head -= 1

    def forget(self) -> None:
        """The reply is over: let go of the attempts, which know the segments too."""
        for segment in self.segments:
            segment.left()
        self.segments = []
        self._head = 0
