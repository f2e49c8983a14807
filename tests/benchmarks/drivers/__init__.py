"""The contestants: how each of them speaks, behind one interface."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

API_KEY = "sk_benchmark"
VOICE = "magnus"
RATE = 24000
FRAME_BYTES = 960
"""Of 20 ms at 24 kHz, 16-bit mono."""


class Voice(Protocol):
    """One session's voice.

    Attributes:
        track: Where its audio goes.
    """

    track: Any

    async def open(self) -> None:
        """Have everything ready that can be ready before the first reply."""

    async def speak(self, sentences: Sequence[str]) -> None:
        """Speak a reply. Returns when the contestant says that it is over; raises what it raises."""

    async def interrupt(self) -> None:
        """Stop the reply, from another task."""

    async def close(self) -> None:
        """Let go of everything."""


def make(driver: str, base_url: str) -> Voice:
    """A voice of the contestant whose driver has that name. To be called in a running event loop."""
    voice: Voice = importlib.import_module(f"drivers.{driver}").make(base_url)
    return voice
