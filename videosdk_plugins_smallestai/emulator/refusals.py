"""How the service says no: in many shapes, as the real one does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .faults import Refuse

# One shape for each status, all different on purpose: a client has to find the message in every one.
_BODIES: dict[int, dict[str, Any]] = {
    400: {"error": {"code": "bad_request", "message": "Bad request"}},
    401: {"status": False, "message": "Invalid API key"},
    403: {"errors": "You have used up the credits of your plan"},
    404: {"message": "Not found", "status": 404},
    405: {"error": "Method not allowed"},
    410: {"error": {"code": "gone", "message": "This endpoint has been retired"}},
    413: {"details": "Payload too large"},
    422: {"errors": ["Unprocessable request"]},
    429: {"error": {"code": "rate_limit_exceeded", "message": "Too many concurrent requests"}},
    500: {"error": {"code": "internal_error", "message": "Internal server error"}},
    502: {"message": "Bad gateway"},
    503: {"error": {"code": "service_unavailable", "message": "Service temporarily unavailable"}},
    504: {"data": {"error": "Synthesis timed out"}},
}


class Refusal(Exception):
    """A request that will not be served.

    Attributes:
        status: HTTP status.
        body: JSON body.
        headers: Extra HTTP response headers.
    """

    def __init__(
        self,
        status: int,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        frame: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Describe a refusal.

        Args:
            status: HTTP status.
            body: JSON body; ``None``: one that fits the status.
            headers: Extra HTTP response headers.
            frame: WebSocket frame, sent as it is; ``None``: an error frame made of the body.
        """
        super().__init__(status)
        self.status = status
        self.body = default_body(status) if body is None else body
        self.headers = dict(headers or {})
        self._frame = frame

    def frame(self, ids: Mapping[str, str]) -> str:
        """Return the WebSocket frame that tells it, with the request's external ids."""
        if self._frame is not None:
            return self._frame if isinstance(self._frame, str) else json.dumps(self._frame)
        body = self.body if isinstance(self.body, Mapping) else {"error": self.body}
        # This one shape has neither a status nor an id.
        return json.dumps(body if "data" in body else {**body, **ids, "status": "error"})

    def told(self) -> tuple[str, str]:
        """Return its code and its message, as an error of Lightning v4's session has them."""
        body = self.body if isinstance(self.body, Mapping) else {"error": self.body}
        error = body.get("error") or body.get("errors") or body.get("data")
        inner = error if isinstance(error, Mapping) else {}
        message = inner.get("message") or inner.get("error") or body.get("message") or body.get("details") or error
        return str(inner.get("code") or body.get("error_code") or self.status), str(message)


def default_body(status: int) -> dict[str, Any]:
    """Return a realistic body for an HTTP status."""
    return _BODIES.get(status) or _coded(status, f"HTTP {status}")


def of_fault(fault: Refuse) -> Refusal:
    """Return the refusal that a :class:`~.Refuse` asks for."""
    return Refusal(fault.status, fault.body, headers=fault.headers, frame=fault.frame)


def busy() -> Refusal:
    """The account has as many requests in progress as it may have."""
    return Refusal(429)


def retired(model: str, how: int | str) -> Refusal:
    """A model is not served any more; ``how`` is the status, or ``"MODEL_DEPRECATED"``."""
    if isinstance(how, int):
        return Refusal(how)
    message = f"{model} has been retired. Use lightning_v3.1 instead."
    body = {"error_code": how, "message": message, "recommended_endpoint": "/waves/v1/tts/live"}
    return Refusal(400, body)


def not_json() -> Refusal:
    """The message is not a JSON object."""
    return Refusal(400, {"data": {"error": "Request is not valid JSON"}})


def missing(field: str) -> Refusal:
    """A required field is missing or empty."""
    return Refusal(400, {"errors": [f"{field} is required and must not be empty"]})


def too_long(length: int, limit: int) -> Refusal:
    """The text has too many characters."""
    return Refusal(400, {"message": f"Text of {length} characters exceeds the limit of {limit}"})


def wrong_voice() -> Refusal:
    """The model has no such voice."""
    return Refusal(400, _coded("invalid_voice_id", "Invalid Voice ID"))


def blocked() -> Refusal:
    """The content filter has found something."""
    return Refusal(400, {"error": {"code": "CONTENT_FILTER_BLOCKED", "message": "Text was blocked"}})


def invalid(code: str, field: str, message: str, **details: Any) -> Refusal:
    """A field has a value that is not accepted: a list of objects in ``error``."""
    problem = {"code": code, "path": [field], "message": message, **details}
    return Refusal(400, {"message": "Invalid input data", "error": [problem]})


def _coded(code: int | str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
