"""The state machine of one reply: events in, effects out. No I/O, no asyncio, no clock.

Everything that decides about a reply is here and in what this module calls: `streams` (the account), `continuation` (whose audio it
is), `silence_watchdog` (whether a silence is an end), `retry` (whether a failure is asked again). After each event the machine
derives what is to be done from the state of the segments:

| a segment is | when                                 | what moves it on                                                      |
|--------------|--------------------------------------|-----------------------------------------------------------------------|
| queued       | ``stream`` is None, no ``error``     | `Send`, when the link is open, its turn has come and its delay is over |
| asked        | ``stream`` is set, nothing heard     | `Audio`; no audio for 10 s: failed                                    |
| heard        | ``stream`` has brought audio         | `Complete`; `Failed`: queued again; a silence: ended, queued or failed |
| ended        | ``ended`` is TOLD or GUESSED         | more audio takes a guess back while nothing of the next was played    |
| failed       | ``error`` is set                     | when it is first in line, the reply fails                             |

| the reply is | when                                  | what moves it on                                                     |
|--------------|---------------------------------------|----------------------------------------------------------------------|
| SPEAKING     | from `Started` on                     | all segments ended and the text too: LINGERING or OVER; an error: FAILING |
| FAILING      | the error was emitted                 | the text has let go: `Fail`, OVER                                    |
| LINGERING    | a guessed end may have been too early | the server's `Complete`, a lost connection: OVER; `Superseded`       |
| SUPERSEDED   | late audio is counted, not played     | the server's `Complete`, a lost connection, 5 s: OVER                |
| OVER         | after `Interrupted` as well           | nothing                                                              |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Any

from ..errors import APIConnectionError, APITimeoutError, ModelRetiredError, RateLimitError, SmallestAIError
from ..timing import Timing
from ..transport.base import Accepted, Audio, Complete, Failed, Opened, OpenFailed, Pong, Word
from . import effects as fx
from .continuation import Context
from .ledger import Ledger, TextState
from .line import Line, LineState
from .pace import Pace
from .retry import ATTEMPTS, IncompleteAudioError, NoAudioError, RetryPolicy
from .silence_watchdog import Facts, Ruling, judge, likely_end
from .streams import Ended, Segment, Stream, Tape

__all__ = ["ReplyMachine"]

AHEAD = 2
"""Segments under way: the one that is heard, and one ahead."""

BREAKS_TOGETHER = 2
"""Times that requests were lost together after which they are sent one at a time, so that one can be blamed."""


class _Phase(Enum):
    SPEAKING = auto()
    FAILING = auto()
    LINGERING = auto()
    SUPERSEDED = auto()
    OVER = auto()


class ReplyMachine:
    """Decides about one reply. After `handle` the caller must carry all effects out, in order.

    Args:
        units_per_second: How many units of audio last a second.
        speed: How fast the voice speaks; 1 is the normal pace.
        timing: The waits.
        run_alone_until: Until then the account allows no request beside another.

    Attributes:
        dropped: Units of audio that came when something else had already followed them.
    """

    def __init__(
        self,
        *,
        units_per_second: float,
        speed: float = 1.0,
        timing: Timing | None = None,
        run_alone_until: float = -math.inf,
    ) -> None:
        self.dropped = 0
        self._timing = timing or Timing()
        self._pace = Pace(units_per_second, speed)
        self._phase = _Phase.SPEAKING
        self._ledger = Ledger()
        self._line = Line()
        self._streams: dict[int, Stream] = {}
        self._streams_begun = 0
        self._tape = self._new_tape()  # of a continuation; else each segment has its own
        self._breaks = 0
        self._alone_until = run_alone_until  # no request is sent ahead before; infinite for the rest of the reply
        self._played = 0
        self._longest_pause = 0.0
        self._filled_at = -math.inf
        self._failure: SmallestAIError | None = None
        self._now = 0.0
        self._buffered: float | None = None
        self._effects: list[fx.Effect] = []
        self._wake_at = math.inf
        self._wanted = math.inf

    @property
    def over(self) -> bool:
        """Whether nothing that happens can have an effect any more."""
        return self._phase is _Phase.OVER

    def handle(self, event: fx.Event, *, now: float, buffered: float | None) -> list[fx.Effect]:
        """Take an event.

        Args:
            event: What happened.
            now: When, in seconds of any clock that never goes back.
            buffered: Seconds that the listener still has to hear; ``None`` where nobody listens.

        Returns:
            What is to be done, in order.
        """
        self._now, self._buffered = now, buffered
        self._effects = []
        if self._phase is _Phase.OVER:
            return self._effects
        if type(event) is Audio:
            self._take_audio(event)
            # With a look at the silence already due, and nothing that was waiting for this: the common case.
            if self._wake_at < math.inf and self._phase is _Phase.SPEAKING and not self._stirs(event):
                return self._effects
        else:
            self._take(event)
        self._advance()
        return self._effects

    def forget(self) -> None:
        """Let go of everything, so that nothing is left for Python's garbage collector. The last call."""
        self._phase = _Phase.OVER
        self._ledger.forget()
        self._streams.clear()
        self._effects = []

    def _take(self, event: fx.Event) -> None:
        if isinstance(event, Opened):
            self._take_opened(event)
        elif isinstance(event, OpenFailed):
            self._take_open_failed(event.error)
        elif isinstance(event, fx.TextCame):
            self._ledger.add(event.text, event.lead, self._tape if self._line.traits.joined else self._new_tape())
        elif isinstance(event, fx.TextEnded):
            self._ledger.end()
        elif isinstance(event, fx.TextFailed):
            self._ledger.end(event.error)
        elif isinstance(event, Accepted):
            if event.stream in self._streams:
                self._streams[event.stream].accept()
        elif isinstance(event, Word):
            self._take_word(event)
        elif isinstance(event, Complete):
            self._take_complete(event)
        elif isinstance(event, Failed):
            self._take_failed(event)
        elif isinstance(event, Pong):
            self._line.pong()
        elif isinstance(event, fx.Wake):
            self._wake_at = math.inf
            if self._phase is _Phase.SUPERSEDED:
                self._leave_line()
        elif isinstance(event, fx.Interrupted):
            self._leave_line()
            self._phase = _Phase.OVER
            self._do(fx.Done())
        elif isinstance(event, fx.Superseded) and self._phase is _Phase.LINGERING:
            self._phase = _Phase.SUPERSEDED
            self._wake_at = self._now + self._timing.complete_wait
            self._do(fx.WakeAt(self._wake_at))

    def _new_tape(self) -> Tape:
        return Tape(RetryPolicy(self._timing))

    def _do(self, effect: fx.Effect) -> None:
        self._effects.append(effect)

    def _wake(self, at: float) -> None:
        self._wanted = min(self._wanted, at)

    # What the transport tells

    def _take_opened(self, event: Opened) -> None:
        self._line.opened(event)
        head = self._ledger.head
        if event.traits.joined and head is not None and head.tape is not self._tape:
            self._join(head)

    def _join(self, head: Segment) -> None:
        """The successor of the model joins segments, which its predecessor did not: they share a tape from now on."""
        heard = head.tape.length
        self._tape.set_anchor(head.index, self._played - heard)
        self._tape.hear(self._played, self._now)
        for segment in self._ledger.waiting:
            segment.tape = self._tape
            segment.held.clear()

    def _take_open_failed(self, error: SmallestAIError) -> None:
        self._line.lost()
        if isinstance(error, ModelRetiredError) and error.successor is not None:
            self._move_on()
            return
        head = self._ledger.head
        policy = self._tape.policy if head is None else head.tape.policy
        delay = policy.delay(error, new_audio=False)
        if delay is None:
            self._fail(policy.first or error)
        else:
            self._line.lost(self._now + delay)

    def _take_audio(self, event: Audio) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        new = stream.hear(event.pcm, event.server_id, self._now)
        self._longest_pause = max(self._longest_pause, stream.longest_pause)
        if self._line.traits.shared and not stream.joined:
            self._line.habits.mixes |= any(s.id > stream.id and s.accepted for s in self._streams.values())
        if new:
            self._hear(stream, stream.owner(event.server_id), new)

    def _hear(self, stream: Stream, segment: Segment, audio: Sequence[Any]) -> None:
        """Play new audio, or keep it until its turn comes."""
        if self._phase is _Phase.SUPERSEDED:
            self.dropped += len(audio)
        elif stream.joined or self._phase is _Phase.LINGERING:
            self._play_in_order()
            self._play(segment, audio)
        elif segment.ended is None:
            if segment is self._ledger.head:
                self._play(segment, audio)
            else:
                segment.held.append(audio)
        else:
            head = self._ledger.head
            if segment is self._ledger.before_head and (head is None or not head.begun):
                stream.take_back()
                self._ledger.rewind()
                self._play(segment, audio)
            else:
                self.dropped += len(audio)

    def _stirs(self, event: Audio) -> bool:
        """Whether a chunk may change more than what is heard: another segment begins or waits, or one may be sent."""
        stream = self._streams.get(event.stream)
        if stream is None or stream.chunks == 1 or len(stream.segments) > 1 or self._now < self._alone_until:
            return True
        return stream.segments[0] is not self._ledger.head

    def _take_word(self, event: Word) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            segment = stream.owner(event.server_id)
            began = stream.began_at(segment)
            place = fx.PlaceWord(
                segment=segment.index,
                word=event.text,
                start=event.start,
                server_id=event.server_id,
                heard=stream.at - began,
                before=began - stream.first_at,
                stream_began=event.stream_began,
            )
            self._do(place)

    def _take_complete(self, event: Complete) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        if not stream.complete(event.server_id, self._now):
            if stream.joined:
                self._leave_line()
            else:
                del self._streams[event.stream]
            error = NoAudioError("The service said that the speech is complete, and sent no audio. Check voice_id")
            self._lose([stream], error)
        elif not stream.joined:
            del self._streams[event.stream]

    def _take_failed(self, event: Failed) -> None:
        lost = [self._streams.pop(number) for number in event.streams if number in self._streams]
        if event.connection_lost:
            self._line.lost()
        if event.indistinct:
            self._alone_until = math.inf
        if self._phase is _Phase.SPEAKING:
            self._lose(lost, event.error, blameless=event.indistinct)

    # What is done about failures

    def _lose(self, streams: list[Stream], error: SmallestAIError, *, blameless: bool = False) -> None:
        """Attempts have failed together. Decides who is charged; what has not ended is queued again."""
        lost = [segment for stream in streams for segment in self._queue_again(stream)]
        if not lost:
            return
        policy = lost[0].tape.policy
        if isinstance(error, ModelRetiredError) and error.successor is not None:
            if streams[0].route == self._line.route:
                self._leave_line()
                self._move_on()
        elif blameless or (isinstance(error, RateLimitError) and self._gives_way(lost[0])):
            policy.note(error)
        elif error.retryable and self._is_ahead(lost[0]):
            policy.note(error)
            lost[0].not_ahead = True
        elif len(lost) > 1:  # only who was alone is charged
            policy.note(error)
            self._breaks += 1
            if self._breaks >= BREAKS_TOGETHER:
                self._alone_until = math.inf
        else:
            self._breaks += streams[0].joined
            if self._breaks >= BREAKS_TOGETHER:
                self._alone_until = math.inf
            delay = policy.delay(error, new_audio=streams[0].brought)
            if delay is None:
                lost[0].error = policy.first or error
            else:
                lost[0].not_before = self._now + delay

    def _queue_again(self, stream: Stream) -> list[Segment]:
        """A stream is gone: what has not ended of it is to be sent again. Returns that."""
        if isinstance(stream, Context):
            stream.take_back_haste(self._now)
            self._ledger.rewind()
        lost = stream.unended
        for segment in stream.segments:
            segment.stream = None
        if stream.joined and not lost and not stream.repeats:
            stream.tape.set_anchor(stream.segments[-1].index + 1, stream.tape.length)
        return lost

    def _is_ahead(self, segment: Segment) -> bool:
        """Whether it was sent ahead of one that is in progress on another connection, or on this one."""
        return any(s.index < segment.index for stream in self._streams.values() for s in stream.unended)

    def _gives_way(self, refused: Segment) -> bool:
        """The account allows no further request. Whether one of ours is in the way, so that it is no failure."""
        others = [] if self._line.traits.joined else list(self._streams.values())
        if not others:
            return False
        self._alone_until = max(self._alone_until, self._now + self._timing.run_alone)
        self._do(fx.RunAlone(self._now + self._timing.run_alone))
        if any(stream.segments[0].index > refused.index for stream in others):
            self._give_up(others)  # what was sent ahead may end only when it has been heard, after this one
        else:
            refused.waits_for_own = True
        return True

    def _give_up(self, streams: Iterable[Stream]) -> None:
        """Leave attempts, to send again later what has not ended of them."""
        if self._line.traits.shared:
            self._leave_line()
            return
        for stream in list(streams):
            del self._streams[stream.id]
            self._do(fx.Drop(stream.id))
            self._queue_again(stream)

    def _leave_line(self) -> list[Stream]:
        """Leave the connection, and all that is on it: what has not ended is queued again. Returns the attempts."""
        if self._line.state is not LineState.CLOSED or self._streams:
            self._do(fx.Abandon())
        left = list(self._streams.values())
        for stream in left:
            self._queue_again(stream)
        self._streams.clear()
        self._line.lost()
        return left

    def _move_on(self) -> None:
        self._line.move_on()
        self._do(fx.MoveOn())

    def _ask_again(self, segment: Segment, stream: Stream) -> None:
        """What came is not all: a break that we make."""
        error = IncompleteAudioError(
            "The service stopped in the middle of a segment, and did not say that it was complete"
        )
        delay = segment.tape.policy.delay(error, new_audio=False)
        if delay is None:
            segment.error = segment.tape.policy.first or error
            return
        if stream.joined:
            self._alone_until = math.inf
        self._give_up([stream])

    def _break(self, stream: Stream) -> None:
        """The connection is dead, although nobody has closed it."""
        error = APIConnectionError("The server does not answer any more: its connection is given up")
        if self._line.traits.shared:
            lost = self._leave_line()
        else:
            lost = [self._streams.pop(stream.id)]
            self._do(fx.Drop(stream.id))
        self._lose(lost, error)

    def _fail(self, error: SmallestAIError) -> None:
        self._leave_line()
        self._phase = _Phase.FAILING
        self._failure = error
        self._do(fx.Emit(error))
        self._do(fx.StopText())

    # What follows from the state

    def _advance(self) -> None:
        self._wanted = math.inf
        if self._phase is _Phase.SPEAKING:
            self._speak()
        if self._phase is _Phase.FAILING:
            self._end_text()
        if self._phase in (_Phase.LINGERING, _Phase.SUPERSEDED) and not any(
            stream.owes for stream in self._streams.values()
        ):
            self._do(fx.Release())
            self._phase = _Phase.OVER
        if self._wanted < self._wake_at and self._phase is _Phase.SPEAKING:
            self._wake_at = self._wanted
            self._do(fx.WakeAt(self._wanted))

    def _speak(self) -> None:
        while True:
            self._play_in_order()
            head = self._ledger.head
            if head is None and self._ledger.text is TextState.ENDED:
                if self._has_settled():
                    self._finish()
                    return
                break
            if head is not None and head.error is not None:
                self._fail(head.error)
                return
            if not (self._watch() or self._send_queued()):
                break
        self._take_text()

    def _play_in_order(self) -> None:
        """Go on to the first segment that has not ended, and play what came for it before its turn."""
        while (head := self._ledger.head) is not None:
            if head.in_line_at is None:
                head.in_line_at = self._now
            held, head.held = head.held, []
            for audio in held:
                self._play(head, audio)
            if head.ended is None:
                return
            self._ledger.go_on()
            self._do(fx.End(head.index))

    def _play(self, segment: Segment, audio: Sequence[Any]) -> None:
        if not segment.begun:
            self._begin(segment, self._played)
        self._played += len(audio)
        self._do(fx.Play(segment.index, audio))

    def _begin(self, segment: Segment, at: int) -> None:
        segment.begun = True
        self._do(fx.Begin(segment.index, segment.text, segment.lead, at))

    def _has_settled(self) -> bool:
        """Whether the last ends are not guesses that were made in haste, only to go on with the text."""
        context = self._context
        if context is None or not context.owes:
            return True
        if self._now >= context.settled_at:
            return True
        self._wake(context.settled_at)
        self._fill_frame(context, max(context.sent_at, context.audio_at or 0.0))
        return False

    def _finish(self) -> None:
        """All has been played."""
        lingers = any(stream.owes for stream in self._streams.values())
        if self._ledger.text_error is not None:
            self._leave_line()
            self._do(fx.Fail(self._ledger.text_error))
        elif lingers:
            self._do(fx.Done(lingers=True))
        else:
            self._do(fx.Release())
            self._do(fx.Done())
        failed = self._ledger.text_error is not None
        self._phase = _Phase.LINGERING if lingers and not failed else _Phase.OVER

    def _end_text(self) -> None:
        """The reply has failed: let the caller's text go, so that another voice can take it on."""
        if self._ledger.text is TextState.IDLE:
            self._ledger.ask()
            self._do(fx.TakeText())
        elif self._ledger.text is TextState.ENDED:
            assert self._failure is not None
            self._do(fx.Fail(self._failure, self._ledger.unspoken))
            self._phase = _Phase.OVER

    # What silence means

    def _watch(self) -> bool:
        """Look at what is being spoken and has gone silent. Returns whether that changed anything."""
        head = self._ledger.head
        if head is None or self._line.traits.ends_told:
            return False  # nothing is awaited, or it ends and fails without our help
        if self._has_stalled(head):
            return True
        subject = self._subject(head)
        if subject.stream is None:
            return False
        stream, t = subject.stream, self._timing
        since = max(stream.sent_at, stream.audio_at or -math.inf)
        if self._look_for_life(stream, since):
            return True
        if stream.awaits_first(subject):
            return self._await_first(head, max(since, head.in_line_at or since))
        group = stream.indistinct(subject)
        self._fill_frame(stream, since)
        facts = self._facts(subject, stream, group, self._now - since)
        ruling, seconds = judge(facts, t)
        if ruling is Ruling.WAIT:
            return self._wait(facts, since, seconds, group)
        if ruling is Ruling.END:
            if not self._line.alive_since(stream.id, since):
                return self._ask_for_life(stream, since)
            for segment in group:
                if not segment.begun:
                    self._begin(segment, self._played)
            stream.guess_end(hasty=facts.several and (facts.more or facts.unsent))
            return True
        if ruling is Ruling.ASK_AGAIN:
            self._ask_again(head, stream)
        else:
            error = IncompleteAudioError("The service stopped twice at the same place in the middle of a segment")
            head.error = head.tape.policy.first or error
        return True

    def _subject(self, head: Segment) -> Segment:
        """What is being spoken, as far as is known: the head, or what comes before it in a repetition."""
        current = self._context.current if self._context is not None else None
        return current or head

    def _has_stalled(self, head: Segment) -> bool:
        """The last bound, whatever else is believed; while the listener has something to hear nobody misses anything."""
        since = max(head.in_line_at or 0.0, head.sent_at or 0.0, head.tape.new_at or 0.0)
        due = max(since + self._timing.no_progress, self._now + (self._buffered or 0.0))
        if self._now < due:
            self._wake(due)
            return False
        error = IncompleteAudioError(f"No new audio for {self._timing.no_progress:g} s")
        head.error = head.tape.policy.first or error
        return True

    def _look_for_life(self, stream: Stream, since: float) -> bool:
        """Ping what has been silent for a while; what does not answer is a broken connection."""
        t, line = self._timing, self._line
        if line.pinged_since(stream.id, since):
            if not line.alive_since(stream.id, since):
                if self._now >= line.pinged_at + t.pong:
                    self._break(stream)
                    return True
                self._wake(line.pinged_at + t.pong)
            return False
        due = since + t.ping_after
        if stream.audio_at is not None and self._buffered is not None:
            due = min(due, max(since + t.ping_soon, self._now + self._buffered - t.urgent))
        if self._now < due:
            self._wake(due)
            return False
        return self._ask_for_life(stream, since)

    def _fill_frame(self, stream: Stream, since: float) -> None:
        """Where this may be the end, which nobody tells, its last samples are not kept waiting in a frame."""
        if self._buffered is None or stream.tells_ends or self._ledger.text is not TextState.ENDED:
            return
        due = max(since + self._timing.unusual, self._now + self._buffered - self._timing.frame)
        if self._now < due:
            self._wake(due)
        elif self._filled_at < since:
            self._filled_at = self._now
            self._do(fx.FillFrame())

    def _ask_for_life(self, stream: Stream, since: float) -> bool:
        """Ping, unless that was done."""
        if not self._line.pinged_since(stream.id, since):
            self._line.ping(stream.id, self._now)
            self._do(fx.Ping(stream.id))
        self._wake(self._line.pinged_at + self._timing.pong)
        return False

    def _await_first(self, segment: Segment, since: float) -> bool:
        due = since + self._timing.first_audio
        if self._now < due:
            self._wake(due)
            return False
        error = APITimeoutError(
            f"No audio within {self._timing.first_audio:g} s of the request. The service may be overloaded"
        )
        segment.error = segment.tape.policy.first or error
        return True

    def _wait(self, facts: Facts, since: float, seconds: float | None, group: list[Segment]) -> bool:
        if seconds is not None:
            self._wake(self._now + seconds)
            return False
        following = next((s for s in self._ledger.waiting[1:] if s.stream is not None and s not in group), None)
        if following is None or following.stream is None or following.stream.audio_at is not None:
            return False
        # This one has probably ended, so the next one is first in line.
        began = since + likely_end(self._longest_pause, self._timing)
        if self._await_first(following, max(following.stream.sent_at, began)) and following.error is not None:
            self._fail(following.error)
        return False

    def _facts(self, subject: Segment, stream: Stream, group: list[Segment], silence: float) -> Facts:
        waiting = self._ledger.waiting
        following = waiting[1].stream if len(waiting) > 1 and not stream.joined else None
        context = self._context
        if context is not None:
            unsent = context.next_index < len(self._ledger.segments)
        else:
            unsent = any(s.stream is None and s.error is None for s in waiting)
        next_waits = following is not None and following.audio_at is not None
        # Only on a connection that serves in turn, audio of what was asked for later shows that this one has ended.
        in_turn = self._line.traits.shared and not self._line.habits.mixes
        if following is not None:
            in_turn &= following.id > stream.id
        told = stream.was_told(group)
        begins = min((stream.began_at(segment) for segment in group), default=0)
        return Facts(
            silence=silence,
            longest_pause=self._longest_pause,
            audio=self._pace.seconds(stream.at - begins),
            letters=sum(segment.letters for segment in group),
            pace=self._pace.per_letter,
            repeats=stream.repeats and not (stream.joined and unsent),
            asked_again=stream.tape.policy.asked_again and not (stream.joined and stream.repeats),
            several=len(group) > 1 or stream.unsure,
            told=told,
            prompt=stream.tells_ends and not told,
            mixes=not in_turn,
            next_waits=next_waits,
            more=following is not None or self._ledger.text is not TextState.ENDED,
            unsent=unsent,
            buffered=self._buffered,
        )

    # What is sent

    def _send_queued(self) -> bool:
        """Send what may be sent. Returns whether a segment has failed for having been asked for too often."""
        if not self._line.opened_once or any(s.stream is None and s.error is None for s in self._ledger.waiting):
            self._open()
        if self._line.state is not LineState.OPEN:
            return False
        return self._send_joined() if self._line.traits.joined else self._send_plain()

    def _open(self) -> None:
        if self._line.state is LineState.CLOSED:
            if self._now >= self._line.reopen_at:
                self._line.opening()
                self._do(fx.Open())
            else:
                self._wake(self._line.reopen_at)

    def _send_plain(self) -> bool:
        before: Segment | None = None
        for segment in self._ledger.waiting[:AHEAD]:
            if segment.error is not None:
                return False
            if segment.stream is None:
                if not self._may_send(segment, before):
                    return False
                if not self._send(segment, None):
                    return True
            before = segment
        return False

    def _may_send(self, segment: Segment, before: Segment | None) -> bool:
        """Whether a segment may be sent, after the one before it unless that has ended."""
        if self._now < segment.not_before:
            self._wake(segment.not_before)
            return False
        if segment.waits_for_own and self._own_in_progress():
            return False
        if before is None:
            return True
        if segment.not_ahead or self._now < self._alone_until:
            return False
        # On a connection of its own it could overtake the one before, and take its place in the account.
        return self._line.traits.shared or (before.stream is not None and before.stream.accepted)

    def _own_in_progress(self) -> bool:
        """Whether the account may still count another request of this reply, whose `complete` has not come."""
        if any(stream.unended for stream in self._streams.values()):
            return True
        last = max((stream.audio_at or stream.sent_at for stream in self._streams.values()), default=-math.inf)
        self._wake(last + self._timing.complete_wait)
        return self._now < last + self._timing.complete_wait

    def _send_joined(self) -> bool:
        context = self._context
        segments = self._ledger.segments
        index = self._tape.anchor if context is None else context.next_index
        while index < len(segments):
            segment = segments[index]
            if self._now < segment.not_before:
                self._wake(segment.not_before)
                return False
            if context is not None and not self._may_add(context):
                return False
            if not self._send(segment, context):
                return True
            context = self._context
            index += 1
        if context is not None and not context.closed and self._ledger.text is TextState.ENDED:
            context.close()
            self._do(fx.CloseStream(context.id))
        return False

    def _may_add(self, context: Context) -> bool:
        under_way = context.under_way
        if under_way and (under_way >= AHEAD or self._now < self._alone_until):
            return False
        if context.may_follow(self._now, self._buffered):
            return True
        if self._now < context.follows_at:
            self._wake(context.follows_at)
        elif self._buffered is not None:
            self._wake(self._now + max(self._buffered - self._timing.urgent, self._timing.apart))
        return False

    def _send(self, segment: Segment, stream: Stream | None) -> bool:
        """Send a segment, on a new stream if there is none. Returns whether it was asked for too often already."""
        tape, joined = segment.tape, self._line.traits.joined
        if stream is None:
            if tape.attempts >= ATTEMPTS:
                error = IncompleteAudioError(f"Asked for {ATTEMPTS} times, and never whole")
                segment.error = tape.policy.first or error
                return False
            tape.begin_attempt()
            self._streams_begun += 1
            make = Context if joined else Stream
            stream = make(self._streams_begun, tape, self._line.route, self._line.habits, self._timing)
            self._streams[stream.id] = stream
        if segment.begun:
            self._do(fx.Restart(segment.index))
        text = segment.lead + segment.text if joined and stream.segments else segment.text
        stream.send(segment, self._now)
        self._do(fx.Send(stream.id, segment.index, text, joined))
        return True

    @property
    def _context(self) -> Context | None:
        """The context that the segments are fragments of, where the route has such."""
        return next((s for s in self._streams.values() if isinstance(s, Context)), None)

    def _take_text(self) -> None:
        """Ask for the next segment while there is room for it."""
        if self._ledger.text is not TextState.IDLE or not self._line.opened_once:
            return
        waiting = self._ledger.waiting
        if any(segment.error is not None for segment in waiting):
            return  # a fallback provider needs all the text that is not taken
        if waiting and self._line.traits.ends_told and not (waiting[0].stream and waiting[0].stream.accepted):
            return  # over HTTP the first request finds out whether the service is there
        if len(waiting) < AHEAD:
            self._ledger.ask()
            self._do(fx.TakeText())
