"""What a silence means: the facts for the silence watchdog's ruling, and what the ruling leads to."""

from __future__ import annotations

import math

from ..errors import APIConnectionError, APITimeoutError
from ..timing import Timing
from . import effects as fx
from .ledger import Ledger, TextState
from .pace import Pace
from .requests import Requests
from .retry import IncompleteAudioError
from .silence_watchdog import LIKELY_SHARE, Facts, Ruling, judge, likely_end
from .step import Step
from .streams import Segment, Stream

__all__ = ["Watch"]


class Watch:
    """Looks at what is being spoken and has gone silent.

    Args:
        ledger: The reply's segments.
        requests: The reply's requests.
        pace: How fast the voice speaks.
        timing: The waits.
    """

    def __init__(self, ledger: Ledger, requests: Requests, pace: Pace, timing: Timing) -> None:
        self._ledger = ledger
        self._requests = requests
        self._pace = pace
        self._timing = timing
        self._longest_pause = 0.0
        self._filled_at = -math.inf

    def hear(self, stream: Stream) -> None:
        """Audio of a stream came."""
        self._longest_pause = max(self._longest_pause, stream.longest_pause)

    def look(self, step: Step) -> bool:
        """Look at the head. Returns whether that changed anything: it has ended, failed, or is asked for again."""
        head, traits = self._ledger.head, self._requests.line.traits
        if head is None or (traits.ends_told and not traits.shared):
            return False  # nothing is awaited; or, over HTTP, it ends and fails without our help
        if self._has_stalled(head, step):
            return True
        subject = self._subject(head)
        if subject.stream is None:
            return False
        stream = subject.stream
        since = max(stream.sent_at, stream.audio_at or -math.inf)
        if self._is_dead(stream, since, step):
            return True
        if stream.awaits_first(subject):
            first_since = max(since, head.in_line_at or since)
            if self._was_misattributed(first_since, step):
                return True
            return self._await_first(head, first_since, step)
        if traits.ends_told:
            return self._await_rest(stream, since, step)
        self._fill_frame(stream, since, step)
        return self._judge(head, subject, stream, since, step)

    def has_settled(self, step: Step) -> bool:
        """Whether the last ends are no guesses that were made in haste, only to go on with the text."""
        context = self._requests.context
        if context is None or not context.owes or step.is_due(context.settled_at):
            return True
        self._fill_frame(context, max(context.sent_at, context.audio_at or -math.inf), step)
        return False

    def _subject(self, head: Segment) -> Segment:
        """What is being spoken, as far as is known: the head, or what comes before it in a repetition."""
        context = self._requests.context
        return head if context is None else context.current or head

    def _has_stalled(self, head: Segment, step: Step) -> bool:
        """The last bound, whatever else is believed. While the listener has something to hear it can wait."""
        since = max(head.in_line_at or 0.0, head.sent_at or 0.0, head.tape.new_at or 0.0)
        if not step.is_due(max(since + self._timing.no_progress, step.now + (step.buffered or 0.0))):
            return False
        head.fail(IncompleteAudioError(f"No new audio for {self._timing.no_progress:g} s"))
        return True

    def _is_dead(self, stream: Stream, since: float, step: Step) -> bool:
        """Ping what has been silent for a while. A connection that does not answer is given up."""
        t, line = self._timing, self._requests.line
        if line.pinged_since(stream.id, since):
            if line.alive_since(stream.id, since) or not step.is_due(line.pinged_at + t.pong):
                return False
            error = APIConnectionError("The server does not answer any more: its connection is given up")
            self._requests.give_up(stream, error, step)
            return True
        due = since + t.ping_after
        if stream.audio_at is not None and step.buffered is not None:
            due = min(due, max(since + t.ping_soon, step.now + step.buffered - t.urgent))
        if step.is_due(due):
            self._ping(stream, since, step)
        return False

    def _ping(self, stream: Stream, since: float, step: Step) -> None:
        """Ping, unless that was done since then."""
        line = self._requests.line
        if not line.pinged_since(stream.id, since):
            line.ping(stream.id, step.now)
            step.do(fx.Ping(stream.id))
        step.wake(line.pinged_at + self._timing.pong)

    def _fill_frame(self, stream: Stream, since: float, step: Step) -> None:
        """Where this may be the end, which nobody tells, its last samples are not kept waiting in a frame."""
        if step.buffered is None or stream.tells_ends or self._ledger.text is not TextState.ENDED:
            return
        due = max(since + self._timing.unusual, step.now + step.buffered - self._timing.frame)
        if step.is_due(due) and self._filled_at < since:
            self._filled_at = step.now
            step.do(fx.FillFrame())

    def _await_first(self, segment: Segment, since: float, step: Step) -> bool:
        """No audio of a segment has come yet. Returns whether that takes too long."""
        if not step.is_due(since + self._timing.first_audio):
            return False
        seconds = self._timing.first_audio
        segment.fail(
            APITimeoutError(f"No audio within {seconds:g} s of the request. The service may be overloaded")
        )
        return True

    def _await_rest(self, stream: Stream, since: float, step: Step) -> bool:
        """Audio has come, and its end will be told. Returns whether it is given up for its silence."""
        if not step.is_due(since + self._timing.turn_silence):
            return False
        error = IncompleteAudioError(
            f"The service stopped in the middle of a turn for {self._timing.turn_silence:g} s"
        )
        self._requests.give_up(stream, error, step)
        return True

    def _was_misattributed(self, since: float, step: Step) -> bool:
        """Whether a fragment whose first audio never comes was spoken with one before, by the length of it all."""
        context = self._requests.context
        if context is None or step.now < since + self._timing.first_audio:
            return False
        letters = sum(segment.letters for segment in context.since_anchor)
        audio = self._pace.seconds(context.at - context.tape.anchor_at)
        if audio < LIKELY_SHARE * self._pace.per_letter * letters:
            return False
        context.guess_end(hasty=False)
        return True

    def _judge(self, head: Segment, subject: Segment, stream: Stream, since: float, step: Step) -> bool:
        group = stream.indistinct(subject)
        facts = self._facts(stream, group, step.now - since, step.buffered)
        ruling, seconds = judge(facts, self._timing)
        if ruling is Ruling.WAIT:
            if seconds is not None:
                step.wake(step.now + seconds)
                return False
            return self._await_next(head, group, stream, since, step)
        if ruling is Ruling.END:
            if not self._requests.line.alive_since(stream.id, since):
                self._ping(stream, since, step)
                return False
            stream.guess_end(hasty=facts.several and facts.goes_on)
        elif ruling is Ruling.ASK_AGAIN:
            self._requests.ask_again(head, stream, step)
        else:
            head.fail(
                IncompleteAudioError("The service stopped twice at the same place in the middle of a segment")
            )
        return True

    def _await_next(self, head: Segment, group: list[Segment], stream: Stream, since: float, step: Step) -> bool:
        """What is being spoken has probably ended, so the next one is first in line."""
        sent = [s for s in self._ledger.waiting if s.stream is not None and s is not head and s not in group]
        if not sent or sent[0].stream is None or sent[0].stream.audio_at is not None:
            return False
        following = sent[0].stream
        began = max(following.sent_at, since + likely_end(self._longest_pause, self._timing))
        # One ping at a time: only the newest one's answer is told.
        if self._requests.line.alive_since(stream.id, since) and self._is_dead(following, began, step):
            return True
        return self._await_first(head, began, step)

    def _facts(self, stream: Stream, group: list[Segment], silence: float, buffered: float | None) -> Facts:
        waiting, line = self._ledger.waiting, self._requests.line
        following = waiting[1].stream if len(waiting) > 1 and not stream.joined else None
        unsent = self._requests.unsent()
        # Only on a connection that serves in turn, audio of what was asked for later shows that this one has ended.
        in_turn = line.traits.shared and not line.habits.mixes
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
            next_waits=following is not None and following.audio_at is not None,
            asked=following is not None,
            awaits_text=self._ledger.text is not TextState.ENDED,
            unsent=unsent,
            buffered=buffered,
        )
