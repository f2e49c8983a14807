"""Which stream each frame of a WebSocket belongs to. Knows nothing of sockets."""

from __future__ import annotations

from typing import Any

from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame, WordFrame

__all__ = ["Demultiplexer"]


class Demultiplexer:
    """The streams of one reply on one connection.

    A frame of plain requests belongs to the stream whose id it echoes, else to the one that the server's own id has
    been seen with. An id that is new belongs to the only stream that none has been seen with yet; a frame without
    any to the only open stream. A `complete` that tells nothing belongs to the oldest, an error to all.

    Every frame belongs to the context, where there is one: none echoes its id.

    Attributes:
        indistinct: Whether a frame came that may be one of several streams' audio.
    """

    def __init__(self) -> None:
        self.indistinct = False
        self._open: dict[int, None] = {}  # in the order sent
        self._by_request: dict[str, int] = {}
        self._by_server: dict[str, int] = {}
        self._named: set[int] = set()
        self._context: int | None = None
        self._unended = 0
        self._closed = False

    @property
    def streams(self) -> tuple[int, ...]:
        """The streams that have not ended, oldest first."""
        return tuple(self._open)

    @property
    def clean(self) -> bool:
        """Whether nothing more can come for any stream."""
        return not self._open and not self.indistinct

    def begin(self, stream: int, request_id: str) -> None:
        """Expect frames for a plain request."""
        self._open[stream] = None
        self._by_request[request_id] = stream

    def begin_fragment(self, stream: int, request_id: str) -> None:
        """Expect frames for a fragment of a context. All its fragments have the same id."""
        if self._context != stream:
            self._context, self._unended, self._closed = stream, 0, False
            self._by_request[request_id] = stream
        self._open[stream] = None
        self._unended += 1

    def close_context(self) -> None:
        """Note that the context gets no further fragment."""
        self._closed = True
        self._end_context()

    def owner(self, frame: AudioFrame | WordFrame) -> int | None:
        """The stream that a frame belongs to; ``None``: nobody waits for it, or nobody can tell."""
        if self._is_foreign(frame):
            return None
        if self._context is not None:
            return self._context  # ended or not: a server may say `complete` more often than expected
        stream = self._known(frame)
        if stream is None and frame.request_id is None:
            stream = self._likely(frame.server_id)
        return stream if stream in self._open else None

    def complete(self, frame: CompleteFrame) -> int | None:
        """The stream that a `complete` belongs to. A plain request ends by it, a context by all of its own."""
        if self._is_foreign(frame):
            return None
        if self._context is not None:
            self._unended = max(0, self._unended - 1)
            self._end_context()
            return self._context
        stream = self._known(frame)
        if stream is None and frame.request_id is None:
            stream = next(iter(self._open), None)
        return None if stream is None or not self.end(stream) else stream

    def failed(self, frame: ErrorFrame) -> tuple[int, ...]:
        """The streams that an error ends: the one that it names, else all. They have ended."""
        if self._is_foreign(frame):
            return ()
        stream = self._known(frame) if self._context is None else None
        named = stream is not None or (frame.request_id is not None and self._context is None)
        ended = tuple(s for s in self._open if s == stream) if named else self.streams
        for each in ended:
            self.end(each)
        self._context = None
        return ended

    def end(self, stream: int) -> bool:
        """Expect nothing more for a stream. Returns whether it had not ended."""
        known = stream in self._open
        self._open.pop(stream, None)
        return known

    def _end_context(self) -> None:
        if self._closed and self._unended == 0 and self._context is not None:
            self.end(self._context)

    def _is_foreign(self, frame: AudioFrame | WordFrame | CompleteFrame | ErrorFrame) -> bool:
        """Whether it answers a request that is none of ours."""
        return frame.request_id is not None and frame.request_id not in self._by_request

    def _known(self, frame: Any) -> int | None:
        """The stream that the frame's ids name, ended or not."""
        request_id, server_id = frame.request_id, frame.server_id
        if request_id is not None:
            stream = self._by_request.get(request_id)
            if stream is not None and server_id is not None:
                self._learn(server_id, stream)
            return stream
        return self._by_server.get(server_id) if server_id is not None else None

    def _learn(self, server_id: str, stream: int) -> None:
        if server_id not in self._by_server:
            self._by_server[server_id] = stream
            self._named.add(stream)

    def _likely(self, server_id: str | None) -> int | None:
        candidates = list(self._open)
        if server_id is not None and len(candidates) > 1:
            candidates = [stream for stream in candidates if stream not in self._named]
        if len(candidates) == 1:
            if server_id is not None:
                self._learn(server_id, candidates[0])
            return candidates[0]
        self.indistinct |= len(self._open) > 1
        return None
