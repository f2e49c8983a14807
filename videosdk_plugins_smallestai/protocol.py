"""The wire format, without any I/O: request bodies out, typed events in, refusals turned into errors."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import (
    APIConnectionError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from .models import resolve
from .settings import Settings

__all__ = [
    "Answered",
    "Audio",
    "Complete",
    "Event",
    "Failure",
    "Notice",
    "Word",
    "error_from",
    "http_body",
    "json_error",
    "parse_frame",
    "parse_sse",
    "websocket_body",
]

SERVER_TEXT_LIMIT = 500
"""Characters of what the server said that an error message quotes."""


# What the server says


@dataclass(frozen=True, slots=True)
class Answered:
    """The service accepted the request; its audio may take a while."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Some PCM: mono, 16-bit little-endian. May end in the middle of a sample."""

    pcm: bytes
    request_id: str | None = None
    server_id: str | None = None


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


Event = Answered | Audio | Word | Complete | Failure | Notice


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
    frame = _load(raw)
    if frame is None:
        return Failure(ServerError(f"The server sent something that is no Waves frame: {_quote(raw, secret)}"))
    status = frame.get("status")
    ids = {"request_id": _text(frame.get("external_request_id")), "server_id": _text(frame.get("request_id"))}
    told = frame.get("data")
    data: dict[str, Any] = told if isinstance(told, dict) else {}
    if _is_error(frame, data):
        return Failure(_frame_error(frame, data, secret), **ids)
    if status == "chunk" or (status is None and "audio" in data):
        return _chunk(data, ids)
    if status == "word_timestamp":
        return _word(data, ids)
    if status == "complete" or (status is None and frame.get("done") is True):
        return Complete(**ids)
    return Notice(_quote(frame.get("message") or frame.get("code") or raw, secret))


def parse_sse(data: str, *, secret: str = "") -> Event:
    """Turn the data of one server-sent event into an event. Never raises."""
    frame = _load(data)
    if frame is None:
        return Failure(ServerError(f"The server sent an event that is no JSON: {_quote(data, secret)}"))
    if _is_error(frame, {}) or str(frame.get("status", "200"))[:1] in "45":
        return Failure(_frame_error(frame, {}, secret))
    if frame.get("audio"):
        return _chunk(frame, {})
    if frame.get("done") is True:
        return Complete()
    return Notice(_quote(data, secret))


def _load(raw: str | bytes) -> dict[str, Any] | None:
    try:
        frame = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _chunk(data: Mapping[str, Any], ids: dict[str, str | None]) -> Event:
    audio = data.get("audio")
    try:
        pcm = base64.b64decode(audio or "", validate=True)
    except (TypeError, ValueError, binascii.Error):
        return Failure(ServerError("The server sent a chunk whose audio is no base64"), **ids)
    return Audio(pcm, **ids) if pcm else Notice("an empty chunk")


def _word(data: Mapping[str, Any], ids: dict[str, str | None]) -> Event:
    word, start, end = data.get("word"), data.get("start"), data.get("end")
    if not isinstance(word, str) or not isinstance(start, int | float) or not isinstance(end, int | float):
        return Notice("a word without a time")
    return Word(word, float(start), float(end), **ids)


# Errors

_KNOWN_STATUS = {"chunk", "word_timestamp", "complete", "warning"}


