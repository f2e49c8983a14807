"""A request body, checked: what is to be spoken and how, or why not."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from . import catalogue, refusals
from .catalogue import Model

MAX_TEXT = 250
"""Characters of text in a request: the documented maximum."""

SERVER_RATE = 44100
"""Hz where the request does not say; the older models give their own maximum."""

LIVE_RATE = 48000
"""Hz of Lightning v4, where the address does not say."""

SERVER_BACKOFF = 4.0
"""Seconds until ``complete`` where ``complete_backoff_ms`` is absent."""

SERVER_DELAY = 3.0
"""Seconds until the fragments of a continuation are released where ``max_buffer_delay_ms`` is absent."""

_ID = re.compile(r"[A-Za-z0-9_\-.]{1,128}")
_FORMATS = ("pcm", "wav")
_MILLISECONDS = {"complete_backoff_ms": 10000, "max_buffer_flush_ms": 1000, "max_buffer_delay_ms": 5000}
_BOOLEANS = ("word_timestamps", "math_notation", "continue", "flush", "cancel_request", "context_close")
_TUNING = {"consistency": 1.0, "similarity": 1.0, "enhancement": 2.0}


@dataclass(frozen=True)
class Order:
    """A request that is accepted.

    Attributes:
        text: What to speak.
        voice_id: Voice.
        language: Language code.
        sample_rate: Hz.
        speed: 0.5 to 2.0.
        output_format: ``"pcm"`` or ``"wav"`` (HTTP only).
        complete_backoff: Seconds from the last chunk to ``complete``, as the request asks.
        buffer_delay: Seconds for which a fragment of a context is buffered at most.
        flush_delay: The same without a context; ``inf``: until the text ends.
        words: Whether word timestamps are asked for and this voice has them.
    """

    text: str
    voice_id: str
    language: str = "en"
    sample_rate: int = SERVER_RATE
    speed: float = 1.0
    output_format: str = "pcm"
    complete_backoff: float = SERVER_BACKOFF
    buffer_delay: float = SERVER_DELAY
    flush_delay: float = math.inf
    words: bool = False


@dataclass(frozen=True)
class Reading:
    """Where sources read the protocol differently: the reading that holds.

    Attributes:
        zero_is_absent: A 0 in ``complete_backoff_ms`` or ``max_buffer_delay_ms`` counts as an absent field.
        refuses_other_pools: A voice of another model's pool is refused.
        lenient: Fields of which a value that is not known is read as the default.
        rates: Sample rates in Hz that are accepted, as far as the model has them.
    """

    zero_is_absent: bool
    refuses_other_pools: bool
    lenient: Collection[str]
    rates: Collection[int]


def check(
    body: Mapping[str, Any], model: Model, reading: Reading, *, unified: bool, text: str | None = None
) -> Order:
    """Check a request body.

    Args:
        body: As received.
        model: The model it is for.
        reading: How the protocol is read.
        unified: Whether it came on a unified route, which knows more fields.
        text: What to speak, where it is not the body's ``text`` (a continuation).

    Raises:
        Refusal: If the service would refuse it.
    """
    if text is None:
        text = _required_text(body)
    voice_id = body.get("voice_id")
    if not isinstance(voice_id, str) or not voice_id:
        raise refusals.missing("voice_id")
    if not (model.has_voice(voice_id) or _is_spoken_all_the_same(voice_id, reading)):
        raise refusals.wrong_voice()
    _check_kinds(body)
    _check_tuning(body, model)
    if unified:
        _check_unified(body, text)
    language = _language(body, model, reading, unified=unified)
    words = voice_id in catalogue.WORD_VOICES and language in catalogue.WORD_LANGUAGES
    return Order(
        text=text,
        voice_id=voice_id,
        language=language,
        sample_rate=_rate(body, model, reading),
        speed=_number(body, "speed", 1.0, 0.5, 2.0),
        output_format=_one_of(body, "output_format", "pcm", _FORMATS),
        complete_backoff=_wait(body, "complete_backoff_ms", SERVER_BACKOFF, reading),
        buffer_delay=_wait(body, "max_buffer_delay_ms", SERVER_DELAY, reading),
        flush_delay=body.get("max_buffer_flush_ms", 0) / 1000 or math.inf,
        words=words and body.get("word_timestamps") is True,
    )


def unified_model(body: Mapping[str, Any], reading: Reading) -> Model:
    """Return the model that a unified route's body names.

    Raises:
        Refusal: If there is no such model.
    """
    name = body.get("model", catalogue.UNIFIED_DEFAULT)
    model = catalogue.unified_model(name) if isinstance(name, str) else None
    if model is None and "model" in reading.lenient:
        model = catalogue.unified_model(catalogue.UNIFIED_DEFAULT)
    if model is None:
        raise _not_among(name, "model", catalogue.UNIFIED_MODELS)
    return model


def blocked_words(text: str) -> bool:
    """Return whether the content filter finds something in a text."""
    return bool(catalogue.BLOCKED_WORDS.intersection(re.findall(r"\w+", text.lower())))


def is_id(value: Any) -> bool:
    """Return whether a value may be one of the client's own ids."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def fragment(text: Any) -> str:
    """Check one message's part of a continuation's text; it may be empty.

    Raises:
        Refusal: If it is no text, or too long.
    """
    if not isinstance(text, str):
        raise refusals.missing("text")
    if len(text) > MAX_TEXT:
        raise refusals.too_long(len(text), MAX_TEXT)
    return text


