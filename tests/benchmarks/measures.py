"""From outcomes to the numbers of the table.

What is measured, at each number of sessions. A session is a voice and a listener, who pulls a frame of 20 ms each
20 ms; all sessions of a contestant are in one process, and one event loop. Times in ms: median / 95th percentile.

first audio  from the call that starts a reply until its first frame is heard
gaps         silence between the first frame of a reply and the last, in all
tail         from the last frame heard until the contestant says that the reply is over; 0 where it said so before
told after   from the last audio that it handed over until the contestant says that the reply is over
barge-in     from an interruption, in the middle of a sentence, until the first frame of the next reply, which is
             started at once
idle         first audio after a silence of 5 s, on a server that closes connections after 2 s (live: 60 s)
CPU/s        CPU time of the contestant's process for each second of audio heard, in conversation, with the frames
             that the listeners pull; and how many times the bare loop's that is
heard        audio heard, of all that there was to hear, in conversation
busy         of one core, in conversation: the contestant's process, and the server's
late         how late the listeners' frames were pulled, 95th percentile: above 20 the process is overloaded

First audio, gaps, tail and told after are of the conversations, in which the agent speaks half of the time, once
all have begun. The bare loop, this plugin and the one it replaces use the framework's audio track; LiveKit's
plugin fills plain frames, which cost next to nothing, so its CPU can be compared with its own only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SATURATED = 0.9
"""Of a core: a process that is busier makes others wait."""

LATE = 0.02
"""Seconds by which listeners' frames may be late, at the 95th percentile: one frame."""


@dataclass(frozen=True)
class Spread:
    """A median and a 95th percentile, in seconds, or why there are none.

    Attributes:
        median: In seconds; ``None`` where all failed.
        high: In seconds.
        failed: How many failed.
        count: Of how many.
        why: The most frequent reason.
    """

    median: float | None
    high: float
    failed: int
    count: int
    why: str = ""

    @property
    def note(self) -> str:
        """What failed; empty where nothing did."""
        return f"failed: {self.why} ({self.failed} of {self.count})" if self.failed else ""


@dataclass
class Row:
    """What was measured of one contestant at one number of sessions.

    Attributes:
        contestant: Its name.
        sessions: How many.
        spreads: By the name of the column.
        numbers: Likewise.
        versions: Of what is installed in its environment.
        broken: Why the process did not come to its end; empty where it did.
    """

    contestant: str
    sessions: int
    spreads: dict[str, Spread] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    @property
    def saturated(self) -> list[str]:
        """Which processes had too much to do for the times to mean much."""
        return [who for who in ("client", "server") if self.numbers.get(f"{who} busy", 0.0) > SATURATED]

    @property
    def starved(self) -> bool:
        """Whether the contestant stood still although it had little to do: other programs had the CPU."""
        return not self.saturated and self.numbers.get("late", 0.0) > LATE

    def take(self, result: dict[str, Any], server_busy: float) -> None:
        """Take in the result of a part."""
        outcomes = result["outcomes"]
        if result["result"] == "conversation":
            self._converse(result, outcomes)
            self.numbers["server busy"] = server_busy
        elif result["result"] == "barge-in":
            self.spreads["barge-in"] = spread(outcomes, "first")
        else:
            self.spreads["idle"] = spread(outcomes, "first")

    def _converse(self, result: dict[str, Any], outcomes: list[dict[str, Any]]) -> None:
        for column, name in (
            ("first audio", "first"),
            ("gaps", "gap"),
            ("tail", "silent_tail"),
            ("told after", "tail"),
        ):
            self.spreads[column] = spread(outcomes, name)
        heard = sum(outcome["heard"] for outcome in outcomes)
        wanted = sum(outcome["wanted"] for outcome in outcomes)
        self.numbers["heard"] = heard / wanted if wanted else 0.0
        if heard:
            self.numbers["CPU/s"] = result["cpu"] / heard
        self.numbers["client busy"] = result["cpu"] / result["wall"]
        self.numbers["late"] = result["lag"]


def spread(outcomes: Iterable[dict[str, Any]], name: str) -> Spread:
    """The spread of one time over all replies; those in which nothing was heard are counted as failed."""
    outcomes = list(outcomes)
    values = sorted(outcome[name] for outcome in outcomes if outcome["first"] is not None)
    failures = Counter(outcome["failure"] for outcome in outcomes if outcome["failure"] is not None)
    failed, why = sum(failures.values()), "".join(reason for reason, _ in failures.most_common(1))
    if not values:
        return Spread(None, 0.0, failed, len(outcomes), why)
    return Spread(percentile(values, 0.5), percentile(values, 0.95), failed, len(outcomes), why)


def percentile(values: list[float], part: float) -> float:
    """The value below which that part of them lies; `values` are sorted."""
    return values[min(len(values) - 1, round(part * (len(values) - 1)))]