def _is_error(frame: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    status = frame.get("status")
    if status == "error" or status is False:
        return True
    if frame.get("error") or frame.get("errors") or data.get("error"):
        return True
    # Older servers add a `message` to every frame, so it tells an error only where nothing else tells what it is.
    nameless = status is None and "data" not in frame and "audio" not in frame and frame.get("done") is None
    return nameless and bool(frame.get("message") or frame.get("details"))


def _frame_error(frame: Mapping[str, Any], data: Mapping[str, Any], secret: str) -> SmallestAIError:
    told = frame.get("error") or frame.get("errors") or data.get("error")
    status = _http_status(frame.get("status")) or _http_status(frame.get("status_code"))
    code, message = _explain(told)
    own_code = frame.get("error_code") or frame.get("code")
    code = code or str(own_code or "")
    if not message:
        message = str(frame.get("message") or frame.get("details") or "")
    elif frame.get("message") and str(frame["message"]) not in message:
        message = f"{message}; {frame['message']}"
    if not (code or message):
        message = "the server told an error without a reason"
    return error_from(
        status or _http_status(code), code, message, request_id=_text(frame.get("request_id")), secret=secret
    )


def _http_status(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"[45]\d\d", text) else None


def _explain(told: object) -> tuple[str, str]:
    """The code and the message in any of the shapes in which the service tells an error."""
    if isinstance(told, Mapping):
        code = str(told.get("code") or told.get("error_code") or "")
        message = told.get("message") or told.get("details") or told.get("error")
        return code, str(message) if message else ("" if code else json.dumps(dict(told), default=str))
    if isinstance(told, list | tuple):
        parts = [_explain_item(item) for item in told]
        return next((code for code, _ in parts if code), ""), "; ".join(text for _, text in parts if text)
    return "", str(told) if told else ""


def _explain_item(item: object) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        return "", str(item)
    code, message = _explain(item)
    path = item.get("path")
    if isinstance(path, list | tuple) and path:
        message = f"{'.'.join(str(step) for step in path)}: {message}"
    if item.get("received") is not None:
        message += f" (received {item['received']!r})"
    if item.get("options"):
        message += f" (options: {item['options']})"
    return code, message


def json_error(
    status: int | None,
    body: str,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
    secret: str = "",
) -> SmallestAIError:
    """The error that an HTTP answer tells, whatever the shape of its body.

    Args:
        status: The HTTP status; ``None`` or 200 where the body alone says that something is wrong.
        body: The body as text, JSON or not.
        request_id: The server's id of the request.
        retry_after: Seconds of the ``Retry-After`` header.
        secret: The API key, to be kept out of the message.
    """
    frame = _load(body)
    code, message = "", body.strip()
    if frame is not None:
        told = frame.get("error") or frame.get("errors")
        code, message = _explain(told)
        code = code or str(frame.get("error_code") or frame.get("code") or "")
        more = frame.get("message") or frame.get("details")
        message = "; ".join(dict.fromkeys(str(part) for part in (message, more) if part)) or body.strip()
    return error_from(status, code, message, request_id=request_id, retry_after=retry_after, secret=secret)


def error_from(
    status: int | None,
    code: str,
    message: str,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
    secret: str = "",
) -> SmallestAIError:
    """Classify a refusal by its HTTP status, else by its code and message."""
    said = " ".join(part for part in (code, message) if part)
    kind, advice = _classify(status, said)
    head = f"HTTP {status}: " if status else ""
    text = f"{head}{_quote(said, secret) or 'no reason told'}. {advice}"
    if kind is RateLimitError:
        return RateLimitError(text, status=status, request_id=request_id, retry_after=retry_after)
    if kind is APIConnectionError:
        return APIConnectionError(text, request_id=request_id)
    return kind(text, status=status, request_id=request_id)


_SPEAKING_STATUS: dict[int, type[SmallestAIError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: ModelRetiredError,
    405: ModelRetiredError,
    410: ModelRetiredError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
}

_SPEAKING_TEXT: tuple[tuple[str, type[SmallestAIError]], ...] = (
    (r"MODEL_DEPRECATED|model_deprecated|model.{0,40}(retired|no longer)", ModelRetiredError),
    (r"\b429\b|concurren|rate.?limit|too many", RateLimitError),
    (r"CONTENT_FILTER_BLOCKED|invalid.voice|voice.{0,20}(not found|invalid)|invalid.input|invalid_|too_big|"
     r"too_small|unrecognized_keys|invalid.request|validation", InvalidRequestError),
    (r"\b40[13]\b|unauthori[sz]ed|forbidden|api.?key|invalid.token|not.entitled|authenticat|credits?\b",
     AuthenticationError),
    (r"inactiv|idle.?time", APIConnectionError),
)  # fmt: skip
"""In this order: a text may match several, and the first is the more telling."""

_ADVICE: dict[type[SmallestAIError], str] = {
    AuthenticationError: "Check api_key (or SMALLEST_API_KEY) and what the account may use",
    InvalidRequestError: "Check voice_id, language, sample_rate and the text against what the model takes",
    ModelRetiredError: "Use a current model, such as model='lightning_v3.1'",
    RateLimitError: "The account has too many requests in progress: wait, or ask for a higher limit",
    ServerError: "The service failed; it may work again shortly",
    APIConnectionError: "The connection is opened anew",
}


def _classify(status: int | None, said: str) -> tuple[type[SmallestAIError], str]:
    kind = _SPEAKING_STATUS.get(status or 0)
    # A 400 may be a retirement or a limit in disguise; a server error (500 and above) is one whatever it says.
    if kind in (None, InvalidRequestError) and (status is None or status < 500):
        kind = next((k for pattern, k in _SPEAKING_TEXT if re.search(pattern, said, re.I)), kind)
    kind = kind or ServerError
    return kind, _ADVICE[kind]


def _quote(value: object, secret: str) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if secret:
        text = text.replace(secret, "***")
    return text if len(text) <= SERVER_TEXT_LIMIT else text[: SERVER_TEXT_LIMIT - 1] + "…"
