"""A simulated service, a simulated listener, and random schedules of what can happen between them.

The reply machine runs against them without sockets, an event loop or a clock. Audio is symbolic: a unit is the
pair (segment, sample), so that a lost, repeated or swapped sample shows. `run` plays one schedule; as a program
this module plays many:

    python tests/reply/simulated.py 100000
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from videosdk_plugins_smallestai.errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.reply import effects as fx
from videosdk_plugins_smallestai.reply.machine import ReplyMachine
from videosdk_plugins_smallestai.reply.pace import TYPICAL_LETTER
from videosdk_plugins_smallestai.reply.silence_watchdog import LIKELY_SHARE
from videosdk_plugins_smallestai.transport.base import (
    Accepted,
    Audio,
    Complete,
    Failed,
    Habits,
    Opened,
    OpenFailed,
    Pong,
    Traits,
)

UNITS_PER_SECOND = 50
LETTERS = (2, 160)
PACE = (0.05, 0.09)
"""Seconds of audio for a letter."""

TRAITS = {
    "http": Traits(ends_told=True),
    "plain": Traits(shared=True),
    "own": Traits(),
    "context": Traits(joined=True, shared=True),
    "live": Traits(ends_told=True, shared=True),
}

BODY_SILENCE = 5.0

BOUND = 90.0
"""Seconds after the last text, and what there is to hear, within which a reply ends: eight attempts, with waits."""


@dataclass
class Plan:
    """What happens in one schedule.

    Attributes:
        route: The kind of transport.
        texts: Letters of each segment.
        pace: Seconds of audio that a letter takes.
        text_gaps: Seconds until each segment's text comes, after it was asked for.
        first_audio: Seconds to a request's first audio.
        complete: Seconds from the last chunk to `complete`; ``None``: never.
        complete_per: Of a continuation: a `complete` for each "release", or one for the "context".
        new_ids: Whether the server's id changes with each release.
        mixes: Whether the requests of one connection are served at once.
        closes: Whether the server closes the connection after a `complete` of a plain request.
        merges: Probability that a fragment is merged with one that waits before it.
        stalls: For each attempt to speak a segment: the sample at which it stalls, and the seconds (perhaps
            infinite).
        cuts: For each attempt: the sample at which the connection breaks.
        refusals: For each attempt: the error that answers it.
        silent: Attempts that are answered by a `complete` without audio.
        open_failures: What the next openings are answered with.
        dead_at: For a connection, by number: when the network stops carrying.
        interrupt_at: When the listener interrupts.
        given_up_at: When the reply is given up, so that another voice goes on in its place.
        supersede_after: Seconds after the end at which the next reply begins.
    """

    route: str
    texts: list[int]
    pace: float = 0.065
    text_gaps: list[float] = field(default_factory=list)
    first_audio: float = 0.2
    complete: float | None = 0.01
    complete_per: str = "release"
    new_ids: bool = True
    mixes: bool = False
    closes: bool = False
    merges: float = 0.0
    stalls: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)
    cuts: dict[tuple[int, int], int] = field(default_factory=dict)
    refusals: dict[tuple[int, int], SmallestAIError] = field(default_factory=dict)
    silent: set[tuple[int, int]] = field(default_factory=set)
    open_failures: list[SmallestAIError] = field(default_factory=list)
    dead_at: dict[int, float] = field(default_factory=dict)
    interrupt_at: float | None = None
    given_up_at: float | None = None
    supersede_after: float = 0.5
    seed: int = 0

    def units(self, segment: int) -> int:
        varied = 0.9 + 0.3 * random.Random(f"{self.seed} {segment}").random()  # a text is not spoken like another
        return max(1, round(self.texts[segment] * self.pace * varied * UNITS_PER_SECOND))

    @property
    def longest_stall(self) -> float:
        return max((seconds for _, seconds in self.stalls.values()), default=0.0)


@dataclass
class Outcome:
    """What the listener got.

    Attributes:
        heard: Units that were played, in order.
        error: What was raised.
        emitted: What was emitted.
        ended_at: When the reply ended; ``None``: it never did.
        text_at: When the last text came.
        requests: Segments sent.
        after_interrupt: Units played after the interruption.
        dropped: Units that came too late.
        gap: Seconds of silence that the listener heard after the first audio.
        late: Units played after the reply had ended.
        unspoken: What the error tells of the text that was taken and not spoken.
        taken: Segments of the text that were taken.
    """

    heard: list[tuple[int, int]] = field(default_factory=list)
    error: BaseException | None = None
    emitted: list[SmallestAIError] = field(default_factory=list)
    ended_at: float | None = None
    text_at: float = 0.0
    requests: int = 0
    after_interrupt: int = 0
    dropped: int = 0
    gap: float = 0.0
    late: int = 0
    unspoken: str = ""
    taken: int = 0


class Simulation:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.now = 0.0
        self.outcome = Outcome()
        self.machine = ReplyMachine(units_per_second=UNITS_PER_SECOND)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._heard_until = 0.0
        self._next_text = 0
        self._text_stopped = False
        self._wake = 0
        self._over = False
        self._interrupted = False
        self._attempts: Counter[int] = Counter()
        self._connections = 0
        self._opened = 0
        self._connection: Connection | None = None
        self._own: dict[int, Connection] = {}

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._count), what))

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def run(self) -> Outcome:
        if self.plan.interrupt_at is not None:
            self.at(self.plan.interrupt_at, self._interrupt)
        if self.plan.given_up_at is not None:
            self.at(self.plan.given_up_at, lambda: self.post(fx.GivenUp(APITimeoutError("given up"))))
        self.post(fx.Started())
        steps = 0
        while self._agenda and self.now < 3000:
            self.now, _, what = heapq.heappop(self._agenda)
            what()
            steps += 1
            assert steps < 8_000, "it goes on for ever"
        self.outcome.dropped = self.machine.dropped
        self.outcome.taken = self._next_text
        return self.outcome

    def post(self, event: fx.Event) -> None:
        buffered = max(0.0, self._heard_until - self.now)
        for effect in self.machine.handle(event, now=self.now, buffered=buffered):
            self._carry_out(effect)

    def attempt(self, segment: int) -> int:
        self._attempts[segment] += 1
        return self._attempts[segment] - 1

    def _interrupt(self) -> None:
        if self.outcome.ended_at is None:
            self._interrupted = True
            self.post(fx.Interrupted())

    def _carry_out(self, effect: fx.Effect) -> None:
        plan, out = self.plan, self.outcome
        if isinstance(effect, fx.Open):
            self.later(0.02, self._open)
        elif isinstance(effect, fx.TakeText):
            if self._text_stopped or self._next_text >= len(plan.texts):
                self.later(0.0, lambda: self.post(fx.TextEnded()))
            else:
                self.later(plan.text_gaps[self._next_text] if plan.text_gaps else 0.0, self._text)
        elif isinstance(effect, fx.StopText):
            self._text_stopped = True
        elif isinstance(effect, fx.Send):
            out.requests += 1
            self._send(effect)
        elif isinstance(effect, fx.CloseStream):
            if self._connection is not None:
                self._connection.close_context()
        elif isinstance(effect, fx.Abandon) and plan.route == "live" and self._connection and not effect.broken:
            self._connection.interrupt()
        elif isinstance(effect, fx.Abandon):
            for connection in [self._connection, *self._own.values()]:
                if connection is not None:
                    connection.gone = True
            self._connection = None
            self._own.clear()
        elif isinstance(effect, fx.Drop):
            self._own.pop(effect.stream).gone = True
        elif isinstance(effect, fx.Ping):
            connection = self._connection or self._own.get(effect.stream)
            if connection is None or not connection.dead:
                self.later(0.03, lambda: self._pong(connection))
        elif isinstance(effect, fx.Play):
            self._play(list(effect.audio))
        elif isinstance(effect, fx.WakeAt):
            self._wake += 1
            mine = self._wake
            self.at(max(effect.at, self.now), lambda: self.post(fx.Wake()) if mine == self._wake else None)
        elif isinstance(effect, fx.Emit):
            out.emitted.append(effect.error)
        elif isinstance(effect, fx.Fail):
            out.error, out.unspoken = effect.error, effect.unspoken
            out.ended_at = self.now
        elif isinstance(effect, fx.Done):
            out.ended_at = self.now
            if effect.lingers:
                self.later(plan.supersede_after, lambda: self.post(fx.Superseded()))

    def _pong(self, connection: Connection | None) -> None:
        if connection is None or not (connection.gone or connection.dead):
            self.post(Pong())

    def _text(self) -> None:
        letters = self.plan.texts[self._next_text]
        self._next_text += 1
        self.outcome.text_at = self.now
        self.post(fx.TextCame("a" * letters, " "))

    def _open(self) -> None:
        self._opened += 1
        if self._opened <= len(self.plan.open_failures):
            self.post(OpenFailed(self.plan.open_failures[self._opened - 1]))
            return
        traits = TRAITS[self.plan.route]
        habits = Habits()
        if traits.shared:
            if self._connection is None or self._connection.gone:
                self._connection = self._connect()
            habits = self._connection.habits
        self.post(Opened(traits, habits))

    def _connect(self) -> Connection:
        self._connections += 1
        connection = Connection(self)
        if self._connections - 1 in self.plan.dead_at:
            self.later(self.plan.dead_at[self._connections - 1], connection.die)
        return connection

    def _send(self, effect: fx.Send) -> None:
        if TRAITS[self.plan.route].shared:
            connection = self._connection
            assert connection is not None, "sent without a connection"
        else:
            connection = self._own[effect.stream] = self._connect()
        connection.receive(effect)

    def _play(self, audio: list[tuple[int, int]]) -> None:
        out = self.outcome
        if self.now > self._heard_until:
            if out.heard:
                out.gap += self.now - self._heard_until
            self._heard_until = self.now
        self._heard_until += len(audio) / UNITS_PER_SECOND
        out.heard += audio
        if self._interrupted:
            out.after_interrupt += len(audio)
        if out.ended_at is not None:
            out.late += len(audio)


@dataclass
class Job:
    """What the server has to say for a request, or for fragments that it has merged."""

    stream: int
    segments: list[int]
    attempts: list[int]
    server_id: str
    begun: bool = False


class Connection:
    """One connection of the simulated server, with what is asked on it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._plan = simulation.plan
        self.habits = Habits()
        self.gone = False
        self.dead = False
        self._jobs: list[Job] = []
        self._busy: Job | None = None
        self._unended: dict[int, None] = {}
        self._ids = itertools.count()
        self._closing = False

    def die(self) -> None:
        self.dead = True
        if self._plan.route == "http":  # the transport's own bound
            self._simulation.later(BODY_SILENCE, lambda: self._end_connection(APIConnectionError("no more bytes")))

    def receive(self, effect: fx.Send) -> None:
        """The client's message: takes a moment to arrive."""
        self._unended[effect.stream] = None
        self._simulation.later(0.01, lambda: self._arrive(effect))

    def interrupt(self) -> None:
        """All that was asked for is stopped, and the connection goes on."""
        self._unended.clear()
        self._jobs.clear()
        self._busy = None

    def close_context(self) -> None:
        self._simulation.later(0.01, self._close_context)

    def _close_context(self) -> None:
        self._closing = True
        self._complete_context()

    def _complete_context(self) -> None:
        plan = self._plan
        if self._closing and not self._jobs and plan.complete_per == "context" and plan.complete is not None:
            for stream in self._unended:
                self._tell(plan.complete, lambda s=stream: Complete(s, "ctx" if not plan.new_ids else None))

    def _arrive(self, effect: fx.Send) -> None:
        if self.gone or self.dead or effect.stream not in self._unended:
            return
        plan = self._plan
        attempt = self._simulation.attempt(effect.segment)
        if error := plan.refusals.get((effect.segment, attempt)):
            self._refuse(effect.stream, error)
            return
        waiting = self._jobs[-1] if self._jobs and not self._jobs[-1].begun else None
        if effect.joined and waiting is not None and self._simulation.random.random() < plan.merges:
            waiting.segments.append(effect.segment)
            waiting.attempts.append(attempt)
            return
        server_id = f"s{next(self._ids)}" if plan.new_ids or not effect.joined else "ctx"
        job = Job(effect.stream, [effect.segment], [attempt], server_id)
        self._jobs.append(job)
        if plan.route == "http":
            self._tell(0.05, lambda: Accepted(effect.stream))
        if plan.mixes and not effect.joined:
            self._simulation.later(plan.first_audio, lambda: self._speak(job))
        else:
            self._next()

    def _refuse(self, stream: int, error: SmallestAIError) -> None:
        # In a context its late frames could be taken for those of the next one: the transport leaves it.
        if isinstance(error, APIConnectionError) or self._plan.route == "context":
            self._end_connection(error)
        else:
            self._unended.pop(stream, None)
            self._jobs = [job for job in self._jobs if job.stream != stream]
            self._simulation.post(Failed((stream,), error))

    def _end_connection(self, error: SmallestAIError) -> None:
        if self.gone:
            return
        self.gone = True
        shared = TRAITS[self._plan.route].shared
        streams, self._unended = tuple(self._unended), {}
        if shared or streams:
            self._simulation.post(Failed(streams, error, connection_lost=shared))

    def _next(self) -> None:
        if self._busy is None and self._jobs:
            self._busy = job = self._jobs[0]
            self._simulation.later(self._plan.first_audio, lambda: self._speak(job))

    def _speak(self, job: Job) -> None:
        if self.gone or self.dead or job not in self._jobs:
            return
        job.begun = True
        plan = self._plan
        units: list[tuple[int, int]] = []
        stalls: dict[int, float] = {}
        cut: int | None = None
        for segment, attempt in zip(job.segments, job.attempts, strict=True):
            if (segment, attempt) in plan.silent:
                continue
            base = len(units)
            if stall := plan.stalls.get((segment, attempt)):
                stalls[base + stall[0]] = stall[1]
            if cut is None and (segment, attempt) in plan.cuts:
                cut = base + plan.cuts[segment, attempt]
            units += [(segment, sample) for sample in range(plan.units(segment))]
        self._chunk(job, units, 0, stalls, cut)

    def _chunk(self, job: Job, units: list[Any], done: int, stalls: dict[int, float], cut: int | None) -> None:
        if self.gone or self.dead or job not in self._jobs:
            return
        simulation = self._simulation
        if done >= len(units):
            self._finish(job)
            return
        size = simulation.random.choice((1, 3, 5, 5, 8))
        end = min(done + size, len(units))
        limits = [at for at in [*stalls, *([cut] if cut is not None else [])] if done < at <= end]
        if limits:
            end = min(limits)
        if end > done:
            simulation.post(Audio(job.stream, units[done:end], job.server_id))  # type: ignore[arg-type]
        if cut is not None and end >= cut:
            self._end_connection(APIConnectionError("cut"))
            return
        pause = (end - done) / UNITS_PER_SECOND / 3.3 * simulation.random.uniform(0.7, 1.3)
        stall = stalls.pop(end, 0.0)
        pause += stall
        if self._plan.route == "http" and stall > BODY_SILENCE:
            error = APIConnectionError("the body has stopped")
            simulation.later(BODY_SILENCE, lambda: self._end_connection(error))
        elif pause < 1e6:
            simulation.later(pause, lambda: self._chunk(job, units, end, stalls, cut))

    def _finish(self, job: Job) -> None:
        plan, simulation = self._plan, self._simulation
        self._jobs.remove(job)
        self._busy = None
        joined = TRAITS[plan.route].joined
        if joined:
            if plan.complete is not None and plan.complete_per == "release":
                self._tell(plan.complete, lambda: Complete(job.stream, job.server_id))
            self._complete_context()
        elif TRAITS[plan.route].ends_told:
            self._tell(0.0, lambda: Complete(job.stream))
            self._unended.pop(job.stream, None)
        elif plan.complete is not None:
            simulation.later(plan.complete, lambda: self._complete(job.stream))
        if joined or not plan.mixes:
            self._next()

    def _complete(self, stream: int) -> None:
        if self.gone or self.dead or stream not in self._unended:
            return
        del self._unended[stream]
        self._simulation.post(Complete(stream))
        if self._plan.closes:
            self._simulation.later(0.01, lambda: self._end_connection(APIConnectionError("closed after complete")))

    def _tell(self, seconds: float, make: Callable[[], Any]) -> None:
        def tell() -> None:
            if not self.gone and not self.dead:
                self._simulation.post(make())

        self._simulation.later(seconds, tell)


