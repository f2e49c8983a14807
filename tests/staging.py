"""A plugin on a local Waves server, whose voice shows every lost, doubled or swapped sample.

Not in `conftest.py`: there is one of that name in each folder, and an import would find any of them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from listening import RecordingTrack

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator
from videosdk_plugins_smallestai.timing import Timing

__all__ = ["MakeStage", "Stage", "impatient", "make_stage", "open_sessions"]


@dataclass
class Stage:
    """A plugin, the server that it speaks to, and the track that it speaks into."""

    waves: WavesEmulator
    tts: SmallestAITTS
    track: RecordingTrack
    errors: list[str] = field(default_factory=list)


MakeStage = Callable[..., AbstractAsyncContextManager[Stage]]


def impatient(timing: Timing | None) -> type[SmallestAITTS]:
    """The plugin with other waits."""
    if timing is None:
        return SmallestAITTS
    return type("SmallestAITTS", (SmallestAITTS,), {"timing": timing})


@asynccontextmanager
async def make_stage(
    plugin: dict[str, Any] | None = None, *, timing: Timing | None = None, **server: Any
) -> AsyncIterator[Stage]:
    """``async with make_stage(plugin={...}, complete=None, ...) as s``: other keywords are the emulator's."""
    async with WavesEmulator(voice="tone", **server) as waves:
        tts = impatient(timing)(**({"api_key": "sk_test", "base_url": waves.base_url} | (plugin or {})))
        tts.loop = asyncio.get_running_loop()
        tts.audio_track = RecordingTrack()
        stage = Stage(waves, tts, tts.audio_track)
        tts.on("error", lambda message: stage.errors.append(message))
        try:
            yield stage
        finally:
            await tts.aclose()


def open_sessions() -> list[aiohttp.ClientSession]:
    """The sessions that nobody has closed."""
    return [o for o in gc.get_objects() if isinstance(o, aiohttp.ClientSession) and not o.closed]
