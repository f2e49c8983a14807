"""Has the plugin itself speak a whole reply."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from ..errors import ServerError
from .asking import CHARACTER
from .bench import Bench

__all__ = ["reply", "reply_http"]


async def reply(bench: Bench, *sentences: str) -> str:
    """Have the plugin speak a reply with its own defaults."""
    return await _speak(bench, " ".join(sentences))


async def reply_http(bench: Bench, *sentences: str) -> str:
    """Have the plugin speak a reply over HTTP."""
    return await _speak(bench, " ".join(sentences), model="lightning_v3.1", enable_streaming=False)


async def _speak(bench: Bench, text: str, **arguments: Any) -> str:
    from ..tts import SmallestAITTS  # brings the framework with it, which takes seconds

    session = bench.session
    arguments |= {"api_key": session.secret, "base_url": session.base_url, "http_session": session.client()}
    async with SmallestAITTS(**arguments) as tts:
        pcm = b"".join([chunk async for chunk in tts.stream_synthesize(_words(text))])
    seconds = len(pcm) / 2 / tts.sample_rate
    if seconds < CHARACTER * len(text):
        raise ServerError(f"Only {seconds:.1f} s of audio came for {len(text)} characters")
    return f"whole: {seconds:.1f} s of audio"


async def _words(text: str) -> AsyncIterator[str]:
    """A text as a language model sends it."""
    for word in re.findall(r"\s*\S+", text):
        yield word
