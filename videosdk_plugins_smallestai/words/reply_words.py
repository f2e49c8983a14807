"""Follows the words of one reply, from their text to the moment at which they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..log import Log
from ..timing import Timing
from .emitter import WordEmitter
from .server_times import ServerTimes
from .timeline import SpokenSegment, Timeline

__all__ = ["ReplyWords"]

EARLY_WORDS = 1000
"""Words of a segment told before it is played that are remembered. A request has at most 125, and a faulty server
must not fill the memory."""


@dataclass(slots=True)
class _SegmentWords:
    """What is known of a segment's words.

    Attributes:
        times: Where the server's times of the newest attempt count from.
        spoken: Its place in the reply, once it is being played.
        early: Words told before that, and their places in the segment's audio.
    """

    times: ServerTimes = field(default_factory=ServerTimes)
    spoken: SpokenSegment | None = None
    early: list[tuple[str, float]] = field(default_factory=list)

    def begin(self, spoken: SpokenSegment) -> None:
        """It is being played from now on."""
        self.spoken = spoken
        for word, place in self.early:
            spoken.place(word, place)
        self.early.clear()

    def place(self, word: str, place: float) -> None:
        """A word is at that place of the segment's audio."""
        if self.spoken is not None:
            self.spoken.place(word, place)
        elif len(self.early) < EARLY_WORDS:
            self.early.append((word, place))

    def restart(self) -> None:
        """Its words are told again, by another attempt."""
        self.times = ServerTimes()
        self.early.clear()
        if self.spoken is not None:
            self.spoken.restart()

    def end(self, timeline: Timeline) -> None:
        """All audio of it is there."""
        if self.spoken is not None:
            self.spoken = timeline.end(self.spoken)


class ReplyWords(WordEmitter):
    """Tells each word of a reply when the listener hears it, also after the reply has been sent to its track.

    To be made in a running event loop. Segments are named by their index in the reply. It is a `Follower` of the
    reply's player, which calls `first_byte` and `pushed`.

    Args:
        track: What the reply is heard on; anything, or ``None``, if it is no track of the framework.
        emit: Takes ``{"word": ..., "cumulative_text": ...}``. Its exceptions are logged.
        speed: How fast the reply is spoken; 1 is the normal pace.
        timing: How often a track is looked at, and how long it is waited for.
        log: That of the reply.
        spell: Tells what is said for each character of a text, where that is not the character itself.
    """

    def __init__(
        self,
        track: Any,
        emit: Callable[[dict[str, str]], None],
        *,
        speed: float,
        timing: Timing,
        log: Log | None = None,
        spell: Callable[[str], list[str]] = list,
    ) -> None:
        super().__init__(Timeline(speed, spell), track, emit, timing=timing, log=log)
        self._segments: dict[int, _SegmentWords] = {}
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The reply is asked for. `finish`, `stop` or `aclose` is to follow."""
        super().start()
        self._telling = asyncio.create_task(self.run())

    def begin(self, index: int, text: str, lead: str, at: float) -> None:
        """A segment's audio begins. To be called once for each segment, in their order.

        Segments whose audio cannot be told apart begin one after the other too; only the first of them gets audio.

        Args:
            index: The segment.
            text: Its text, as the listener is to read it.
            lead: White space between the segment before and this one.
            at: Where its audio begins, in seconds of the reply's audio.
        """
        self._segment(index).begin(self._timeline.begin(lead + text, at))
        self.changed()

    def add_audio(self, index: int, seconds: float) -> None:
        """More new audio of a segment that has begun is about to be played."""
        spoken = self._segment(index).spoken
        if spoken is not None:
            spoken.add_audio(seconds)
            self.changed()

    def place(
        self, index: int, word: str, start: float, *, server_id: str | None, heard: float, stream_began: float
    ) -> None:
        """The server tells when a word of a segment is spoken, perhaps before the segment has begun.

        Args:
            index: The segment.
            word: The word.
            start: Seconds, from an origin on which sources disagree.
            server_id: The server's ``request_id``.
            heard: Seconds of the segment's audio that this attempt has brought, repetitions included.
            stream_began: Seconds of audio that the connection had brought before this attempt's.
        """
        segment = self._segment(index)
        place = segment.times.place(start, server_id=server_id, heard=heard, stream_began=stream_began)
        segment.place(word, place)
        self.changed()

    def restart(self, index: int) -> None:
        """A segment is asked for again after a break: its words are told again."""
        self._segment(index).restart()

    def end(self, index: int) -> None:
        """All audio of a segment is there."""
        self._segment(index).end(self._timeline)
        self.changed()

    def stop(self) -> None:
        """Tell nothing any more, from this moment on."""
        super().stop()
        if self._telling is not None:
            self._telling.cancel()

    @property
    def pending(self) -> bool:
        """Whether words are still to be told."""
        return self._telling is not None and not self._telling.done()

    async def aclose(self) -> None:
        """Stop, and leave no task behind."""
        self.stop()
        if self._telling is not None:
            await asyncio.wait({self._telling})

    def _segment(self, index: int) -> _SegmentWords:
        return self._segments.setdefault(index, _SegmentWords())