def _required_text(body: Mapping[str, Any]) -> str:
    text = fragment(body.get("text"))
    if not text.strip():
        raise refusals.missing("text")
    return text


def _is_spoken_all_the_same(voice_id: str, reading: Reading) -> bool:
    """Return whether a voice that the model does not have is accepted."""
    if catalogue.is_known(voice_id):
        return not reading.refuses_other_pools
    return "voice_id" in reading.lenient


def _check_kinds(body: Mapping[str, Any]) -> None:
    for name in ("request_id", "session_id", "context_id"):
        value = body.get(name)
        if value is not None and not is_id(value):
            raise refusals.invalid("invalid_string", name, f"{name} has characters that are not allowed")
    for name, most in _MILLISECONDS.items():
        _number(body, name, 0.0, 0.0, most)
    for name in _BOOLEANS:
        if not isinstance(body.get(name, False), bool):
            raise refusals.invalid("invalid_type", name, "Expected boolean", received=repr(body[name]))


def _check_tuning(body: Mapping[str, Any], model: Model) -> None:
    for name, most in _TUNING.items():
        if name not in body:
            continue
        if not model.tuning:
            raise refusals.invalid("unrecognized_keys", name, f"Unrecognized key in object: '{name}'")
        _number(body, name, 0.0, 0.0, most)


def _wait(body: Mapping[str, Any], name: str, default: float, reading: Reading) -> float:
    """Return a field of milliseconds in seconds."""
    asked = body.get(name, default * 1000) / 1000
    return default if reading.zero_is_absent and not asked else float(asked)


def _check_unified(body: Mapping[str, Any], text: str) -> None:
    for name in ("flush", "max_buffer_flush_ms"):
        if body.get("context_id") is not None and body.get(name) is not None:
            raise refusals.invalid("custom", name, f"{name} cannot be used together with context_id")
    dicts = body.get("pronunciation_dicts") or []
    for name in dicts if isinstance(dicts, list) else [dicts]:
        if name not in catalogue.PRONUNCIATION_DICTS:
            raise refusals.invalid("custom", "pronunciation_dicts", f"Unknown dictionary {name!r}")
    content_filter = body.get("content_filter")
    if not isinstance(content_filter, Mapping) or not content_filter.get("enabled"):
        return
    if blocked_words(text) and content_filter.get("action", "reject") == "reject":
        raise refusals.blocked()


def _language(body: Mapping[str, Any], model: Model, reading: Reading, *, unified: bool) -> str:
    if "language" not in body and "number_pronunciation_language" not in body:
        return model.default_language
    if "language" in reading.lenient and body.get("language", "en") not in model.languages:
        return model.default_language
    default: Any = "en"
    if unified and "number_pronunciation_language" in body:
        default = _one_of(body, "number_pronunciation_language", default, tuple(sorted(model.languages)))
    return _one_of(body, "language", default, tuple(sorted(model.languages)))


def _rate(body: Mapping[str, Any], model: Model, reading: Reading) -> int:
    rate = body.get("sample_rate", min(SERVER_RATE, model.rates[-1]))
    accepted = tuple(hertz for hertz in model.rates if hertz in reading.rates)
    if isinstance(rate, bool) or rate not in accepted:
        raise _not_among(rate, "sample_rate", accepted)
    return int(rate)


def _one_of(body: Mapping[str, Any], name: str, default: str, options: tuple[str, ...]) -> str:
    value = body.get(name, default)
    if value not in options:
        raise _not_among(value, name, options)
    return str(value)


def _not_among(value: Any, name: str, options: tuple[Any, ...]) -> refusals.Refusal:
    message = f"Invalid enum value. Expected {' | '.join(repr(option) for option in options)}"
    return refusals.invalid("invalid_enum_value", name, message, received=value, options=list(options))


def _number(body: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusals.invalid("invalid_type", name, "Expected number", received=repr(value))
    if not least <= value <= most:
        code = "too_small" if value < least else "too_big"
        message = f"Number must be from {least:g} to {most:g}"
        raise refusals.invalid(code, name, message, received=value)
    return float(value)
