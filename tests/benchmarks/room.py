"""The listener: pulls frames of 20 ms in real time, and notes what is heard and when.

It is the same for every contestant. A track is anything with a ``frame_buffer`` (what waits to be played) and a
``recv`` that takes the next frame; the framework's `CustomAudioStreamTrack` is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

FRAME = 0.02
"""Seconds of audio in a frame."""

GROUPS = 2
"""Listeners are pulled in so many groups, so that hundreds of them are not all due at the same moment; and in no
more, since waking up costs more than pulling a frame."""

GRACE = 10
"""Silent frames after which a reply that its speaker calls over is over for the listener, as for the framework."""


class Track(Protocol):
    """Where a contestant puts its audio."""

    frame_buffer: list[Any]
    last_added: float

    async def recv(self) -> Any:
        """The next frame; silence where nothing waits."""


class Ear:
    """One listener.

    Attributes:
        frames: Frames of audio heard in this reply.
        first: When the first of them was heard, by the loop's clock; ``None`` before.
        last: When the latest of them had been heard.
        gap_frames: Silent frames between the first and the latest.
        stale: Frames that were still there when a reply began: of the one before.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.listening = False
        self.on_begin: Callable[[], None] | None = None
        self.frames = 0
        self.first: float | None = None
        self.last = 0.0
        self.gap_frames = 0
        self.stale = 0
        self._silent = 0
        self._over = False
        self._silent_since_over = 0
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._clock = asyncio.get_running_loop().time

    def begin(self) -> None:
        """A reply begins."""
        if self.track.frame_buffer:
            self.stale += len(self.track.frame_buffer)
            self.track.frame_buffer.clear()
        self.frames = self.gap_frames = self._silent = self._silent_since_over = 0
        self.first = None
        self._over = False
        self.listening = True
        if self.on_begin is not None:
            self.on_begin()

    async def hears(self, frames: int) -> None:
        """Wait until so many frames of the reply were heard."""
        self._wanted = frames
        await self._wait()

    async def end(self) -> None:
        """The speaker says that the reply is over: wait until the rest was heard."""
        self._over = True
        await self._wait()
        self.listening = False

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._wanted = 0

    async def pull(self) -> None:
        """Play one frame."""
        if self.track.frame_buffer:
            self._hear()
        else:
            self._silent += 1
            self._silent_since_over += self._over
            if self._silent_since_over > GRACE:
                self._wake()
        await self.track.recv()

    def _hear(self) -> None:
        now = self._clock()
        if self.first is None:
            self.first = now
        else:
            self.gap_frames += self._silent
        self._silent = self._silent_since_over = 0
        self.frames += 1
        self.last = now + FRAME
        if self._wanted and self.frames >= self._wanted:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Room:
    """Has every listener pull its frames.

    One task for all of them: a task and a timer for each would cost more than what is measured. A listener that
    hears no reply pulls nothing; a real room would pull silence, which is no contestant's cost.

    Attributes:
        lags: Seconds by which each round came late: how busy this process is.
    """

    def __init__(self, ears: Sequence[Ear]) -> None:
        self.lags: list[float] = []
        groups = min(GROUPS, len(ears))
        self._groups = [ears[start::groups] for start in range(groups)]
        self._ears = ears
        self._begun = asyncio.Event()
        for ear in ears:
            ear.on_begin = self._begun.set

    async def run(self) -> None:
        """Pull until cancelled."""
        clock = asyncio.get_running_loop().time
        for group in self._groups:
            for ear in group:
                await ear.track.recv()  # the framework's track counts its time from the first one
        step = FRAME / len(self._groups)
        due = clock()
        while True:
            if not any(ear.listening for ear in self._ears):
                self._begun.clear()
                await self._begun.wait()
                due = clock()
            for group in self._groups:
                due += step
                await asyncio.sleep(max(0.0, due - clock()))
                self.lags.append(clock() - due)
                for ear in group:
                    if ear.listening:
                        await ear.pull()
