"""The pace of a request's audio: when each chunk is due, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from .faults import Break
from .service import Job
from .settings import Settings
from .speech import Word

SAMPLE_BYTES = 2


class Sink(Protocol):
    """Where a transport takes a request's audio."""

    async def start(self) -> None:
        """The first chunk is due."""

    async def raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""

    async def word(self, word: Word) -> None:
        """Send a word's times."""

    async def chunk(self, pcm: bytes) -> None:
        """Send a chunk of audio."""


async def deliver(job: Job, settings: Settings, sink: Sink, turn: float) -> Break | None:
    """Send a request's audio at the service's pace.

    Deadlines are absolute, so that a late wake-up delays no later chunk.

    Args:
        job: The request.
        settings: Read anew for each chunk.
        sink: Where the audio goes.
        turn: When the request got its turn, in ``loop.time()``.

    Returns:
        The break that has come due, or ``None`` when all audio has been sent.
    """
    request, plan = job.request, job.plan
    bytes_per_second = job.order.sample_rate * SAMPLE_BYTES
    words = deque(job.speech.words if job.order.words and settings.words else ())
    due = turn + settings.first_audio
    await sleep_until(due)
    await sink.start()
    for frame in plan.frames.before:
        await sink.raw(frame)
    if plan.breaks is not None and plan.breaks.after <= 0:
        return plan.breaks
    audio = b"" if plan.no_audio else request.audio
    previous = -1.0
    for index, piece in enumerate(_cut(audio, plan.sizes, settings.chunk, job.order.sample_rate)):
        begins = request.sent / bytes_per_second
        pause = plan.pause_before(index, begins, previous)
        if pause == math.inf:
            job.abandon()
            await asyncio.get_running_loop().create_future()
        due += pause
        await sleep_until(due)
        if job.is_cut_short:
            return None
        ends = (request.sent + len(piece)) / bytes_per_second
        while words and words[0].start < ends:
            await sink.word(words.popleft())
        await sink.chunk(piece)
        job.count(len(piece))
        previous = begins
        due += (ends - begins) / settings.real_time_factor
        if plan.breaks is not None and plan.breaks.after <= ends:
            return plan.breaks
    return plan.breaks


def _cut(audio: bytes, sizes: tuple[int, ...], chunk: float, sample_rate: int) -> Iterator[bytes]:
    whole = max(1, round(chunk * sample_rate)) * SAMPLE_BYTES
    at = 0
    for size in itertools.cycle(sizes or (whole,)):
        if at >= len(audio):
            return
        yield audio[at : at + size]
        at += size


async def sleep_until(when: float) -> None:
    """Sleep until a ``loop.time()``; only yield if it has passed."""
    await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))
