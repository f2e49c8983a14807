"""A whole agent session of the framework on loopback: a real websocket client connects and hears the agent.

::

    async with agent_session(tts) as call:
        await call.say("Hello there.")          # returns at the end of speech
        assert call.client.speech == tone("Hello there.")
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import aiohttp
from videosdk.agents import (
    TTS,
    Agent,
    AgentSession,
    JobContext,
    MetricsOptions,
    Pipeline,
    RoomOptions,
    TracesOptions,
    WebSocketConfig,
)
from videosdk.agents import job as framework_job

PROMPT = 5.0
"""Seconds in which what must come promptly has to come on a busy machine."""


def without_silence(pcm: bytes) -> bytes:
    """Leave out the silent samples at the end: those that fill the last frame."""
    end = len(pcm)
    while end >= 2 and pcm[end - 2 : end] == b"\0\0":
        end -= 2
    return pcm[:end]


@dataclass
class Client:
    """A caller's websocket: the PCM that it hears, and the framework's other messages."""

    heard: bytearray = field(default_factory=bytearray)
    messages: list[dict[str, Any]] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Hear until the connection ends."""
        async for message in socket:
            async with self._news:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.heard += message.data
                else:
                    self.messages.append(json.loads(message.data))
                self._news.notify_all()

    async def hears(self, size: int) -> None:
        """Wait until so many bytes have been heard in all."""
        async with asyncio.timeout(4 * PROMPT), self._news:
            await self._news.wait_for(lambda: len(self.heard) >= size)

    async def is_told(self, kind: str) -> None:
        """Wait for a message of this type."""
        async with asyncio.timeout(PROMPT), self._news:
            await self._news.wait_for(lambda: any(m.get("type") == kind for m in self.messages))

    @property
    def speech(self) -> bytes:
        """What was heard, without the silence that fills the last frame."""
        return without_silence(bytes(self.heard))


@dataclass
class Call:
    """An agent in a call with one caller.

    Attributes:
        session: The framework's session. Its ``agent`` and ``pipeline`` are gone once it is over.
        pipeline: The framework's pipeline.
        client: The caller.
        states: The agent's states, in order.
        over: Done when the session has ended and cleaned up.
    """

    session: AgentSession
    pipeline: Pipeline
    client: Client
    socket: aiohttp.ClientWebSocketResponse
    over: asyncio.Task[None]
    states: list[str] = field(default_factory=list)

    async def say(self, text: str, **options: Any) -> Any:
        """Speak; returns at the end of speech. Fails if the session does not report it."""
        async with asyncio.timeout(4 * PROMPT):
            return await self.session.say(text, **options)

    async def hang_up(self) -> None:
        """The caller leaves; returns when the session has cleaned up."""
        await self.socket.close()
        async with asyncio.timeout(PROMPT):
            await self.over

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Pull the track's frames in real time, as a room does. The framework's websocket transport does not."""
        task = asyncio.ensure_future(_pull(self.pipeline.audio_track))
        try:
            yield
        finally:
            task.cancel()


async def _pull(track: Any) -> None:
    while True:
        await track.recv()


class _Agent(Agent):  # type: ignore[misc]
    async def on_enter(self) -> None:
        pass

    async def on_exit(self) -> None:
        pass


class _Job(JobContext):  # type: ignore[misc]
    """Tells when the room can be entered."""

    def __init__(self, room_options: RoomOptions) -> None:
        super().__init__(room_options=room_options)
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        await super().connect()
        self.port.set_result(self.room.server.sockets[0].getsockname()[1])


@asynccontextmanager
async def agent_session(
    tts: TTS, *, play: bool = True, prepare: Callable[[Pipeline], None] | None = None, **pipeline_options: Any
) -> AsyncIterator[Call]:
    """Run an agent session with one caller, who hangs up at the end.

    Fails if the session leaves a task behind, or if anything tried to reach beyond this machine.

    Args:
        tts: The agent's voice; the session closes it.
        play: Pull the track's frames all the time, without which an end of speech is never reported.
        prepare: Called with the pipeline before the session starts, to register hooks.
        **pipeline_options: Further arguments of `Pipeline`.
    """
    others = asyncio.all_tasks()
    # Without a token the framework sends no analytics; nor traces and metrics, which are switched off besides.
    options = RoomOptions(
        transport_mode="websocket",
        websocket=WebSocketConfig(port=0, path="/ws"),
        traces=TracesOptions(enabled=False),
        metrics=MetricsOptions(enabled=False),
    )
    with patch.dict(os.environ), only_loopback():
        for name in [name for name in os.environ if name.startswith("VIDEOSDK_")]:
            del os.environ[name]
        job = _Job(options)
        token = framework_job._set_current_job_context(job)
        scope = framework_job._enter_session_scope()
        try:
            async with _call(job, tts, prepare, pipeline_options) as call:
                with call.playing() if play else nullcontext():
                    yield call
        finally:
            framework_job._exit_session_scope(scope)
            framework_job._reset_current_job_context(token)
        left = asyncio.all_tasks() - others
        if left:
            _, left = await asyncio.wait(left, timeout=PROMPT)
        assert not left, f"the session left tasks behind: {left}"
        gc.collect()  # what was not closed complains now, and any warning fails a test


@asynccontextmanager
async def _call(
    job: _Job, tts: TTS, prepare: Callable[[Pipeline], None] | None, pipeline_options: dict[str, Any]
) -> AsyncIterator[Call]:
    pipeline = Pipeline(tts=tts, **pipeline_options)
    if prepare is not None:
        prepare(pipeline)
    agent = _Agent(instructions="Be brief.")
    session = AgentSession(agent=agent, pipeline=pipeline)
    states: list[str] = []
    session.on("agent_state_changed", lambda change: states.append(change["state"]))
    ready = asyncio.Event()
    session.on("agent_state_changed", lambda change: ready.set() if change["state"] == "idle" else None)
    running = asyncio.ensure_future(session.start(wait_for_participant=True, run_until_shutdown=True))
    async with aiohttp.ClientSession() as http:
        async with asyncio.timeout(PROMPT):
            port = await job.port
            socket = await http.ws_connect(f"ws://127.0.0.1:{port}/ws")
        client = Client()
        listening = asyncio.ensure_future(client.listen(socket))
        call = Call(session, pipeline, client, socket, running, states)
        try:
            async with asyncio.timeout(PROMPT):
                await ready.wait()
            yield call
        finally:
            await call.hang_up()
            await listening


_watches: list[list[str]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _watches:
        return
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # the rest are Unix sockets
    else:
        return
    if not _is_loopback(host):
        _watches[-1].append(f"{event} {host}")
        raise PermissionError(f"a test reaches for {host}")


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "0.0.0.0", "::"):  # the last two: to listen on
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


sys.addaudithook(_audit)  # an audit hook stays for ever; it does nothing while nobody watches


@contextmanager
def only_loopback() -> Iterator[None]:
    """Refuse to let anything reach beyond this machine, and fail if it tries."""
    attempts: list[str] = []
    _watches.append(attempts)
    try:
        yield
    finally:
        _watches.remove(attempts)
    assert not attempts, f"beyond this machine: {attempts}"
