"""The wire format, without any I/O: request bodies out, typed events in."""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import SmallestAIError
from ..models import resolve
from ..settings import Settings
from .diagnosis import frame_error, is_error, quote, senseless
from .frames import data_of, load, text_of

__all__ = [
    "Alive",
    "Answered",
    "Audio",
    "Complete",
    "Event",
    "Failure",
    "Notice",
    "Word",
    "cancel_body",
    "context_body",
    "http_body",
    "parse_frame",
    "parse_sse",
    "websocket_body",
]

# What the server says


@dataclass(frozen=True, slots=True)
class Answered:
    """The service accepted the request; its audio may take a while."""


class Audio(NamedTuple):  # not a dataclass: of this there are many, and it is made in a third of the time
    """Some PCM: mono, 16-bit little-endian. May end in the middle of a sample. `last`: the server says so."""

    pcm: bytes
    request_id: str | None = None
    server_id: str | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """When a word is spoken, in seconds from the start of the request's audio (or of the whole stream's)."""

    text: str
    start: float
    end: float
    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """All of a request has been sent."""

    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request failed; every open one where no id is told."""

    error: SmallestAIError
    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that changes nothing: a warning, or a frame of a kind that is not known here."""

    text: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The network carries both ways: what was sent before has arrived, and what came back is all that there was."""


Event = Answered | Alive | Audio | Word | Complete | Failure | Notice


# Requests


def _common(s: Settings, text: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "voice_id": s.voice_id,
        "text": text,
        "language": s.language,
        "sample_rate": s.sample_rate,
        "speed": s.speed,
    }
    model = resolve(s.model)
    if model.unified:
        body["model"] = model.wire_name
        body.update(_unified_fields(s))
    return body


def _unified_fields(s: Settings) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "number_pronunciation_language": s.number_pronunciation_language,
        "math_notation": s.math_notation,
        "content_filter": s.content_filter and {"enabled": True, "action": s.content_filter},
        "pronunciation_dicts": s.pronunciation_dicts and list(s.pronunciation_dicts),
    }
    return {name: value for name, value in optional.items() if value is not None}


def websocket_body(s: Settings, text: str, request_id: str) -> dict[str, Any]:
    """One request on a WebSocket."""
    body = _common(s, text) | {"request_id": request_id, "complete_backoff_ms": s.complete_backoff_ms}
    if s.max_buffer_flush_ms > 0:
        body["max_buffer_flush_ms"] = s.max_buffer_flush_ms
    if s.word_timestamps:
        body["word_timestamps"] = True
    return body


def context_body(s: Settings, text: str, request_id: str, context_id: str, *, more: bool) -> dict[str, Any]:
    """One part of a continuation; with no text and no more, its end."""
    body = websocket_body(s, text, request_id) | {"context_id": context_id, "continue": more}
    if s.max_buffer_delay_ms is not None:
        body["max_buffer_delay_ms"] = s.max_buffer_delay_ms
    return body


def cancel_body(s: Settings, context_id: str) -> dict[str, Any]:
    """Drops a continuation."""
    return _common(s, "") | {"context_id": context_id, "cancel_request": True}


def http_body(s: Settings, text: str) -> dict[str, Any]:
    """One request by POST."""
    body = _common(s, text) | {"output_format": "pcm"}
    if resolve(s.model).prosody:
        body |= {"consistency": s.consistency, "similarity": s.similarity, "enhancement": s.enhancement}
    return body


# Frames


def parse_frame(raw: str | bytes, *, secret: str = "") -> Event:
    """Turn one WebSocket message into an event. Never raises.

    A message that cannot be understood is a failure, not noise: it may have been audio, and a request that is
    asked again loses nothing.

    Args:
        raw: The message. Only text frames carry the protocol.
        secret: The API key, to be kept out of error messages should the server repeat it.
    """
    frame = load(raw)
    if frame is None:
        return Failure(senseless(f"The server sent something that is no Waves frame: {quote(raw, secret)}"))
    status = frame.get("status")
    ids = text_of(frame.get("external_request_id")), text_of(frame.get("request_id"))
    data = data_of(frame)
    if is_error(frame):
        return Failure(frame_error(frame, secret), *ids)
    if status == "chunk" or (status is None and "audio" in data):
        return _chunk(data, *ids)
    if status == "word_timestamp":
        return _word(data, *ids)
    if status == "complete" or (status is None and frame.get("done") is True):
        return Complete(*ids)
    return Notice(quote(frame.get("message") or frame.get("code") or raw, secret))


def parse_sse(data: str, *, secret: str = "") -> Event:
    """Turn the data of one server-sent event into an event. Never raises."""
    frame = load(data)
    if frame is None:
        return Failure(senseless(f"The server sent an event that is no JSON: {quote(data, secret)}"))
    if is_error(frame):
        return Failure(frame_error(frame, secret))
    done = frame.get("done") is True
    if frame.get("audio"):
        event = _chunk(frame)
        return event._replace(last=done) if isinstance(event, Audio) else event
    return Complete() if done else Notice(quote(data, secret))


def _chunk(data: Mapping[str, Any], request_id: str | None = None, server_id: str | None = None) -> Event:
    try:
        pcm = binascii.a2b_base64(data.get("audio") or "", strict_mode=True)
    except (TypeError, ValueError):
        return Failure(senseless("The server sent a chunk whose audio is no base64"), request_id, server_id)
    return Audio(pcm, request_id, server_id) if pcm else Notice("an empty chunk")


def _word(data: Mapping[str, Any], request_id: str | None, server_id: str | None) -> Event:
    word, start, end = data.get("word"), _seconds(data.get("start")), _seconds(data.get("end"))
    if not isinstance(word, str) or start is None or end is None:
        return Notice("a word without a time")
    return Word(word, start, end, request_id, server_id)


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:  # JSON has whole numbers of any size
        return None
    return seconds if math.isfinite(seconds) else None
