"""The exceptions that the plugin raises."""

from __future__ import annotations

import re

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AuthenticationError",
    "InvalidRequestError",
    "ModelRetiredError",
    "RateLimitError",
    "ServerError",
    "SmallestAIError",
]


_SURROGATES = re.compile("[\ud800-\udfff]")
"""What aiohttp makes of bytes in a header that are no text. A log that is written as UTF-8 would fail on it."""


class SmallestAIError(RuntimeError):
    """Speech could not be produced.

    Attributes:
        status: The HTTP status of the answer, where there was one.
        request_id: The server's id of the request; where it told none, that under which it was sent, if any.
        session_id: The server's id of the session, which its HTTP answers tell; ``None`` where there is none.
        model: The model that was asked; ``None`` where none was.
        voice_id: The voice that was asked.
        retryable: Whether the same request may succeed a little later.
        unspoken: Text that was taken from the caller's iterator and never (or not wholly) heard. Kept out of
            the message, so that what users say does not reach the logs.
    """

    retryable: bool = False

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(_SURROGATES.sub("\ufffd", message))
        self.status = status
        self.request_id = None if request_id is None else _SURROGATES.sub("\ufffd", request_id)
        self.session_id: str | None = None
        self.unspoken = ""
        self.model: str | None = None
        self.voice_id: str | None = None

    def __str__(self) -> str:
        told = [("model", self.model), ("voice", self.voice_id)]
        told += [("request", self.request_id), ("session", self.session_id)]
        named = ", ".join(f"{name} {value}" for name, value in told if value)
        return f"{super().__str__()} [{named}]" if named else super().__str__()


class AuthenticationError(SmallestAIError):
    """The API key is missing, wrong, not entitled, or its limit is used up (HTTP 401, 403)."""


class InvalidRequestError(SmallestAIError):
    """The service refuses the request as it is: voice, language, text or a field (HTTP 400, 413, 422)."""


class ModelRetiredError(SmallestAIError):
    """The model or its route is gone (HTTP 404, 405, 410, ``MODEL_DEPRECATED``).

    Attributes:
        successor: Id of the model that speaks in its place, where there is one.
        told: Whether the service says in words that the model is retired. A plain 404 may have other causes.
    """

    successor: str | None = None
    told: bool = False


class RateLimitError(SmallestAIError):
    """Too many requests, or too many at once, for this account (HTTP 429).

    Attributes:
        retry_after: Seconds that the server asks to wait, where it told them.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after


class ServerError(SmallestAIError):
    """The service failed (HTTP 500, 502, 503, 504), or answered something that is no speech."""

    retryable = True


class APIConnectionError(SmallestAIError):
    """The service could not be reached, or the connection broke.

    Attributes:
        opening: Whether there was no connection at all (refused, host unknown, TLS refused), rather than one
            that broke.
    """

    retryable = True

    def __init__(
        self, message: str, *, status: int | None = None, request_id: str | None = None, opening: bool = False
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.opening = opening


class DroppedError(APIConnectionError):
    """We ended the connection ourselves. Never reaches a caller: the request is sent again, or nobody wants it."""


class APITimeoutError(SmallestAIError):
    """The service did not answer in time."""

    retryable = True
