"""A reply as a transport sees it: it sends streams and writes down the events that come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp

from videosdk_plugins_smallestai.settings import Settings
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.base import (
    Audio,
    Complete,
    Failed,
    Opened,
    OpenFailed,
    Pong,
    ReplyTransport,
    TransportEvent,
)
from videosdk_plugins_smallestai.transport.session import Session
from videosdk_plugins_smallestai.transport.transports import Transports

E = TypeVar("E")

LIMIT = 30.0
"""Seconds after which a test waits no longer: machines are shared."""

PLAIN: dict[str, Any] = {"model": "lightning-v3.1"}
UNIFIED: dict[str, Any] = {"model": "lightning_v3.1", "continuations": False}
JOINED: dict[str, Any] = {"model": "lightning_v3.1"}
HTTP: dict[str, Any] = {"model": "lightning-v3.1", "enable_streaming": False}
SSE: dict[str, Any] = {"model": "lightning_v3.1", "enable_streaming": False}


def settings(**changed: Any) -> Settings:
    """The defaults of `SmallestAITTS`, and what is changed."""
    values: dict[str, Any] = {
        "model": "lightning-v3.1",
        "voice_id": "magnus",
        "language": "en",
        "sample_rate": 24000,
        "speed": 1.0,
        "consistency": 0.5,
        "similarity": 0.0,
        "enhancement": 1.0,
        "sentence_streaming": True,
        "timeout": 30.0,
        "enable_streaming": True,
        "complete_backoff_ms": 0,
        "max_buffer_flush_ms": 0,
    }
    return Settings(**(values | changed))


@dataclass
class Instance:
    """What one `SmallestAITTS` keeps between its replies."""

    base_url: str
    key: str = "sk_test"
    timing: Timing = field(default_factory=Timing)
    max_age: float = 300.0
    http_session: aiohttp.ClientSession | None = None

    def __post_init__(self) -> None:
        self.session = Session(self.base_url, self.key, self.timing, self.http_session)
        self.transports = Transports(self.session, self.timing, self.max_age)
        self.replies: list[Reply] = []

    def reply(self, route: dict[str, Any] = PLAIN, **changed: Any) -> Reply:
        """Begin a reply."""
        reply = Reply()
        spoken = settings(**(route | changed))
        reply.transport = self.transports.make(spoken, reply.post, joined=True)
        self.replies.append(reply)
        return reply

    async def aclose(self) -> None:
        for reply in self.replies:
            await reply.transport.aclose()
        await self.transports.aclose()


@asynccontextmanager
async def instance(base_url: str, **changed: Any) -> AsyncIterator[Instance]:
    made = Instance(base_url, **changed)
    try:
        yield made
    finally:
        await made.aclose()


class Reply:
    """Writes events down, and waits for them."""

    transport: ReplyTransport

    def __init__(self) -> None:
        self.events: list[TransportEvent] = []
        self._came = asyncio.Event()

    def post(self, event: TransportEvent) -> None:
        self.events.append(event)
        self._came.set()

    async def until(self, holds: Callable[[], E | None]) -> E:
        """Wait until something is so, which only an event can make so."""
        async with asyncio.timeout(LIMIT):
            while not (found := holds()):
                self._came.clear()
                await self._came.wait()
        return found

    async def next(self, kind: type[E], count: int = 1) -> E:
        """Wait for an event of a kind: the first one, or a later one."""
        await self.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[count - 1]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def open(self) -> Opened:
        """Open, and wait until that has succeeded."""
        count = len(self.all(Opened)) + len(self.all(OpenFailed))
        self.transport.open()
        assert len(self.all(Opened)) + len(self.all(OpenFailed)) == count, "nothing comes from within a call"
        await self.until(lambda: len(self.all(Opened)) + len(self.all(OpenFailed)) > count)
        outcome = [event for event in self.events if isinstance(event, Opened | OpenFailed)][-1]
        assert isinstance(outcome, Opened), outcome
        return outcome

    async def complete(self, stream: int) -> bytes:
        """Wait for a stream's `complete`. Returns its audio."""
        await self.until(lambda: any(event.stream == stream for event in self.all(Complete)) or self.all(Failed))
        assert not self.all(Failed), self.all(Failed)
        return self.audio(stream)

    async def audible(self, stream: int) -> None:
        """Wait for a stream's first audio."""
        await self.until(lambda: self.audio(stream))

    async def failure(self, count: int = 1) -> Failed:
        return await self.next(Failed, count)

    async def pong(self, count: int = 1) -> Pong:
        return await self.next(Pong, count)

    def audio(self, stream: int) -> bytes:
        return b"".join(event.pcm for event in self.all(Audio) if event.stream == stream)
