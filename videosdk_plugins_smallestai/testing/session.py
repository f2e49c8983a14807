"""One agent, one caller, and the framework's session between them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import videosdk.agents
from aiohttp import ClientSession, ClientWebSocketResponse
from videosdk.agents import (
    LLM,
    TTS,
    Agent,
    AgentSession,
    AgentState,
    ChatContext,
    ChatRole,
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
from ..framework import SAMPLE_WIDTH
from ..tts import SmallestAITTS
from .caller import Caller, News
from .script import Answer, ScriptedLLM, ScriptedSTT

__all__ = ["Call", "Reply", "call"]

QUICK: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 20.0}
"""The settings of the emulator that speaks where no voice is given."""

FIRST_WORDS = 0.3
"""Seconds of the caller's speech after which its first words are recognized, and interrupt an agent that speaks."""

TAKEN_WITHIN = 5.0
"""Seconds, after the pipeline's own wait for more speech, in which what the caller said has to become a turn."""

QUIET = 1.0
"""Seconds of silence after which a reply that has failed is taken to be all that is heard of it."""

CLEAN_UP = 20.0
"""Seconds that a session may take to end. The framework gives each part of it 15."""

KEYS = ("VIDEOSDK_AUTH_TOKEN", "VIDEOSDK_API_KEY", "VIDEOSDK_SECRET_KEY")
"""With one of these in the environment the framework reports to the cloud."""

KEEPS_ERRORS = tuple(
    f"videosdk.agents.{module}"
    for module in (
        "agent_session",  # an agent's on_exit
        "content_generation",  # a tool
        "event_emitter",  # a listener
        "pipeline_hooks",
        "pipeline_orchestrator",
        "speech_understanding",
    )
)
"""The modules of the framework that log what the agent's own code raises, and go on."""

FRAMEWORK = str(Path(videosdk.agents.__file__).parent)

logger = logging.getLogger(__name__)


