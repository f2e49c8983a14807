"""One reply, and each attempt of a voice to speak it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

from videosdk.agents import TTS

from ..errors import SmallestAIError
from ..playhead import Playhead
from ..timing import Timing
from .gate import Gate
from .patience import Patience
from .tape import Place, Reader, Tape, after_audio, after_words, before_unspoken, letters, sentence_start
from .words import EstimatedWords

__all__ = ["Attempt", "Reply"]

AFTER = 1.0
"""Seconds that the listener has to have heard of what comes after some audio, until no word of that is told."""


class Reply:
    """One reply: its text, and the attempts of voices to speak it.

    Args:
        tape: As the attribute.
        live: As the attribute.

    Attributes:
        tape: Its text.
        live: Whether it is heard as it comes.
        attempts: In order.
        place: Where the next attempt begins.
        tried: Indices of the voices that have failed.
        over: Whether no further attempt is to be made.
        stopped: Whether that is for a barge-in.
    """

    def __init__(self, tape: Tape, *, live: bool) -> None:
        self.tape = tape
        self.live = live
        self.attempts: list[Attempt] = []
        self.place = Place(0, 0)
        self.tried: set[int] = set()
        self.over = False
        self.stopped = False

    def end(self) -> None:
        """No further attempt is made."""
        self.over = True

    def failed(self, attempt: Attempt, place: Place) -> None:
        """An attempt has failed: what comes from the place on was not spoken."""
        self.tried.add(attempt.index)
        self.place = place

    def stop(self) -> None:
        """No voice speaks it any more, from this moment on."""
        self.over = self.stopped = True
        for attempt in self.attempts:
            attempt.stop()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        for attempt in self.attempts:
            attempt.pause()

    def resume(self) -> None:
        """The listener hears it again."""
        for attempt in self.attempts:
            attempt.resume()

    @property
    def lingers(self) -> bool:
        """Whether it may still be heard, or words of it be told."""
        return not self.over or any(attempt.lingers for attempt in self.attempts)

    @property
    def nothing_left(self) -> bool:
        """Whether all that there is of the text was spoken."""
        return self.tape.ended and self.tape.error is None and self.place.item >= len(self.tape.items)

    @property
    def told(self) -> str:
        """What the listener was told of it, word by word."""
        return " ".join(attempt.told for attempt in self.attempts if attempt.told)


class Attempt:
    """An attempt of one voice to speak a reply, or what is left of it. To be made in a running event loop.

    Args:
        index: As the attribute.
        voice: As the attribute.
        reply: As the attribute.
        gate: Its way to the track; ``None``: its audio goes elsewhere.
        bytes_per_second: Of that audio.
        listener: Follows what the listener hears of all attempts and replies; ``None``: nobody hears this one.
        on_first_byte: Awaited before the first byte of it.
        timing: The waits.

    Attributes:
        index: The voice's, among the providers.
        voice: The voice.
        reply: What it speaks.
        running: Whether the voice has not ended.
        failure: What the voice has emitted as an error.
        heard: Seconds of audio that it has brought.
        told: The words that it has told, as they read.
        words: Tells its words, where the voice does not.
    """

    def __init__(
        self,
        index: int,
        voice: TTS,
        reply: Reply,
        gate: Gate | None,
        *,
        bytes_per_second: int,
        listener: Playhead | None,
        on_first_byte: Callable[[], Awaitable[None]],
        timing: Timing,
    ) -> None:
        self.index = index
        self.voice = voice
        self.running = True
        self.failure: str | None = None
        self.heard = 0.0
        self.told = ""
        self.words: EstimatedWords | None = None
        self.reply = reply
        self._gate = gate
        self._bytes_per_second = bytes_per_second
        self._listener = listener or Playhead(asyncio.get_running_loop().time)
        self._end = 0.0  # of its audio, in what was pushed
        self._on_first_byte = on_first_byte
        self._timing = timing
        self._reader = Reader(reply.tape, reply.place, self._give)
        self._begun = False
        self._given: list[float] = []  # for each item, the audio that the voice had brought when it got it
        self._concurrent = False  # whether it brings audio while it waits for text
        self._patience = Patience(timing)

    @property
    def text(self) -> Any:
        """What the voice is to speak."""
        return self._reader.give() if self.reply.tape.reading is None else self._reader

    @property
    def lingers(self) -> bool:
        """Whether it may still be heard, or words of it be told."""
        heard = self._listener.pushed - self._listener.remaining
        estimating = self.words is not None and self.words.pending
        return self.running or estimating or (self.heard > 0 and heard < self._end + AFTER)

    @property
    def text_failed(self) -> bool:
        """Whether the voice has got what the caller's text has raised."""
        return self._reader.failed

    def estimate_words(self, words: EstimatedWords) -> None:
        """The voice does not tell its words: these do."""
        self.words = words

    async def first_byte(self) -> None:
        """The voice is about to bring audio. Only the first call counts."""
        if self._begun:
            return
        self._begun = True
        await self._on_first_byte()
        if self.words is not None:
            self.words.first_byte(self._listener.heard_until)

    def hear(self, size: int) -> None:
        """The voice has brought so many bytes."""
        seconds = size / self._bytes_per_second
        self.heard += seconds
        self._concurrent = self._concurrent or self._reader.waiting
        self._patience.hear(seconds)
        self._listener.push(seconds)
        self._end = self._listener.pushed
        if self.words is not None:
            self.words.hear(seconds)

    def goes_on_with(self, event: dict[str, Any]) -> bool:
        """Whether a word that the voice tells goes on with what it has told of this text."""
        told = self._told_with(event)
        return len(told) > len(self.told) and after_words(self._taken, told) > 0

    def hear_word(self, event: dict[str, Any]) -> dict[str, Any]:
        """The voice has told a word. Returns what is to be told of the reply."""
        self.told = self._told_with(event)
        return event | {"cumulative_text": self.reply.told}

    def _told_with(self, event: dict[str, Any]) -> str:
        return event.get("cumulative_text") or f"{self.told} {event.get('word', '')}".strip()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self._patience.pause()
        if self.words is not None:
            self.words.pause()

    def resume(self) -> None:
        """The listener hears the voice again."""
        self._patience.resume()
        if self.words is not None:
            self.words.resume()

    def fail(self, message: str) -> None:
        """The voice has emitted an error. It may still say what it has, and gets nothing more."""
        self.failure = message
        self._tell_to_end()

    def stop(self) -> None:
        """The reply is stopped: nothing more of it is heard."""
        if self._gate is not None:
            self._gate.mute()
        if self.words is not None:
            self.words.stop()
        self._tell_to_end()

    async def run(self, speaking: Coroutine[Any, Any, None]) -> BaseException | None:
        """Let the voice speak. Returns when it has ended, or is taken for hung; what it has failed with."""
        task = asyncio.ensure_future(speaking)
        self._patience.expect()
        try:
            while not task.done() and (left := self._patience.left(asks=self._reader.waiting)) > 0:
                await self._patience.wait(task, left)
            if not task.done() and self.failure is None and not self.reply.stopped:
                await self._give_up(task)
            if not task.done():
                await self._abandon(task)
                return None if self.failure else TimeoutError(self._silent)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task}, timeout=self._timing.fallback_grace)
            raise
        finally:
            self.running = False
            self._reader.close()
        if task.cancelled():
            return self.reply.tape.error if self.text_failed else RuntimeError(f"{self.voice.label} was cancelled")
        return task.exception()

    async def end(self, place: Place | None) -> None:
        """The voice has ended; if it has failed, what comes from the place on it has not spoken."""
        self.running = False
        self._reader.close()
        if self.words is not None:
            tape, start = self.reply.tape, self._reader.start
            self.words.finish(None if place is None else letters(tape.text(start)) - letters(tape.text(place)))
        if self._gate is not None and place is not None:
            await self._gate.close()

    def unspoken_from(self, error: BaseException) -> Place:
        """Where the text begins that the voice has not spoken, or may not have.

        One of ours says so. Of another it is certain that it has spoken what its audio is long enough for, however
        slow it is; the words that it has told; and, if it asks for more only when it has spoken, what it had then.
        """
        tape, start, taken = self.reply.tape, self._reader.start, self._taken
        if isinstance(error, SmallestAIError) and error.unspoken:
            return tape.place(start, before_unspoken(taken, error.unspoken))
        joints = tape.joints(start, self._reader.index)
        certain = max(after_audio(taken, self.heard), after_words(taken, "" if self.words else self.told))
        return tape.place(start, max(sentence_start(taken, joints, certain), joints[self._asked_again()]))

    @property
    def _taken(self) -> str:
        """The text that the voice has got."""
        return self.reply.tape.text(self._reader.start, self._reader.index)

    def _asked_again(self) -> int:
        """The first of its items that it may not have spoken, if it is one that asks for more when it has spoken.

        Audio then comes between two items that it gets. The longest run of items without audio between them tells
        how many it takes ahead: so many before the newest run may be unspoken too. 0 for other voices.
        """
        if self._concurrent or not self._given:
            return 0
        begins = [0, *(i for i, (a, b) in enumerate(pairwise(self._given), 1) if b > a)]
        ahead = max((end - begin for begin, end in pairwise(begins)), default=1) - 1
        return max(0, begins[-1] - ahead)

    def _give(self, item: Any) -> None:
        self._given.append(self.heard)
        self._patience.expect()
        if self.words is not None:
            self.words.take(item)

    def _tell_to_end(self) -> None:
        self._reader.close()
        self._patience.tell_to_end()

    @property
    def _silent(self) -> str:
        return f"{self.voice.label} has been silent for too long"

    async def _give_up(self, task: asyncio.Task[None]) -> None:
        """Have a voice of ours fail: only its own error tells what it has not spoken."""
        if (give_up := getattr(self.voice, "give_up", None)) is not None:
            give_up(self._silent)
            await asyncio.wait({task}, timeout=self._timing.fallback_grace)

    async def _abandon(self, task: asyncio.Task[None]) -> None:
        """End a voice that does not end by itself."""
        if self._gate is not None:
            await self._gate.close()
        interrupting = asyncio.ensure_future(self.voice.interrupt())
        await asyncio.wait({interrupting}, timeout=self._timing.fallback_grace)
        for left in (task, interrupting):
            left.cancel()
            left.add_done_callback(_retrieve)
        await asyncio.wait({task, interrupting}, timeout=self._timing.fallback_grace)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take the exception of a task that nobody waits for, so that asyncio does not warn of it."""
    if not task.cancelled():
        task.exception()
