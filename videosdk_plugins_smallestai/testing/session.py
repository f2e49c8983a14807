"""`call`: an agent, a caller, and the framework's session between them, which a worker of it would start."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import videosdk.agents
from aiohttp import ClientSession
from videosdk.agents import (
    LLM,
    TTS,
    Agent,
    AgentSession,
    EOUConfig,
    JobContext,
    MetricsOptions,
    Pipeline,
    RoomOptions,
    TracesOptions,
    WebSocketConfig,
    job,
)

from ..emulator import WavesEmulator
from ..text.text_filter import SpeechTextFilter
from ..tts import SmallestAITTS
from .caller import News
from .conversation import Call
from .kept_errors import watched
from .script import Answer, ScriptedLLM, ScriptedSTT

__all__ = ["call"]

QUICK: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 20.0}
"""The settings of the emulator that speaks where no voice is given."""

KEYS = ("VIDEOSDK_AUTH_TOKEN", "VIDEOSDK_API_KEY", "VIDEOSDK_SECRET_KEY")
"""With one of these in the environment the framework reports to the cloud."""

FRAMEWORK = str(Path(videosdk.agents.__file__).parent)

logger = logging.getLogger(__name__)

_free = threading.Lock()


class _Session(AgentSession):  # type: ignore[misc]
    """Tells when `on_enter` has returned, and not only that the agent was idle in it."""

    entered = False

    def __init__(self, agent: Agent, pipeline: Pipeline, news: News) -> None:
        super().__init__(agent=agent, pipeline=pipeline)
        self._news = news

    async def start(self, *args: Any, **kwargs: Any) -> None:
        await super().start(*args, **kwargs)
        self.entered = True
        self._news.tell()


class _Job(JobContext):  # type: ignore[misc]
    """Tells when the caller can connect."""

    port: int | None = None

    def __init__(self, news: News) -> None:
        options = RoomOptions(
            transport_mode="websocket",
            websocket=WebSocketConfig(port=0, path="/ws"),
            traces=TracesOptions(enabled=False),
            metrics=MetricsOptions(enabled=False),
        )
        super().__init__(room_options=options)
        self._news = news

    async def connect(self) -> None:
        await super().connect()
        self.port = self.room.server.sockets[0].getsockname()[1]
        self._news.tell()


@asynccontextmanager
async def call(
    agent: Agent,
    answers: Iterable[Answer] = (),
    *,
    llm: LLM | None = None,
    tts: TTS | None = None,
    pipeline: Callable[..., Pipeline] | None = None,
    timeout: float = 30.0,
    **pipeline_options: Any,
) -> AsyncIterator[Call]:
    """Call the agent. The block begins when its ``on_enter`` has returned, and at its end the caller hangs up.

    ::

        async with call(Receptionist("Be brief."), ["It is on Friday."]) as c:
            reply = await c.ask("When is my appointment?")
        assert reply.heard == tone("It is on Friday.")

    Everything runs in this event loop and in real time, one call at a time. Nothing reaches beyond
    this machine but what the agent's own code, or a voice or model that is given, sends there.

    Args:
        agent: Any agent; a new one for each call.
        answers: The script of the language model: see `ScriptedLLM`.
        llm: A language model in place of the script.
        tts: The agent's voice, which the session closes. Without one, `SmallestAITTS` speaks, with the ``tone``
            voice of an emulator: `Call.emulator`.
        pipeline: Makes the pipeline from ``stt``, ``llm``, ``tts`` and the pipeline options. Without it a
            `Pipeline` is made as the README recommends.
        timeout: Seconds to wait for anything while nothing is heard.
        **pipeline_options: Further arguments of the pipeline, which go before the recommended ones.

    Raises:
        Exception: What ``on_enter`` raised; at the end, what was raised in a reply that nobody awaited, or in
            ``on_exit`` or a listener.
        TimeoutError: The session did not start, ``on_enter`` did not return, or the session did not end.
        TypeError: Both answers and ``llm``, or ``stt``, are given; or an answer is of a wrong type.
        RuntimeError: Another call is in progress.
    """
    if "stt" in pipeline_options:
        raise TypeError("stt must not be given: what the caller says is told by ask()")
    if llm is not None and answers:
        raise TypeError("give either answers or llm, not both")
    if llm is None:
        llm = ScriptedLLM(answers)
    make = pipeline or _recommended_pipeline
    async with AsyncExitStack() as stack:
        stack.enter_context(_alone())
        stack.enter_context(_without_keys())
        emulator = None
        if tts is None:
            emulator = await stack.enter_async_context(WavesEmulator(**QUICK))
            tts = SmallestAITTS(api_key="sk_test", base_url=emulator.base_url)
        news = News()
        context = _Job(news)
        stack.enter_context(_job_context(context))
        stt = ScriptedSTT()
        made = make(stt=stt, llm=llm, tts=tts, **pipeline_options)
        in_progress = Call(agent, _Session(agent, made, news), made, stt, emulator, news, timeout)
        stack.enter_context(watched(in_progress))
        async with _connected(in_progress, context):
            yield in_progress
    in_progress._raise_untold()


def _recommended_pipeline(**options: Any) -> Pipeline:
    """As the README's first agent has it, but for what the options say."""
    # The caller's turn is known to be over: no half second need be spent on waiting for more of it.
    at_once = EOUConfig(min_max_speech_wait_timeout=(0.0, 0.0))
    recommended: dict[str, Any] = {"text_chunking": False, "eou_config": at_once}
    if not options.keys() & {"text_filter", "text_filtering"}:
        recommended["text_filter"] = SpeechTextFilter()
    return Pipeline(**(recommended | options))


