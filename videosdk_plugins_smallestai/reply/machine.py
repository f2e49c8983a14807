"""The state machine of one reply: events in, effects out. No I/O, no asyncio, no clock.

Everything that decides about a reply is here and in what this module calls: `requests` (what is sent, and sent
again), `continuation` (whose audio it is), `watch` and `silence_watchdog` (whether a silence is an end), `retry`
(whether a failure is asked again). After each event the machine derives what is to be done from the state of the
segments:

| a segment is | when                               | what moves it on                                        |
|--------------|------------------------------------|---------------------------------------------------------|
| queued       | `stream` is None, no `error`       | `Send`: the line is open, its turn has come             |
| asked        | `stream` is set, no audio          | `Audio`; no audio for 10 s: failed                      |
| heard        | `stream` has brought audio         | `Complete`: ended; `Failed`: queued; silence: see watch |
| ended        | `ended` is TOLD or GUESSED         | a guess: more audio, if nothing of the next was heard   |
| failed       | `error` is set                     | when it is first in line, the reply fails               |

| the reply is | when                               | what moves it on                                        |
|--------------|------------------------------------|---------------------------------------------------------|
| SPEAKING     | from `Started` on                  | the end of all segments and of the text; a failed one;  |
|              |                                    | `GivenUp`                                               |
| FAILING      | the error was emitted              | the caller's text has let go: `Fail`, OVER              |
| LINGERING    | all was played, an end was guessed | `Complete` or a lost connection: OVER; `Superseded`     |
| SUPERSEDED   | late audio is counted, not played  | `Complete`, a lost connection, or 5 s: OVER             |
| OVER         | after `Interrupted` from any state | nothing                                                 |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from ..errors import SmallestAIError
from ..timing import Timing
from ..transport.base import Accepted, Audio, Complete, Failed, Opened, OpenFailed, Pong, Word
from . import effects as fx
from .ledger import Ledger, TextState
from .pace import Pace
from .requests import AHEAD, Requests
from .retry import NoAudioError
from .step import Step
from .streams import Ended, Segment, Stream
from .watch import Watch

__all__ = ["ReplyMachine"]


ROUNDS = 1000
"""Changes that one event may lead to, a few as a rule. A mistake here must not stop the whole event loop."""


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
        self._phase = _Phase.SPEAKING
        self._ledger = Ledger()
        self._pace = Pace(units_per_second, speed)
        self._requests = Requests(self._ledger, self._timing, run_alone_until)
        self._watch = Watch(self._ledger, self._requests, self._pace, self._timing)
        self._played = 0
        self._failure: SmallestAIError | None = None
        self._wake_at = math.inf  # the `WakeAt` that has not been answered

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
        step = Step(now, buffered)
        if self._phase is _Phase.OVER:
            return step.effects
        if type(event) is Audio:
            self._take_audio(event, step)
            # With a look at the silence already due, and nothing that was waiting for this: the common case.
            if self._wake_at < math.inf and self._phase is _Phase.SPEAKING and not self._stirs(event, now):
                return step.effects
        else:
            self._take(event, step)
        self._advance(step)
        return step.effects

    def forget(self) -> None:
        """Let go of everything, so that nothing is left for Python's garbage collector. The last call."""
        self._phase = _Phase.OVER
        self._ledger.forget()
        self._requests.streams.clear()

    def _take(self, event: fx.Event, step: Step) -> None:
        requests = self._requests
        if isinstance(event, Opened):
            requests.opened(event, self._played, step.now)
        elif isinstance(event, OpenFailed):
            if (error := requests.open_failed(event.error, step)) is not None:
                self._fail(error, step)
        elif isinstance(event, fx.TextCame):
            self._ledger.add(event.text, event.lead, requests.tape(), event.spoken)
        elif isinstance(event, fx.TextEnded):
            self._ledger.end()
        elif isinstance(event, fx.TextFailed):
            self._ledger.end(event.error)
        elif isinstance(event, Accepted):
            if event.stream in requests.streams:
                requests.streams[event.stream].accept()
        elif isinstance(event, Word):
            self._take_word(event, step)
        elif isinstance(event, Complete):
            self._take_complete(event, step)
        elif isinstance(event, Failed):
            requests.failed(event, step)
        elif isinstance(event, Pong):
            requests.line.pong()
        else:
            self._take_drivers(event, step)

    def _take_drivers(self, event: fx.Event, step: Step) -> None:
        """An event of the driver's own."""
        if isinstance(event, fx.Wake):
            self._wake_at = math.inf
            if self._phase is _Phase.SUPERSEDED:
                self._requests.leave(step)
        elif isinstance(event, fx.Interrupted):
            self._requests.leave(step)
            self._phase = _Phase.OVER
            step.do(fx.Done())
        elif isinstance(event, fx.GivenUp) and self._phase is _Phase.SPEAKING:
            self._fail(event.error, step)
        elif isinstance(event, fx.Superseded) and self._phase is _Phase.LINGERING:
            self._phase = _Phase.SUPERSEDED
            self._wake_at = step.now + self._timing.complete_wait
            step.do(fx.WakeAt(self._wake_at))

    # What the transport tells

    def _take_audio(self, event: Audio, step: Step) -> None:
        stream = self._requests.streams.get(event.stream)
        if stream is None:
            return
        new = stream.hear(event.pcm, event.server_id, step.now)
        self._watch.hear(stream)
        streams = self._requests.streams
        line = self._requests.line
        if len(streams) > 1 and line.traits.shared and not stream.joined:
            line.habits.mixes |= any(s.id > stream.id and s.accepted for s in streams.values())
        if new:
            self._hear(stream, stream.owner(event.server_id), new, step)

    def _hear(self, stream: Stream, segment: Segment, audio: Sequence[Any], step: Step) -> None:
        """Play new audio, or keep it until its turn comes."""
        head = self._ledger.head
        if self._phase is _Phase.SUPERSEDED:
            self.dropped += len(audio)
        elif stream.joined or self._phase is _Phase.LINGERING:
            self._play_in_order(step)
            self._play(segment, audio, step)
        elif segment is head:
            self._play(segment, audio, step)
        elif segment.ended is None:
            segment.held.append(audio)
        elif segment is self._ledger.before_head and (head is None or not head.begun):
            stream.take_back()
            self._ledger.rewind()
            self._play(segment, audio, step)
        else:
            self.dropped += len(audio)

    def _stirs(self, event: Audio, now: float) -> bool:
        """Whether a chunk may change more than what is heard: a segment begins, waits, or may be sent."""
        stream = self._requests.streams.get(event.stream)
        if stream is None or stream.begins_something or not stream.tells_apart or self._requests.runs_alone(now):
            return True
        return stream.owner(event.server_id) is not self._ledger.head

    def _take_word(self, event: Word, step: Step) -> None:
        stream = self._requests.streams.get(event.stream)
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
            step.do(place)

    def _take_complete(self, event: Complete, step: Step) -> None:
        stream = self._requests.streams.get(event.stream)
        if stream is None:
            return
        had_audio = stream.complete(event.server_id, step.now)
        if not stream.joined:
            self._requests.ended(stream)
        if not had_audio:
            error = NoAudioError("The service said that the speech is complete, and sent no audio. Check voice_id")
            if stream.joined:
                self._requests.give_up(stream, error, step)
            else:
                self._requests.lose([stream], error, step)
        elif not stream.joined and stream.segments[0].ended is Ended.TOLD:
            self._pace.learn(stream.tape.length, stream.segments[0].letters)

    # What follows from the state

    def _advance(self, step: Step) -> None:
        if self._phase is _Phase.SPEAKING:
            self._speak(step)
        if self._phase is _Phase.FAILING:
            self._end_text(step)
        if self._phase in (_Phase.LINGERING, _Phase.SUPERSEDED) and not self._requests.owe:
            step.do(fx.Release())
            self._phase = _Phase.OVER
        if step.wake_at < self._wake_at and self._phase is _Phase.SPEAKING:
            self._wake_at = step.wake_at
            step.do(fx.WakeAt(step.wake_at))

    def _speak(self, step: Step) -> None:
        for _ in range(ROUNDS):
            self._play_in_order(step)
            head = self._ledger.head
            if head is None and self._ledger.text is TextState.ENDED:
                if self._watch.has_settled(step):
                    self._finish(step)
                return
            if head is not None and head.error is not None:
                self._fail(head.error, step)
                return
            if not (self._watch.look(step) or self._requests.send(step)):
                self._take_text(step)
                return
        raise RuntimeError("The reply does not come to rest: please report this")

    def _play_in_order(self, step: Step) -> None:
        """Go on to the first segment that has not ended, and play what came for it before its turn."""
        while (head := self._ledger.head) is not None:
            head.come_first(step.now)
            for audio in head.take_held():
                self._play(head, audio, step)
            if head.ended is None:
                return
            if not head.begun:  # it was merged with the one before
                self._begin(head, step)
            head.tape.go_on()
            self._ledger.go_on()
            step.do(fx.End(head.index))

    def _play(self, segment: Segment, audio: Sequence[Any], step: Step) -> None:
        if not segment.begun:
            self._begin(segment, step)
        self._played += len(audio)
        step.do(fx.Play(segment.index, audio))

    def _begin(self, segment: Segment, step: Step) -> None:
        segment.begin()
        # Of a continuation nobody knows for certain where a segment begins.
        new_sample = not self._requests.line.traits.joined
        step.do(fx.Begin(segment.index, segment.text, segment.lead, self._played, new_sample))

    def _take_text(self, step: Step) -> None:
        """Ask for the next segment while there is room for it."""
        if self._ledger.text is not TextState.IDLE or not self._requests.line.opened_once:
            return
        waiting = self._ledger.waiting
        if any(segment.error is not None for segment in waiting):
            return  # a fallback provider needs all the text that is not taken
        traits = self._requests.line.traits
        over_http = traits.ends_told and not traits.shared
        if waiting and over_http and not (waiting[0].stream and waiting[0].stream.accepted):
            return  # over HTTP the first request finds out whether the service is there
        if len(waiting) < AHEAD:
            self._ledger.ask()
            step.do(fx.TakeText())

    def _finish(self, step: Step) -> None:
        """All has been played."""
        self._phase = _Phase.OVER
        if self._ledger.text_error is not None:
            self._requests.leave(step)
            step.do(fx.Fail(self._ledger.text_error))
        elif self._requests.owe:
            self._phase = _Phase.LINGERING
            step.do(fx.Done(lingers=True))
        else:
            step.do(fx.Release())
            step.do(fx.Done())

    def _fail(self, error: SmallestAIError, step: Step) -> None:
        head = self._ledger.head
        # A connection on which the head's audio is still awaited is of no use to the next reply either.
        self._requests.leave(step, broken=head is not None and head.stream is not None)
        self._phase = _Phase.FAILING
        self._failure = error
        step.do(fx.Emit(error))
        step.do(fx.StopText())

    def _end_text(self, step: Step) -> None:
        """The reply has failed: let the caller's text go, so that another voice can take it on."""
        if self._ledger.text is TextState.IDLE:
            self._ledger.ask()
            step.do(fx.TakeText())
        elif self._ledger.text is TextState.ENDED:
            assert self._failure is not None
            step.do(fx.Fail(self._failure, self._ledger.unspoken))
            self._phase = _Phase.OVER
