"""One contestant's process: its sessions, in the three parts of the benchmark.

    python client.py DRIVER BASE_URL SESSIONS full|quick

It writes JSON lines to the standard output. Before each part it says ``{"ready": PART}`` and waits for a line on
the standard input, so that the parent can set the server to it; then comes ``{"progress": [DONE, ALL]}`` now and
then, and ``{"result": PART, ...}`` at the end of the part. Runs in the contestant's environment and imports nothing
else.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from room import Room
from script import HEARD, IDLE, LONG, REPLIES, SERVER_IDLE, SHORT, TURN, Lengths, lengths
from session import Outcome, Session

OPENING = 25
"""Handshakes at once."""

CYCLE = 9.0
"""Seconds over which the sessions' beginnings are spread: a reply and the caller's turn."""

PACKAGES = (
    "aiohttp",
    "videosdk-agents",
    "videosdk-plugins-smallestai",
    "livekit-agents",
    "livekit-plugins-smallestai",
)


def say(**what: Any) -> None:
    """Tell the parent."""
    print(json.dumps(what), flush=True)


class Parts:
    """The parts of the benchmark, for one set of sessions."""

    def __init__(self, sessions: list[Session], room: Room, length: Lengths) -> None:
        self._sessions = sessions
        self._room = room
        self._length = length
        self._done = 0

    async def conversation(self) -> list[Outcome]:
        """Replies and callers' turns."""
        return await self._all(self._converse, self._length.replies)

    async def barge_in(self) -> list[Outcome]:
        """Interruptions."""
        return await self._all(self._interrupt, self._length.samples)

    async def idle(self) -> list[Outcome]:
        """Silences that are longer than the server's patience."""
        return await self._all(self._fall_silent, self._length.samples)

    async def _all(self, one: Callable[[Session, random.Random], Awaitable[Outcome]], times: int) -> list[Outcome]:
        """Every session at it, so many times, each at moments of its own."""
        self._done = 0
        total = times * len(self._sessions)

        async def run(session: Session, number: int) -> list[Outcome]:
            rng = random.Random(number)  # the same moments for every contestant
            await asyncio.sleep(rng.uniform(0, CYCLE) if len(self._sessions) > 1 else 0.0)
            outcomes = []
            for _ in range(times):
                outcomes.append(await one(session, rng))
                self._done += 1
            return outcomes

        running = asyncio.gather(*(run(session, number) for number, session in enumerate(self._sessions)))
        while not running.done():
            await asyncio.wait({running}, timeout=1.0)
            say(progress=[self._done, total])
        return [outcome for outcomes in running.result() for outcome in outcomes]

    async def _converse(self, session: Session, rng: random.Random) -> Outcome:
        outcome = await session.reply(rng.choice(REPLIES))
        await asyncio.sleep(TURN * rng.uniform(0.5, 1.5))
        return outcome

    async def _interrupt(self, session: Session, rng: random.Random) -> Outcome:
        outcome = await session.barge_in(LONG, HEARD * rng.uniform(0.8, 1.2), SHORT)
        await asyncio.sleep(0.5)
        return outcome

    async def _fall_silent(self, session: Session, rng: random.Random) -> Outcome:
        # The server looks at its patience at each message, so this one must hear one first.
        before = await session.reply(SHORT)
        if before.failure is not None:
            return before
        await asyncio.sleep(IDLE + rng.uniform(0.0, SERVER_IDLE / 4))
        return await session.reply(SHORT)


async def measure(name: str, part: Callable[[], Awaitable[list[Outcome]]], room: Room) -> None:
    """Run one part and tell its result."""
    say(ready=name)
    if not await asyncio.to_thread(sys.stdin.readline):
        raise SystemExit("the parent has gone")
    room.lags.clear()
    cpu, wall = time.process_time(), time.perf_counter()
    outcomes = await part()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    lag = statistics.quantiles(room.lags, n=20)[-1] if len(room.lags) > 1 else 0.0
    say(result=name, cpu=cpu, wall=wall, lag=lag, outcomes=[asdict(outcome) for outcome in outcomes])


def versions() -> dict[str, str]:
    """What is installed here."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


async def open_all(sessions: list[Session]) -> None:
    """Open every session's voice, some at a time."""
    for start in range(0, len(sessions), OPENING):
        await asyncio.gather(*(session.voice.open() for session in sessions[start : start + OPENING]))
        say(progress=[min(len(sessions), start + OPENING), len(sessions)])


async def run(driver: str, base_url: str, count: int, *, quick: bool) -> None:
    """Run all parts."""
    say(versions=versions())
    sessions = [Session(driver, base_url) for _ in range(count)]
    await open_all(sessions)
    room = Room([session.ear for session in sessions])
    pulling = asyncio.ensure_future(room.run())
    parts = Parts(sessions, room, lengths(count, quick=quick))
    await measure("conversation", parts.conversation, room)
    await measure("barge-in", parts.barge_in, room)
    await measure("idle", parts.idle, room)
    pulling.cancel()
    say(finished=True)
    await asyncio.gather(*(session.voice.close() for session in sessions), return_exceptions=True)


def allow_files(wanted: int) -> None:
    """Raise this process's limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def main() -> None:
    driver, base_url, count, length = sys.argv[1:]
    allow_files(4 * int(count) + 200)
    asyncio.run(run(driver, base_url, int(count), quick=length == "quick"))


if __name__ == "__main__":
    main()
