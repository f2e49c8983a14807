"""Reads a message of the server as JSON. Never raises, and limits how deep it may nest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["data_of", "load", "text_of"]

OPENINGS_LIMIT = 200
"""Opening brackets of a kind in a message. Real ones have a few; some hundred deep they exhaust the stack."""


def load(raw: str | bytes) -> dict[str, Any] | None:
    """A message as an object; ``None`` for whatever else it may be."""
    if not isinstance(raw, str) or _may_nest_deeply(raw):
        return None
    try:
        frame = json.loads(raw)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) else None


def _may_nest_deeply(raw: str) -> bool:
    return _has_more(raw, "[", OPENINGS_LIMIT) or _has_more(raw, "{", OPENINGS_LIMIT)


def _has_more(raw: str, character: str, limit: int) -> bool:
    """Whether a character comes up more often. `find` skips long audio ten times faster than `count` counts it."""
    at = -1
    for _ in range(limit + 1):
        at = raw.find(character, at + 1)
        if at < 0:
            return False
    return True


def data_of(frame: Mapping[str, Any]) -> dict[str, Any]:
    """The message's ``data``; empty where there is none."""
    data = frame.get("data")
    return data if isinstance(data, dict) else {}


def text_of(value: object) -> str | None:
    """A field that must be a text with something in it; else ``None``."""
    return value if isinstance(value, str) and value else None
