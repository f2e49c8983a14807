"""When a segment has ended although the server has not said so. A pure rule over facts.

Not every server sends `complete`, some send it four seconds late, and some pause for seconds in the middle of a
sentence. To wait too long is a gap; to go on too early may lose the rest of a sentence. So the decision is put off
for as long as the listener has something to hear.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Facts", "Ruling", "judge"]

HANDOVER = 0.04
"""Seconds of audio left at which the next segment's waiting audio must follow: two frames, so that a busy event
loop still makes it."""

COMPLETE_WAIT = 5.0
"""Seconds to wait for a `complete` that is likely to come: the latest ones come after four."""

SILENCE = 0.25
"""Seconds without a chunk that make an end likely: chunks come every 30 to 100 ms."""

SILENCE_LIMIT = 2.0
"""Seconds of silence after which no pause seen so far makes a longer one likely."""

PAUSE_FACTOR = 1.5
"""How much longer than the longest pause seen in this reply a silence must be to mean an end."""

LETTER_SECONDS = 0.035
"""Fewer seconds of audio for each letter or digit, at speed 1, are implausible: brisk speech takes 60 to 70 ms."""


REPEAT_MARGIN = 0.5
"""Seconds of audio left at which to ask again for what is implausibly short: a stall that ends before is not heard
at all, and to ask again would throw away what the server has ready."""


class Ruling(Enum):
    """What to do about a segment whose audio has all been played and whose end has not been told."""

    WAIT = auto()
    END = auto()
    END_SHORT = auto()
    """Take it for ended, although it is too short for its text and asking again brought no more."""
    ASK_AGAIN = auto()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the segment that is being played. All times in seconds.

    Attributes:
        silence: Since its last chunk.
        longest_pause: Between two chunks, in this reply.
        plausible: Whether its audio may be all of its text.
        asked_again: Whether it has been asked again for being too short.
        prompt: Whether the server has been sending `complete` promptly on this connection.
        interleaved: Whether the server has been seen to mix the chunks of two requests.
        next_waiting: Whether the next segment's audio is here.
        next_requested: Whether a next segment is under way, or its text is still awaited.
        remaining: What the listener still has to hear; ``None`` where nobody listens.
    """

    silence: float
    longest_pause: float
    plausible: bool
    asked_again: bool
    prompt: bool
    interleaved: bool
    next_waiting: bool
    next_requested: bool
    remaining: float | None


def is_plausible(seconds: float, text: str, speed: float) -> bool:
    """Whether that much audio may be all of a text."""
    return seconds * speed >= LETTER_SECONDS * sum(map(str.isalnum, text))


def judge(f: Facts) -> tuple[Ruling, float | None]:
    """Rule on a segment.

    Returns:
        The ruling, and for `Ruling.WAIT` the seconds after which to ask for another one; ``None`` when only an
        event can change it.
    """
    if f.remaining is None:
        return _after(COMPLETE_WAIT - f.silence, _end(f))
    if f.next_waiting:
        return _hand_over(f, f.remaining)
    if f.prompt:
        return _after(COMPLETE_WAIT - f.silence, Ruling.ASK_AGAIN)
    if not f.plausible and not f.asked_again:
        return _after(max(SILENCE_LIMIT - f.silence, f.remaining - REPEAT_MARGIN), Ruling.ASK_AGAIN)
    if f.next_requested:
        return Ruling.WAIT, None
    return _after(max(likely_end(f.longest_pause) - f.silence, f.remaining - SILENCE), _end(f))


def likely_end(longest_pause: float) -> float:
    """Seconds of silence that make an end likely in a reply with such pauses."""
    return min(max(SILENCE, PAUSE_FACTOR * longest_pause), SILENCE_LIMIT)


def _hand_over(f: Facts, remaining: float) -> tuple[Ruling, float | None]:
    """The next segment could go on. On a server that serves in turn, its audio means that this one has ended."""
    if f.interleaved and f.prompt:
        patience, then = COMPLETE_WAIT, Ruling.ASK_AGAIN
    elif not f.plausible and not f.asked_again:
        patience, then = SILENCE_LIMIT, Ruling.ASK_AGAIN
    else:
        # A server that mixes requests may only be pausing this one.
        patience, then = min(PAUSE_FACTOR * f.longest_pause, SILENCE_LIMIT) if f.interleaved else 0.0, _end(f)
    return _after(max(patience - f.silence, remaining - HANDOVER), then)


def _end(f: Facts) -> Ruling:
    if f.plausible:
        return Ruling.END
    return Ruling.END_SHORT if f.asked_again else Ruling.ASK_AGAIN


def _after(seconds: float, then: Ruling) -> tuple[Ruling, float | None]:
    return (Ruling.WAIT, seconds) if seconds > 0 else (then, None)
