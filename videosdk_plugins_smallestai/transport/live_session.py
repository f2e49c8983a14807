"""Lightning v4's session: one WebSocket for a whole call, with a turn for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from ..errors import APIConnectionError, APITimeoutError, InvalidRequestError, ServerError, SmallestAIError
from ..framework import SAMPLE_WIDTH
from ..protocol import live_session as protocol
from ..protocol.frames import ErrorFrame, NoticeFrame
from ..protocol.redaction import conceal
from ..resampler import Resampler
from ..timing import Timing
from .base import Audio, Complete, Failed, Pong, TransportEvent
from .session import Session
from .wire import Wire

__all__ = ["LiveListener", "LiveSession"]

LiveListener = Callable[["LiveSession", TransportEvent], None]
"""Told of what comes on a session."""


class LiveSession(Wire):
    """One open session. It belongs to one reply at a time, and outlives it: what a reply leaves is stopped.

    Binary frames name no turn: they belong to the turn that started last, and are dropped where nobody waits for
    that one any more.

    Args:
        socket: As aiohttp has opened it.
        path: The route, with the query that sets the voice.
        session: Has the API key, to be kept out of messages, and the log.
        timing: How long the voice may take to be ready.
        on_end: Called once when nothing can be sent or received any more.

    Attributes:
        user_turn: What it was told last of what the user said.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        path: str,
        session: Session,
        timing: Timing,
        on_end: Callable[[LiveSession], None],
    ) -> None:
        super().__init__(socket, path, session, timing, on_end)
        self.user_turn: dict[str, Any] | None = None
        self._opened = asyncio.Event()  # a voice is attached, or it has ended
        self._readies = 0
        self._session_id: str | None = None
        self._rate: int | None = None  # that the session sends; None: what it was asked for
        self._listener: LiveListener | None = None
        self._wanted_rate = 0
        self._turns: dict[str, _Turn] = {}  # that somebody waits for, oldest first
        self._started: str | None = None  # the turn that started last
        self._brought_audio = False

    @property
    def clean(self) -> bool:
        """See `Wire.clean`. What comes of stopped turns is told apart."""
        return True

    @property
    def brought_audio(self) -> bool:
        """See `Wire.brought_audio`."""
        return self._brought_audio

    async def ready(self) -> None:
        """See `Wire.ready`. The server says twice that it is; a turn is valid only after the second."""
        try:
            async with asyncio.timeout(self._timing.voice_ready):
                await self._opened.wait()
        except TimeoutError:
            pass
        if not self._opened.is_set():
            what = "no voice was attached to it" if self._readies else "it was not admitted"
            raise APITimeoutError(
                f"The session of Lightning v4 was opened, and {what} within {self._timing.voice_ready:g} s. The "
                f"service may be overloaded",
                request_id=self._session_id,
            )
        if self._ended.is_set():
            raise self.reason or APIConnectionError("The service closed the session as soon as it was open")

    def attach(self, listener: LiveListener, sample_rate: int) -> None:
        """Give the session to a reply.

        Args:
            listener: Called with each event, from the receive loop.
            sample_rate: Of the audio that the reply wants, in Hz. It is converted where the session's is another.
        """
        self._listener = listener
        self._wanted_rate = sample_rate

    def let_go(self) -> None:
        """See `Wire.let_go`. What is still to be spoken is stopped."""
        self._listener = None
        self._stop_turns()

    def drop(self, farewell: dict[str, Any] | None = None) -> None:
        """See `Wire.drop`. The server is told that the session ends."""
        super().drop(farewell or protocol.END)

    def speak(self, stream: int, turn_id: str, text: str) -> None:
        """Have a text spoken, after all that was asked for before."""
        self._turns[turn_id] = _Turn(stream)
        self._post(protocol.speak_body(turn_id, text))

    def tell_user_turn(self, body: dict[str, Any]) -> None:
        """Say what the user has said."""
        self.user_turn = body
        self._post(body)

    def _stop_turns(self) -> None:
        if self._turns:
            self._turns.clear()
            self._post(protocol.INTERRUPT)

    def _receive(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self._hear(data)
            return
        frame = protocol.parse_live_frame(data, secret=self._secret)
        if isinstance(frame, protocol.ReadyFrame):
            self._take_ready(frame)
        elif isinstance(frame, protocol.TurnStartFrame):
            self._started = frame.turn_id
        elif isinstance(frame, protocol.TurnEndFrame):
            self._end_turn(frame.turn_id)
        elif isinstance(frame, protocol.InterruptedFrame):
            self._fail(frame.turn_id, ServerError("The service has stopped a turn that nobody interrupted"))
        elif isinstance(frame, ErrorFrame):
            self._take_error(frame)
        elif isinstance(frame, protocol.UserTurnRefusedFrame):
            self._warn_of_user_turn(frame.error)
        elif isinstance(frame, NoticeFrame):
            self._note(frame)

    def _take_ready(self, frame: protocol.ReadyFrame) -> None:
        self._readies += 1
        self._session_id = frame.session_id or self._session_id
        self._rate = frame.sample_rate or self._rate
        if frame.sample_rate is not None or self._readies > 1:
            self._log.debug("a voice is ready in session %s, at %s Hz", self._session_id, self._rate or "the asked")
            self._opened.set()

    def _hear(self, pcm: bytes) -> None:
        turn = self._turns.get(self._started or "")
        if turn is None:
            return  # late audio of a turn that was stopped
        self._brought_audio = True
        self.reason = None  # an error told before did not end the session
        self._tell_audio(turn, turn.take(pcm, self._rate or self._wanted_rate, self._wanted_rate))

    def _end_turn(self, turn_id: str | None) -> None:
        turn = self._turns.pop(turn_id or "", None)
        if turn is not None:
            self._tell_audio(turn, turn.finish())
            self._tell(Complete(turn.stream))

    def _take_error(self, frame: ErrorFrame) -> None:
        error = frame.error
        conceal(error, self._texts)
        if frame.request_id is not None:
            self._fail(frame.request_id, error)
            return
        self.reason = error  # should the server close the session now, it is for this
        self.idle_told = isinstance(
            error, APIConnectionError
        )  # only the announcement of an idle close is of this type
        if not self._opened.is_set():
            self._break(error)
        elif self._turns:
            streams = self._streams
            self._stop_turns()  # whichever it was of: what is asked for again is not to be spoken twice
            self._tell(Failed(streams, error))

    def _fail(self, turn_id: str | None, error: SmallestAIError) -> None:
        turn = self._turns.pop(turn_id or "", None)
        if turn is not None:
            self._tell(Failed((turn.stream,), error))

    def _warn_of_user_turn(self, error: SmallestAIError) -> None:
        conceal(error, self._texts)
        self._log.warning("what the user said is not heard by the voice: %s", error)

    def _tell_audio(self, turn: _Turn, pcm: bytes) -> None:
        if pcm:
            self._tell(Audio(turn.stream, pcm))

    def _tell(self, event: TransportEvent) -> None:
        if self._listener is not None:
            self._listener(self, event)

    def _ponged(self) -> None:
        self._tell(Pong())

    @property
    def _streams(self) -> tuple[int, ...]:
        return tuple(turn.stream for turn in self._turns.values())

    def _lost(self, error: SmallestAIError) -> None:
        streams = self._streams
        self._turns.clear()
        self._tell(Failed(streams, error, connection_lost=True))

    def _closed(self, code: int | None, why: str) -> SmallestAIError:
        if code == aiohttp.WSCloseCode.POLICY_VIOLATION and not self._opened.is_set():
            return InvalidRequestError(
                f"The service has refused the session ({why}). Check sample_rate, voice_id and speed"
            )
        return super()._closed(code, why)

    def _end(self, error: SmallestAIError) -> bool:
        ended = super()._end(error)
        self._opened.set()
        return ended


class _Turn:
    """A turn that somebody waits for: its audio, at the rate that is wanted.

    Args:
        stream: The stream that it is.
    """

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self._resampler: Resampler | None = None
        self._half_sample = b""

    def take(self, pcm: bytes, rate: int, wanted: int) -> bytes:
        """Take audio. Returns what is ready of it."""
        if self._resampler is None:
            if rate == wanted:
                return pcm
            self._resampler = Resampler(rate, wanted, 1)
        pcm = self._half_sample + pcm
        whole = len(pcm) - len(pcm) % SAMPLE_WIDTH
        pcm, self._half_sample = pcm[:whole], pcm[whole:]
        return self._resampler.process(pcm) if pcm else b""

    def finish(self) -> bytes:
        """It has ended. Returns what was held back of it."""
        return b"" if self._resampler is None else self._resampler.flush()
