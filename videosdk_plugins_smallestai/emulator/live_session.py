"""Lightning v4's session: the turns of a conversation on one WebSocket, spoken in turn and stopped on request."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from dataclasses import dataclass
from typing import Any

from .base_speaker import BaseSpeaker, Link
from .catalogue import LIVE_MODEL
from .channel import Channel
from .delivery import SAMPLE_BYTES, deliver, sleep_until
from .faults import Break
from .orders import LIVE_RATE, Order, blocked_words
from .records import Outcome
from .refusals import Refusal, blocked
from .service import Job
from .speech import Word

_BOOLEANS = ("true", "false")
_ACTIONS = ("reject", "flag")


@dataclass(eq=False)
class _Turn:
    """A turn that has not ended."""

    id: str
    job: Job
    task: asyncio.Task[None] | None = None
    chunks: int = 0
    spoken: bool = False
    """Whether its last chunk has been sent, so that an `interrupt` does not concern it any more."""

    def serve(self, task: asyncio.Task[None]) -> None:
        """A task serves it."""
        self.task = task

    def count(self) -> None:
        """A chunk was sent."""
        self.chunks += 1

    def end_audio(self) -> None:
        """Its last chunk was sent."""
        self.spoken = True


@dataclass(frozen=True)
class _Query:
    """What a session's address asks for."""

    voice_id: str
    language: str
    sample_rate: int
    speed: float
    rejects: bool


class _QueryError(Exception):
    """The address asks for what there is not. Without a code the connection is closed, and nothing told."""

    def __init__(self, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class LiveSpeaker(BaseSpeaker):
    """Serves the turns of one session.

    Args:
        link: The connection.
    """

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._stopping = asyncio.Lock()  # no turn starts while others are being stopped
        self._turns: list[_Turn] = []
        self._query: _Query | None = None  # once a voice is attached

    async def begin(self) -> None:
        """Admit the client and attach a voice, or tell why not and close."""
        live = self._settings.live
        try:
            if not live.access:
                raise _QueryError("model_access_denied", "lightning-v4 is not enabled for this account")
            query = _read(self._record.query)
        except _QueryError as wrong:
            await self._refuse_session(wrong)
            return
        try:
            if live.admitted is None:
                return
            await asyncio.sleep(live.admitted)
            await self._tell({"event": "ready", "session_id": self._service.next_id("live")})
            if live.attached is None:
                return
            await asyncio.sleep(live.attached)
            self._query = query
            await self._tell({"event": "ready", "sample_rate": live.sample_rate or query.sample_rate})
        except ConnectionError:
            self._end("client")

    async def take(self, body: dict[str, Any]) -> None:
        """Take a message from the client."""
        if self._channel.silent:
            return
        event = body.get("event")
        if event == "speak":
            await self._speak(body)
        elif event == "interrupt":
            self._spawn(self._interrupt(list(self._turns)))
        elif event == "user_audio":
            if (problem := _problem_of_user_audio(body)) is not None:
                await self._tell_error(None, "bad_user_audio", problem)
        elif event == "end":
            self._end("close")
        else:
            await self._tell_error(None, "bad_frame", f"unknown event {event!r}")

    def let_go(self, outcome: Outcome) -> None:
        """Give every open turn its outcome: the connection has ended."""
        for turn in list(self._turns):
            self._finish(turn, outcome)

    async def _refuse_session(self, wrong: _QueryError) -> None:
        try:
            if wrong.code:
                error = {"code": wrong.code, "message": wrong.message}
                await self._channel.send(json.dumps({"status": "error", "error": error}))
            self._end("close" if wrong.code else "policy")
        except ConnectionError:
            self._end("client")

    async def _speak(self, body: dict[str, Any]) -> None:
        turn_id, text = body.get("turn_id"), body.get("text")
        if self._query is None:
            await self._tell_error(turn_id, "bad_frame", "speak before a voice is attached")
            return
        if not isinstance(turn_id, str) or not turn_id or not isinstance(text, str) or not text.strip():
            await self._tell_error(turn_id, "bad_frame", "speak needs a turn_id and a text")
            return
        query = self._query

        def check() -> Order:
            if query.rejects and blocked_words(text):
                raise blocked()
            rate = self._settings.live.sample_rate or query.sample_rate
            return Order(text, query.voice_id, query.language, rate, query.speed)

        job = await self._service.accept(
            transport="websocket",
            path=self._record.path,
            headers=self._record.headers,
            body=body,
            connection=self._record.number,
            check=check,
            owner=self,  # a session counts as one request in progress
        )
        if job.refusal is not None:
            await self._tell_refusal(turn_id, job.refusal, job.plan.refuse.frame if job.plan.refuse else None)
            return
        turn = _Turn(turn_id, job)
        self._turns.append(turn)
        if job.plan.hangup is not None:
            self._finish(turn, "broken")
            self._end(job.plan.hangup.how)
        elif self._channel.silent or job.plan.mute:
            job.abandon()
        else:
            turn.serve(self._spawn(self._serve(turn)))

    async def _serve(self, turn: _Turn) -> None:
        try:
            async with self._lane.turn(turn.job.request.received) as began:
                async with self._stopping:
                    await self._tell({"event": "turn_start", "turn_id": turn.id})
                broken = await self._send_audio(turn, began)
                turn.end_audio()
                if broken is not None:
                    self._break_off(turn, broken)
                elif turn.job.plan.frames.instead is not None:
                    self._finish(turn, "served")
                elif not self._settings.live.turn_end_after:
                    await self._end_turn(turn)
            if turn in self._turns:
                await asyncio.sleep(self._settings.live.turn_end_after)
                await self._end_turn(turn)
        except ConnectionError:
            self._end("client")

    async def _end_turn(self, turn: _Turn) -> None:
        await self._tell({"event": "turn_end", "turn_id": turn.id, "chunks": turn.chunks})
        turn.job.complete()
        for frame in turn.job.plan.frames.after:
            await self._channel.send(frame)
        self._finish(turn, "served")

    async def _send_audio(self, turn: _Turn, began: float) -> Break | None:
        """Send a turn's audio, or what a fault sends instead; return the break that has come due."""
        instead = turn.job.plan.frames.instead
        if instead is None:
            return await deliver(turn.job, self._settings, _TurnSink(self._channel, turn), began)
        await sleep_until(began + self._settings.first_audio)
        for frame in [instead] if isinstance(instead, str | bytes) else instead:
            await self._channel.send(frame)
        return None

    async def _interrupt(self, turns: list[_Turn]) -> None:
        """Stop the turns that were there when the client asked for it."""
        live = self._settings.live
        try:
            await asyncio.sleep(live.interrupt_after)
            async with self._stopping:
                stopped = [turn for turn in turns if turn in self._turns and not turn.spoken]
                tasks = [turn.task for turn in stopped if turn.task is not None]
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)
                if not live.interrupted_after:
                    await self._tell_interrupted(stopped)
                for turn in stopped:
                    await self._send_late_chunks(turn)
                    self._finish(turn, "cancelled")
            if live.interrupted_after:
                await asyncio.sleep(live.interrupted_after)
                await self._tell_interrupted(stopped)
        except ConnectionError:
            self._end("client")

    async def _tell_interrupted(self, turns: list[_Turn]) -> None:
        for turn in turns:
            await self._tell({"event": "interrupted", "turn_id": turn.id, "chunks": turn.chunks})

    async def _send_late_chunks(self, turn: _Turn) -> None:
        """Send some more of a turn that was being spoken when it was stopped."""
        request = turn.job.request
        size = max(1, round(self._settings.chunk * turn.job.order.sample_rate)) * SAMPLE_BYTES
        for _ in range(self._settings.live.late_chunks if turn.chunks else 0):
            late = request.audio[request.sent : request.sent + size]
            if late:
                await self._channel.send(late)
                turn.job.count(len(late))

    def _break_off(self, turn: _Turn, broken: Break) -> None:
        self._finish(turn, "broken")
        if broken.how != "silence":
            self._end(broken.how)
            return
        self._channel.fall_silent()
        for other in self._turns:
            other.job.abandon()

    def _finish(self, turn: _Turn, outcome: Outcome) -> None:
        turn.job.finish(outcome)
        if turn in self._turns:
            self._turns.remove(turn)

    async def _tell(self, frame: dict[str, Any]) -> None:
        await self._channel.send(json.dumps(frame))

    async def _tell_error(self, turn_id: Any, code: str, message: str) -> None:
        named = {} if turn_id is None else {"turn_id": turn_id}
        await self._tell({"event": "error", **named, "code": code, "message": message})

    async def _tell_refusal(self, turn_id: str, refusal: Refusal, frame: Any) -> None:
        if frame is not None:
            await self._channel.send(frame if isinstance(frame, str) else json.dumps(frame))
            return
        code, message = refusal.told()
        await self._tell_error(turn_id, code, message)


