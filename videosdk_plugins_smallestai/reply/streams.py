"""What a reply keeps account of: segments, the audio that came for them, and the attempts that bring it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from ..errors import SmallestAIError
from ..timing import Timing
from ..transport.base import Habits
from .retry import RetryPolicy

__all__ = ["Ended", "Segment", "Stream", "Tape"]


class Ended(Enum):
    """How a segment's end is known."""

    TOLD = auto()
    GUESSED = auto()


@dataclass(slots=True, eq=False)
class Tape:
    """The audio of what is asked for again as one: a segment, or all of a continuation. Counted in units (bytes).

    Attributes:
        policy: Counts the failures since the last new unit.
        anchor: Index of the first segment after the last boundary that is certain: what is lost is asked for again
            from there.
        anchor_at: The place of that boundary on the tape.
        length: Units received; repetitions are not counted.
        new_at: When the newest unit came; ``None`` before any.
        attempts: Streams begun since the newest segment on it ended.
    """

    policy: RetryPolicy
    anchor: int = 0
    anchor_at: int = 0
    length: int = 0
    new_at: float | None = None
    attempts: int = 0

    def set_anchor(self, index: int, at: int) -> None:
        """All audio before ``at`` belongs to segments before ``index``, for certain."""
        if index > self.anchor:
            self.anchor, self.anchor_at = index, at
            self.policy.progress()

    def go_on(self) -> None:
        """A segment on it has ended."""
        self.attempts = 0

    def begin_attempt(self) -> None:
        """It is asked for, once more or for the first time."""
        self.attempts += 1

    def hear(self, until: int, now: float) -> None:
        """It is now known up to there."""
        self.length = until
        self.new_at = now
        self.policy.progress()


@dataclass(slots=True, eq=False)
class Segment:
    """One segment of a reply. Its state is derived from these (see the table in ``machine.py``).

    Attributes:
        index: Its place in the reply.
        text: What is spoken, as the caller wrote it.
        lead: White space between the segment before and this one.
        tape: Where its audio is counted.
        spoken: What is sent: the text, respelled.
        stream: The newest attempt to have it spoken; ``None`` before, and between a failure and the next attempt.
        held: Audio received before its turn.
        begun: Whether `Begin` was told: its audio is being played, or has been.
        ended: How its end is known; ``None`` while it is not.
        error: Why it cannot be spoken.
        not_before: It is not asked for earlier.
        not_ahead: It has failed when it was sent ahead: it is sent again when it is first in line.
        waits_for_own: It was refused for a request of ours that was in progress.
        sent_at: When it was first sent; ``None`` before.
        in_line_at: When all segments before it had ended; ``None`` before.
        letters: Letters and digits, by which the length of its audio is judged.
    """

    index: int
    text: str
    lead: str
    tape: Tape
    spoken: str
    stream: Stream | None = None
    held: list[Any] = field(default_factory=list)
    begun: bool = False
    ended: Ended | None = None
    error: SmallestAIError | None = None
    not_before: float = 0.0
    not_ahead: bool = False
    waits_for_own: bool = False
    sent_at: float | None = None
    in_line_at: float | None = None
    letters: int = field(init=False)

    def __post_init__(self) -> None:
        self.letters = sum(map(str.isalnum, self.spoken))

    @property
    def is_queued(self) -> bool:
        """Whether it is still to be sent, or sent again."""
        return self.stream is None and self.error is None and self.ended is None

    def wait_until(self, at: float) -> None:
        """Do not send it again before then."""
        self.not_before = at

    def wait_for_turn(self) -> None:
        """Do not send it ahead again."""
        self.not_ahead = True

    def wait_for_own(self) -> None:
        """Do not send it while another request of ours may be in progress."""
        self.waits_for_own = True

    def come_first(self, now: float) -> None:
        """All segments before it have ended."""
        if self.in_line_at is None:
            self.in_line_at = now

    def begin(self) -> None:
        """Its audio begins to be played."""
        self.begun = True

    def take_held(self) -> list[Any]:
        """The audio that came before its turn."""
        held, self.held = self.held, []
        return held

    def fail(self, error: SmallestAIError) -> None:
        """It cannot be spoken: for what went wrong first, since a retry's own failure tells less."""
        self.error = self.tape.policy.first or error

    def join(self, tape: Tape) -> None:
        """Its audio is counted on a tape with others' from now on; what came before its turn will come again."""
        self.tape = tape
        self.held = []

    def sent_on(self, stream: Stream, now: float) -> None:
        """An attempt to have it spoken begins."""
        self.stream = stream
        if self.sent_at is None:
            self.sent_at = now

    def left(self) -> None:
        """The newest attempt is gone."""
        self.stream = None

    def end(self, how: Ended) -> None:
        """It has ended. What is known of that already stays."""
        self.ended = self.ended or how

    def go_on(self) -> None:
        """It has not ended after all."""
        self.ended = None


