"""One segment under way: what has come for it, and what of that is new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..errors import APIConnectionError, SmallestAIError
from .account import Slot
from .boundaries import ends_whole_sentence
from .ending import SILENCE_LIMIT, is_plausible
from .playback import SAMPLE_WIDTH
from .protocol import Alive, Answered, Audio, Complete, Event, Word
from .releases import Releases
from .retry import NoAudioError
from .route import Route
from .text import Segment
from .words import SpokenPiece
from .wordtimes import WordTimes

__all__ = ["Link", "Passage", "Request"]

CLOSE_ENOUGH = 0.8
"""A repetition that stops after this part of what had been delivered counts as the whole: a live model does not
speak the same words in exactly the same time."""


EARLY_WORDS = 1000
"""Words told before any audio is played that are remembered. A request has at most 125, and a server gone mad must
not fill the memory."""

RELEASE_SILENCE = 0.5
"""Seconds without a chunk after which a part counts as spoken on a server that does not say so."""


class Request(Protocol):
    """A request as a transport hands it out."""

    @property
    def prompt(self) -> bool:
        """Whether the server has been sending `complete` promptly."""

    @property
    def interleaved(self) -> bool:
        """Whether the server has been seen to mix requests."""

    @property
    def ended(self) -> bool:
        """Whether it is complete, or has failed."""

    @property
    def stream_bytes(self) -> int:
        """Bytes of audio that its connection had brought before it."""

    async def wait(self) -> None:
        """Wait for the end as the server tells it; raises `SmallestAIError`."""

    async def prove(self, since: float) -> float | None:
        """Ask whether the network still carries; ``None`` if it does, else how long it has not answered."""

    def release(self, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        """Take it for ended; what still comes goes elsewhere."""

    def abort(self, error: SmallestAIError | None = None) -> None:
        """Make the server stop. ``error`` is what `wait` then raises."""


class Link(Protocol):
    """A transport, bound to one reply's settings. It raises; it never tries again."""

    route: Route

    @property
    def joins(self) -> bool:
        """Whether all segments of a reply are parts of one request, a `JoinedRequest`."""

    @property
    def ends_are_told(self) -> bool:
        """Whether the end of a request is always told."""

    @property
    def runs_ahead(self) -> bool:
        """Whether a request may be sent while another is in progress."""

    async def open(self) -> None:
        """Find out whether the service is there; raises `SmallestAIError`."""

    async def send(self, text: str, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> Request:
        """Send a request; ``on_end`` is called once it is over for the server. Raises `SmallestAIError`."""


class JoinedRequest(Request, Protocol):
    """A request that takes its text in parts."""

    async def add(self, segment: Segment) -> None:
        """Send a further part; raises `SmallestAIError`."""

    async def close(self) -> None:
        """There is no further part; raises `SmallestAIError`."""


class Passage:
    """A segment from its request to its end; or, where the transport joins them, all segments of a reply.

    Attributes:
        segments: What is to be spoken.
        rate: Sample rate of its audio, in Hz.
        closed: Whether no further segment is joined to it.
        slot: Its place in the account, while a request is sent or in progress.
        request: The newest request for it.
        received: Bytes of its audio so far, repetitions not counted.
        in_line_at: When everything before it had ended, by the loop's clock.
        sent_at: When the newest request was sent; ``None`` before, and between a failure and the next attempt.
        last_chunk_at: When the newest chunk came, repetitions included.
        longest_pause: Between two chunks of one attempt, in seconds.
        answered: Whether the service has accepted a request for it.
        complete: Whether the server has said that all was sent.
        error: Why it cannot be spoken.
        refused: Whether its last request was one too many for the account.
        playing: Whether any of it has been played.
        end_sent: Whether the newest request was told that no further segment is joined to it.
        ended: Whether the reply has gone on.
        asked_again: Whether it has been asked again for being too short.
        resumes: How often its audio was resumed after a break.
        attempt_bytes: Bytes that the newest attempt has brought, repetitions included.
        fetching: The task that fetches it.
        piece: Its words, once it is being played.
    """

    def __init__(
        self,
        segment: Segment,
        rate: int,
        on_change: Callable[[], None],
        on_audio: Callable[[], None],
        *,
        closed: bool,
        speed: float = 1.0,
    ) -> None:
        self.segments = [segment]
        self.rate = rate
        self.closed = closed
        self.slot: Slot | None = None
        self.request: Request | None = None
        self.received = 0
        self.in_line_at: float | None = None
        self.sent_at: float | None = None
        self.last_chunk_at: float | None = None
        self.longest_pause = 0.0
        self.answered = False
        self.complete = False
        self.error: SmallestAIError | None = None
        self.refused = False
        self.playing = False
        self.end_sent = False
        self.ended = False
        self.asked_again = False
        self.resumes = 0
        self.attempt_bytes = 0
        self.fetching: asyncio.Task[None] | None = None
        self.piece: SpokenPiece | None = None
        self._clock = asyncio.get_running_loop().time
        self._on_change = on_change
        self._on_audio = on_audio
        self._speed = speed
        self._buffer: list[bytes] = []
        self._to_skip = 0
        self._before_attempt = 0
        self._to_repeat = 0
        self._releases = Releases()
        self._releases_tell = True
        self._just_released = False
        self._closed_after_release = False
        self._sent = 0
        self._mark = self._mark_before = (0, 0)
        self._origin = 0
        self._early_words: list[tuple[str, float]] = []
        self._word_times: WordTimes | None = None

    @property
    def text(self) -> str:
        """What is to be spoken, as it is written."""
        return "".join(segment.lead + segment.text for segment in self.segments).lstrip()

    @property
    def undelivered(self) -> list[Segment]:
        """The segments from the first one that is not known to have come whole."""
        return self.segments[self._mark[0] :]

    @property
    def audio_seconds(self) -> float:
        """Seconds that its audio lasts, as far as it has come."""
        return self.seconds_of(self.received)

    @property
    def waiting(self) -> bool:
        """Whether audio waits to be played."""
        return bool(self._buffer)

    @property
    def new_audio(self) -> bool:
        """Whether the newest attempt has brought a new sample."""
        return self.received // SAMPLE_WIDTH > self._before_attempt // SAMPLE_WIDTH

    @property
    def repeated(self) -> bool:
        """Whether the newest attempt has come as far as those before."""
        return self.attempt_bytes > 0 and not self._to_skip

    @property
    def caught_up(self) -> bool:
        """Whether the newest attempt has come (about) as far as those before."""
        return self.attempt_bytes > 0 and self._to_skip <= (1 - CLOSE_ENOUGH) * self._to_repeat

    @property
    def over(self) -> bool:
        """Whether nothing more will come for it."""
        return self.complete or self.ended or self.error is not None

    def begin_attempt(self) -> None:
        """The next audio begins with the first undelivered segment: skip what has come of it."""
        if self.received:
            self.resumes += 1
        self._closed_after_release |= self._just_released
        self.sent_at = None
        self._sent = self._mark[0]
        self._before_attempt = self.received
        self._releases = Releases()
        self._origin = self._mark[1]
        self._to_repeat = self._to_skip = self.received - self._origin
        self.attempt_bytes = 0
        self.end_sent = False
        self._word_times = None
        self._early_words.clear()
        if self.piece is not None:
            self.piece.restart(self._mark[0])

    def add(self, segment: Segment) -> None:
        """Join a further segment."""
        self.segments.append(segment)
        if self.piece is not None:
            self.piece.extend(segment.lead + segment.text)
        self._on_change()

    @property
    def delivered(self) -> bool:
        """Whether all of it is known to have come whole."""
        return self.closed and self._mark[0] == len(self.segments)

    def holds_back(self, *, urgent: bool) -> bool:
        """Whether the next part waits until the last one was spoken.

        It does after a break: then each release is known to be its own, and what it brought is never asked for
        again. Where the listener will soon have nothing to hear that matters less, unless the server closes the
        connection after each release: there nothing would ever get further.
        """
        if urgent and not self._closed_after_release:
            return False
        if not self.resumes or self.sent_at is None or self._releases.all_told(closed=False):
            return False
        if not ends_whole_sentence(self.segments[self._sent - 1].text):
            return False  # the server itself waits for the sentence's end
        spoken = self.last_chunk_at is not None and self.last_chunk_at > self.sent_at
        quiet = self._clock() - max(self.sent_at, self.last_chunk_at or 0.0)
        return quiet < (RELEASE_SILENCE if spoken else SILENCE_LIMIT)

    @property
    def unsent(self) -> bool:
        """Whether a part of the text is still to be sent in this attempt."""
        return self._sent < len(self.segments)

    @property
    def _is_plausibly_more(self) -> bool:
        """Whether what has come since the mark may be all that was sent since: a release may be of a part only."""
        new = self.received - self._mark[1]
        text = "".join(segment.text for segment in self.segments[self._mark[0] : self._sent])
        return new > 0 and is_plausible(self.seconds_of(new), text, self._speed)

    @property
    def _all_sent(self) -> bool:
        return self.closed and not self.unsent

    @property
    def awaits_nothing(self) -> bool:
        """Whether nothing has been sent in this attempt: all that there was had come when it began."""
        return self._sent == self._mark[0] and not self.attempt_bytes

    @property
    def untold(self) -> bool:
        """Whether a part of the text, or that there is no more, is still to be sent in this attempt."""
        return self.unsent or (self.closed and not self.end_sent)

    def next_part(self, *, urgent: bool) -> Segment | None:
        """The next segment to send in this attempt, ``urgent`` or not; ``None`` while there is none."""
        if not self.unsent or self.holds_back(urgent=urgent):
            return None
        self._sent += 1
        part = self.segments[self._sent - 1]
        self._releases.sent(part.text)
        return part

    def hear(self, event: Event) -> None:
        """Take in what came for it."""
        if isinstance(event, Alive):
            self._on_change()
            return
        self.answered = True
        self._just_released = False
        if isinstance(event, Audio):
            self._hear_audio(event.pcm)
        elif isinstance(event, Word):
            self._hear_word(event)
        elif isinstance(event, Complete):
            self._hear_release()
        elif isinstance(event, Answered):
            self._on_change()

    def ask_again(self) -> None:
        """Have it requested once more, from its first undelivered segment."""
        self.asked_again = True
        self.sent_at = None
        if self.request is not None:
            self.request.abort(APIConnectionError("The connection went silent before all of a segment had come"))

    def speak(self, piece: SpokenPiece) -> None:
        """Its audio is played from now on: its words belong to this piece of the reply."""
        self.piece = piece
        for segment in self.segments[1:]:
            piece.extend(segment.lead + segment.text)
        for text, start in self._early_words:
            piece.place(text, start)

    def take(self) -> bytes:
        """The audio that waits to be played."""
        pcm = b"".join(self._buffer)
        self._buffer.clear()
        return pcm

    def _hear_audio(self, pcm: bytes) -> None:
        now = self._clock()
        if self.attempt_bytes and self.last_chunk_at is not None:
            self.longest_pause = max(self.longest_pause, now - self.last_chunk_at)
        self.last_chunk_at = now
        self.attempt_bytes += len(pcm)
        self._releases.heard(closed=self._all_sent)
        skipped = min(self._to_skip, len(pcm))
        self._to_skip -= skipped
        if len(pcm) > skipped:
            if self._mark == (self._sent, self.received) != (0, 0):
                # All that was sent had been told to be released, and more comes: what is told means something else.
                self._mark, self._releases_tell = self._mark_before, False
            self.asked_again = False
            self._buffer.append(pcm[skipped:])
            self.received += len(pcm) - skipped
            self._on_audio()

    def _hear_word(self, word: Word) -> None:
        if self._word_times is None:
            before = self.request.stream_bytes if self.request is not None else 0
            self._word_times = WordTimes(self.seconds_of(before))
        heard = self.seconds_of(self.attempt_bytes)
        start = self.seconds_of(self._origin) + self._word_times.place(word, heard)
        if self.piece is None and len(self._early_words) < EARLY_WORDS:
            self._early_words.append((word.text, start))
        elif self.piece is not None:
            self.piece.place(word.text, start)
            self._on_change()

    def seconds_of(self, size: int) -> float:
        """Seconds that so many bytes of its audio last."""
        return size / SAMPLE_WIDTH / self.rate

    def _hear_release(self) -> None:
        """Part of a joined text is complete. With as many releases as sentences, all have come whole."""
        self._just_released = True
        self._releases.told(closed=self._all_sent)
        all_told = self._releases.all_told(closed=self._all_sent)
        if all_told and self._releases_tell and not self._to_skip and self._is_plausibly_more:
            self._mark_before, self._mark = self._mark, (self._sent, self.received)
        if self.request is not None and self._all_sent and not self.attempt_bytes and all_told:
            self.request.abort(NoAudioError("The service said that the speech is complete, and sent no audio"))
        self._on_change()
