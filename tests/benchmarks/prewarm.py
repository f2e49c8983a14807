"""The first reply over HTTPS with and without `prewarm`, some way from the service.

    python tests/benchmarks/prewarm.py

The emulator speaks TLS, and a relay delays all that passes by half a round trip. Each voice is new, and speaks one
sentence. It prints the median time to first audio of both, and their difference in round trips.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import sys
import tempfile
from pathlib import Path

import trustme

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator

ROUND_TRIP = 0.05
"""Seconds, as between two cities of a continent."""

VOICES = 15


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass on what comes on one connection, later."""
    await asyncio.sleep(ROUND_TRIP)  # the TCP handshake: that to this relay takes no time
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        loop.call_later(ROUND_TRIP / 2, writer.write, data)
    loop.call_later(ROUND_TRIP / 2, writer.close)


class Track:
    """Notes when the first audio comes."""

    def __init__(self) -> None:
        self.first: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def add_new_bytes(self, pcm: bytes) -> None:
        """Take audio."""
        if not self.first.done():
            self.first.set_result(asyncio.get_running_loop().time())


async def first_audio(base_url: str, *, prewarm: bool) -> float:
    """Seconds from the call to the first audio of a new voice."""
    loop = asyncio.get_running_loop()
    async with SmallestAITTS(
        api_key="sk_test", base_url=base_url, model="lightning_v3.1", enable_streaming=False
    ) as tts:
        tts.loop, tts.audio_track = loop, Track()
        if prewarm:
            await tts.prewarm()
        began = loop.time()
        await tts.synthesize("Hello there.")
        return await tts.audio_track.first - began


async def main() -> int:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(file)
        os.environ["SSL_CERT_FILE"] = str(file)
        async with WavesEmulator(voice="tone", tls=context) as waves:
            server = await asyncio.start_server(lambda r, w: relay(r, w, waves.port), "127.0.0.1", 0)
            base_url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/waves/v1"
            cold = statistics.median([await first_audio(base_url, prewarm=False) for _ in range(VOICES)])
            warm = statistics.median([await first_audio(base_url, prewarm=True) for _ in range(VOICES)])
            server.close()
    print(
        f"a round trip of {1000 * ROUND_TRIP:.0f} ms, first audio of the server {1000 * waves.first_audio:.0f} ms"
    )
    print(f"first audio without prewarm {1000 * cold:.0f} ms, with it {1000 * warm:.0f} ms")
    print(f"{(cold - warm) / ROUND_TRIP:.1f} round trips shorter")
    return 0 if cold - warm >= 0.9 * ROUND_TRIP else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