class _TurnSink:
    """Takes one turn's audio to its session: binary frames, which name no turn."""

    def __init__(self, channel: Channel, turn: _Turn) -> None:
        self._channel = channel
        self._turn = turn

    async def start(self) -> None:
        """The turn's start was told when its turn came."""

    async def raw(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        await self._channel.send(frame)

    async def word(self, word: Word) -> None:
        """This model tells no words."""

    async def chunk(self, pcm: bytes) -> None:
        """Send a chunk of audio."""
        await self._channel.send(pcm)
        self._turn.count()


def _read(query: dict[str, str]) -> _Query:
    """Check a session's address.

    Raises:
        _QueryError: There is no such session.
    """
    rate = query.get("sample_rate", str(LIVE_RATE))
    if not rate.isdecimal() or int(rate) not in LIVE_MODEL.rates:
        raise _QueryError()
    voice_id = query.get("voice_id", "brannock")
    if not LIVE_MODEL.has_voice(voice_id):
        raise _QueryError("invalid_voice", f"Invalid Voice ID {voice_id!r}")
    language = query.get("language", "auto")
    if language not in LIVE_MODEL.languages:
        raise _QueryError("invalid_query", f"language must be en or auto, not {language!r}")
    for name, values in (
        ("content_filter", _BOOLEANS),
        ("content_filter_action", _ACTIONS),
        ("output_format", ("pcm",)),
    ):
        if query.get(name, values[0]) not in values:
            raise _QueryError("invalid_query", f"{name} must be one of {values}")
    rejects = query.get("content_filter") == "true" and query.get("content_filter_action", "reject") == "reject"
    return _Query(voice_id, language, int(rate), _speed(query.get("speed", "1.0")), rejects)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.5 <= speed <= 2.0:
        raise _QueryError("invalid_query", f"speed must be from 0.5 to 2.0, not {text!r}")
    return speed


def _problem_of_user_audio(body: dict[str, Any]) -> str | None:
    """What is wrong with what the client says of its user; ``None`` if nothing is."""
    if not isinstance(body.get("text"), str):
        return "user_audio needs a text"
    try:
        with wave.open(io.BytesIO(base64.b64decode(body.get("audio") or "", validate=True))) as file:
            good = (file.getnchannels(), file.getsampwidth()) == (1, 2) and file.getnframes() > 0
    except (TypeError, ValueError, EOFError, wave.Error):
        good = False
    return None if good else "audio is no mono 16-bit WAV"
