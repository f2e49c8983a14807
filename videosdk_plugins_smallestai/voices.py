"""The service's list of voices, as typed values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Voice", "read_voices"]


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        id: What to pass as ``voice_id``.
        name: For people.
        languages: As the service names them, such as ``"english"``; empty where it does not say.
        accent: Such as ``"indian"``; empty where it does not say.
        gender: ``"male"``, ``"female"``, or empty where it does not say.
    """

    id: str
    name: str
    languages: tuple[str, ...] = ()
    accent: str = ""
    gender: str = ""


def read_voices(text: str) -> list[Voice] | None:
    """Read the service's answer; ``None`` where it is no list of voices."""
    body = _load(text)
    if not isinstance(body, dict) or not isinstance(body.get("voices"), list):
        return None
    return [_voice(item) for item in body["voices"] if isinstance(item, dict) and item.get("voiceId")]


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _voice(item: dict[str, Any]) -> Voice:
    told = item.get("tags")
    tags: dict[str, Any] = told if isinstance(told, dict) else {}
    languages = tags.get("language")
    return Voice(
        id=str(item["voiceId"]),
        name=str(item.get("displayName") or item["voiceId"]),
        languages=tuple(str(name) for name in languages) if isinstance(languages, list) else (),
        accent=str(tags.get("accent") or ""),
        gender=str(tags.get("gender") or ""),
    )