# Schedules


def draw(seed: int, route: str | None = None) -> Plan:
    """A random plan."""
    r = random.Random(seed)
    route = route or r.choice(list(TRAITS))
    count = r.randint(1, 5)
    plan = Plan(
        route,
        [r.randint(*LETTERS) if r.random() < 0.7 else r.randint(2, 12) for _ in range(count)],
        pace=r.uniform(*PACE),
        text_gaps=[r.choice((0.0, 0.0, 0.05, 0.3, 1.0, 6.0)) for _ in range(count)],
        first_audio=r.choice((0.1, 0.2, 0.2, 0.5, 0.9)),
        complete=r.choice((0.0, 0.01, 0.01, 0.1, 4.0, None)),
        complete_per=r.choice(("release", "release", "context")),
        new_ids=r.random() < 0.6,
        mixes=route == "plain" and r.random() < 0.3,
        closes=route in ("plain", "own") and r.random() < 0.4,
        merges=r.choice((0.0, 0.0, 0.5, 1.0)),
        seed=seed,
    )
    for _ in range(r.choice((0, 0, 1, 1, 2, 3))):
        segment, attempt = r.randrange(count), r.choice((0, 0, 0, 1, 2))
        place = r.randint(1, plan.units(segment))
        kind = r.random()
        if kind < 0.3:
            plan.stalls[segment, attempt] = (place, r.choice((0.2, 0.5, 0.9, 1.5, 2.5, 4.5, 9.0, float("inf"))))
        elif kind < 0.6:
            plan.cuts[segment, attempt] = place
        elif kind < 0.85:
            plan.refusals[segment, attempt] = r.choice(
                (
                    lambda: ServerError("500", status=500),
                    lambda: RateLimitError("429", status=429),
                    lambda: InvalidRequestError("400", status=400),
                    lambda: APIConnectionError("closed at the request"),
                )
            )()
        elif kind < 0.92:
            plan.silent.add((segment, attempt))
        else:
            plan.dead_at[r.choice((0, 0, 1))] = r.uniform(0.0, 6.0)
    if r.random() < 0.1:
        plan.open_failures = [
            r.choice((lambda: APIConnectionError("refused", opening=True), lambda: APITimeoutError("slow")))()
            for _ in range(r.choice((1, 1, 2)))
        ]
    if r.random() < 0.15:
        plan.interrupt_at = r.uniform(0.0, 8.0)
    plan.supersede_after = r.choice((0.0, 0.5, 3.0, 10.0))
    if r.random() < 0.05:
        plan.given_up_at = r.uniform(0.0, 8.0)
    return plan


