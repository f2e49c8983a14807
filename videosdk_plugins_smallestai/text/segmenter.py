"""Adapts the caller's text to a stream of segments: what is requested from the service, one after the other.

`cutting` decides where a segment ends; the framework's `segment_text` cuts there. By itself `segment_text`
would cut at every delimiter, also in numbers and abbreviations, so it is given one that no text contains.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from videosdk.agents import FlushMarker, segment_text

from ..pronunciations import Pronunciations
from ..sentences import Finish, is_speakable
from ..timing import Timing
from .cutting import ItemCutter, Segment, StreamCutter, fitted, split

__all__ = ["ReplyText", "Segment"]

_BOUNDARY = "\udfff"
"""A lone surrogate: `cutting` lets none through."""

_NO_MORE = object()

_NONE = Pronunciations({})


class ReplyText:
    """One reply's text as segments.

    Args:
        text: A ``str``, or an async iterator of ``str`` and ``FlushMarker``.
        sentence_streaming: Whether streamed text is cut into speakable segments; else each item is one.
        timing: How long a finished sentence waits for what may belong to it.
        pronunciations: What is respelled before it is sent. A phrase that is cut in two is not found.

    Raises:
        TypeError: The text is neither.
    """

    def __init__(
        self,
        text: str | AsyncIterator[str | FlushMarker],
        *,
        sentence_streaming: bool,
        timing: Timing,
        pronunciations: Pronunciations = _NONE,
    ) -> None:
        if not isinstance(text, str) and not hasattr(text, "__aiter__"):
            raise TypeError(f"text must be a str or an async iterator of str; got {type(text).__name__}")
        self._text = text
        self._sentence_streaming = sentence_streaming
        self._idle = {Finish.YES: timing.sentence_idle, Finish.PERHAPS: timing.number_idle}
        self._pronunciations = pronunciations
        self._stopped = False
        self._has_text = isinstance(text, str) and text != ""

    @property
    def is_empty(self) -> bool:
        """Whether it is known that there is nothing to speak; of a stream that is not known before it has ended."""
        return isinstance(self._text, str) and not is_speakable(self._text)

    @property
    def has_text(self) -> bool:
        """Whether anything was given, as far as it was taken, though it may be nothing that can be spoken."""
        return self._has_text

    def stop(self) -> None:
        """Take nothing more from the caller.

        An item that is being awaited is still taken: to cancel that would close the caller's generator, and a
        fallback provider would get nothing of what comes after. So `segments` is to be read to its end.
        """
        self._stopped = True

    async def segments(self) -> AsyncGenerator[Segment, None]:
        """The segments, each when its end is certain, or nothing has followed it for a while. To be called once.

        The next item is taken only when nothing is left to release, and the caller's iterator is never closed
        here. After `stop`, what had already been taken. To close the generator cancels a pending item.

        Raises:
            TypeError: An item is neither a `str` nor a `FlushMarker`.
            Exception: Whatever the caller's iterator raises, after what came before it.
        """
        if isinstance(self._text, str):
            for whole in split(self._text):
                for segment in fitted(whole, self._pronunciations):
                    yield segment
            return
        # Closing the outer one of two generators does not close the inner one.
        async with (
            aclosing(self._decided(self._text)) as decided,
            aclosing(segment_text(decided, delimiters=_BOUNDARY, keep_delimiter=False)) as cuts,
        ):
            async for cut in cuts:
                text = cut.lstrip()
                for segment in fitted(Segment(text, " " if text != cut else ""), self._pronunciations):
                    yield segment

    async def _decided(self, text: AsyncIterator[str | FlushMarker]) -> AsyncGenerator[str, None]:
        """Each segment, for `segment_text`."""
        cutter = StreamCutter() if self._sentence_streaming else ItemCutter()
        items = aiter(text)
        pending: asyncio.Task[object] | None = None
        try:
            while not self._stopped:
                idle = self._idle.get(cutter.finish)
                try:
                    if idle is None:
                        item: object = await anext(items, _NO_MORE)
                    else:
                        pending = asyncio.create_task(_next(items))
                        if not (await asyncio.wait({pending}, timeout=idle))[0]:
                            for segment in cutter.release():
                                yield _bounded(segment)
                        item = await pending
                        pending = None
                except Exception:  # the caller's own
                    for segment in cutter.release():
                        yield _bounded(segment)
                    raise
                if item is _NO_MORE:
                    break
                if item is None:
                    continue  # the framework's own voices pass over it, by `segment_text`
                self._has_text = self._has_text or (isinstance(item, str) and item != "")
                for segment in cutter.take(item):
                    yield _bounded(segment)
            for segment in cutter.release():
                yield _bounded(segment)
        finally:
            if pending is not None:
                pending.cancel()
                await asyncio.wait({pending})
                if not pending.cancelled():
                    pending.exception()  # retrieved, so that asyncio does not warn of it


def _bounded(segment: Segment) -> str:
    """A segment with its lead, and a boundary after it."""
    return segment.lead + segment.text + _BOUNDARY


async def _next(items: AsyncIterator[str | FlushMarker]) -> object:
    """The next item, or `_NO_MORE`."""
    return await anext(items, _NO_MORE)
