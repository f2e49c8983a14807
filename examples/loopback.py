"""A whole agent session on this machine, without the cloud: an agent, and a caller on a websocket who hears it.

The framework starts such a session in a job of a worker. Here the job's context is set by hand, so that everything
runs in one process and ends with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from _shared import CannotSayError
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
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
    job,
)

START_LIMIT = 15.0
"""Seconds in which a session on this machine has to start."""


@dataclass
class Call:
    """A call in progress.

    Attributes:
        session: The framework's session.
        pipeline: The framework's pipeline.
        heard: What has reached the caller: 16-bit PCM, mono, at the track's sample rate.
    """

    session: AgentSession
    pipeline: Pipeline
    heard: bytearray = field(default_factory=bytearray)

    async def say(self, text: str, audio: bytes | None = None) -> None:
        """Let the agent say something; returns when it has been heard."""
        await self.session.say(text, audio_data=audio)
        _pass_cancellation_on()

    async def ask(self, question: str) -> None:
        """Ask the agent something; returns when its answer has been heard."""
        await self.session.reply(question)
        _pass_cancellation_on()

    @property
    def sample_rate(self) -> int:
        """Samples per second of what is heard."""
        rate: int = self.pipeline.audio_track.sample_rate
        return rate


def _pass_cancellation_on() -> None:
    """The framework keeps a cancellation to itself, and Ctrl-C is one."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class _Job(JobContext):  # type: ignore[misc]
    """Tells when the room can be entered."""

    def __init__(self, room_options: RoomOptions) -> None:
        super().__init__(room_options=room_options)
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Open the room."""
        await super().connect()
        self.port.set_result(self.room.server.sockets[0].getsockname()[1])


@asynccontextmanager
async def call(agent: Agent, tts: TTS, **pipeline_options: Any) -> AsyncIterator[Call]:
    """Run an agent session with one caller, who hangs up when the block ends.

    Raises:
        CannotSayError: The session did not start; or the voice failed, and the framework went on without it.
    """
    failures: list[str] = []
    tts.on("error", lambda message: failures.append(message))
    options = RoomOptions(
        transport_mode="websocket",
        websocket=WebSocketConfig(port=0, path="/ws"),
        traces=TracesOptions(enabled=False),
        metrics=MetricsOptions(enabled=False),
    )
    os.environ.pop("VIDEOSDK_AUTH_TOKEN", None)  # nothing is sent to the cloud, analytics included
    context = _Job(options)
    token, scope = job._set_current_job_context(context), job._enter_session_scope()
    try:
        async with _connected(context, agent, Pipeline(tts=tts, **pipeline_options)) as connected:
            yield connected
    except TimeoutError as error:
        raise CannotSayError(
            f"no session in {START_LIMIT:.0f} s: run it again with --verbose to see why"
        ) from error
    finally:
        job._exit_session_scope(scope)
        job._reset_current_job_context(token)
    if failures:
        raise CannotSayError(failures[0])


@asynccontextmanager
async def _connected(context: _Job, agent: Agent, pipeline: Pipeline) -> AsyncIterator[Call]:
    session = AgentSession(agent=agent, pipeline=pipeline)
    ready = asyncio.Event()
    session.on("agent_state_changed", lambda change: ready.set() if change["state"] == "idle" else None)
    running = asyncio.create_task(session.start(wait_for_participant=True, run_until_shutdown=True))
    async with ClientSession() as http:
        async with asyncio.timeout(START_LIMIT):
            port = await context.port
            socket = await http.ws_connect(f"ws://127.0.0.1:{port}/ws")
        in_progress = Call(session, pipeline)
        tasks = [
            asyncio.create_task(_hear(socket, in_progress.heard)),
            asyncio.create_task(_play(pipeline.audio_track)),
        ]
        try:
            async with asyncio.timeout(START_LIMIT):
                await ready.wait()
            yield in_progress
        finally:
            await socket.close()  # the caller hangs up, and the session ends
            await running
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _hear(socket: ClientWebSocketResponse, heard: bytearray) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            heard += message.data


async def _play(track: Any) -> None:
    """Pull the track's frames in real time, as a room does: the end of speech is reported by it."""
    while True:
        await track.recv()
