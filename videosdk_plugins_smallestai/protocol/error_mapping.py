"""Maps the service's failure reports, a status and a payload of any shape, to errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import (
    APIConnectionError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from .json_reader import data_of, load, text_of
from .redaction import without_secret

__all__ = ["frame_error", "is_error", "json_error", "quote", "senseless"]

SERVER_TEXT_LIMIT = 500
"""Characters of what the server said that an error message quotes."""

ID_LIMIT = 128
"""Characters of the server's id that an error keeps: its own limit for ids."""


def is_error(frame: Mapping[str, Any]) -> bool:
    """Whether a message tells a failure, in any of the shapes in which the service does."""
    status = frame.get("status")
    if status == "warning":
        return False
    if status == "error" or status is False or (status != "chunk" and _http_status(status)):
        return True
    if frame.get("error") or frame.get("errors") or frame.get("error_code") or data_of(frame).get("error"):
        return True
    # Older servers add a `message` to every frame, so it tells an error only where nothing else tells what it is.
    nameless = status is None and "data" not in frame and "audio" not in frame and frame.get("done") is None
    return nameless and bool(frame.get("message") or frame.get("details"))


def frame_error(frame: Mapping[str, Any], secret: str, *, id_field: str = "request_id") -> SmallestAIError:
    """The error that such a message tells.

    Args:
        frame: The message.
        secret: The API key, to be kept out of the error.
        id_field: The message's field with the server's id.
    """
    told = _tell(frame)
    status = _http_status(frame.get("status")) or _http_status(frame.get("status_code")) or _http_status(told.code)
    if not (told.code or told.message):
        told = _Told("", "the server told an error without a reason")
    return _error(status, told, request_id=text_of(frame.get(id_field)), secret=secret)


def senseless(text: str) -> ServerError:
    """The error for what cannot be understood."""
    return ServerError(f"{text}. {_ADVICE[ServerError]}")


def _http_status(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"[45]\d\d", text) else None


@dataclass(frozen=True, slots=True)
class _Told:
    """An error as the server tells it.

    Attributes:
        code: Its code.
        message: Its message.
        quoted: The message with what it repeats of the request, which tells nothing of the kind of error: the
            caller's text may well speak of too many requests. ``None`` where it is the same.
    """

    code: str
    message: str
    quoted: str | None = None


def _tell(frame: Mapping[str, Any]) -> _Told:
    """The code and the message in any of the shapes in which the service tells an error."""
    data = data_of(frame)
    told = _explain(frame.get("error") or frame.get("errors") or data.get("error"))
    code = told.code or str(frame.get("error_code") or frame.get("code") or _http_status(frame.get("status")) or "")
    more = str(frame.get("message") or frame.get("details") or data.get("message") or "")
    whole = json.dumps(frame)
    named = (name for name in _TELLING_CODES if name in whole and name not in f"{code} {told.message} {more}")
    more = _join("" if more in told.message else more, *named)
    if not more:
        return _Told(code, told.message, told.quoted)
    return _Told(code, _join(told.message, more), _join(told.quoted or told.message, more))


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _explain(told: object) -> _Told:
    if isinstance(told, Mapping):
        code = str(told.get("code") or told.get("error_code") or "")
        message = told.get("message") or told.get("details") or told.get("error")
        return _Told(code, str(message) if message else ("" if code else json.dumps(dict(told))))
    if isinstance(told, list):
        parts = [_explain_item(item) for item in told]
        code = next((part.code for part in parts if part.code), "")
        return _Told(code, _join(*(p.message for p in parts)), _join(*(p.quoted or p.message for p in parts)))
    return _Told("", str(told) if told and told is not True else "")


def _explain_item(item: object) -> _Told:
    if not isinstance(item, Mapping):
        return _Told("", str(item))
    told = _explain(item)
    path = item.get("path")
    steps = ".".join(str(step) for step in path) if isinstance(path, list) else ""
    quoted = f"{steps}: {told.message}" if steps else told.message
    if item.get("received") is not None:
        quoted += f" (received {item['received']!r})"
    if item.get("options"):
        quoted += f" (options: {item['options']})"
    return _Told(told.code, told.message, quoted)


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
    frame = load(body)
    told = _tell(frame) if frame is not None else _Told("", "")
    if not told.message:
        told = _Told(told.code, body.strip())
    return _error(status, told, request_id=request_id, retry_after=retry_after, secret=secret)


