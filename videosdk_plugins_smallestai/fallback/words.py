"""Tells the words of a voice that tells none itself, at the pace at which one usually speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from videosdk.agents import FlushMarker

from ..text.cutting import StreamCutter
from ..timing import Timing
from ..words.emitter import WordEmitter
from ..words.timeline import Timeline

__all__ = ["EstimatedWords"]


class EstimatedWords:
    """Emits each word of what a voice was given about when it is heard. To be made in a running event loop.

    No word is told before there is audio for it, and at the end of the reply all that are left are.

    Args:
        track: What the voice is heard on.
        emit: Takes ``{"word": ..., "cumulative_text": ...}``.
        timing: How often a track is looked at, and how long it is waited for.
    """

    def __init__(self, track: Any, emit: Callable[[dict[str, str]], None], timing: Timing) -> None:
        self._timeline = Timeline()
        self._segment = self._timeline.begin("", 0.0)
        self._cutter = StreamCutter()
        self._emitter = WordEmitter(self._timeline, track, emit, timing=timing)
        self._heard = 0.0
        self._emitter.start()
        self._telling = asyncio.create_task(self._emitter.run())

    def take(self, item: object) -> None:
        """The voice was given an item of the text."""
        if isinstance(item, str | FlushMarker):
            for segment in self._cutter.take(item):
                self._timeline.extend(segment.lead + segment.text)

    @property
    def pending(self) -> bool:
        """Whether words are still to be told."""
        return not self._telling.done()

    def first_byte(self, not_before: float) -> None:
        """The voice's first byte is about to be added to the track; what came before may be heard until then."""
        self._emitter.first_byte(not_before)

    def hear(self, seconds: float) -> None:
        """So much more audio of the voice has been added to the track."""
        self._heard += seconds
        self._segment.add_audio(seconds)
        self._emitter.pushed(self._heard)

    def finish(self, letters: int | None) -> None:
        """The voice has ended. It has spoken so many letters and digits, or all that it was given."""
        for segment in self._cutter.release():
            self._timeline.extend(segment.lead + segment.text)
        if letters is not None:
            self._timeline.shorten(letters)
        self._timeline.end(self._segment)
        self._emitter.finish()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self._emitter.pause()

    def resume(self) -> None:
        """The listener hears the voice again."""
        self._emitter.resume()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._emitter.stop()
        self._telling.cancel()