def judge(plan: Plan, out: Outcome) -> tuple[str | None, str | None]:
    """What is wrong with an outcome, and the listed condition that it falls under, if any."""
    expected = [(segment, sample) for segment in range(len(plan.texts)) for sample in range(plan.units(segment))]
    if out.after_interrupt:
        return "audio after the interruption", None
    if out.heard != expected[: len(out.heard)]:
        place = next(i for i, (a, b) in enumerate(zip(out.heard, [*expected, None], strict=False)) if a != b)  # type: ignore[operator]
        return (
            f"not a beginning of the text's audio: {out.heard[place]} for {expected[place : place + 1]}",
            condition(plan),
        )
    if out.ended_at is None:
        return "it never ends", None
    if out.requests > 8 * len(plan.texts) * (len(plan.texts) if plan.route == "context" else 1):
        return f"{out.requests} requests", None
    speech = len(expected) / UNITS_PER_SECOND
    if out.ended_at > out.text_at + speech + BOUND + sum(plan.text_gaps):
        return f"it ends only after {out.ended_at:.0f} s", None
    if plan.interrupt_at is not None and out.error is None and len(out.heard) < len(expected):
        return None, None
    if out.error is None:
        if len(out.heard) < len(expected):
            return f"{len(expected) - len(out.heard)} units lost without an error", condition(plan)
        return None, None
    if not has_cause(plan):
        return f"an error without a cause: {out.error!r}", condition(plan) or fast_and_untold(plan)
    if out.error not in out.emitted:
        return "the error was not emitted", None
    whole = {segment for segment, sample in out.heard if sample == plan.units(segment) - 1}
    left = sum(plan.texts[segment] for segment in range(out.taken) if segment not in whole)
    if (told := out.unspoken.count("a")) < left:
        return f"the error tells of {told} letters that were not spoken; there are {left}", condition(
            plan
        ) or slow_and_untold(plan)
    return None, None


