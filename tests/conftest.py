"""Shared fixtures: a plugin on a local Waves server, whose voice shows every lost, doubled or swapped sample."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
from listening import Ear

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator

# The framework collects garbage in every `aclose`: a tenth of a second, if it looks at all that has been imported.
gc.freeze()

# Machines are shared: an example may take any time. The long run is `pytest --hypothesis-profile=thorough`.
hypothesis.settings.register_profile("short", deadline=None, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("short")


@dataclass
class Stage:
    """A plugin, the server that it speaks to, and the ear that listens."""

    waves: WavesEmulator
    tts: SmallestAITTS
    ear: Ear
    errors: list[str] = field(default_factory=list)


MakeStage = Callable[..., AbstractAsyncContextManager[Stage]]


@asynccontextmanager
async def _stage(plugin: dict[str, Any] | None = None, **server: Any) -> AsyncIterator[Stage]:
    async with WavesEmulator(voice="tone", **server) as waves:
        tts = SmallestAITTS(**({"api_key": "sk_test", "base_url": waves.base_url} | (plugin or {})))
        tts.loop = asyncio.get_running_loop()
        tts.audio_track = Ear()
        stage = Stage(waves, tts, tts.audio_track)
        tts.on("error", lambda message: stage.errors.append(message))
        try:
            yield stage
        finally:
            await tts.aclose()


@pytest.fixture
def stage() -> MakeStage:
    """``async with stage(plugin={...}, complete=None, ...) as s``: keywords are the emulator's."""
    return _stage
