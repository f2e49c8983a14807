"""The requests of one reply: what is sent and when, and what becomes of those that fail."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..errors import ModelRetiredError, RateLimitError, SmallestAIError
from ..timing import Timing
from ..transport.base import Failed, Opened
from . import effects as fx
from .continuation import Context
from .ledger import Ledger, TextState
from .line import Line, LineState
from .retry import ATTEMPTS, IncompleteAudioError, RetryPolicy
from .step import Step
from .streams import Segment, Stream, Tape

__all__ = ["AHEAD", "Requests"]

AHEAD = 2
"""Segments under way: the one that is heard, and one ahead."""

BREAKS_TOGETHER = 2
"""Times that requests were lost together after which they are sent one at a time, so that one can be blamed."""


class Requests:
    """Sends the segments of one reply, in order, and sends again what is lost.

    Args:
        ledger: The reply's segments.
        timing: The waits.
        run_alone_until: Until then the account allows no request beside another.

    Attributes:
        line: The way to the service.
        streams: The attempts of which something may still come, by number.
    """

    def __init__(self, ledger: Ledger, timing: Timing, run_alone_until: float) -> None:
        self.line = Line()
        self.streams: dict[int, Stream] = {}
        self._ledger = ledger
        self._timing = timing
        self._begun = 0
        self._tape = self.new_tape()  # of a continuation; else each segment has its own
        self._breaks = 0
        self._alone_until = run_alone_until  # no request is sent ahead before; infinite: for the rest of the reply

    def new_tape(self) -> Tape:
        """A tape for one segment."""
        return Tape(RetryPolicy(self._timing))

    def tape(self) -> Tape:
        """The tape for the next segment: that of the continuation, where the route joins segments."""
        return self._tape if self.line.traits.joined else self.new_tape()

    @property
    def context(self) -> Context | None:
        """The context that the segments are fragments of, where the route has such."""
        return next((s for s in self.streams.values() if isinstance(s, Context)), None)

    @property
    def owe(self) -> bool:
        """Whether more may come of what is taken for ended."""
        return any(stream.owes for stream in self.streams.values())

    def runs_alone(self, now: float) -> bool:
        """Whether no request may be sent beside another."""
        return now < self._alone_until

    def unsent(self) -> bool:
        """Whether a segment is still to be sent."""
        context = self.context
        if context is not None:
            return context.next_index < len(self._ledger.segments)
        return any(segment.is_queued for segment in self._ledger.waiting)

    # What is sent

    def send(self, step: Step) -> bool:
        """Send what may be sent. Returns whether a segment has failed for having been asked for too often."""
        if not self.line.opened_once or any(segment.is_queued for segment in self._ledger.waiting):
            self._open(step)
        if self.line.state is not LineState.OPEN:
            return False
        return self._send_joined(step) if self.line.traits.joined else self._send_plain(step)

    def _open(self, step: Step) -> None:
        if self.line.state is LineState.CLOSED and step.is_due(self.line.reopen_at):
            self.line.opening()
            step.do(fx.Open())

    def _send_plain(self, step: Step) -> bool:
        before: Segment | None = None
        for segment in self._ledger.waiting[:AHEAD]:
            if segment.error is not None:
                return False
            if segment.stream is None:
                if not self._may_send(segment, before, step):
                    return False
                if not self._send(segment, None, step):
                    return True
            before = segment
        return False

    def _may_send(self, segment: Segment, before: Segment | None, step: Step) -> bool:
        """Whether a segment may be sent, after the one before it unless that has ended."""
        if not step.is_due(segment.not_before) or (segment.waits_for_own and self._own_in_progress(step)):
            return False
        if before is None:
            return True
        if segment.not_ahead or self.runs_alone(step.now):
            return False
        # On a connection of its own it could overtake the one before, and take its place in the account.
        return self.line.traits.shared or (before.stream is not None and before.stream.accepted)

    def _own_in_progress(self, step: Step) -> bool:
        """Whether the account may still count another request of this reply, whose `complete` has not come."""
        if any(stream.unended for stream in self.streams.values()):
            return True
        if not self.line.traits.shared:
            self._drop(self.streams.values(), step)  # that frees their places
            return False
        last = max((stream.audio_at or stream.sent_at for stream in self.streams.values()), default=-math.inf)
        return not step.is_due(last + self._timing.complete_wait)

    def _send_joined(self, step: Step) -> bool:
        context = self.context
        segments = self._ledger.segments
        index = self._tape.anchor if context is None else context.next_index
        while index < len(segments):
            if not step.is_due(segments[index].not_before):
                return False
            if context is not None and not self._may_add(context, step):
                return False
            if not self._send(segments[index], context, step):
                return True
            context = self.context
            index += 1
        if context is not None and not context.closed and self._ledger.text is TextState.ENDED:
            context.close()
            step.do(fx.CloseStream(context.id))
        return False

    def _may_add(self, context: Context, step: Step) -> bool:
        """Whether a further fragment may be sent."""
        under_way = context.under_way
        if under_way and (under_way >= AHEAD or self.runs_alone(step.now)):
            return False
        if context.may_follow(step.now, step.buffered):
            return True
        if step.is_due(context.follows_at) and step.buffered is not None:
            step.wake(step.now + max(step.buffered - self._timing.urgent, self._timing.apart))
        return False

    def _send(self, segment: Segment, stream: Stream | None, step: Step) -> bool:
        """Send a segment, on a new stream if there is none. Returns false if it was asked for too often already."""
        tape, joined = segment.tape, self.line.traits.joined
        if stream is None:
            if tape.attempts >= ATTEMPTS:
                # What a continuation repeats may long have ended: it is the head that cannot be spoken.
                (self._ledger.head or segment).fail(
                    IncompleteAudioError(f"Asked for {ATTEMPTS} times, and never whole")
                )
                return False
            tape.begin_attempt()
            self._begun += 1
            make = Context if joined else Stream
            stream = make(self._begun, tape, self.line.route, self.line.habits, self._timing)
            self.streams[stream.id] = stream
        if segment.begun:
            step.do(fx.Restart(segment.index))
        text = segment.lead + segment.spoken if joined and stream.segments else segment.spoken
        stream.send(segment, step.now)
        step.do(fx.Send(stream.id, segment.index, text, joined))
        return True

    # What the transport tells

    def opened(self, event: Opened, played: int, now: float) -> None:
        """The service is there.

        Args:
            event: How it serves requests.
            played: Units of audio that have been played.
            now: When.
        """
        self.line.opened(event)
        head = self._ledger.head
        if not event.traits.joined or head is None or head.tape is self._tape:
            return
        # The successor of the model joins segments, which its predecessor did not: they share a tape from now on.
        self._tape.set_anchor(head.index, played - head.tape.length)
        self._tape.hear(played, now)
        for segment in self._ledger.waiting:
            segment.join(self._tape)

    def open_failed(self, error: SmallestAIError, step: Step) -> SmallestAIError | None:
        """The service is not there. Returns what the reply fails with, if nothing more can be tried."""
        self.line.lost()
        if isinstance(error, ModelRetiredError) and error.successor is not None:
            self._move_on(step)
            return None
        head = self._ledger.head
        policy = self._tape.policy if head is None else head.tape.policy
        delay = policy.delay(error, new_audio=False)
        if delay is None:
            return policy.first or error
        self.line.lost(step.now + delay)
        step.do(fx.SendsAgain(error))
        return None

    def failed(self, event: Failed, step: Step) -> None:
        """Streams, or the connection, were lost."""
        lost = [self.streams.pop(number) for number in event.streams if number in self.streams]
        if event.connection_lost:
            self.line.lost()
        if event.indistinct:
            self._alone_until = math.inf
        self.lose(lost, event.error, step, blameless=event.indistinct)

    def ended(self, stream: Stream) -> None:
        """Nothing more comes of a stream."""
        del self.streams[stream.id]

    # What is done about failures

    def give_up(self, stream: Stream, error: SmallestAIError, step: Step) -> None:
        """An attempt is left for an error, and with it all that shares its connection."""
        if self.line.traits.shared:
            lost = self.leave(step, broken=True)
        else:
            lost = [stream]
            if self.streams.pop(stream.id, None) is not None:
                step.do(fx.Drop(stream.id))
        self.lose(lost, error, step)

    def ask_again(self, segment: Segment, stream: Stream, step: Step) -> None:
        """What came of a segment is not all: a break that we make."""
        error = IncompleteAudioError(
            "The service stopped in the middle of a segment, and did not say that it was complete"
        )
        if segment.tape.policy.delay(error, new_audio=False) is None:
            segment.fail(error)
            return
        step.do(fx.SendsAgain(error))
        if stream.joined:
            self._alone_until = math.inf
        self._drop([stream], step)

    def leave(self, step: Step, *, broken: bool = False) -> list[Stream]:
        """Leave the connection, and all that is on it: what has not ended is queued again. Returns the attempts.

        Args:
            step: The event.
            broken: Whether the connection has failed us.
        """
        if self.line.state is not LineState.CLOSED or self.streams:
            step.do(fx.Abandon(broken))
        left = list(self.streams.values())
        for stream in left:
            self._queue_again(stream, step)
        self.streams.clear()
        self.line.lost()
        return left

    def _drop(self, streams: Iterable[Stream], step: Step) -> None:
        """Leave attempts, to send again later what has not ended of them."""
        if self.line.traits.shared:
            self.leave(step)
            return
        for stream in list(streams):
            del self.streams[stream.id]
            step.do(fx.Drop(stream.id))
            self._queue_again(stream, step)

    def _move_on(self, step: Step) -> None:
        self.line.move_on()
        step.do(fx.MoveOn())

    def lose(self, streams: list[Stream], error: SmallestAIError, step: Step, *, blameless: bool = False) -> None:
        """Attempts have failed together. Decides who is charged; what has not ended is queued again."""
        lost = [segment for stream in streams for segment in self._queue_again(stream, step)]
        if not lost:
            return
        policy = lost[0].tape.policy
        if isinstance(error, ModelRetiredError) and error.successor is not None:
            if streams[0].route == self.line.route:
                self.leave(step)
                self._move_on(step)
        elif blameless or (isinstance(error, RateLimitError) and self._gives_way(lost[0], step)):
            policy.note(error)
        elif error.retryable and self._is_ahead(lost[0]):
            policy.note(error)
            lost[0].wait_for_turn()
        else:
            alone = len(lost) == 1
            self._breaks += not alone or streams[0].joined
            if self._breaks >= BREAKS_TOGETHER:
                self._alone_until = math.inf
            if isinstance(error, RateLimitError):
                self._refused(step, 0.0 if alone else self._timing.run_alone)
            if alone:
                self._charge(lost[0], error, step.now, new_audio=streams[0].brought)
            else:  # nobody knows for whom they were lost
                policy.note(error)
        if all(segment.error is None for segment in lost):
            step.do(fx.SendsAgain(error))

    def _charge(self, segment: Segment, error: SmallestAIError, now: float, *, new_audio: bool) -> None:
        delay = segment.tape.policy.delay(error, new_audio=new_audio)
        if delay is None:
            segment.fail(error)
        else:
            segment.wait_until(now + delay)

    def _queue_again(self, stream: Stream, step: Step) -> list[Segment]:
        """A stream is gone: what has not ended of it is to be sent again. Returns that."""
        if isinstance(stream, Context):
            stream.take_back_haste(step.now)
            self._ledger.rewind()
        lost = stream.unended
        stream.leave()
        if stream.joined and not lost and not stream.repeats:
            stream.tape.set_anchor(stream.segments[-1].index + 1, stream.tape.length)
        return lost

    def _is_ahead(self, segment: Segment) -> bool:
        """Whether it was sent ahead of one that is in progress."""
        return any(s.index < segment.index for stream in self.streams.values() for s in stream.unended)

    def _refused(self, step: Step, run_alone: float) -> None:
        """The account has refused a request for being too many: send none ahead for so many seconds."""
        self._alone_until = max(self._alone_until, step.now + run_alone)
        step.do(fx.Refused(step.now + run_alone))

    def _gives_way(self, refused: Segment, step: Step) -> bool:
        """The account allows no further request. Whether one of ours is in the way, so that it is no failure."""
        others = [] if self.line.traits.joined else list(self.streams.values())
        if not others:
            return False
        self._refused(step, self._timing.run_alone)
        if any(stream.segments[0].index > refused.index for stream in others):
            self._drop(others, step)  # what was sent ahead may end only when it has been heard, after this one
        else:
            refused.wait_for_own()
        return True
