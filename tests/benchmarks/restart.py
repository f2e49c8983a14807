"""A service that restarts under warm, silent objects: how often they dial, and when all are warm again."""

from __future__ import annotations

import asyncio
import statistics
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Server, Worker

AWAY = 10.0
"""Seconds for which the service is gone: it refuses connections, and those that were open are reset."""

FIRST = 10.0
"""Seconds of the outage, from its beginning, in which dials are counted."""

MOST_DIALS = 3
"""Of an object in that time: what the plugin promises."""

WARM_WITHIN = 15.0
"""Seconds after the service's return: what the plugin promises."""

LIMIT = 60.0
"""Seconds after which what is still cold counts as never warm."""

WINDOW = 0.1
"""Seconds in which dials count as made at once."""

POLL = 0.05
"""Seconds between two looks at the server's count of open connections."""


@dataclass(frozen=True)
class Restart:
    """What the objects did. All times in seconds.

    Attributes:
        dials: Of each object, counted from the beginning of the outage.
        errors: ``"error"`` events of all objects.
        first_wait: What the plugin spreads the first dial of each object over.
        warm_after: From the service's return until it had a connection of each object; ``None`` where it never had.
        warm: How many connections it had in the end.
    """

    dials: list[list[float]]
    errors: list[str]
    first_wait: float
    warm_after: float | None
    warm: int

    @property
    def early(self) -> list[list[float]]:
        """Of each object, the dials that count."""
        return [[at for at in dials if 0.0 <= at < FIRST] for dials in self.dials]

    @property
    def busiest(self) -> int:
        """The most dials of all objects in any window."""
        times = sorted(at for dials in self.early for at in dials)
        return max((bisect_left(times, at + WINDOW) - number for number, at in enumerate(times)), default=0)

    def text(self) -> str:
        """The figures, with the bounds beside them."""
        objects = len(self.dials)
        counts = [len(dials) for dials in self.early]
        handshakes = f"median {statistics.median(counts):g}, largest {max(counts)}"
        at_once = f"{self.busiest} of {sum(counts)}"
        evenly = (
            f"evenly: {sum(counts) * WINDOW / FIRST:.0f} of all over {FIRST:g} s, "
            f"{objects * WINDOW / self.first_wait:.0f} of the first ones over {self.first_wait:g} s"
        )
        again = (
            f"{self.warm} of {objects} after {LIMIT:g} s" if self.warm_after is None else f"{self.warm_after:.1f} s"
        )
        in_time = self.warm_after is not None and self.warm_after <= WARM_WITHIN
        plural = "s" * (objects > 1)
        lines = [
            f"A service that is gone for {AWAY:g} s, and {objects} warm, silent object{plural} in one process",
            _line(f"handshakes an object in its first {FIRST:g} s", handshakes, f"at most {MOST_DIALS}",
                  max(counts) <= MOST_DIALS),
            _line(f"most handshakes in any {WINDOW:g} s", at_once, evenly),
            _line("all warm again after its return", again, f"within {WARM_WITHIN:g} s", in_time),
            _line('"error" events', str(len(self.errors)), "none", not self.errors),
            *(f"    {error}" for error in list(dict.fromkeys(self.errors))[:3]),
            "Handshakes are counted on the client's side, by an aiohttp TraceConfig, as attempts to open a TCP",
            "connection: those that the kernel refuses count. Warm is what the server counts as open.",
        ]  # fmt: skip
        return "\n".join(lines)


def _line(what: str, figure: str, bound: str, met: bool | None = None) -> str:
    verdict = "" if met is None else ": met" if met else ": NOT MET"
    return f"  {what:38}  {figure:22}  {bound}{verdict}"


async def measure(python: Path, waves: Server, objects: int, step: Callable[[str, int, int], None]) -> Restart:
    """Warm the objects, stop the server's listening and drop its connections, and start it again on its port.

    Args:
        python: The interpreter that the plugin is installed for.
        waves: The server.
        objects: How many.
        step: Told of a part how much is done, of how much.

    Raises:
        EOFError: The objects' process has ended; the message is what it said last.
        TimeoutError: The objects did not get warm in the first place.
    """
    await waves.ask(idle_timeout=None)  # nothing else is to close a connection here
    async with Worker(python, "warm_client.py", waves.base_url, str(objects)) as client:
        while "ready" not in (told := await _hear(client)):
            step("warming", *told["progress"])
        first_wait = told["first_wait"]
        if await _warm(waves, objects, step) is None:
            raise TimeoutError(
                f"only {await waves.connections()} of {objects} objects were warm before the restart"
            )
        gone = time.monotonic()
        await waves.stop()
        step("gone", 0, objects)
        await asyncio.sleep(max(0.0, gone + AWAY - time.monotonic()))
        back = time.monotonic()
        await waves.start()
        warm_at = await _warm(waves, objects, step)
        warm = await waves.connections()
        await client.tell({})
        told = await _hear(client)
    dials = [[at - gone for at in dials] for dials in told["dials"]]
    return Restart(dials, told["errors"], first_wait, None if warm_at is None else warm_at - back, warm)


async def _hear(client: Worker) -> dict[str, Any]:
    async with asyncio.timeout(LIMIT):
        return await client.hear()


async def _warm(waves: Server, objects: int, step: Callable[[str, int, int], None]) -> float | None:
    """When the server has a connection of each object; ``None``: not within `LIMIT`."""
    until = time.monotonic() + LIMIT
    while (now := time.monotonic()) < until:
        connections = await waves.connections()
        step("warm", connections, objects)
        if connections == objects:
            return now
        await asyncio.sleep(POLL)
    return None
