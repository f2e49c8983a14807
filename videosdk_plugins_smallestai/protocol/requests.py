"""Makes request bodies: which fields each route gets, and what is sent for 0."""

from __future__ import annotations

from typing import Any

from ..models import resolve
from ..settings import Settings

__all__ = ["close_body", "context_close_body", "fragment_body", "http_body", "websocket_body"]

SOON = 1
"""Milliseconds sent where 0 is meant: a server that tests a field for truth takes 0 for absent, and then waits for
four seconds (``complete_backoff_ms``) or three (``max_buffer_delay_ms``)."""


def _speech(s: Settings) -> dict[str, Any]:
    """The fields that every request has besides its text."""
    body: dict[str, Any] = {"voice_id": s.voice_id, "sample_rate": s.sample_rate, "speed": s.speed}
    if s.language is not None:
        body["language"] = s.language
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
        "session_id": s.session_id,
    }
    return {name: value for name, value in optional.items() if value is not None}


def _message(s: Settings, request_id: str) -> dict[str, Any]:
    """The fields that every message on a WebSocket has besides its text."""
    body = _speech(s) | {"request_id": request_id, "complete_backoff_ms": s.complete_backoff_ms or SOON}
    if s.word_timestamps:
        body["word_timestamps"] = True
    return body


def websocket_body(s: Settings, text: str, request_id: str) -> dict[str, Any]:
    """A plain request on a WebSocket."""
    body = _message(s, request_id) | {"text": text}
    if s.max_buffer_flush_ms > 0:
        body["max_buffer_flush_ms"] = s.max_buffer_flush_ms
    return body


def _context(s: Settings, request_id: str, context_id: str, *, more: bool) -> dict[str, Any]:
    # Never with max_buffer_flush_ms: together with a context_id it is a validation error.
    return _message(s, request_id) | {
        "context_id": context_id,
        "continue": more,
        "max_buffer_delay_ms": s.max_buffer_delay_ms or SOON,
    }


def fragment_body(s: Settings, text: str, request_id: str, context_id: str) -> dict[str, Any]:
    """A fragment of a continuation. More may follow."""
    return _context(s, request_id, context_id, more=True) | {"text": text}


def close_body(s: Settings, request_id: str, context_id: str) -> dict[str, Any]:
    """The end of a continuation's text. It has no text of its own, and its audio still comes."""
    return _context(s, request_id, context_id, more=False)


def context_close_body(context_id: str) -> dict[str, Any]:
    """Ends a continuation at once and drops what the server keeps of it."""
    return {"context_id": context_id, "context_close": True}


def http_body(s: Settings, text: str) -> dict[str, Any]:
    """A request by POST."""
    body = _speech(s) | {"text": text, "output_format": "pcm"}
    if resolve(s.model).prosody:
        body |= {"consistency": s.consistency, "similarity": s.similarity, "enhancement": s.enhancement}
    return body
