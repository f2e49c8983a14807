"""The process of the objects that are warm while the service restarts.

    python warm_client.py BASE_URL OBJECTS

It writes JSON lines to the standard output: ``{"progress": [DONE, ALL]}`` while the objects are prewarmed, and
``{"ready": ..., "first_wait": SECONDS}`` once the connections have lasted long enough to count as steady. Then it
waits for a line on the standard input, and ends with what the objects have done since they were ready: ``{"dials":
[[WHEN, ...], ...], "errors": [...]}``. A dial is an attempt to open a TCP connection, by the clock of
`time.monotonic`, which is one for all processes; those that the kernel refuses count too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from types import SimpleNamespace

import aiohttp
from client import OPENING, allow_files, say
from drivers import API_KEY
from videosdk.plugins.smallestai import SmallestAITTS

MARGIN = 1.0
"""Seconds by which the youngest connection is older than the plugin asks of a steady one."""


class Warm:
    """A silent object, whose dials and ``"error"`` events are noted.

    Each has an HTTP session of its own, as it has by default: aiohttp tells no more than the session of a dial.

    Attributes:
        dials: When each was made.
        errors: What was emitted.
    """

    def __init__(self, base_url: str) -> None:
        self.dials: list[float] = []
        self.errors: list[str] = []
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(self._dial)
        self._session = aiohttp.ClientSession(trace_configs=[trace])
        self._tts = SmallestAITTS(api_key=API_KEY, base_url=base_url, http_session=self._session)
        self._tts.on("error", lambda error: self.errors.append(str(error)))

    async def _dial(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceConnectionCreateStartParams,
    ) -> None:
        self.dials.append(time.monotonic())

    async def prewarm(self) -> None:
        """Connect, as the pipeline does when it starts."""
        await self._tts.prewarm()

    async def close(self) -> None:
        """Let go of everything."""
        await self._tts.aclose()
        await self._session.close()


async def run(base_url: str, count: int) -> None:
    """Be warm, wait for the parent's line, and tell."""
    objects = [Warm(base_url) for _ in range(count)]
    for start in range(0, count, OPENING):
        await asyncio.gather(*(one.prewarm() for one in objects[start : start + OPENING]))
        say(progress=[min(count, start + OPENING), count])
    await asyncio.sleep(SmallestAITTS.timing.steady_after + MARGIN)
    for one in objects:
        one.dials.clear()
    say(ready="warm", first_wait=SmallestAITTS.timing.reopen[0])
    if not await asyncio.to_thread(sys.stdin.readline):
        raise SystemExit("the parent has gone")
    say(dials=[one.dials for one in objects], errors=[error for one in objects for error in one.errors])
    await asyncio.gather(*(one.close() for one in objects), return_exceptions=True)


def main() -> None:
    base_url, count = sys.argv[1:]
    allow_files(4 * int(count) + 200)
    asyncio.run(run(base_url, int(count)))


if __name__ == "__main__":
    main()
