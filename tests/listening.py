"""What a listener gets: tracks that write down what is heard and when, and texts to speak."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

RATE = 24000
FRAME_BYTES = 960
"""Of a 20 ms frame of the framework's tracks."""


@dataclass
class RecordingTrack:
    """Records what is added to it and when, and computes where the listener would have heard a gap.

    Independent of the plugin's own idea of time: it looks at what reached the track, and when.
    """

    sample_rate: int = RATE
    channels: int = 1
    chunk_size: int = FRAME_BYTES
    heard: bytearray = field(default_factory=bytearray)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    interrupted: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    enough_bytes: int = 1

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.arrivals.append((asyncio.get_running_loop().time(), len(pcm)))
        self.heard += pcm
        if len(self.heard) >= self.enough_bytes:
            self.enough.set()

    def interrupt(self) -> None:
        self.interrupted += 1

    async def hears(self, seconds: float) -> None:
        """Wait until so much audio has arrived in all."""
        self.enough_bytes = round(seconds * self.sample_rate * 2)
        if len(self.heard) < self.enough_bytes:
            self.enough.clear()
        await self.enough.wait()

    @property
    def first_at(self) -> float:
        return self.arrivals[0][0]

    @property
    def ends_at(self) -> float:
        """When the listener has heard everything."""
        return self._play()[0]

    @property
    def gaps(self) -> list[float]:
        """Seconds of silence between the first byte and the last."""
        return self._play()[1]

    @property
    def speech(self) -> bytes:
        """What was heard, without the silence that fills the last frame."""
        return bytes(self.heard).rstrip(b"\0")

    def _play(self) -> tuple[float, list[float]]:
        until, gaps = self.arrivals[0][0], []
        for at, size in self.arrivals:
            if at > until:
                gaps.append(at - until)
                until = at
            until += size / 2 / self.channels / self.sample_rate
        return until, gaps


def assert_same(heard: bytes, expected: bytes) -> None:
    """Compare audio. (A failed ``==`` of long bytes keeps pytest busy for minutes, looking for the difference.)"""
    if bytes(heard) == expected:
        return
    same = next((i for i, (a, b) in enumerate(zip(heard, expected, strict=False)) if a != b), None)
    where = "in length" if same is None else f"from byte {same} on"
    pytest.fail(f"heard {len(heard)} bytes, expected {len(expected)}; they differ {where}")


async def tokens(text: str, pace: float = 0.0) -> AsyncIterator[str]:
    """A text as a language model sends it: a few characters at a time, white space in front."""
    for token in re.findall(r"\s*\S{1,5}|\s+", text):
        if pace:
            await asyncio.sleep(pace)
        yield token


async def items(parts: Iterable[Any]) -> AsyncIterator[Any]:
    """An iterator of these items."""
    for part in parts:
        yield part


SEVEN = (
    "This is the first of seven. The second comes now. Here is number three. And the fourth follows. "
    "Five is spoken next. Six is nearly done. Seven ends it."
)
"""A reply of seven segments."""
