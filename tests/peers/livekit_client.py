"""Speaks with LiveKit's plugin (``livekit-plugins-smallestai``) and writes its frames' PCM to the standard output.

    python livekit_client.py BASE_URL WAY TEXT

A way is a name in `WAYS`. It runs in LiveKit's environment and knows nothing of this project. The plugin takes its
addresses by its own options, ``base_url=`` and ``ws_url=``.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from livekit.agents import APIConnectOptions
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.plugins.smallestai import TTS

ONCE = APIConnectOptions(max_retry=0, timeout=10.0)
"""No second try: a failure is to be seen."""


def write(event: Any) -> None:
    """Not the 10 ms of silence with which LiveKit marks an end that has no audio of its own."""
    pcm = bytes(event.frame.data)
    if not (event.is_final and pcm == bytes(len(pcm))):
        sys.stdout.buffer.write(pcm)


async def synthesize(tts: TTS, text: str) -> None:
    """``TTS.synthesize``: one POST."""
    async with tts.synthesize(text, conn_options=ONCE) as stream:
        async for event in stream:
            write(event)


async def stream(tts: TTS, text: str) -> None:
    """``TTS.stream``: a token at a time, as an agent does it. By default with continuations."""
    words: list[str] = []
    async with tts.stream(conn_options=ONCE) as stream:
        for token in re.findall(r"\s*\S+", text):
            stream.push_text(token)
        stream.end_input()
        async for event in stream:
            write(event)
            words += event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
    assert words == (text.split() if tts.capabilities.aligned_transcript else []), words


async def stream_twice(tts: TTS, text: str) -> None:
    """Two replies, one after the other, as in a conversation."""
    await stream(tts, text)
    await stream(tts, text)


WAYS: dict[str, tuple[Callable[[TTS, str], Awaitable[None]], dict[str, Any]]] = {
    "synthesize": (synthesize, {}),
    "stream": (stream, {}),
    "stream_with_words": (stream, {"word_timestamps": True}),
    "stream_twice": (stream_twice, {}),
    "stream_twice_without_continuations": (stream_twice, {"use_continuations": False}),
}


async def main() -> None:
    base_url, name, text = sys.argv[1:]
    way, options = WAYS[name]
    addresses = {"base_url": base_url, "ws_url": base_url.replace("http", "ws", 1) + "/tts/live"}
    async with aiohttp.ClientSession() as session:
        tts = TTS(api_key="sk_peer", http_session=session, **addresses, **options)
        await way(tts, text)
        await tts.aclose()


if __name__ == "__main__":
    asyncio.run(main())
