"""What a voice makes of a text: audio, and when each word is heard."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Speech", "VoiceUnavailable", "Word"]


class VoiceUnavailable(RuntimeError):
    """The voice needs something that is not installed, or does not work here."""


@dataclass(frozen=True)
class Word:
    """A word of the text and when it is heard.

    Attributes:
        index: Its place among the text's words, 0-based.
        text: The word, verbatim.
        start: Seconds from the start of the request's audio.
        end: Seconds from the start of the request's audio.
    """

    index: int
    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Mono, 16-bit little-endian PCM, and the words in it."""

    audio: bytes = field(default=b"", repr=False)
    words: tuple[Word, ...] = ()
