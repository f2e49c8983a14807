"""Many replies on many instances, with what goes wrong in a day: each is whole or an error, and nothing piles up.

The long form is `pytest -m soak tests/network_faults/test_soak.py -s`. The seed is printed; `SOAK_SEED=...` repeats
a run's choices, though not its timing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from audio_checks import hears_whole, is_beginning
from listening import RecordingTrack, tokens
from proxy import Proxy
from routes import ROUTES

from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import (
    Break,
    ChunkBytes,
    Frames,
    NoAudio,
    Refuse,
    SpeechRequest,
    Stall,
    WavesEmulator,
    tone,
)

SENTENCES = (
    "Here is one.",
    "The second comes now.",
    "A third.",
    "And this one is the last of them all.",
    "Yes, four.",
)

BOUND = 60.0
"""Seconds for one reply, with its faults, on a machine that fifty instances keep busy."""

FAULTS: tuple[Callable[[random.Random], Any], ...] = (
    lambda chance: Stall(chance.uniform(0.1, 0.6), after=chance.uniform(0.0, 1.0)),
    lambda chance: Break(chance.uniform(0.0, 1.0), "close"),
    lambda chance: Break(chance.uniform(0.0, 1.0), "reset"),
    lambda chance: Refuse(chance.choice((400, 429, 500, 503))),
    lambda chance: NoAudio(),
    lambda chance: ChunkBytes([chance.randint(100, 5000)]),
)

FRAMES: tuple[Callable[[random.Random], Any], ...] = (
    lambda chance: Frames(before=["nonsense"]),
    lambda chance: Frames(before=['{"status": "complete", "external_request_id": "nobody"}'] * 3),
)


@dataclass
class Size:
    """What the process holds."""

    tasks: int
    sockets: int
    bytes: int

    @classmethod
    def now(cls) -> Size:
        gc.collect()
        with open("/proc/self/statm") as status:
            pages = int(status.read().split()[1])
        return cls(len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), pages * 4096)


async def _settled(before: Size | None) -> Size:
    """The size once what is being closed is closed."""
    size = Size.now()
    for _ in range(100):
        if before is not None and size.tasks <= before.tasks and size.sockets <= before.sockets:
            break
        await asyncio.sleep(0.1)
        size = Size.now()
    return size


@dataclass
class Caller:
    """One instance, on its own server and network."""

    number: int
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[Self]:
        """Have the instance, its server and its network."""
        self.chance = random.Random(f"{self.seed} {self.number}")
        async with (
            WavesEmulator(voice="tone", real_time_factor=50.0, first_audio=0.02, idle_timeout=None) as self.waves,
            Proxy(self.waves.port, self.number) as self.proxy,
        ):
            base_url = self.waves.base_url.replace(str(self.waves.port), str(self.proxy.port))
            route = list(ROUTES)[self.number % len(ROUTES)]
            self.tts = SmallestAITTS(api_key="sk_test", base_url=base_url, **ROUTES[route])
            self.tts.loop = asyncio.get_running_loop()
            try:
                yield self
            finally:
                await self.tts.aclose()

    async def talk(self, replies: int) -> None:
        """Have so many replies, and then rest: nothing is left but what a fresh reply needs."""
        for _ in range(replies):
            await self._reply(self.tts, self.waves, self.proxy, self.chance)
            self.waves.requests.clear()  # the server's log would grow with every reply
            self.waves.connections.clear()
        self.waves.fault = None
        self.tts.audio_track = track = RecordingTrack()
        await self.tts.synthesize("Rest.")
        assert await hears_whole(track, tone("Rest."))
        self.tts.audio_track = RecordingTrack()

    async def _reply(self, tts: SmallestAITTS, waves: WavesEmulator, proxy: Proxy, chance: random.Random) -> None:
        text = " ".join(chance.sample(SENTENCES, chance.randint(1, 3)))
        waves.fault = self._faults(chance)
        if chance.random() < 0.2:
            await waves.close_connections(chance.choice(("idle", "close", "reset")))
        tts.audio_track = track = RecordingTrack()
        errors: list[str] = []
        tts.on("error", noted := lambda message: errors.append(message))
        speaking = asyncio.ensure_future(tts.synthesize(tokens(text) if chance.random() < 0.7 else text))
        meddling = asyncio.ensure_future(self._meddle(tts, proxy, speaking, chance))
        outcome = "whole"
        try:
            async with asyncio.timeout(BOUND):
                await asyncio.wait({speaking})
            speaking.result()
        except SmallestAIError as error:
            outcome = type(error).__name__
        except asyncio.CancelledError:
            if not speaking.done():
                raise  # the test itself has ended
            outcome = "cancelled"
        stopped = await meddling
        tts.off("error", noted)
        where = f"instance {self.number}: {text!r}: {outcome}, {stopped} {len(track.speech)} of {len(tone(text))}"
        if outcome == "whole" and not stopped:
            assert await hears_whole(track, tone(text)), where
        else:
            assert is_beginning(track, tone(text)), where
        assert len(errors) == (outcome not in ("whole", "cancelled")), where
        self.outcomes[stopped or outcome] += 1

    def _faults(self, chance: random.Random) -> Callable[[SpeechRequest], Any]:
        def fault(request: SpeechRequest) -> Any:
            kinds = FAULTS + FRAMES if request.transport == "websocket" else FAULTS
            found = chance.choice(kinds)(chance) if chance.random() < 0.25 else None
            # A part of a continuation that has no audio cannot be told from one that had some.
            return None if isinstance(found, NoAudio) and "context_id" in request.body else found

        return fault

    async def _meddle(
        self, tts: SmallestAITTS, proxy: Proxy, speaking: asyncio.Task[None], chance: random.Random
    ) -> str:
        """Do something to a reply, or nothing. Returns what ended it."""
        kind = chance.choice(("",) * 4 + ("interrupt", "cancel", "prewarm", "cut", "reset"))
        await asyncio.wait({speaking}, timeout=chance.uniform(0.0, 0.3))
        if speaking.done() or not kind:
            return ""
        if kind == "interrupt":
            await tts.interrupt()
        elif kind == "cancel":
            speaking.cancel()
        elif kind == "prewarm":
            await tts.prewarm()
        elif kind == "cut":
            proxy.cut()
        else:
            proxy.reset()
        return kind if kind in ("interrupt", "cancel") else ""


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for each in work:
            tasks.create_task(each)


LONG = pytest.param(50, 200, marks=[pytest.mark.soak, pytest.mark.timeout(0)])


@pytest.mark.parametrize(("instances", "replies"), [(5, 8), LONG], ids=["short", "long"])
async def test_a_day_of_replies_leaves_nothing_behind(
    instances: int, replies: int, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("SOAK_SEED", random.randrange(1_000_000)))
    print(f"SOAK_SEED={seed}")
    gc.freeze()
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    first = min(10, max(2, replies // 4))
    async with AsyncExitStack() as stack:
        ready = [Caller(number, seed) for number in range(instances)]
        callers = [await stack.enter_async_context(caller.ready()) for caller in ready]
        await _all(caller.talk(first) for caller in callers)
        early = await _settled(None)
        await _all(caller.talk(replies - first) for caller in callers)
        late = await _settled(early)
    outcomes = sum((caller.outcomes for caller in callers), Counter[str]())
    record_property("table", f"soak, SOAK_SEED={seed}: {dict(outcomes)}\n  early {early}\n  late  {late}\n")
    assert outcomes.total() == instances * replies
    assert outcomes["whole"] > instances * replies / 3
    # A connection more or less is kept alive here and there: over HTTP a second one, with seven tasks, six of them
    # the server's and the proxy's, and four sockets.
    assert late.tasks <= early.tasks + 7 * instances
    assert late.sockets <= early.sockets + 4 * instances
    assert late.bytes - early.bytes < 20e6 + 0.2 * early.bytes
    gc.collect()
    assert complaints == []
