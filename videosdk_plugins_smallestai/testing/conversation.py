"""What a test does in a call, and what it learns of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import ClientWebSocketResponse
from videosdk.agents import LLM, TTS, Agent, AgentSession, AgentState, ChatContext, ChatRole, Pipeline

from ..emulator import WavesEmulator
from .caller import Caller, News
from .reply import Reply, current_reply
from .script import ScriptedSTT, text_of

__all__ = ["Call"]

FIRST_WORDS = 0.3
"""Seconds of the caller's speech after which its first words are recognized, and interrupt an agent that speaks."""

TAKEN_WITHIN = 5.0
"""Seconds, after the pipeline's own wait for more speech, in which what the caller said has to become a turn."""

QUIET = 1.0
"""Seconds of silence after which a reply that has failed is taken to be all that is heard of it."""

CLEAN_UP = 20.0
"""Seconds that a session may take to end. The framework gives each part of it 15."""


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
        self._hung_up = False
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
        return self._caller.sample_rate

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
        return [text_of(message) for message in self.chat_context.messages() if message.role == ChatRole.ASSISTANT]

    @property
    def over(self) -> bool:
        """Whether somebody has hung up."""
        return self._hung_up or AgentState.CLOSING.value in self.states

    async def _join(
        self, track: Any, running: asyncio.Task[None], connect: Callable[[], Awaitable[ClientWebSocketResponse]]
    ) -> list[asyncio.Task[None]]:
        """The caller comes in. Returns the tasks by which it hears."""
        self._caller.follow(track)  # before the connection does, so that nothing is heard that was not counted
        self._running = running
        self._socket = await connect()
        return [
            asyncio.ensure_future(self._caller.listen(self._socket)),
            asyncio.ensure_future(self._caller.play()),
        ]

    def _begin(self, work: Callable[[Reply], Coroutine[Any, Any, None]]) -> Reply:
        if self.over:
            raise RuntimeError("the call is over")
        reply = Reply(self._caller, self._until, work)
        self._replies.append(reply)
        return reply

    async def _ask(self, reply: Reply, text: str) -> None:
        current_reply.set(reply)
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
        current_reply.set(reply)
        reply._begin()
        saying = asyncio.ensure_future(self.session.say(text, **options))
        saying.add_done_callback(lambda _: self._news.tell())
        try:
            await self._until(lambda: saying.done() or self.over, "the end of what it says")
            if saying.done():
                reply._know_handle(saying.result())
        finally:
            saying.cancel()
        await self._heard_out(reply)

    async def _end_failed(self, reply: Reply) -> None:
        """The framework waits on for a model or a voice that has failed; a caller speaks again, and ends that."""
        since, frames = self._caller.time, round(QUIET / self._caller.frame)
        await self._until(
            lambda: reply._over or self.over or self._caller.time - max(since, self._caller.spoke) >= frames,
            "what is heard of a reply that failed",
        )
        if not reply._over and not self.over:
            self.session.interrupt()
            await self._news.wait_until(lambda: reply._over or self.over, TAKEN_WITHIN)

    async def _heard_out(self, reply: Reply) -> None:
        reply._finish()
        await self._until(lambda: self._caller.has_heard_all or self._hung_up, "the caller to hear the rest")
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

    def _note_state(self, change: dict[str, Any]) -> None:
        self.states.append(change["state"])
        self.chat_context  # noqa: B018 - it is kept, before the session forgets it
        self._news.tell()

    def _note_error_event(self, event: dict[str, Any]) -> None:
        self.errors.append(f"{event.get('source')}: {event.get('error')}")

    def _note_taken(self, _: dict[str, Any]) -> None:
        reply = current_reply.get()
        if reply is not None and reply._start is None:
            for earlier in self._replies[: self._replies.index(reply)]:
                if earlier._start is not None:
                    self._note_over(earlier)  # also one that the framework hangs in
            reply._begin()
            self._news.tell()

    async def _note_end(self) -> None:
        reply = current_reply.get()
        if reply is not None:
            self._note_over(reply)

    def _note_over(self, reply: Reply) -> None:
        if not reply._over:
            reply._end_turn()
            self._news.tell()

    def _note_question(self) -> None:
        reply = current_reply.get()
        if reply is not None and reply._handle is None:
            reply._know_handle(self.session.current_utterance)

    def _note_error(self, error: Exception) -> None:
        reply = current_reply.get()
        if reply is None or reply._task.done():
            self._strays.append(error)
        else:
            reply._failed(error)
            self._news.tell()

    def _raise_untold(self) -> None:
        for reply in self._replies:
            if not reply._told and (error := reply._outcome()) is not None:
                raise error
        if self._strays:
            raise self._strays[0]