@asynccontextmanager
async def _connected(call: Call, context: _Job) -> AsyncIterator[None]:
    """The session runs, and the caller is in it, for as long as the block takes."""
    before = asyncio.all_tasks()
    news, session = call._news, call.session
    running = asyncio.ensure_future(context.run_until_shutdown(session=session, wait_for_participant=True))
    running.add_done_callback(lambda _: news.tell())
    tasks: list[asyncio.Task[None]] = []
    async with ClientSession() as http:
        try:
            await news.wait_until(lambda: context.port or running.done(), call._timeout)
            if context.port is None:
                if running.done():
                    running.result()  # why it did not start
                raise TimeoutError(f"the session has not started within {call._timeout:.0f} s")
            tasks = await call._join(
                context.room.audio_track, running, lambda: http.ws_connect(f"ws://127.0.0.1:{context.port}/ws")
            )
            await call._until(lambda: session.entered or running.done(), "on_enter to return")
            if running.done():
                running.result()  # what on_enter raised
                raise RuntimeError("the session ended before on_enter had returned")
            yield
        finally:
            if not session.entered:
                running.cancel()  # it may be in an on_enter that never returns
            try:
                await call.hang_up()
            finally:
                running.cancel()
                tasks += [running, *(reply._task for reply in call._replies)]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if await _end_framework_tasks(before) and isinstance(call.tts, SmallestAITTS):
                    await call.tts.aclose()  # what waited to speak has opened it anew


async def _end_framework_tasks(before: set[asyncio.Task[Any]]) -> bool:
    """The framework leaves tasks that wait for ever, such as for the end of a speech that nobody hears any more.

    Returns:
        Whether there were any.
    """
    found = False
    for _ in range(3):  # it keeps a cancellation to itself, once
        left = {task for task in asyncio.all_tasks() - before if _is_frameworks(task)}
        if not left:
            break
        found = True
        _, left = await asyncio.wait(left, timeout=0.5)  # most are about to end
        for task in left:
            logger.debug("a task of the framework was left behind, and is cancelled: %r", task)
            task.cancel()
    return found


def _is_frameworks(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(FRAMEWORK)


@contextmanager
def _job_context(context: JobContext) -> Iterator[None]:
    """What a worker of the framework sets up for a session."""
    token, scope = job._set_current_job_context(context), job._enter_session_scope()
    try:
        yield
    finally:
        with suppress(ValueError):  # a fixture may be torn down in another context, which does not have it
            job._exit_session_scope(scope)
            job._reset_current_job_context(token)


@contextmanager
def _alone() -> Iterator[None]:
    """The environment, and the tasks that a session leaves, are everybody's."""
    if not _free.acquire(blocking=False):
        raise RuntimeError("another call is in progress: there can be one at a time in a process")
    try:
        yield
    finally:
        _free.release()


@contextmanager
def _without_keys() -> Iterator[None]:
    """Nothing is reported to the cloud."""
    kept = {name: os.environ.pop(name) for name in KEYS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