class Stream:
    """One attempt to have a segment spoken: the audio that it brings, on the segment's tape.

    Attributes:
        id: Its number.
        tape: What it fills.
        first_at: The place on the tape of the first unit that it brings.
        at: The place on the tape of the next unit that it brings.
        brought: Whether it has brought anything that was not on the tape.
        route: Which of the model's routes it was sent on, by number.
        segments: What was sent on it, in order.
        sent_at: When the newest of them was sent.
        audio_at: When its newest audio came; ``None`` before any.
        longest_pause: Seconds between two chunks, at most; what was sent in between has its own time to first
            audio.
        begins_something: Whether its newest chunk was the first of a segment, or of those with an id of the server.
        accepted: Whether the service has accepted it (HTTP), or has sent audio.
    """

    joined = False
    unsure = False
    """Whether segments were taken for merged, so that nobody knows any more whose audio comes."""

    def __init__(self, number: int, tape: Tape, route: int, habits: Habits, timing: Timing) -> None:
        self.id = number
        self.tape = tape
        self.first_at = self.at = tape.anchor_at
        self.brought = False
        self.route = route
        self.segments: list[Segment] = []
        self.sent_at = 0.0
        self.audio_at: float | None = None
        self.longest_pause = 0.0
        self.begins_something = False
        self.accepted = False
        self._habits = habits
        self._timing = timing

    @property
    def unended(self) -> list[Segment]:
        """What was sent on it and has not ended."""
        return [segment for segment in self.segments if segment.ended is None]

    @property
    def repeats(self) -> bool:
        """Whether what it brings next was received before."""
        return self.at < self.tape.length

    def send(self, segment: Segment, now: float) -> None:
        """A segment is sent on it."""
        self.segments.append(segment)
        segment.sent_on(self, now)
        self.sent_at = now

    def leave(self) -> None:
        """It is gone: its segments have no attempt under way."""
        for segment in self.segments:
            segment.left()

    def accept(self) -> None:
        """The service has accepted it."""
        self.accepted = True

    def hear(self, audio: Sequence[Any], server_id: str | None, now: float) -> Sequence[Any]:
        """Take audio. Returns what of it is new: after a break the text is spoken again from the anchor, and what
        is on the tape already is left out.
        """
        self.begins_something = self.audio_at is None
        if self.audio_at is not None:
            self.longest_pause = max(self.longest_pause, now - max(self.audio_at, self.sent_at))
        self.audio_at = now
        self.accepted = True
        known = self.tape.length - self.at
        self.at += len(audio)
        if known > 0:
            audio = audio[known:]
        if audio:
            self.brought = True
            self.tape.hear(self.at, now)
        return audio

    def owner(self, server_id: str | None) -> Segment:
        """The segment to which audio or words with that id belong, if they come now."""
        return self.segments[0]

    def complete(self, server_id: str | None, now: float) -> bool:
        """The server says `complete`. Returns whether there had been audio."""
        if self.audio_at is None:
            return False
        self._habits.prompt = now - self.audio_at < self._timing.prompt
        self.segments[0].end(Ended.TOLD)
        return True

    def awaits_first(self, segment: Segment) -> bool:
        """Whether the segment's first audio is waited for: nothing that has come can be its."""
        return self.audio_at is None

    def began_at(self, segment: Segment) -> int:
        """The place on the tape at which a segment's audio begins."""
        return self.tape.anchor_at

    def indistinct(self, segment: Segment) -> list[Segment]:
        """The segments whose audio cannot be told apart from that one's, itself included."""
        return [segment]

    @property
    def tells_apart(self) -> bool:
        """Whether the first frame of each segment is known for what it is."""
        return True

    @property
    def tells_ends(self) -> bool:
        """Whether a `complete` is likely to come soon after a last chunk."""
        return bool(self._habits.prompt)

    def was_told(self, segments: list[Segment]) -> bool:
        """Whether the server has said `complete` for any of them."""
        return False

    @property
    def owes(self) -> bool:
        """Whether more may come, although all that was sent is taken for ended."""
        return True

    def guess_end(self, *, hasty: bool) -> None:
        """All that was sent is taken for spoken; ``hasty``: only to go on with the text."""
        for segment in self.segments:
            segment.end(Ended.GUESSED)

    def take_back(self) -> None:
        """It was taken for ended, and there is more."""
        self.segments[0].go_on()
