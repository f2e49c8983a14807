"""The settings of one reply, checked as a whole before any text is taken."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from . import models
from .pronunciations import Pronunciations

__all__ = ["OF_SESSION", "Settings", "check_assignable", "check_positive", "unknown_keywords"]

OF_SESSION = ("model", "voice_id", "language", "sample_rate", "speed", "content_filter")
"""What is set in the address of a session of Lightning v4, for as long as that lasts."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one reply. See the constructor of ``SmallestAITTS`` for what each means."""

    model: str
    voice_id: str
    language: str | None
    sample_rate: int
    speed: float
    consistency: float
    similarity: float
    enhancement: float
    sentence_streaming: bool
    timeout: float
    enable_streaming: bool
    complete_backoff_ms: int
    max_buffer_flush_ms: int
    word_timestamps: bool = False
    continuations: bool = True
    max_buffer_delay_ms: int | None = None
    number_pronunciation_language: str | None = None
    math_notation: bool | None = None
    content_filter: Literal["reject", "flag"] | None = None
    pronunciation_dicts: Sequence[str] | None = None
    pronunciations: Mapping[str, str] | None = None
    session_id: str | None = None

    def __post_init__(self) -> None:
        _check(self)

    @property
    def of_session(self) -> tuple[Any, ...]:
        """What is set for as long as a session lasts."""
        return tuple(getattr(self, name) for name in OF_SESSION)

    def override(self, overrides: dict[str, Any]) -> Settings:
        """Settings for one call.

        Keywords that are no setting are ignored (a fallback wrapper hands the same ones to every provider), and
        so is a value of ``None``.

        Raises:
            ValueError: A value is refused.
            TypeError: A language is not a ``str``, or pronunciations are not mapped from one to another.
        """
        output_format = overrides.get("output_format")
        if output_format not in (None, "pcm"):
            raise ValueError(f"output_format must be 'pcm', since an audio track plays PCM; got {output_format!r}")
        known = {name: overrides[name] for name in _PER_CALL if overrides.get(name) is not None}
        return replace(self, **known) if known else self


def unknown_keywords(overrides: dict[str, Any]) -> list[str]:
    """Names of one call's keywords that are no settings."""
    return sorted(name for name in overrides if name not in _PER_CALL and name != "output_format")


_NOT_PER_CALL = {
    "session_id",
    "model",
    "sentence_streaming",
    "timeout",
    "enable_streaming",
    "continuations",
}
_PER_CALL = tuple(field.name for field in fields(Settings) if field.name not in _NOT_PER_CALL)


_OF_OBJECT = {"api_key", "base_url", "max_connection_age_sec", "http_session", "expire_content"}


def check_assignable(name: str) -> str | None:
    """What to warn of when an argument is assigned that holds for as long as its object lives: it has no effect.

    Such as these are no attributes here, and a subclass may have some of that name.

    Raises:
        AttributeError: It is an attribute that can only be read.
    """
    if name in ("sample_rate", "word_timestamps"):
        raise AttributeError(
            f"{name} cannot be changed: pass it to the constructor, or for one reply to synthesize"
        )
    return f"{name} = ... has no effect: pass it to the constructor" if name in _OF_OBJECT else None


def _check(s: Settings) -> None:
    model = models.resolve(s.model)
    _check_speech(s, model)
    _check_transport(s, model)
    _check_request_fields(s, model)
    Pronunciations.of(s.pronunciations)


def _check_speech(s: Settings, model: models.Model) -> None:
    if not isinstance(s.voice_id, str) or not s.voice_id.strip():
        raise ValueError(f"voice_id must be the id of a voice, such as 'magnus'; got {s.voice_id!r}")
    if s.language is not None and not isinstance(s.language, str):
        raise TypeError(f"language must be a str, such as 'en' or 'hi', or None; got {type(s.language).__name__}")
    if type(s.sample_rate) is not int or s.sample_rate not in model.sample_rates:
        raise ValueError(
            f"sample_rate must be one of {model.sample_rates} for model {model.id!r}; got {s.sample_rate!r}"
        )
    _check_range("speed", s.speed, 0.5, 2.0)
    if model.prosody:  # the others ignore them, so that a wrong one does no harm
        _check_range("consistency", s.consistency, 0.0, 1.0)
        _check_range("similarity", s.similarity, 0.0, 1.0)
        _check_range("enhancement", s.enhancement, 0.0, 2.0)


