"""One reply, from its first segment to its last sample: in order, one segment ahead, whole or an error."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ..errors import SmallestAIError
from ..settings import Settings
from .account import Account
from .boundaries import ends_whole_sentence
from .ending import SILENCE, Ruling, is_plausible, likely_end
from .fetching import Fetcher
from .late import LateAudio
from .passage import Link, Passage, Request
from .playback import Playback
from .signals import Signal
from .source import TextSource
from .spoken import SpokenWords
from .text import Segment
from .watchdog import SilenceWatchdog

__all__ = ["Turn"]

logger = logging.getLogger(__name__)

LONG_FOR_A_CHUNK = 0.12
"""Seconds without a chunk that are unusual in mid-speech: 100 ms of audio come each 30 ms."""

RESERVE = 0.1
"""Seconds left to hear at which audio is handed over at once: five frames, more than a busy event loop is late."""

COLLECTED = (0.05, 0.3)
"""Seconds for which audio is collected while the listener has more than that to hear, at least and at most: to wake
the player for each chunk costs more than to play it."""

AHEAD = 2
"""Requests under way: the one that is heard, and one ahead."""


class Turn:
    """Speaks one reply.

    Args:
        source: The text. Taken only when there is room for a further request, so that the framework's estimate of
            what was spoken stays right.
        link: How the service is reached.
        playback: Where the audio goes.
        settings: The reply's settings.
        account: The requests of this instance.
        words: Tells the reply's words as they are heard; ``None`` where nobody wants them.

    Attributes:
        late: Takes the audio that may still come for a segment whose end was guessed.
    """

    def __init__(
        self,
        source: TextSource,
        link: Link,
        playback: Playback,
        settings: Settings,
        account: Account,
        words: SpokenWords | None = None,
    ) -> None:
        self._source = source
        self._link = link
        self._playback = playback
        self._settings = settings
        self._account = account
        self._words = words
        self._played_on = Signal()  # wakes the player only: a chunk is no news for who reads the text
        self._changed = Signal(also=self._played_on)
        self._fetcher = Fetcher(link, account, self._changed, lambda: playback.remaining)
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._started_at = self._clock()
        self._passages: list[Passage] = []
        self._unended: list[Request] = []
        self._watchdog = SilenceWatchdog(link, playback, settings.speed, self._passages)
        self._collecting: asyncio.TimerHandle | None = None
        self._awaits_text = False
        self._text_error: BaseException | None = None
        self._stopped = False
        self._work: asyncio.Task[None] | None = None
        self.late: LateAudio | None = None

    async def run(self) -> None:
        """Speak. Returns when all audio has gone to the sink, or after `stop`.

        Raises:
            SmallestAIError: Speech could not be produced. What was heard until then is an exact beginning.
        """
        if self._stopped:
            return
        if self._words is not None:
            self._words.start()
        self._work = asyncio.ensure_future(self._speak())
        try:
            await asyncio.wait({self._work})
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait({self._work})
            if not self._work.cancelled():
                self._work.exception()  # it failed at the same moment: looked at, or asyncio would complain
            raise
        if not self._work.cancelled():
            self._work.result()
        elif self._text_error is not None and not self._stopped:
            raise self._text_error

    def stop(self) -> None:
        """End the reply at once. When this returns, no further byte reaches the sink."""
        first_call, self._stopped = not self._stopped, True
        self._playback.close()
        self.stop_late()
        if self._words is not None:
            self._words.stop()
        if self._work is not None and not self._work.done():
            self._work.cancel()
            if first_call:
                self._log("reply, stopped")
        self._drop_requests()
        self._stop_collecting()

    def stop_late(self) -> None:
        """Play no late audio any more: something else goes to the sink now."""
        if self.late is not None:
            self.late.close()

    async def finish_late(self) -> None:
        """As `stop_late`, once the reply has ended: the frame that late audio left unfinished is filled."""
        if self.late is not None and self.late.is_open:
            self.late.close()
            await self._playback.finish()

    def pause_words(self) -> None:
        """The listener hears nothing for a while."""
        if self._words is not None:
            self._words.clock.pause()

    def resume_words(self) -> None:
        """The listener hears the reply again."""
        if self._words is not None:
            self._words.clock.resume()

    async def wait_closed(self) -> None:
        """After `stop`: wait until nothing of it runs any more."""
        if self._work is not None and self._work is not asyncio.current_task():
            await asyncio.wait({self._work})
        if self.late is not None:
            await self.late.aclose()
        if self._words is not None:
            await self._words.aclose()

    @property
    def lingers(self) -> bool:
        """Whether something of it may still come after its end: late audio, or words not yet heard."""
        return (self.late is not None and self.late.is_open) or (self._words is not None and self._words.pending)

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before its end."""
        return self._stopped

    def _drop_requests(self) -> None:
        under_way = [p.request for p in self._passages if p.request is not None and not p.complete]
        for request in under_way + self._unended:
            request.abort()

    async def _speak(self) -> None:
        await self._fetcher.open()
        failure: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(tasks))
            try:
                await self._play()
            except Exception as error:  # raised below: the task group would wrap it
                failure = error
            self._stop_collecting()
            await self._playback.finish()
            if self._words is not None:
                self._words.clock.finish()
            self._source.stop()
            self._changed.notify()
            await asyncio.wait({reading})
            for passage in self._passages:
                if passage.fetching is not None:
                    passage.fetching.cancel()
        self._log("reply" if failure is None else "reply, failed")
        if failure is not None:
            self._drop_requests()
        if isinstance(failure, SmallestAIError):
            failure.unspoken = self._unspoken()
            failure.conceal(passage.text for passage in self._passages)
        self._let_go()
        if failure or self._text_error:
            raise failure or self._text_error  # type: ignore[misc]

    def _let_go(self) -> None:
        """Break what goes in circles: Python's garbage collector would stop every session of the process for it."""
        self._unended = [p.request for p in self._passages if p.request is not None and not p.complete]
        for passage in self._passages:
            passage.request = passage.fetching = None
        self._passages.clear()
        self._fetcher.close()

    def _unspoken(self) -> str:
        segments = [s for passage in self._passages if not passage.ended for s in passage.undelivered]
        return "".join(segment.lead + segment.text for segment in segments).strip()

    def _log(self, what: str) -> None:
        first = self._playback.first_audio_at
        logger.debug(
            "Smallest AI: %s: first audio %s, %d segments, %.2f s of audio, %d gaps (%.2f s), %d resumes",
            what,
            "none" if first is None else f"{first - self._started_at:.3f} s",
            sum(len(passage.segments) for passage in self._passages),
            self._playback.seconds,
            len(self._playback.gaps),
            sum(self._playback.gaps),
            sum(passage.resumes for passage in self._passages),
        )

    # Text in

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        """Take text while there is room, and have its speech fetched."""
        try:
            async with contextlib.aclosing(self._source.segments()) as segments:
                while True:
                    while not self._has_room():
                        await self._changed.wait(SILENCE if self._link.joins else None)
                    self._awaits_text = True
                    segment = await anext(segments, None)
                    if segment is None:
                        break
                    self._awaits_text = False
                    self._request(segment, tasks)
        except Exception as error:  # the caller's own: raised when what was taken before has been spoken
            self._text_error = error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # it is this reply that is cancelled
            self._text_error = error  # something that the text waits for: the caller's own as well
        self._awaits_text = False
        for passage in self._passages:
            passage.closed = True
        self._source.stop()
        self._changed.notify()

    def _has_room(self) -> bool:
        if self._source.stopped:
            return True  # what is left is read, to be named in the error
        if any(passage.error and not passage.ended for passage in self._passages):
            return False  # a fallback provider needs all the text that is not taken
        if self._link.joins:
            return not self._passages or self._joined_has_room(self._passages[-1])
        under_way = sum(not passage.ended for passage in self._passages)
        if under_way and self._link.ends_are_told and not self._passages[0].answered:
            return False  # over HTTP it is the first request that finds out whether the service is there
        return under_way < (AHEAD if self._account.runs_ahead and self._link.runs_ahead else 1)

    def _joined_has_room(self, passage: Passage) -> bool:
        """One segment ahead, as far as that can be told: whose audio it is that comes, the server does not say."""
        if not ends_whole_sentence(passage.segments[-1].text):
            return True  # the server speaks whole sentences: it waits for the end of this one
        if not passage.attempt_bytes and len(passage.undelivered) >= AHEAD:
            return False  # nothing has come: a fallback provider may need the rest
        before_last = "".join(segment.text for segment in passage.segments[:-1])
        if is_plausible(passage.audio_seconds, before_last, self._settings.speed):
            return True
        return self._watchdog.silence(passage) >= likely_end(passage.longest_pause)

    def _request(self, segment: Segment, tasks: asyncio.TaskGroup) -> None:
        if self._link.joins and self._passages:
            self._passages[-1].add(segment)
            return
        previous = self._passages[-1] if self._passages else None
        on_audio = self._notice if self._link.joins else self._notice_audio  # where it is joined, it makes room
        s, closed = self._settings, not self._link.joins
        passage = Passage(segment, s.sample_rate, self._notice, on_audio, closed=closed, speed=s.speed)
        self._passages.append(passage)
        if not self._source.stopped:
            passage.fetching = tasks.create_task(self._fetcher.fetch(passage, previous))
        self._changed.notify()

    # Audio out

    async def _play(self) -> None:
        index = 0
        while (passage := await self._passage(index)) is not None:
            passage.in_line_at = self._clock()
            await self._play_passage(passage, index)
            self._end(passage)
            index += 1

    async def _passage(self, index: int) -> Passage | None:
        """The segment at a place of the reply; ``None`` when the text has ended before."""
        while len(self._passages) <= index:
            if self._source.stopped:
                return None
            await self._changed.wait()
        return self._passages[index]

    async def _play_passage(self, passage: Passage, index: int) -> None:
        """Play one segment to its end, as the server tells it or as it is guessed."""
        while True:
            if passage.waiting:
                if not passage.playing:
                    self._begin(passage)
                if passage.piece is not None:
                    passage.piece.heard(passage.audio_seconds)
                await self._playback.write(passage.take())
            elif passage.error is not None:
                raise passage.error
            elif passage.complete:
                return
            else:
                ruling, seconds = await self._watchdog.rule(index, awaits_text=self._awaits_text)
                if ruling in (Ruling.END, Ruling.END_SHORT):
                    return
                if ruling is Ruling.ASK_AGAIN:
                    passage.ask_again()
                else:
                    await self._wait(seconds)

    async def _wait(self, seconds: float | None) -> None:
        """Wait for a change. At what may be the end of the reply, its last samples are not kept waiting."""
        fill = self._until_fill()
        if fill is not None and (seconds is None or fill < seconds):
            await self._played_on.wait(fill)
            if self._until_fill() == 0.0:
                await self._playback.fill_frame()
        else:
            await self._played_on.wait(seconds)

    def _until_fill(self) -> float | None:
        """Seconds until the last frame is to be filled; ``None`` while this cannot be the end."""
        last = self._passages[-1]
        guessed = not self._link.ends_are_told and last.request is not None and not last.request.prompt
        left = self._playback.until_fill
        if left is None or not (self._source.stopped and guessed and last.playing and last.sent_at is not None):
            return None
        return max(left, LONG_FOR_A_CHUNK - self._watchdog.silence(last), 0.0)

    def _begin(self, passage: Passage) -> None:
        """The first byte of a segment is about to be played: nothing may follow any more of what was before."""
        passage.playing = True
        if self._playback.first_audio_at is None and passage.sent_at is not None:
            self._watchdog.first_audio_seconds = self._clock() - passage.sent_at
        self.stop_late()
        self.late = None
        self._playback.end_segment()
        if self._words is not None:
            first = passage.segments[0].text
            passage.speak(self._words.begin(first, self._playback.seconds, self._settings.speed))

    def _end(self, passage: Passage) -> None:
        passage.ended = True
        if passage.piece is not None:
            passage.piece.end(passage.audio_seconds)
        if not passage.complete and passage.request is not None:
            self.late = LateAudio(self._playback, self._settings.sample_rate)
            passage.request.release(self.late.hear, self.late.end)
            if passage.slot is not None:
                passage.slot.release()
        self._notice()

    def _notice_audio(self) -> None:
        """Audio has come: its player looks at it, in good time, and the words may have moved."""
        if self._collecting is None:
            spare = (self._playback.remaining or 0.0) - RESERVE
            if spare < COLLECTED[0]:
                self._played_on.notify()
            else:
                self._collecting = self._loop.call_later(min(spare, COLLECTED[1]), self._hand_over)
        if self._words is not None:
            self._words.clock.changed()

    def _hand_over(self) -> None:
        self._stop_collecting()
        self._played_on.notify()

    def _stop_collecting(self) -> None:
        if self._collecting is not None:
            self._collecting.cancel()
            self._collecting = None

    def _notice(self) -> None:
        """Something else has happened to a segment."""
        self._changed.notify()
        if self._words is not None:
            self._words.clock.changed()
