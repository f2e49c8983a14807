"""`SpeechTextFilter`, which takes out of a reply what is not to be spoken, before any TTS sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from videosdk.agents.tokenize import TextFilter

from ..log import Log
from .markdown import SpokenText
from .read_ahead import ReadAhead
from .reasoning import Reasoning

__all__ = ["SpeechTextFilter"]

log = Log("SpeechTextFilter")


class SpeechTextFilter(TextFilter):  # type: ignore[misc]
    """Leaves of a language model's text what a person would say.

    ``Pipeline(text_filter=SpeechTextFilter(), text_chunking=False)``. Markdown's marks, emoji, HTML tags, marks of
    footnotes and the addresses of links are taken out. Words, also those of code, stay (not what its
    opening fence says of it, such as the language), and numbers, money, times
    and codes are left as they were written, for the voice to read. Headings, list items and rows of tables end in a
    full stop, so that they are not read as one with what follows. The block ``<think>...</think>`` with which a
    model that reasons begins its reply is left out; if it never ends, nothing is spoken, and a warning says so.
    Where it begins in the prompt, only its ``</think>`` can be left out.

    Text is passed on at once, but for an open mark: it waits until it is closed, or is none, at most for the
    sentence (a block of reasoning as long as it takes). Replies that overlap share nothing.

    Attributes:
        reads_ahead: Tells a voice that what stands in front of it is read to its end: it need not do so itself.
    """

    reads_ahead = True

    def filter(self, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        """The spoken text of `chunks`, in as many items or fewer; none is empty.

        `chunks` is read from now on, as fast as it comes, and to its end, even when nobody reads the result any
        more: the framework's queue behind it must not stand full. Items that are no `str` pass as they are.

        Args:
            chunks: A language model's text, divided in any way.

        Raises:
            RuntimeError: No event loop is running.
            Exception: While the result is read: whatever `chunks` raises, after what came before it.
        """
        return _spoken(ReadAhead(aiter(chunks)))

    async def reset(self) -> None:
        """Does nothing: a reply's state ends with the reply."""


async def _spoken(chunks: ReadAhead[str]) -> AsyncGenerator[str, None]:
    text = _Segment()
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                if isinstance(chunk, str):
                    if spoken := text.feed(chunk):
                        yield spoken
                    continue
                if spoken := text.finish():  # a FlushMarker ends a segment
                    yield spoken
                text = text.next()
                yield chunk
        except Exception:
            if spoken := text.finish():
                yield spoken
            raise
    if spoken := text.finish():
        yield spoken
    if text.reasoning.is_open:
        log.warning(
            "the language model's text has ended within its reasoning (<think> without </think>), which is not "
            "spoken. Let it write longer answers, or turn its reasoning off"
        )


class _Segment:
    """Text up to a `FlushMarker`, as it is spoken.

    Args:
        reasoning: What it begins in the middle of, if anything.
    """

    def __init__(self, reasoning: Reasoning | None = None) -> None:
        self.reasoning = reasoning or Reasoning()
        self._text = SpokenText()

    def feed(self, text: str) -> str:
        """Take more of it; what can be spoken now, perhaps ""."""
        return self._text.feed(self.reasoning.feed(text))

    def finish(self) -> str:
        """Nothing more comes; the rest of what can be spoken."""
        return self._text.feed(self.reasoning.finish()) + self._text.finish()

    def next(self) -> _Segment:
        """The one behind a marker."""
        return _Segment(self.reasoning if self.reasoning.is_open else None)
