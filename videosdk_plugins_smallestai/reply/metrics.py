"""`ReplyMetrics`, the figures of one reply, and what counts them."""

from __future__ import annotations

from dataclasses import dataclass

from ..log import Log
from ..transport.base import Opened, Route

__all__ = ["ReplyMeter", "ReplyMetrics", "log_reply"]


AUDIBLE = 0.05
"""Seconds of the shortest silence that counts as a gap. The closures of consonants in speech are as long."""


@dataclass(frozen=True, slots=True)
class ReplyMetrics:
    """The figures of one reply. There is no spoken text in it.

    Attributes:
        model: The model that spoke: where one is retired, its successor.
        voice_id: The voice that spoke.
        transport: ``"websocket"`` or ``"http"``.
        ttfb: Seconds from the first request to its first audio; ``None`` where none came.
        first_audio: Seconds from the call to the first byte on the track; ``None`` where none came. It includes the
            wait for the text.
        audio_duration: Seconds of audio on the track, the silence that fills the last frame included.
        characters: Characters of all requests, repeated ones included.
        segments: Segments of the text that were asked for.
        requests: Requests, repeated ones included.
        gaps: Silences of at least 0.05 s that the listener heard within the reply while its text was there.
        gap_duration: Seconds of these silences.
        resumes: How often a segment that was partly heard was asked for again.
        connection_reused: Whether the first request found an open connection.
        cancelled: Whether the reply was interrupted, or given up by the caller.
        error: Name of the exception's class with which the reply has failed; else ``None``.
        request_ids: The service's ids of the requests, in their order; where it told none, that which was sent.
    """

    model: str
    voice_id: str
    transport: str
    ttfb: float | None
    first_audio: float | None
    audio_duration: float
    characters: int
    segments: int
    requests: int
    gaps: int
    gap_duration: float
    resumes: int
    connection_reused: bool
    cancelled: bool
    error: str | None
    request_ids: tuple[str, ...]


class ReplyMeter:
    """Counts what a reply's driver does.

    Args:
        route: The one that the settings ask for.
        now: When the reply was called for, by the loop's clock.

    Attributes:
        route: The one on which it is spoken.
    """

    def __init__(self, route: Route, now: float) -> None:
        self.route = route
        self._called_at = now
        self._first_sent_at: float | None = None
        self._first_heard_at: float | None = None
        self._reused = False
        self._characters = 0
        self._requests = 0
        self._resumes = 0
        self._asked_at: dict[int, float] = {}  # by segment
        self._gaps: list[float] = []
        self._ids: dict[int, str | None] = {}  # ours, by stream
        self._told_ids: dict[int, list[str]] = {}  # the service's

    @property
    def request_ids(self) -> tuple[str, ...]:
        """See `ReplyMetrics`."""
        ids: list[str] = []
        for stream, ours in self._ids.items():
            ids += self._told_ids.get(stream) or ([ours] if ours else [])
        return tuple(ids)

    def opened(self, event: Opened) -> None:
        """The service is there."""
        self.route = event.route or self.route
        if self._first_sent_at is None:  # one that is lost before has carried no request
            self._reused = event.reused

    def sent(self, stream: int, segment: int, text: str, request_id: str | None, now: float) -> None:
        """A request is sent, perhaps under an id of ours."""
        if self._first_sent_at is None:
            self._first_sent_at = now
        self._asked_at.setdefault(segment, now)
        self._requests += 1
        self._characters += len(text)
        self._ids[stream] = request_id

    def heard(self, stream: int, server_id: str | None, now: float) -> None:
        """Audio came."""
        if self._first_heard_at is None:
            self._first_heard_at = now
        self._note_id(stream, server_id)

    def ended(self, stream: int, server_id: str | None) -> None:
        """All of a request has come, perhaps without any audio."""
        self._note_id(stream, server_id)

    def failed(self, stream: int, request_id: str | None) -> None:
        """A request has failed."""
        if self._ids.get(stream) is None:  # else the id may be ours, or that of a whole session
            self._note_id(stream, request_id)

    def _note_id(self, stream: int, server_id: str | None) -> None:
        told = self._told_ids.setdefault(stream, [])
        if server_id is not None and server_id not in told:
            told.append(server_id)

    def resumed(self) -> None:
        """A segment that was partly heard is asked for again."""
        self._resumes += 1

    def silence(self, segment: int, seconds: float, now: float) -> None:
        """The listener has heard a silence, which ends now with a segment's audio.

        It counts if the segment had been asked for when it began: else it was the text that was late.
        """
        if seconds >= AUDIBLE and self._asked_at.get(segment, now) <= now - seconds:
            self._gaps.append(seconds)

    def metrics(
        self, first_audio_at: float | None, audio_duration: float, *, cancelled: bool, error: BaseException | None
    ) -> ReplyMetrics:
        """The figures as they are now.

        Args:
            first_audio_at: When the first byte went out.
            audio_duration: Seconds of audio that went out.
            cancelled: Whether the reply was interrupted.
            error: With what it has failed.
        """
        ttfb = None
        if self._first_heard_at is not None and self._first_sent_at is not None:
            ttfb = self._first_heard_at - self._first_sent_at
        return ReplyMetrics(
            model=self.route.model,
            voice_id=self.route.voice_id,
            transport=self.route.transport,
            ttfb=ttfb,
            first_audio=None if first_audio_at is None else first_audio_at - self._called_at,
            audio_duration=audio_duration,
            characters=self._characters,
            segments=len(self._asked_at),
            requests=self._requests,
            gaps=len(self._gaps),
            gap_duration=sum(self._gaps),
            resumes=self._resumes,
            connection_reused=self._reused,
            cancelled=cancelled,
            error=None if error is None else type(error).__name__,
            request_ids=self.request_ids,
        )


def log_reply(log: Log, route: Route, reply: ReplyMetrics) -> None:
    """Write the line of a reply's end, and a warning if the listener heard a gap."""
    log = log.bind(
        model=reply.model, voice_id=reply.voice_id, route=route.path, request_ids=", ".join(reply.request_ids)
    )
    log.debug(
        "%s: first audio %s, %d segments, %.2f s of audio, %d gaps (%.2f s), %d resumes",
        "reply, stopped" if reply.cancelled else "reply, failed" if reply.error else "reply",
        "none" if reply.first_audio is None else f"{reply.first_audio:.3f} s",
        reply.segments,
        reply.audio_duration,
        reply.gaps,
        reply.gap_duration,
        reply.resumes,
    )
    if reply.gaps:
        log.warning(
            "the listener has heard %d gaps of %.2f s in all, in which the service was waited for",
            reply.gaps,
            reply.gap_duration,
        )