def has_cause(plan: Plan) -> bool:
    """Whether something in the plan may end in an error."""
    return bool(
        plan.cuts
        or plan.refusals
        or plan.silent
        or plan.open_failures
        or plan.dead_at
        or plan.longest_stall > 2.0
        or plan.given_up_at is not None
    )


def condition(plan: Plan) -> str | None:
    """The condition, of those listed in `videosdk_plugins_smallestai.reply`, under which the wire does not tell."""
    told_at_once = plan.complete_per == "release" and plan.complete is not None and plan.complete < 0.5
    if plan.route == "context" and plan.silent and (not told_at_once or plan.merges):
        return "a fragment is not spoken, on a server that merges, or does not say `complete` for each at once"
    if plan.route == "context" and not plan.new_ids and plan.complete is not None and plan.complete >= 0.5:
        return "neither ids nor a prompt `complete` tell fragments apart"
    guessed = not TRAITS[plan.route].ends_told
    if guessed and plan.dead_at and not told_at_once:  # as a stall, right after a pong
        return "a stall where the text may have ended, on a server not known to say `complete` promptly"
    for (segment, _), (place, seconds) in plan.stalls.items():
        plausible = place / UNITS_PER_SECOND >= 0.035 * plan.texts[segment]
        if guessed and seconds > 0.15 and (plausible or plan.route == "context"):
            return "a stall where the text may have ended, on a server not known to say `complete` promptly"
    return None


