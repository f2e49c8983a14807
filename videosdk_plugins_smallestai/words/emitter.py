"""Emits each word of a reply when the listener hears it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from ..log import Log
from ..playhead import Playhead
from ..timing import Timing
from .listening import TrackTime
from .timeline import PlacedWord, Timeline

__all__ = ["WordEmitter"]

FRAME = 0.021
"""Seconds at the end of a reply that a track may never report as played: it plays whole frames only, and what an
earlier reply left in its buffer may shift them."""

ROUNDING = 0.1
"""Seconds by which the end of the last word's audio may lie behind what was pushed, by rounding and resampling."""


class WordEmitter:
    """Emits each word of one reply when the listener hears it.

    It follows the track where the track's frames are being pulled, since only the track knows of pauses, underruns
    and what it still had to play. Else it goes by the time that has passed.

    Args:
        timeline: The reply's words.
        track: What the reply is played on.
        emit: Takes ``{"word": ..., "cumulative_text": ...}``. Its exceptions are logged.
        timing: How often a track is looked at, and how long it is waited for.
        log: That of the reply.
    """

    def __init__(
        self,
        timeline: Timeline,
        track: Any,
        emit: Callable[[dict[str, str]], None],
        *,
        timing: Timing,
        log: Log | None = None,
    ) -> None:
        self._log = log or Log()
        self._timeline = timeline
        self._emit = emit
        self._timing = timing
        self._now = asyncio.get_running_loop().time
        self._changed = asyncio.Event()
        self._track = TrackTime(track)
        self._playhead = Playhead(self._now)
        self._frames_at_start: int | None = None
        self._follows = False
        self._pushed = 0.0
        self._emitted = 0
        self._finished = False
        self._stopped = False
        self._paused = False

    def start(self) -> None:
        """The reply is asked for. Until its first byte it shows whether the track's frames are being pulled."""
        self._frames_at_start = self._track.frame_time()

    def first_byte(self, not_before: float = 0.0) -> None:
        """The reply's first byte is about to be added to the track.

        Args:
            not_before: An earlier reply is heard until then, by the loop's clock. For tracks that do not tell what
                they still have to play.
        """
        frames = self._track.frame_time()
        self._track.begin()
        pulled = frames is not None and self._frames_at_start is not None and frames > self._frames_at_start
        self._follows = pulled and self._track.tells
        self._playhead.push(self._track.before if self._follows else max(0.0, not_before - self._now()))
        self._changed.set()

    def pushed(self, seconds_total: float) -> None:
        """So many seconds of the reply's audio have been added to the track by now."""
        self._playhead.push(seconds_total - self._pushed)
        self._pushed = seconds_total
        self._changed.set()

    def changed(self) -> None:
        """The timeline has changed."""
        self._changed.set()

    def finish(self) -> None:
        """The reply is over: no further segment comes."""
        self._finished = True
        self._changed.set()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self._paused = True
        self._playhead.pause()
        self._changed.set()

    def resume(self) -> None:
        """The listener hears the reply again."""
        self._paused = False
        self._playhead.resume()
        self._changed.set()

    def stop(self) -> None:
        """Emit nothing any more, from this moment on: the listener has interrupted."""
        self._stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Emit words as they are heard.

        Returns when all that can be heard have been, after `finish`; after `stop`; or, after `finish`, when the
        track is not being played any more.
        """
        while not self._stopped:
            self._changed.clear()
            position = self._position()
            if not self._paused:
                self._emit_until(position)
            if self._stopped or self._done(position):
                return
            if self._follows and self._is_overdue():
                self._log.debug("the track is not being played: its last words were not heard")
                return
            await self._wait(self._delay(position))

    async def _wait(self, seconds: float | None) -> None:
        """Wait for a change, or for at most so many seconds."""
        timer = None
        if seconds is not None:
            timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _position(self) -> float:
        """What the listener has heard, in seconds of the reply's audio; below 0 while something else is heard."""
        played = self._track.position()
        if not self._follows and played is not None and self._track.advanced:
            self._follows = True
        if self._follows and played is not None:
            return min(played, self._pushed)
        return self._pushed - self._playhead.remaining

    def _next(self) -> PlacedWord | None:
        return self._timeline.word(self._emitted) if self._emitted < len(self._timeline) else None

    def _due(self, word: PlacedWord) -> float:
        """The position after which a word is heard; infinite while its audio is not there."""
        if not self._pushed:
            return math.inf
        if self._finished and word.start <= self._pushed + ROUNDING:
            return min(word.start, self._pushed - FRAME)
        return word.start if word.start < self._pushed else math.inf

    def _emit_until(self, position: float) -> None:
        while not self._stopped and (word := self._next()) is not None and position > self._due(word):
            self._emitted += 1  # first: it is told once, whatever `emit` does
            try:
                self._emit({"word": word.text, "cumulative_text": word.cumulative})
            except Exception:
                self._log.exception("a listener of word_spoken failed; the words go on")

    def _done(self, position: float) -> bool:
        """Whether no word is left, or none of which there is audio, as after a failure."""
        if not self._finished:
            return False
        word = self._next()
        if word is None or not self._pushed:
            return True
        return self._due(word) == math.inf and position > self._pushed - FRAME

    def _is_overdue(self) -> bool:
        """Whether a track that was played as it came would long have played all of a finished reply."""
        return self._finished and self._now() - self._playhead.heard_until > self._timing.track_stuck

    def _delay(self, position: float) -> float | None:
        """Seconds until something may have to be done; ``None`` if only a call can change anything."""
        if not self._pushed:
            return None
        if self._follows:
            return self._timing.track_poll
        if self._paused:
            return None
        word = self._next()
        due = self._due(word) if word is not None else math.inf
        if due < math.inf:
            return due - position
        return self._pushed - position if self._finished else None
