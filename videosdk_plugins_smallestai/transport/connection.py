"""One WebSocket of requests: what is sent on it, and which stream what comes belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp

from ..errors import APIConnectionError, ServerError, SmallestAIError
from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame, NoticeFrame, WordFrame, parse_frame
from ..protocol.redaction import conceal
from ..timing import Timing
from .base import Audio, Complete, Failed, Habits, Pong, TransportEvent, Word
from .demultiplexing import Demultiplexer
from .session import Session
from .wire import Wire

__all__ = ["Connection", "Listener"]

Listener = Callable[["Connection", TransportEvent], None]
"""Told of what comes on a connection."""


class Connection(Wire):
    """One open WebSocket, which belongs to one reply at a time. `run` serves it in a task of the keeper's.

    Args:
        socket: As aiohttp has opened it.
        path: The route that it is open on.
        session: Has the API key, to be kept out of messages, and the log.
        timing: When it is pinged, and how long its end may take.
        habits: What the server was seen to do on earlier connections of the route.
        on_end: Called once when nothing can be sent or received any more.

    Attributes:
        habits: What the server was seen to do, on it and before.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        path: str,
        session: Session,
        timing: Timing,
        on_end: Callable[[Connection], None],
        habits: Habits,
    ) -> None:
        super().__init__(socket, path, session, timing, on_end)
        self.habits = habits
        self._use = _Use(None, 1)
        self._seconds = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing can come any more of what was asked for."""
        return self._use.streams.clean

    @property
    def streams(self) -> tuple[int, ...]:
        """The streams on it that have not ended, oldest first."""
        return self._use.streams.streams

    @property
    def brought_audio(self) -> bool:
        """Whether any audio came on it."""
        return self._seconds > 0

    def attach(self, listener: Listener | None, bytes_per_second: int = 1) -> None:
        """Give the connection to a reply; ``None``: to nobody.

        Args:
            listener: Called with each event, from the receive loop.
            bytes_per_second: Of the audio that the reply asks for.
        """
        self._use = _Use(listener, bytes_per_second)

    def request(self, stream: int, request_id: str, body: dict[str, Any]) -> None:
        """Send a plain request."""
        self._use.streams.begin(stream, request_id)
        self._post(body)

    def send_fragment(self, stream: int, body: dict[str, Any]) -> None:
        """Send a fragment of a context."""
        self._use.streams.begin_fragment(stream, body["request_id"])
        self._post(body)

    def close_context(self, body: dict[str, Any]) -> None:
        """Send the end of a context's text."""
        self._use.streams.close_context()
        self._post(body)

    async def ready(self) -> None:
        """See `Wire.ready`. They may be sent at once."""

    def let_go(self) -> None:
        """See `Wire.let_go`."""
        self.attach(None)

    def _receive(self, data: str | bytes) -> None:
        frame = parse_frame(data, secret=self._secret)
        use = self._use
        if isinstance(frame, AudioFrame):
            stream = use.streams.owner(frame)
            if stream is not None:
                use.began.setdefault(stream, self._seconds)
                self.reason = None  # an error told before did not end the connection
                self._tell(Audio(stream, frame.pcm, frame.server_id))
            elif use.streams.indistinct:
                self._give_up_indistinct()
            self._seconds += len(frame.pcm) / use.bytes_per_second
        elif isinstance(frame, WordFrame):
            stream = use.streams.owner(frame)
            if stream is not None:
                began = use.began.get(stream, self._seconds)
                self._tell(Word(stream, frame.text, frame.start, frame.server_id, began))
            elif use.streams.indistinct:
                self._give_up_indistinct()
        elif isinstance(frame, CompleteFrame):
            stream = use.streams.complete(frame)
            if stream is not None:
                self._tell(Complete(stream, frame.server_id))
        elif isinstance(frame, ErrorFrame):
            self._fail(frame)
        elif isinstance(frame, NoticeFrame):
            self._note(frame)

    def _fail(self, frame: ErrorFrame) -> None:
        conceal(frame.error, self._texts)
        if isinstance(frame.error, APIConnectionError):  # only the announcement of an idle close is of this type
            self.idle_told = True
            self._break(frame.error)
            return
        if frame.request_id is None:
            self.reason = frame.error  # should the server close the connection now, it is for this
        streams = self._use.streams.failed(frame)
        if streams:
            self._tell(Failed(streams, frame.error))
        else:
            self._log.debug("an error of no open request: %s", frame.error)

    def _give_up_indistinct(self) -> None:
        # A guess could mix their audio up. Sent again one by one, each is whole.
        error = ServerError("The service does not tell requests apart")
        if self._end(error):
            self._tell(Failed(self.streams, error, connection_lost=True, indistinct=True))

    def _lost(self, error: SmallestAIError) -> None:
        self._tell(Failed(self.streams, error, connection_lost=True))

    def _ponged(self) -> None:
        self._tell(Pong())

    def _tell(self, event: TransportEvent) -> None:
        if self._use.listener is not None:
            self._use.listener(self, event)


class _Use:
    """One reply's use of a connection.

    Attributes:
        listener: Told of what comes; ``None``: nobody is.
        bytes_per_second: Of its audio.
        streams: What it has asked for.
        began: Seconds of audio that the connection had brought before each stream's first.
    """

    __slots__ = ("began", "bytes_per_second", "listener", "streams")

    def __init__(self, listener: Listener | None, bytes_per_second: int) -> None:
        self.listener = listener
        self.bytes_per_second = bytes_per_second
        self.streams = Demultiplexer()
        self.began: dict[int, float] = {}