def _check_transport(s: Settings, model: models.Model) -> None:
    if not s.enable_streaming and model.http is None:
        raise ValueError(
            f"enable_streaming=False is not supported for model={model.id!r}, which has no HTTP route. "
            "Pass enable_streaming=True, or leave it out."
        )
    if s.enable_streaming and model.websocket is None:
        able = ", ".join(repr(name) for name, row in models.MODELS.items() if row.websocket)
        raise ValueError(
            f"enable_streaming=True is only supported for {able}; got model={model.id!r}. "
            "Pass enable_streaming=False to use it over HTTP."
        )
    check_positive("timeout", s.timeout)
    _check_whole("complete_backoff_ms", s.complete_backoff_ms, 10_000)
    _check_whole("max_buffer_flush_ms", s.max_buffer_flush_ms, 1_000)


def _check_request_fields(s: Settings, model: models.Model) -> None:
    if s.max_buffer_delay_ms is not None:
        _check_whole("max_buffer_delay_ms", s.max_buffer_delay_ms, 5_000)
    language = s.number_pronunciation_language
    if language is not None and not isinstance(language, str):
        raise TypeError(f"number_pronunciation_language must be a str; got {type(language).__name__}")
    for name in ("word_timestamps", "continuations", "enable_streaming", "sentence_streaming"):
        if not isinstance(getattr(s, name), bool):
            raise ValueError(f"{name} must be True or False; got {getattr(s, name)!r}")
    if s.math_notation is not None and not isinstance(s.math_notation, bool):
        raise ValueError(f"math_notation must be True or False; got {s.math_notation!r}")
    if s.content_filter not in (None, "reject", "flag"):
        raise ValueError(f"content_filter must be 'reject' or 'flag'; got {s.content_filter!r}")
    if s.pronunciation_dicts is not None:
        _check_dicts(s.pronunciation_dicts)
    _check_served(s, model)


def _check_dicts(dicts: object) -> None:
    if isinstance(dicts, str) or not isinstance(dicts, Sequence) or not all(isinstance(d, str) for d in dicts):
        raise ValueError(f"pronunciation_dicts must be a list of dictionary ids; got {dicts!r}")


def _check_served(s: Settings, model: models.Model) -> None:
    """A field that the route cannot carry would be dropped in silence: refuse it instead."""
    if not model.unified:
        for name in (
            "number_pronunciation_language",
            "math_notation",
            "content_filter",
            "pronunciation_dicts",
        ):
            if getattr(s, name) is not None and not (name == "content_filter" and model.live):
                raise ValueError(
                    f"{name} is not served for model={model.id!r}: use model='lightning_v3.1' "
                    f"or 'lightning_v3.1_pro', or leave {name} out"
                )
    if s.max_buffer_delay_ms is not None and not (s.continuations and s.enable_streaming and model.unified):
        raise ValueError(
            "max_buffer_delay_ms belongs to continuations: use model='lightning_v3.1' or 'lightning_v3.1_pro' "
            "with enable_streaming=True and continuations=True, or leave max_buffer_delay_ms out"
        )


def _is_number(value: object) -> bool:
    # Neither NaN nor an infinity, nor a whole number that no float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if not _is_number(value) or not low <= value <= high:  # type: ignore[operator]
        raise ValueError(f"{name} must be a number from {low} to {high}; got {value!r}")


def _check_whole(name: str, value: object, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise ValueError(f"{name} must be a whole number of milliseconds from 0 to {high}; got {value!r}")


def check_positive(name: str, value: object) -> None:
    """Refuse what is no number of seconds above 0."""
    if not _is_number(value) or value <= 0:  # type: ignore[operator]
        raise ValueError(f"{name} must be a number of seconds above 0; got {value!r}")