class Reply:
    """What the agent says in one turn, from its beginning on. Await it to wait for its end.

    ::

        reply = await c.ask("When is my appointment?")

        reply = c.ask("Tell me everything.")
        await reply.hears(1.5)
        await c.ask("Stop, please. When is it?")
        assert reply.interrupted
    """

    def __init__(self, call: Call, work: Callable[[Reply], Coroutine[Any, Any, None]]) -> None:
        self._call = call
        self._start: int | None = None
        self._end: int | None = None
        self._handle: Any = None
        self._error: Exception | None = None
        self._over = False
        self._told = False
        self._task = asyncio.ensure_future(work(self))

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait until it has been heard, or was interrupted.

        Raises:
            Exception: What the voice, the model, a tool or a hook raised in this turn.
            TimeoutError: Nothing came of it for too long.
        """
        return self._wait().__await__()

    async def _wait(self) -> Self:
        try:
            await asyncio.shield(self._task)
        finally:
            self._told = self._told or self._task.done()
        return self

    async def hears(self, seconds: float) -> None:
        """Wait until the caller has heard so much of it.

        Raises:
            RuntimeError: It ended before.
            Exception: As for waiting for its end.
        """
        call = self._call
        size = round(seconds * call.sample_rate) * SAMPLE_WIDTH
        await call._until(
            lambda: self._task.done() or len(self._heard) >= size, f"{seconds} s of the reply to be heard"
        )
        if len(self._heard) < size:
            await self
            heard = len(self._heard) / SAMPLE_WIDTH / call.sample_rate
            raise RuntimeError(f"the reply ended after {heard:.2f} s, before {seconds} s of it were heard")

    @property
    def heard(self) -> bytes:
        """What the caller has heard of it: 16-bit PCM, mono, without the silence that fills its last frame."""
        pcm = self._heard
        end = len(pcm)
        while end >= SAMPLE_WIDTH and not any(pcm[end - SAMPLE_WIDTH : end]):
            end -= SAMPLE_WIDTH
        return pcm[:end]

    @property
    def gaps(self) -> list[float]:
        """The pauses in it, in seconds, in which the caller had nothing to hear although it went on."""
        if self._start is None:
            return []
        return [frames * self._call._frame for frames in self._call._caller.silences_between(*self._span)]

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its end."""
        return self._handle is not None and bool(self._handle.interrupted)

    @property
    def _span(self) -> tuple[int, int]:
        sent = self._call._sent
        return (sent if self._start is None else self._start), (sent if self._end is None else self._end)

    @property
    def _heard(self) -> bytes:
        return self._call._caller.heard_between(*self._span)

    def _outcome(self) -> BaseException | None:
        if self._task.done() and not self._task.cancelled():
            return self._task.exception()
        return self._error

    def _failed(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self._call._news.tell()


_current: ContextVar[Reply | None] = ContextVar("current reply", default=None)
"""The reply in which something happens: the framework's tasks inherit it from the caller's words on."""


class Call:
    """A call in progress; `call` makes it.

    Attributes:
        agent: The agent that was called.
        session: The framework's session.
        pipeline: The framework's pipeline.
        llm: The language model.
        tts: The voice.
        emulator: The emulator that speaks; ``None`` where a voice was given.
        errors: The ``"error"`` events of the pipeline's components, such as ``"TTS: HTTP 503 ..."``.
        states: The agent's states, in order.
    """

    def __init__(
        self,
        agent: Agent,
        session: AgentSession,
        pipeline: Pipeline,
        stt: ScriptedSTT,
        emulator: WavesEmulator | None,
        news: News,
        timeout: float,
    ) -> None:
        self.agent = agent
        self.session = session
        self.pipeline = pipeline
        self.llm: LLM = pipeline.llm
        self.tts: TTS = pipeline.tts
        self.emulator = emulator
        self.errors: list[str] = []
        self.states: list[str] = []
        self._stt = stt
        self._news = news
        self._timeout = timeout
        self._replies: list[Reply] = []
        self._strays: list[Exception] = []
        self._context: ChatContext = agent.chat_context
        self._sent = 0
        self._hung_up = False
        self._track: Any = None
        self._socket: ClientWebSocketResponse | None = None
        self._running: asyncio.Task[None] | None = None
        self._caller = Caller(news)
        session.on("agent_state_changed", self._note_state)
        pipeline.on("error", self._note_error_event)
        pipeline.on("transcript_ready", self._note_taken)
        pipeline.on("user_turn_end", self._note_end)

    def ask(self, text: str) -> Reply:
        """Say something to the agent, as speech recognition understands it. An agent that speaks is interrupted.

        Returns:
            The agent's reply, to be awaited.

        Raises:
            ValueError: The text is empty.
            RuntimeError: The call is over. Also when the reply is awaited, if the agent did not take the words as a
                turn, such as a single one while it speaks.
        """
        if not text.strip():
            raise ValueError("text must have a word in it: the caller says nothing")
        return self._begin(lambda reply: self._ask(reply, text))

    def say(self, text: str, **options: Any) -> Reply:
        """Let the agent say something, by ``session.say``.

        Args:
            text: What it says.
            **options: As for ``session.say``.
        """
        return self._begin(lambda reply: self._say(reply, text, options))

    async def hang_up(self) -> None:
        """Leave the call, as the end of the block does. Returns when the session has ended, ``on_exit`` included.

        Raises:
            TimeoutError: It has not.
        """
        if self._socket is None or self._running is None:
            return
        await self._socket.close()
        self._hung_up = True
        self._news.tell()
        await asyncio.wait({self._running}, timeout=CLEAN_UP)
        if not self._running.done():
            raise TimeoutError(f"the session has not ended within {CLEAN_UP:.0f} s after the caller hung up")

    async def interrupt(self) -> None:
        """Interrupt the agent, by ``session.interrupt``. Returns when the caller hears nothing more.

        Raises:
            TimeoutError: It goes on, such as with what may not be interrupted.
        """
        before = self._caller.interruptions
        self.session.interrupt()
        if not await self._news.wait_until(lambda: self._caller.interruptions > before or self.over, TAKEN_WITHIN):
            raise TimeoutError(f"the agent has not been interrupted within {TAKEN_WITHIN:.0f} s")

    @property
    def heard(self) -> bytes:
        """What the caller has heard so far: 16-bit PCM, mono, without the silence in which nobody spoke."""
        return bytes(self._caller.heard)

    @property
    def sample_rate(self) -> int:
        """Samples per second of what is heard."""
        rate: int = self._track.sample_rate
        return rate

    @property
    def chat_context(self) -> ChatContext:
        """What the agent remembers. It is kept when the call is over."""
        agent = self.session.agent  # another one after a handoff, and none once the session has ended
        if agent is not None and agent.chat_context is not None:
            self._context = agent.chat_context
        return self._context

    @property
    def said(self) -> list[str]:
        """What the agent believes it has said, reply by reply."""
        return [_text(message) for message in self.chat_context.messages() if message.role == ChatRole.ASSISTANT]

    @property
    def over(self) -> bool:
        """Whether somebody has hung up."""
        return self._hung_up or AgentState.CLOSING.value in self.states

    def _begin(self, work: Callable[[Reply], Coroutine[Any, Any, None]]) -> Reply:
        if self.over:
            raise RuntimeError("the call is over")
        reply = Reply(self, work)
        self._replies.append(reply)
        return reply

    async def _ask(self, reply: Reply, text: str) -> None:
        _current.set(reply)
        await self._stt.recognize(text, final=False)
        if self.session.agent_state in (AgentState.SPEAKING, AgentState.THINKING):
            await asyncio.sleep(FIRST_WORDS)
        await self._stt.recognize(text, final=True)
        limit = self.pipeline.eou_config.min_max_speech_wait_timeout[1] + TAKEN_WITHIN
        if not await self._news.wait_until(lambda: reply._start is not None or self.over, limit):
            raise RuntimeError(
                f"the agent did not take {text!r} as a turn: while it speaks or thinks, too few words "
                "(InterruptConfig) and an utterance that may not be interrupted let it go on"
            )
        await self._until(lambda: reply._over or reply._error or self.over, "the end of the reply")
        if reply._error is not None and not reply._over:
            await self._end_failed(reply)
        await self._heard_out(reply)

    async def _say(self, reply: Reply, text: str, options: dict[str, Any]) -> None:
        _current.set(reply)
        reply._start = self._sent
        saying = asyncio.ensure_future(self.session.say(text, **options))
        saying.add_done_callback(lambda _: self._news.tell())
        try:
            await self._until(lambda: saying.done() or self.over, "the end of what it says")
            if saying.done():
                reply._handle = saying.result()
        finally:
            saying.cancel()
        await self._heard_out(reply)

    async def _end_failed(self, reply: Reply) -> None:
        """The framework waits on for a model or a voice that has failed; a caller speaks again, and ends that."""
        since, frames = self._caller.time, round(QUIET / self._frame)
        await self._until(
            lambda: reply._over or self.over or self._caller.time - max(since, self._caller.spoke) >= frames,
            "what is heard of a reply that failed",
        )
        if not reply._over and not self.over:
            self.session.interrupt()
            await self._news.wait_until(lambda: reply._over or self.over, TAKEN_WITHIN)

    async def _heard_out(self, reply: Reply) -> None:
        if reply._end is None:
            reply._end = self._sent
        caller = self._caller
        await self._until(
            lambda: (caller.received >= self._sent and caller.has_played_all) or self._hung_up,
            "the caller to hear the rest",
        )
        if reply._error is not None:
            raise reply._error

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait, but not for ever while nothing is heard."""
        before = len(self._caller.heard)
        while not await self._news.wait_until(condition, self._timeout):
            if len(self._caller.heard) == before:
                raise TimeoutError(
                    f"waited {self._timeout:.0f} s for {what}; the agent is {self.session.agent_state.value}"
                )
            before = len(self._caller.heard)

    @property
    def _frame(self) -> float:
        seconds: float = self._track.samples / self._track.sample_rate
        return seconds

    def _note_state(self, change: dict[str, Any]) -> None:
        self.states.append(change["state"])
        self.chat_context  # noqa: B018 - it is kept, before the session forgets it
        self._news.tell()

    def _note_error_event(self, event: dict[str, Any]) -> None:
        self.errors.append(f"{event.get('source')}: {event.get('error')}")

    def _note_taken(self, _: dict[str, Any]) -> None:
        reply = _current.get()
        if reply is not None and reply._start is None:
            for earlier in self._replies[: self._replies.index(reply)]:
                if earlier._start is not None:
                    self._note_over(earlier)  # also one that the framework hangs in
            reply._start = self._sent
            self._news.tell()

    async def _note_end(self) -> None:
        reply = _current.get()
        if reply is not None:
            self._note_over(reply)

    def _note_over(self, reply: Reply) -> None:
        if not reply._over:
            reply._over = True
            reply._end = self._sent
            self._news.tell()

    def _note_question(self) -> None:
        reply = _current.get()
        if reply is not None and reply._handle is None:
            reply._handle = self.session.current_utterance

    def _note_error(self, error: Exception) -> None:
        reply = _current.get()
        if reply is None or reply._task.done():
            self._strays.append(error)
        else:
            reply._failed(error)

    def _count(self, pcm: bytes) -> None:
        self._sent += len(pcm)

    def _raise_untold(self) -> None:
        for reply in self._replies:
            if not reply._told and (error := reply._outcome()) is not None:
                raise error
        if self._strays:
            raise self._strays[0]


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

    Everything runs in this event loop and in real time. Nothing reaches beyond this machine but what the agent's
    own code, or a voice or model that is given, sends there.

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
    """
    if "stt" in pipeline_options:
        raise TypeError("stt must not be given: what the caller says is told by ask()")
    if llm is not None and answers:
        raise TypeError("give either answers or llm, not both")
    if llm is None:
        llm = ScriptedLLM(answers)
    make = pipeline or _recommended_pipeline
    async with AsyncExitStack() as stack:
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
        stack.enter_context(_watched(in_progress))
        async with _connected(in_progress, context):
            yield in_progress
    in_progress._raise_untold()


def _recommended_pipeline(**options: Any) -> Pipeline:
    """As the README's first agent has it, but for what the options say."""
    # The caller's turn is known to be over: no half second need be spent on waiting for more of it.
    at_once = EOUConfig(min_max_speech_wait_timeout=(0.0, 0.0))
    recommended: dict[str, Any] = {"text_chunking": False, "eou_config": at_once}
    if not options.keys() & {"text_filter", "text_filtering"}:
        recommended["text_filtering"] = False  # to be text_filter=SpeechTextFilter()
    return Pipeline(**(recommended | options))


@asynccontextmanager
async def _connected(call: Call, context: _Job) -> AsyncIterator[None]:
    """The session runs, and the caller is in it, for as long as the block takes."""
    before = asyncio.all_tasks()
    news, session = call._news, call.session
    running = asyncio.ensure_future(context.run_until_shutdown(session=session, wait_for_participant=True))
    running.add_done_callback(lambda _: news.tell())
    call._running = running
    tasks: list[asyncio.Task[None]] = []
    async with ClientSession() as http:
        try:
            await news.wait_until(lambda: context.port or running.done(), call._timeout)
            if context.port is None:
                if running.done():
                    running.result()  # why it did not start
                raise TimeoutError(f"the session has not started within {call._timeout:.0f} s")
            call._track = context.room.audio_track
            call._track.add_sink(call._count)
            call._socket = await http.ws_connect(f"ws://127.0.0.1:{context.port}/ws")
            tasks = [
                asyncio.ensure_future(call._caller.listen(call._socket)),
                asyncio.ensure_future(_play(call._track, call._caller)),
            ]
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
                await _end_framework_tasks(before)


async def _end_framework_tasks(before: set[asyncio.Task[Any]]) -> None:
    """The framework leaves tasks that wait for ever, such as for the end of a speech that nobody hears any more."""
    for _ in range(3):  # it keeps a cancellation to itself, once
        left = {task for task in asyncio.all_tasks() - before if _is_frameworks(task)}
        if not left:
            return
        _, left = await asyncio.wait(left, timeout=0.5)  # most are about to end
        for task in left:
            logger.debug("a task of the framework was left behind, and is cancelled: %r", task)
            task.cancel()


def _is_frameworks(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(FRAMEWORK)


async def _play(track: Any, caller: Caller) -> None:
    """Play a frame whenever the track does. As in a room, its frames are pulled in real time."""
    while True:
        await track.recv()
        caller.play_frame(track.chunk_size)


@contextmanager
def _watched(call: Call) -> Iterator[None]:
    """Keep what the voice, the model and the agent's own code raise, which the framework does not pass on."""
    llm, tts = call.llm, call.tts
    chat, synthesize = llm.chat, tts.synthesize

    async def watched_chat(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call._note_question()
        try:
            async for chunk in chat(*args, **kwargs):
                yield chunk
        except Exception as error:
            if not call.over:  # the framework goes on to ask for a caller who has left
                call._note_error(error)
            raise

    async def watched_synthesize(*args: Any, **kwargs: Any) -> None:
        try:
            await synthesize(*args, **kwargs)
        except Exception as error:
            if _current.get() is not None:  # who lets the agent say something gets the error
                call._note_error(error)
            raise

    log = _KeptErrors(call)
    frameworks = logging.getLogger("videosdk.agents")
    llm.chat, tts.synthesize = watched_chat, watched_synthesize
    frameworks.addHandler(log)
    try:
        yield
    finally:
        frameworks.removeHandler(log)
        del llm.chat, tts.synthesize


class _KeptErrors(logging.Handler):
    """Takes the exception that is being handled where the framework logs one and goes on."""

    def __init__(self, call: Call) -> None:
        super().__init__(logging.ERROR)
        self._call = call

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        if not isinstance(error, Exception) or record.name not in KEEPS_ERRORS:
            return
        if not (self._call.over and record.name.endswith(".content_generation")):
            self._call._note_error(error)


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
def _without_keys() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in KEYS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _text(message: Any) -> str:
    content = message.content if isinstance(message.content, list) else [message.content]
    return " ".join(part for part in content if isinstance(part, str))