def fast_and_untold(plan: Plan) -> str | None:
    """The condition under which a voice that is fast is taken for one that has stopped."""
    told = plan.new_ids or (plan.complete_per == "release" and plan.complete is not None)
    if plan.route == "context" and not told and 0.9 * plan.pace < LIKELY_SHARE * TYPICAL_LETTER:
        return "nothing tells fragments apart, and the voice is fast"
    return None


def slow_and_untold(plan: Plan) -> str | None:
    """The condition under which a fragment of a slow voice is taken for two."""
    told = plan.complete_per == "release" and plan.complete is not None and plan.complete < 0.5
    long_enough = any(
        plan.units(i) / UNITS_PER_SECOND >= LIKELY_SHARE * TYPICAL_LETTER * (letters + following)
        for i, (letters, following) in enumerate(itertools.pairwise(plan.texts))
    )
    if plan.route == "context" and not told and long_enough:
        return "no prompt `complete` tells a fragment's end, and the voice is slow"
    return None


def run(plan: Plan) -> Outcome:
    return Simulation(plan).run()


def main(count: int, first: int = 0) -> int:
    began = time.perf_counter()
    wrong: Counter[str] = Counter()
    listed: Counter[str] = Counter()
    for seed in range(first, first + count):
        plan = draw(seed)
        try:
            problem, excuse = judge(plan, run(plan))
        except Exception as error:
            problem, excuse = f"{type(error).__name__}: {error}", None
        if problem is not None and excuse is not None:
            listed[excuse] += 1
        elif problem is not None:
            wrong[problem.split(":")[0]] += 1
            if sum(wrong.values()) <= 12:
                print(f"seed {seed} ({plan.route}): {problem}")
    seconds = time.perf_counter() - began
    print(f"{count} schedules in {seconds:.1f} s, {count / seconds:.0f} a second")
    for name, number in listed.most_common():
        print(f"listed: {name}: {number} ({100 * number / count:.2f} %)")
    for name, number in wrong.most_common():
        print(f"WRONG: {name}: {number}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:] or ["3000"])))
