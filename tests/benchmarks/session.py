"""One call: a voice and a listener, and what the listener got of each reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import drivers
from room import FRAME, Ear

CHARACTER_SECONDS = 0.05
"""Seconds of audio that the server's tone voice gives each character that is no white space."""

LIMIT = 60.0
"""Seconds after which a reply, or what a listener waits for, counts as hung."""


@dataclass
class Outcome:
    """What the listener got of a reply. All times in seconds.

    Attributes:
        wanted: How long its audio is.
        heard: How much of that was heard.
        first: From its start (or the interruption before it) to the first frame heard; ``None`` where nothing was.
        gap: Silence between its first frame and its last.
        tail: From the moment when its last audio reached the track until the speaker said that it is over.
        silent_tail: From the moment when its last frame had been heard until then; 0 if that came first.
        failure: What was raised; ``None`` where nothing was.
    """

    wanted: float = 0.0
    heard: float = 0.0
    first: float | None = None
    gap: float = 0.0
    tail: float = 0.0
    silent_tail: float = 0.0
    failure: str | None = None


class Session:
    """A voice and its listener."""

    def __init__(self, driver: str, base_url: str) -> None:
        self.voice = drivers.make(driver, base_url)
        self.ear = Ear(self.voice.track)
        self._clock = asyncio.get_running_loop().time

    async def reply(self, sentences: Sequence[str], since: float | None = None) -> Outcome:
        """Speak a reply and listen to its end.

        Args:
            sentences: The text.
            since: What the time to first audio counts from, by the loop's clock; ``None``: from now.
        """
        start = self._clock() if since is None else since
        outcome = Outcome(wanted=sum(len("".join(s.split())) for s in sentences) * CHARACTER_SECONDS)
        self.ear.begin()
        try:
            async with asyncio.timeout(LIMIT):
                await self.voice.speak(sentences)
        except Exception as error:  # whatever a contestant raises is its result
            outcome.failure = f"{type(error).__name__}: {error}".rstrip(": ")
        over = self._clock()
        await self.ear.end()
        outcome.heard = self.ear.frames * FRAME
        if self.ear.first is not None:
            outcome.first = self.ear.first - start
            outcome.gap = self.ear.gap_frames * FRAME
            outcome.tail = max(0.0, over - self.voice.track.last_added)
            outcome.silent_tail = max(0.0, over - self.ear.last)
        elif outcome.failure is None:
            outcome.failure = "nothing was heard"
        return outcome

    async def barge_in(self, first: Sequence[str], after: float, second: Sequence[str]) -> Outcome:
        """Interrupt a reply once so many seconds of it were heard, and start the next one at once.

        Returns:
            The outcome of the next one; its time to first audio counts from the interruption.
        """
        self.ear.begin()
        speaking = asyncio.ensure_future(self.voice.speak(first))
        hearing = asyncio.ensure_future(self.ear.hears(round(after / FRAME)))
        await asyncio.wait({hearing, speaking}, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            hearing.cancel()
            speaking.cancel()
            await asyncio.wait({hearing, speaking}, timeout=LIMIT)
            return Outcome(failure="the reply that was to be interrupted was not heard")
        start = self._clock()
        await self.voice.interrupt()
        with contextlib.suppress(
            Exception, asyncio.CancelledError
        ):  # how an interrupted reply ends is its own matter
            async with asyncio.timeout(LIMIT):
                await speaking
        return await self.reply(second, since=start)
