"""``SmallestAITTS`` as the framework uses it: this plugin, and the one it replaces, which has the same names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from videosdk.agents import FlushMarker
from videosdk.plugins.smallestai import SmallestAITTS

from . import API_KEY
from .framework import FrameworkTrack


class Plugin:
    """Called in the order in which the framework's ``SpeechGeneration`` calls it."""

    def __init__(self, base_url: str, model: str = "lightning-v3.1") -> None:
        self.track = FrameworkTrack()
        self._tts = SmallestAITTS(api_key=API_KEY, base_url=base_url, model=model)
        self._tts.loop = asyncio.get_running_loop()
        self._tts.audio_track = self.track

    async def open(self) -> None:
        """Connect, as the pipeline does when it starts."""
        await self._tts.prewarm()

    async def speak(self, sentences: Sequence[str]) -> None:
        """One ``synthesize``."""
        self._tts.reset_first_audio_tracking()
        self.track.enable_audio_input(manual_control=True)
        await self._tts.synthesize(_items(sentences))

    async def interrupt(self) -> None:
        """Stop."""
        await self._tts.interrupt()

    async def close(self) -> None:
        """Let go."""
        await self._tts.aclose()


async def _items(sentences: Sequence[str]) -> AsyncIterator[str | FlushMarker]:
    """A reply as the framework hands it over by default: a sentence at a time, and a marker at the end."""
    for sentence in sentences:
        yield sentence
    yield FlushMarker()


def make(base_url: str) -> Plugin:
    """A plugin with its default model, which is that of both."""
    return Plugin(base_url)
