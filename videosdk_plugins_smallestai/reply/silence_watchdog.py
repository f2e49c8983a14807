"""The silence watchdog: whether a segment has ended although the server has not said so. A pure rule over facts.

Not every server says `complete`, some say it four seconds late, and some pause for seconds in the middle of a
sentence. To wait too long is a gap; to go on too early may lose the rest of a sentence. So the decision is put
off for as long as the listener has something to hear.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ..timing import Timing

__all__ = ["LIKELY_SHARE", "Facts", "Ruling", "judge", "likely_end"]

PAUSE_FACTOR = 1.5
"""How much longer than the longest pause seen in this reply a silence must be to mean an end."""

PLAUSIBLE_LETTER = 0.035
"""Fewer seconds of audio for each letter or digit, at speed 1, are implausible: brisk speech takes 60 to 70 ms."""

LIKELY_SHARE = 0.85
"""Of the audio that a text takes at the reply's own pace; with less, a second stop at the same sample is no end."""


TIMER_GRAIN = 0.001
"""Seconds that are no wait: a timer of the event loop is no finer."""


class Ruling(Enum):
    """What to do about a segment that has gone silent, and whose end was not told."""

    WAIT = auto()
    END = auto()
    ASK_AGAIN = auto()
    FAIL = auto()
    """It has stopped twice at the same sample, too early for its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about what is being spoken: a segment, or fragments of a continuation that cannot be told
    apart.

    Attributes:
        silence: Seconds since the last chunk.
        longest_pause: Seconds between two chunks, at most, in this reply.
        audio: Seconds of audio that have come for it, repetitions included, at speed 1.
        letters: Letters and digits of its text.
        pace: Seconds of audio that a letter takes in this reply, at speed 1.
        repeats: Whether what would come next has been received before.
        asked_again: Whether it has been asked for again since its last new sample.
        several: Whether it is more than one fragment, or nobody knows which one.
        told: Whether the server has said `complete` for one of several.
        prompt: Whether a `complete` for it is still to come, on a server that says so of each: it is waited for.
            (`Habits.prompt` is about the connection's newest one.)
        mixes: Whether audio of the next segment may come before the end of this one: on connections of their own,
            or where the server was seen to interleave (`Habits.mixes`).
        next_waits: Whether audio of the next segment is here.
        asked: Whether a next segment has been asked for.
        awaits_text: Whether the text of a next segment may come.
        unsent: Whether a next segment waits for this one to be sent.
        buffered: Seconds that the listener still has to hear; ``None`` where nobody listens.
    """

    silence: float
    longest_pause: float
    audio: float
    letters: int
    pace: float
    repeats: bool
    asked_again: bool
    several: bool
    told: bool
    prompt: bool
    mixes: bool
    next_waits: bool
    asked: bool
    awaits_text: bool
    unsent: bool
    buffered: float | None

    @property
    def goes_on(self) -> bool:
        """Whether this is not the end of the reply."""
        return self.asked or self.awaits_text or self.unsent

    @property
    def plausible(self) -> bool:
        """Whether the audio may be all of the text."""
        return self.audio >= PLAUSIBLE_LETTER * self.letters

    @property
    def likely(self) -> bool:
        """Whether the audio is plausible, and about as long as the text takes at the reply's pace."""
        return self.plausible and self.audio >= LIKELY_SHARE * self.pace * self.letters


def judge(f: Facts, t: Timing) -> tuple[Ruling, float | None]:
    """Rule on what has gone silent.

    Returns:
        The ruling, and for `Ruling.WAIT` the seconds after which to ask for another one; ``None`` when only an
        event can change it.
    """
    if f.buffered is None:
        return _after(t.complete_wait - f.silence, _end(f))
    if f.repeats and not f.several and not f.likely:
        return _after(t.complete_wait - f.silence, _too_short(f))
    if f.next_waits:
        return _hand_over(f, f.buffered, t)
    if f.several and f.likely and f.goes_on and not f.told:
        # To go on does no harm: audio is played as it comes, whatever is believed about whose it is.
        return _after(likely_end(f.longest_pause, t) - f.silence, Ruling.END)
    if f.prompt:
        return _after(t.complete_wait - f.silence, _end(f) if f.asked_again else Ruling.ASK_AGAIN)
    if f.several:
        if f.likely:
            return _after(t.merged - f.silence, Ruling.END)
        return _after(max(t.silence_limit - f.silence, f.buffered - t.repeat_margin), _too_short(f))
    if not f.plausible or (f.asked_again and not f.likely):
        return _after(max(t.silence_limit - f.silence, f.buffered - t.repeat_margin), _too_short(f))
    if f.unsent:
        return _after(likely_end(f.longest_pause, t) - f.silence, Ruling.END)
    if f.asked:
        return Ruling.WAIT, None
    # There is time while text is awaited.
    patience = likely_end(f.longest_pause, t) if f.likely and not f.awaits_text else t.silence_limit
    return _after(max(patience - f.silence, f.buffered - t.silence), Ruling.END)


def likely_end(longest_pause: float, t: Timing) -> float:
    """Seconds of silence that make an end likely in a reply with such pauses."""
    return max(t.silence, _longer_pause(longest_pause, t))


def _longer_pause(longest_pause: float, t: Timing) -> float:
    """Seconds of silence that are longer than what is usual between two chunks, and than such pauses."""
    return max(t.ping_soon, min(PAUSE_FACTOR * longest_pause, t.silence_limit))


def _hand_over(f: Facts, buffered: float, t: Timing) -> tuple[Ruling, float | None]:
    """The next segment could go on. On a server that serves in turn, its audio means that this one has ended."""
    if f.mixes and f.prompt:
        patience, then = t.complete_wait, Ruling.ASK_AGAIN
    elif not f.plausible or (f.asked_again and not f.likely):
        patience, then = t.silence_limit, _too_short(f)
    elif not f.mixes:
        patience, then = t.ping_soon, Ruling.END
    else:  # it may only be pausing this one
        patience, then = (_longer_pause(f.longest_pause, t) if f.likely else t.silence_limit), Ruling.END
    return _after(max(patience - f.silence, buffered - t.handover), then)


def _end(f: Facts) -> Ruling:
    enough = f.likely if f.asked_again or f.several else f.plausible
    return Ruling.END if enough else _too_short(f)


def _too_short(f: Facts) -> Ruling:
    return Ruling.FAIL if f.asked_again else Ruling.ASK_AGAIN


def _after(seconds: float, then: Ruling) -> tuple[Ruling, float | None]:
    return (Ruling.WAIT, seconds) if seconds > TIMER_GRAIN else (then, None)
