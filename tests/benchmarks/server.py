"""The server's process: the emulator, with the pace of the live service and a voice that costs little CPU.

    python server.py

It prints ``{"base_url": ...}``, and then answers each JSON line on the standard input with one of its own: the
fields of a line are settings of the emulator to be changed, and ``serving``: ``false`` stops listening and resets
all connections, ``true`` listens on the same port again. The answer is the CPU that this process has used, the
time, and how many WebSocket connections are open. It ends with the standard input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any

from videosdk_plugins_smallestai.emulator import WavesEmulator

PACE: dict[str, Any] = {"first_audio": 0.2, "real_time_factor": 3.3, "chunk": 0.1}
"""As the live service is reported to be: seconds to a request's first chunk, seconds of audio a second, and seconds
of audio in a chunk."""

HANDSHAKE = 0.15
"""Seconds that a WebSocket handshake takes: TCP, TLS and HTTP, a round trip of 50 ms each."""

FILES = 16_000


class DistantEmulator(WavesEmulator):
    """Delays each handshake, which takes no time on the loopback."""

    async def _admit(self, *what: Any) -> Any:
        await asyncio.sleep(HANDSHAKE)
        return await super()._admit(*what)


async def forget(waves: WavesEmulator) -> None:
    """Remove finished requests from the emulator's records, which would grow to gigabytes."""
    while True:
        await asyncio.sleep(1.0)
        waves.requests[:] = [request for request in waves.requests if request.outcome is None]


async def change(waves: WavesEmulator, settings: dict[str, Any]) -> None:
    """Change settings; start or stop."""
    serving = settings.pop("serving", None)
    for name, value in settings.items():
        setattr(waves, name, value)
    if serving is not None:
        await (waves.start() if serving else waves.stop())


def connections(waves: WavesEmulator) -> int:
    """How many WebSocket connections are open."""
    return sum(connection.status == 101 and connection.closed is None for connection in waves.connections)


async def serve() -> None:
    """Serve until the standard input ends."""
    # The bare loop and the other clients send complete_backoff_ms=0, and mean that.
    async with DistantEmulator(voice="tone", zero_is_absent=False, **PACE) as waves:
        forgetting = asyncio.ensure_future(forget(waves))
        print(json.dumps({"base_url": waves.base_url, "pace": PACE, "handshake": HANDSHAKE}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await change(waves, json.loads(line))
            told = {"cpu": time.process_time(), "wall": time.perf_counter(), "connections": connections(waves)}
            print(json.dumps(told), flush=True)
        forgetting.cancel()


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    asyncio.run(serve())


if __name__ == "__main__":
    main()
