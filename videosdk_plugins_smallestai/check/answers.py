"""What the frames say that come in answer to a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import APITimeoutError, ServerError, SmallestAIError
from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame
from .wire import FIRST_AUDIO, Heard

__all__ = ["error_in", "error_text", "has_audio", "has_complete", "last_audio", "length", "speech", "whose"]

LONGEST_WORDS = 2000
"""Characters of what the service says that are repeated."""


def speech(heard: Sequence[Heard]) -> list[Heard]:
    """The frames with audio.

    Raises:
        SmallestAIError: There are none.
    """
    audio = [each for each in heard if isinstance(each.frame, AudioFrame)]
    if audio:
        return audio
    if (error := error_in(heard)) is not None:
        raise error
    if heard:
        raise ServerError(f"No audio came, but {heard[-1].raw[:300]}")
    raise APITimeoutError(f"No audio came within {FIRST_AUDIO:g} s, or the connection was closed before")


def last_audio(heard: Sequence[Heard]) -> Heard:
    """The last frame with audio."""
    return speech(heard)[-1]


def error_in(heard: Iterable[Heard]) -> SmallestAIError | None:
    """The error that the service has told."""
    return next((each.frame.error for each in heard if isinstance(each.frame, ErrorFrame)), None)


def error_text(heard: Iterable[Heard]) -> str:
    """What the service said of an error, word for word."""
    raw = next(each.raw for each in heard if isinstance(each.frame, ErrorFrame))
    return raw if len(raw) <= LONGEST_WORDS else raw[: LONGEST_WORDS - 1] + "…"


def length(heard: Iterable[Heard]) -> float:
    """Seconds of audio."""
    return sum(each.seconds for each in heard)


def has_audio(heard: Sequence[Heard]) -> bool:
    """Whether there is any audio."""
    return any(isinstance(each.frame, AudioFrame) for each in heard)


def has_complete(heard: Sequence[Heard]) -> bool:
    """Whether there is a `complete`."""
    return any(isinstance(each.frame, CompleteFrame) for each in heard)


def whose(heard: Heard) -> str | None:
    """An id that tells two requests apart."""
    frame = heard.frame
    assert isinstance(frame, AudioFrame)
    return frame.request_id or frame.server_id
