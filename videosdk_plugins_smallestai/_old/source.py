"""The caller's text, taken item by item, and let go of in good order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from videosdk.agents import FlushMarker

from . import text as text_module
from .boundaries import is_speakable
from .text import Segment

__all__ = ["TextSource"]


class TextSource:
    """One reply's text as segments.

    Args:
        text: A ``str``, or an async iterator of ``str`` and ``FlushMarker``.
        sentence_streaming: Whether streamed text is cut into speakable segments; else each item is one.

    Raises:
        TypeError: The text is neither.

    Attributes:
        stopped: Whether no further item is taken from the caller.
    """

    def __init__(self, text: str | AsyncIterator[str | FlushMarker], *, sentence_streaming: bool) -> None:
        if not isinstance(text, str) and not hasattr(text, "__aiter__"):
            raise TypeError(f"text must be a str or an async iterator of str; got {type(text).__name__}")
        self._text = text
        self._sentence_streaming = sentence_streaming
        self.stopped = False

    @property
    def is_empty(self) -> bool:
        """Whether it is known that there is nothing to speak; of a stream that is not known before it has ended."""
        return isinstance(self._text, str) and not is_speakable(self._text)

    def stop(self) -> None:
        """Take nothing more. An item that is being awaited is still taken: cancelling it would close the caller's
        generator, and a fallback provider would get nothing of what comes after."""
        self.stopped = True

    async def segments(self) -> AsyncGenerator[Segment, None]:
        """The segments, each when its end is certain. After `stop`, what had already been taken."""
        if isinstance(self._text, str):
            for segment in text_module.split(self._text):
                yield segment
            return
        cut = text_module.segments if self._sentence_streaming else text_module.items_as_segments
        async with contextlib.aclosing(cut(self._items(self._text))) as segments:
            async for segment in segments:
                yield segment

    async def _items(self, text: AsyncIterator[str | FlushMarker]) -> AsyncIterator[str | FlushMarker]:
        if self.stopped:
            return
        async for item in text:
            yield item
            if self.stopped:
                return