def _error(
    status: int | None,
    told: _Told,
    *,
    request_id: str | None,
    retry_after: float | None = None,
    secret: str,
) -> SmallestAIError:
    all_told = f"{told.code} {told.message}"
    kind = _CODES.get(told.code) or _classify(status or _http_status(told.code) or 0, all_told)
    advice = next((advice for code, advice in _ADVICE_ON_CODES.items() if code in all_told), _ADVICE[kind])
    code = "" if told.code == str(status) else told.code
    said = " ".join(part for part in (code, told.quoted or told.message) if part)
    head = f"HTTP {status}: " if status else ""
    text = f"{head}{quote(said, secret).rstrip('. ') or 'no reason told'}. {advice}"
    request_id = quote(request_id, secret)[:ID_LIMIT] if request_id else None
    if kind is RateLimitError:
        return RateLimitError(text, status=status, request_id=request_id, retry_after=retry_after)
    if kind is ModelRetiredError:
        retired = ModelRetiredError(text, status=status, request_id=request_id)
        retired.told = re.search(_RETIRED, all_told, re.I) is not None
        return retired
    return kind(text, status=status, request_id=request_id)


_TELLING_CODES: dict[str, type[SmallestAIError]] = {
    "CONTENT_FILTER_BLOCKED": InvalidRequestError,
    "MODEL_DEPRECATED": ModelRetiredError,
}
"""Codes that say what is wrong wherever in an error they stand, and whatever the status: the vendor ties neither to
a field or a status."""

_SPEAKING_STATUS: dict[int, type[SmallestAIError]] = {
    401: AuthenticationError,
    402: AuthenticationError,
    403: AuthenticationError,
    404: ModelRetiredError,
    405: ModelRetiredError,
    408: ServerError,
    410: ModelRetiredError,
    429: RateLimitError,
}

_CODES: dict[str, type[SmallestAIError]] = {
    "model_access_denied": AuthenticationError,
    "invalid_voice": InvalidRequestError,
    "invalid_query": InvalidRequestError,
    "bad_frame": ServerError,  # not for good by the vendor: the turn is sent again
    "bad_user_audio": InvalidRequestError,
}
"""What the codes mean that Lightning v4's session tells. They outrank a status, on whatever route they come."""

_ADVICE_ON_CODES = {
    "model_access_denied": "Lightning v4 is a beta, and gated: it must be enabled for the account. Ask Smallest AI "
    "for access, or use another model, such as model='lightning_v3.1_pro'",
    "CONTENT_FILTER_BLOCKED": "The service's filter does not let this text be spoken: word it otherwise",
}

_WRONG_VOICE = (
    r"(invalid|unknown|wrong|unsupported).voice|"
    r"voice.{0,60}(invalid|not found|not exist|not available|not supported|unavailable)"
)

_RETIRED = r"MODEL_DEPRECATED|(model|endpoint|lightning).{0,40}(retired|deprecated|no longer)"

_SPEAKING_TEXT: tuple[tuple[str, type[SmallestAIError]], ...] = (
    (rf"CONTENT_FILTER_BLOCKED|{_WRONG_VOICE}", InvalidRequestError),
    (_RETIRED, ModelRetiredError),
    (r"\b429\b(?! ?char)|concurren|rate.?limit|too.?many(?!.?char)", RateLimitError),
    (r"\b40[13]\b(?! ?char)|unauthori[sz]ed|forbidden|api.?key|invalid.token|not.entitled|authenticat|credits?\b|"
     r"subscription", AuthenticationError),
    (r"invalid.input|invalid_|too_big|too_small|unrecognized_keys|(invalid|bad).request|validation|is required|"
     r"not supported", InvalidRequestError),
    (r"inactivity|idle.?time", APIConnectionError),
)  # fmt: skip
"""In this order: a text may match several, and the first is the more telling."""

_ADVICE: dict[type[SmallestAIError], str] = {
    AuthenticationError: "Check api_key (or SMALLEST_API_KEY) and what the account may use",
    InvalidRequestError: "Check voice_id (see `voices()`), language, sample_rate and text: the model takes others",
    ModelRetiredError: "Use a current model, such as model='lightning_v3.1_pro' or 'lightning_v3.1'",
    RateLimitError: "The account has too many requests in progress: wait, or ask for a higher limit",
    ServerError: "The service failed; it may work again shortly",
    APIConnectionError: "The connection is opened anew",
}


def _classify(status: int, said: str) -> type[SmallestAIError]:
    for code, telling in _TELLING_CODES.items():
        if code in said:
            return telling
    kind = _SPEAKING_STATUS.get(status)
    if status == 404 and re.search(_WRONG_VOICE, said, re.I):
        return InvalidRequestError  # not only a route can be missing
    if kind is None and status < 500:
        # A 400 may be a retirement or a limit in disguise; a server error (500 and above) is one whatever it says.
        # HTTP has a client treat a 4xx that it does not know as a 400.
        default = InvalidRequestError if status >= 400 else ServerError
        kind = next((k for pattern, k in _SPEAKING_TEXT if re.search(pattern, said, re.I)), default)
    return kind or ServerError


def quote(value: object, secret: str) -> str:
    """What the server said, without the key, cut to `SERVER_TEXT_LIMIT`."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = without_secret(text, secret)
    return text if len(text) <= SERVER_TEXT_LIMIT else text[: SERVER_TEXT_LIMIT - 1] + "…"
