"""What is said in the calls, and how long each part of the benchmark is."""

from __future__ import annotations

from dataclasses import dataclass

REPLIES = (
    ("Sure.", "Your order left our warehouse this morning, and it is on its way.", "It should be there by noon."),
    ("I have found two tables for Friday evening.", "One is at seven, the other one is at half past eight."),
    ("Yes, it is.",),
    ("Thank you, that is all I need.", "I am going to book it now.", "Is there anything else that I can do?"),
)
"""Replies of five seconds or so, and a short one, a sentence at a time."""

LONG = (
    "Let me read you the whole list of the rooms that we still have for these three nights so that you can choose.",
    "There is a room with a wonderful view of the sea which comes with breakfast and a balcony of its own.",
    "There is a smaller one on the quiet side of the house which costs a little less.",
)
"""The reply that is interrupted."""

SHORT = ("Of course, I will do that.",)
"""What is said after an interruption or a long silence."""

TURN = 3.5
"""Seconds for which the caller speaks between two replies, on average: the agent speaks half of the time, once all
sessions have begun."""

HEARD = 0.5
"""Seconds of a reply that are heard before it is interrupted, on average: the server is in the middle of it."""

SERVER_IDLE = 2.0
"""Seconds after which the server closes an idle connection, in the part about idle calls. Live, it is 60."""

IDLE = 5.0
"""Seconds of silence in that part."""


@dataclass(frozen=True)
class Lengths:
    """How much is measured.

    Attributes:
        replies: Replies of each session in the part about conversation.
        samples: Interruptions, and idle calls, of each session.
    """

    replies: int
    samples: int


def lengths(sessions: int, *, quick: bool) -> Lengths:
    """Few sessions speak more often, to have enough to tell."""
    if quick:
        return Lengths(1, 1)
    return Lengths(6, 5) if sessions < 10 else Lengths(3, 2 if sessions < 200 else 1)
