"""Request bodies."""

from __future__ import annotations

from typing import Any

from ..models import resolve
from ..settings import Settings

__all__ = ["cancel_body", "context_body", "http_body", "websocket_body"]


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
