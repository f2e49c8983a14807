"""Asks the questions, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TextIO

from ..errors import RateLimitError
from ..protocol.redaction import without_secret
from ..timing import Timing
from ..transport.session import Session
from .bench import WRONG_KEY, Bench, NotSeen
from .probes import PROBES, Probe, Verdict
from .recording import Recorder
from .wire import RecordingSession

__all__ = ["Row", "bench", "characters", "question", "run"]

LONGEST = 90.0
"""Seconds that one question may take: as long as some late answers in a row."""

BUSY = 2.0
"""Seconds to wait where the account has too many requests in progress."""


@dataclass(frozen=True)
class Row:
    """What came of one question. See `Probe` for the fields; ``seconds``: how long it took."""

    name: str
    assumed: str
    seen: str
    verdict: Verdict
    seconds: float


def characters(probes: Sequence[Probe]) -> int:
    """Characters of speech that some questions cost: the first one's included, which finds the model for all."""
    return sum(probe.characters for probe in {PROBES[0], *probes})


@asynccontextmanager
async def bench(
    base_url: str, key: str, record: TextIO | None = None, *, audio: bool = True
) -> AsyncIterator[Bench]:
    """The service, to be asked, for as long as it is needed.

    Args:
        base_url: As of the plugin.
        key: The API key.
        record: Where to write what is sent and received.
        audio: Whether audio is kept in that; else its length and hash are.

    Raises:
        ValueError: The URL or the key cannot be used.
    """
    timing = Timing()
    recorder = Recorder(record, key, audio=audio)
    session = Session(base_url, key, timing)

    def recording(name: str, secret: str) -> Session:
        client = RecordingSession(session, recorder, name).as_client()
        return Session(session.base_url, secret, timing, client)

    try:
        yield Bench(recording("given", key), recording("wrong", WRONG_KEY))
    finally:
        await session.aclose()


async def run(
    on: Bench, probes: Sequence[Probe], begun: Callable[[Probe], None] = lambda probe: None
) -> AsyncIterator[Row]:
    """Ask some questions. The first one of all, which finds the model for the others, is asked in any case.

    Args:
        on: The service.
        probes: The questions.
        begun: Called before each.

    Yields:
        What came of each. Where no model speaks, nothing else is asked.
    """
    first = PROBES[0]
    for probe in (first, *(probe for probe in probes if probe is not first)):
        if probe in probes:
            begun(probe)
        row = await question(on, probe)
        stuck = probe is first and row.verdict in ("fails", "unknown")
        if probe in probes or stuck:
            yield row
        if stuck:
            return


async def _answer(on: Bench, probe: Probe) -> str:
    """What was seen. Where the question was one too many it is asked once more: the last one may still count."""
    try:
        return await probe.ask(on, *probe.says)
    except RateLimitError:
        await asyncio.sleep(BUSY)
    return await probe.ask(on, *probe.says)


async def question(on: Bench, probe: Probe) -> Row:
    """Ask one question. Whatever goes wrong is what was seen."""
    clock = asyncio.get_running_loop().time
    began = clock()
    verdict: Verdict
    try:
        async with asyncio.timeout(LONGEST):
            seen = await _answer(on, probe)
        verdict = probe.verdict(seen)
    except NotSeen as why:
        seen, verdict = f"not seen: {why}", "unknown"
    except RateLimitError as busy:  # others use the account up
        seen, verdict = f"not seen: {busy}", "unknown"
    except TimeoutError:
        seen, verdict = f"failed: it took longer than {LONGEST:g} s", "fails"
    except Exception as failure:  # whatever it is, the other questions are still worth asking
        seen, verdict = f"failed: {type(failure).__name__}: {failure}", "fails"
    return Row(
        probe.name, probe.assumed, without_secret(seen, on.session.secret), verdict, round(clock() - began, 2)
    )
