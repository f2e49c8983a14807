"""Parses the server's frames and events to typed values. Never raises, whatever they contain."""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..errors import SmallestAIError
from .error_mapping import frame_error, is_error, quote, senseless
from .json_reader import data_of, load, text_of

__all__ = [
    "AudioFrame",
    "CompleteFrame",
    "ErrorFrame",
    "Frame",
    "NoticeFrame",
    "WordFrame",
    "notice",
    "parse_frame",
    "parse_sse",
]


class AudioFrame(NamedTuple):  # not a dataclass: of this there are many, and it is made in a third of the time
    """Some PCM: mono, 16-bit little-endian. May end in the middle of a sample. `last`: the server says so."""

    pcm: bytes
    request_id: str | None = None
    server_id: str | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class WordFrame:
    """When a word is spoken, in seconds from the start of the request's audio (or of the whole stream's)."""

    text: str
    start: float
    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteFrame:
    """All of a request has been sent."""

    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """A request failed; every open one where no id is told."""

    error: SmallestAIError
    request_id: str | None = None
    server_id: str | None = None


@dataclass(frozen=True, slots=True)
class NoticeFrame:
    """Something that changes nothing: a warning, or a frame of a kind that is not known here."""

    text: str


Frame = AudioFrame | WordFrame | CompleteFrame | ErrorFrame | NoticeFrame


def parse_frame(raw: str | bytes, *, secret: str = "") -> Frame:
    """Turn one WebSocket message into an event. Never raises.

    A message that cannot be understood is a failure, not noise: it may have been audio, and a request that is
    asked again loses nothing.

    Args:
        raw: The message. Only text frames carry the protocol.
        secret: The API key, to be kept out of error messages should the server repeat it.
    """
    frame = load(raw)
    if frame is None:
        return ErrorFrame(senseless(f"The server sent something that is no Waves frame: {quote(raw, secret)}"))
    status = frame.get("status")
    ids = text_of(frame.get("external_request_id")), text_of(frame.get("request_id"))
    data = data_of(frame)
    if is_error(frame):
        return ErrorFrame(frame_error(frame, secret), *ids)
    if status == "chunk" or (status is None and "audio" in data):
        return _chunk(data, *ids)
    if status == "word_timestamp":
        return _word(data, *ids)
    if status == "complete" or (status is None and frame.get("done") is True):
        return CompleteFrame(*ids)
    return notice(frame, status, secret)


def parse_sse(data: str, *, secret: str = "") -> Frame:
    """Turn the data of one server-sent event into an event. Never raises."""
    frame = load(data)
    if frame is None:
        return ErrorFrame(senseless(f"The server sent an event that is no JSON: {quote(data, secret)}"))
    if is_error(frame):
        return ErrorFrame(frame_error(frame, secret))
    done = frame.get("done") is True
    if frame.get("audio"):
        event = _chunk(frame)
        return event._replace(last=done) if isinstance(event, AudioFrame) else event
    return CompleteFrame() if done else notice(frame, frame.get("status"), secret)


def notice(frame: Mapping[str, Any], kind: object, secret: str) -> NoticeFrame:
    """What is noted of a frame that changes nothing: its message or code, else its kind and its fields' names.

    Not their values, which may be spoken text, word by word.
    """
    told = text_of(frame.get("message")) or text_of(frame.get("code"))
    return NoticeFrame(
        quote(told or f"a frame of the unknown kind {text_of(kind)!r}, with {', '.join(frame)}", secret)
    )


def _chunk(data: Mapping[str, Any], request_id: str | None = None, server_id: str | None = None) -> Frame:
    try:
        pcm = binascii.a2b_base64(data.get("audio") or "", strict_mode=True)
    except (TypeError, ValueError):
        return ErrorFrame(senseless("The server sent a chunk whose audio is no base64"), request_id, server_id)
    return AudioFrame(pcm, request_id, server_id) if pcm else NoticeFrame("an empty chunk")


def _word(data: Mapping[str, Any], request_id: str | None, server_id: str | None) -> Frame:
    word, start = data.get("word"), _seconds(data.get("start"))
    if not isinstance(word, str) or start is None:
        return NoticeFrame("a word without a time")
    return WordFrame(word, start, request_id, server_id)


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:  # JSON has whole numbers of any size
        return None
    return seconds if math.isfinite(seconds) else None
