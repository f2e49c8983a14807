"""A continuation: the segments of a reply as fragments of one context on the server.

Audio is played in the order in which it arrives, whatever is believed here. What is decided here is whose it is:
for the words, for running ahead, for the end of each segment, and for the place to resume from after a break (the
anchor).

By the vendor's newest page each fragment has its own ``request_id`` of the server and its own ``complete``.
Servers that tell less are known, so nothing is assumed:

- **A boundary is certain** where a frame with a new id follows frames with another one; where `complete` came while
  nothing else was in flight; and, on a server known to say `complete` promptly, where a frame follows a `complete`.
  Only a certain boundary moves the anchor. After a break all fragments from the anchor on are sent again, and
  what had come since is skipped, so that the audio is exact even where the server had merged fragments.
- **Two fragments may be merged** into one run of audio with one `complete` only if the second was sent before the
  first one's first frame. So the next fragment is sent after the first frame of the one before.
- **A guessed end owes a `complete`**: one that comes later is charged to it, not to a fragment after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..timing import Timing
from ..transport.base import Habits
from .streams import Ended, Segment, Stream, Tape

__all__ = ["Context"]


@dataclass(slots=True, eq=False)
class _Fragment:
    """A segment as a fragment of the context.

    Attributes:
        segment: The segment.
        sent_at: When it was sent.
        mergeable: Whether it was sent before the first frame of the one before.
        begins: The place on the tape of its first frame; ``None`` before any.
        last_at: When its newest frame came.
        ids: The server's ids seen on its frames.
        over: How its end is known, in this context; ``None`` while it is not.
        told: Whether the server has said `complete` for it.
    """

    segment: Segment
    sent_at: float
    mergeable: bool
    begins: int | None = None
    last_at: float | None = None
    ids: set[str] = field(default_factory=set)
    over: Ended | None = None
    told: bool = False


class Context(Stream):
    """One context on the server: fragments go in, and audio in the same order comes out.

    Attributes:
        closed: Whether the server was told that no further fragment comes.
        unsure: Whether fragments were taken for merged: no boundary after them is certain.
    """

    joined = True

    def __init__(self, number: int, tape: Tape, route: int, habits: Habits, timing: Timing) -> None:
        super().__init__(number, tape, route, habits, timing)
        self.closed = False
        self._fragments: list[_Fragment] = []
        self.unsure = False
        self._hasty = False

    # What goes in

    @property
    def next_index(self) -> int:
        """Index of the segment that is to be sent next."""
        return self.tape.anchor if not self._fragments else self._fragments[-1].segment.index + 1

    def send(self, segment: Segment, now: float) -> None:
        """A further fragment is sent."""
        before = self._fragments[-1] if self._fragments else None
        mergeable = before is not None and before.begins is None and before.over is None
        super().send(segment, now)
        self._fragments.append(_Fragment(segment, now, mergeable))

    def close(self) -> None:
        """The server is told that no further fragment comes."""
        self.closed = True

    def may_follow(self, now: float, buffered: float | None) -> bool:
        """Whether the next fragment may be sent: after the first frame of the newest one.

        Where the listener has little left to hear it does not wait for that, but for longer than the server holds a
        fragment back; then the one after it waits all the more, so that at most two can be merged.
        """
        if not self._fragments:
            return True
        newest = self._fragments[-1]
        if newest.begins is not None or newest.over is not None:
            return True
        urgent = buffered is not None and buffered < self._timing.urgent
        return urgent and not newest.mergeable and now >= self.follows_at

    @property
    def follows_at(self) -> float:
        """When `may_follow` may change without an event."""
        return self._fragments[-1].sent_at + self._timing.apart

    @property
    def under_way(self) -> int:
        """Fragments that have not ended in this context."""
        return sum(fragment.over is None for fragment in self._fragments)

    @property
    def current(self) -> Segment | None:
        """The segment whose audio comes now, as far as is known; in a repetition perhaps one that had ended."""
        fragment = self._current()
        return None if fragment is None else fragment.segment

    @property
    def owes(self) -> bool:
        """Whether more may come, although all that was sent is taken for ended."""
        return any(not fragment.told for fragment in self._fragments)

    # What comes out

    def hear(self, audio: Sequence[Any], server_id: str | None, now: float) -> Sequence[Any]:
        """Take a chunk of audio, and what it tells about whose it is."""
        fragment = self._owner(server_id)
        first = fragment.begins is None or (server_id is not None and server_id not in fragment.ids)
        if fragment.begins is None:
            self._begin(fragment, server_id)
        if server_id is not None:
            fragment.ids.add(server_id)
        fragment.last_at = now
        new = super().hear(audio, server_id, now)
        self.begins_something |= first
        if self.tape.anchor == fragment.segment.index + 1:  # more of what was told to be complete
            self.tape.anchor_at = max(self.tape.anchor_at, self.at)
        return new

    def owner(self, server_id: str | None) -> Segment:
        """The segment to which audio or words with that id belong, if they come now."""
        return self._owner(server_id).segment

    def began_at(self, segment: Segment) -> int:
        """The place on the tape at which a segment's audio begins; the present one before its first frame."""
        return next((f.begins for f in self._fragments if f.segment is segment and f.begins is not None), self.at)

    def complete(self, server_id: str | None, now: float) -> bool:
        """The server says `complete`, for one fragment as a rule.

        Returns:
            Whether the fragment had brought audio; true as well where the `complete` tells nothing.
        """
        seen = [f for f in self._fragments if server_id is not None and server_id in f.ids]
        untold = [f for f in seen if not f.told]
        if seen and not untold and self.tells_apart:
            return True  # for the second time
        fragment = untold[0] if untold else self._debtor() or self._current()
        if fragment is None:
            return True
        if fragment.begins is None and fragment.over is None:
            return False
        self._tell(fragment)
        self._learn(fragment, now)
        if all(f.told for f in self._fragments) and not self.unsure:
            self.tape.set_anchor(self._fragments[-1].segment.index + 1, self.at)
        return True

    def _tell(self, fragment: _Fragment) -> None:
        fragment.told = True
        if self.unsure and self.closed and fragment is self._fragments[-1]:
            return  # it may be that of the fragment before: the last one ends when nothing more comes
        fragment.over = fragment.over or Ended.TOLD
        fragment.segment.end(Ended.TOLD)

    # What is guessed

    def awaits_first(self, segment: Segment) -> bool:
        """Whether the segment's first audio is waited for: nothing that has come can be its."""
        fragment = self._of(segment)
        if fragment.begins is not None:
            return False
        if self.tape.anchor == segment.index or self.audio_at is None or self.audio_at < fragment.sent_at:
            return True
        before = self._fragments[self._fragments.index(fragment) - 1]
        return before.told and bool(self._habits.prompt) and not fragment.mergeable

    def indistinct(self, segment: Segment) -> list[Segment]:
        """The segments whose audio cannot be told apart from that one's, itself included, in order.

        Those that were sent behind it, and those before it up to the last whose first frame is known; since the
        last certain boundary where fragments were taken for merged.
        """
        first = self._fragments.index(self._of(segment))
        while first > 0 and (self.unsure or self._fragments[first].begins is None):
            first -= 1
        return [f.segment for f in self._fragments[first:]]

    @property
    def tells_ends(self) -> bool:
        """Whether a `complete` is likely to come, if perhaps seconds late: each fragment so far has had one."""
        return bool(self._habits.prompt) or (any(f.told for f in self._fragments) and self._debtor() is None)

    @property
    def since_anchor(self) -> list[Segment]:
        """The segments that were sent since the last certain boundary."""
        return [f.segment for f in self._fragments if f.segment.index >= self.tape.anchor]

    def was_told(self, segments: list[Segment]) -> bool:
        """Whether the server has said `complete` for any of them."""
        return any(f.told for f in self._fragments if f.segment in segments)

    def guess_end(self, *, hasty: bool) -> None:
        """All that was sent is taken for spoken; ``hasty``: only to go on with the text."""
        self._hasty = hasty
        self.unsure |= any(f.begins is None for f in self._fragments)
        for fragment in self._fragments:
            fragment.over = fragment.over or Ended.GUESSED
            fragment.segment.end(Ended.GUESSED)

    @property
    def settled_at(self) -> float:
        """From when on guessed ends may be believed that were made in haste."""
        if not self._hasty:
            return -math.inf
        return max(self.sent_at, self.audio_at or 0.0) + self._timing.merged

    def take_back_haste(self, now: float) -> None:
        """Nothing more comes in this context: the newest guesses were not put to the test."""
        if now >= self.settled_at:
            return
        for fragment in reversed(self._fragments):
            if fragment.told or fragment.over is not Ended.GUESSED:
                return
            fragment.over = None
            fragment.segment.go_on()

    def _of(self, segment: Segment) -> _Fragment:
        return next(f for f in self._fragments if f.segment is segment)

    @property
    def tells_apart(self) -> bool:
        """Whether the server's id was seen to change between fragments."""
        first = self._fragments[0].ids
        return any(f.ids and not f.ids & first for f in self._fragments)

    def _current(self) -> _Fragment | None:
        """The fragment whose audio comes now, as far as is known."""
        return next((f for f in self._fragments if f.over is None), None)

    def _debtor(self) -> _Fragment | None:
        """The oldest fragment that was taken for ended and still owes a `complete`."""
        return next((f for f in self._fragments if f.over is not None and not f.told), None)

    def _owner(self, server_id: str | None) -> _Fragment:
        current = self._current() or self._fragments[-1]
        if server_id is None or server_id in current.ids:
            return current
        known = [f for f in self._fragments if server_id in f.ids]
        if known:
            # An id that others have too, or that comes again after a `complete`, does not tell fragments apart.
            return known[-1] if len(known) == 1 and not known[-1].told else current
        place = self._fragments.index(current)
        if current.ids and current.over is None and place + 1 < len(self._fragments):
            current.over = Ended.TOLD
            current.segment.end(Ended.TOLD)
            return self._fragments[place + 1]  # its id is new: the current one has ended
        return current

    def _begin(self, fragment: _Fragment, server_id: str | None) -> None:
        """The first frame of a fragment: where it begins, and whether that is certain."""
        fragment.begins = self.at
        place = self._fragments.index(fragment)
        if place == 0 or self.unsure:
            return
        before = self._fragments[place - 1]
        if before.begins is None:
            return
        ids_differ = bool(before.ids) and server_id is not None and server_id not in before.ids
        follows_told = before.told and bool(self._habits.prompt) and not fragment.mergeable
        if ids_differ or follows_told:
            self.tape.set_anchor(fragment.segment.index, self.at)

    def _learn(self, fragment: _Fragment, now: float) -> None:
        """Whether the server is prompt, where the last chunk before this `complete` was surely the fragment's."""
        others = [f for f in self._fragments if f is not fragment]
        alone = all(f.told for f in others)
        apart = any(f.ids and not f.ids & fragment.ids for f in others)
        if fragment.last_at is not None and (alone or apart):
            self._habits.prompt = now - fragment.last_at < self._timing.prompt
