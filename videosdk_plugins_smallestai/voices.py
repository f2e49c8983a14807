"""The service's list of voices, as typed values, and what is known of a voice that does not fit its reply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import models

__all__ = ["Voice", "advice", "read_voices"]

_STANDARD_MODELS = ("lightning-v3.1", "lightning_v3.1")
_PRO_MODEL = "lightning_v3.1_pro"
"""How the ids of the Pro models begin; dated variants have more."""

_STANDARD_FITTING = {"hi": ("devansh", "kartik", "maithili")}
_STANDARD_DEFAULT = ("magnus", "liam", "avery")

_PRO_FITTING = {
    "en": ("blake", "kaitlyn", "sophie"),
    "hi": models.PRO_INDIAN_VOICES[:3],
    "auto": models.PRO_INDIAN_VOICES[:3],
    None: models.PRO_INDIAN_VOICES[:3],  # English and Hindi mixed
}
"""Three for each language that a known voice of the Pro catalogue speaks. No voice is known for the others."""


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


def advice(model: str, voice_id: str, language: str | None) -> str | None:
    """What to tell the user of a voice that is known not to fit its reply.

    Args:
        model: The model id that was asked for.
        voice_id: The voice that was asked for.
        language: The reply's; ``None`` where none is sent.

    Returns:
        A sentence that names three voices that fit, or how to list them where none is known; ``None`` where the
        voice fits, or nothing is known against it, as with a cloned one.
    """
    voice = voice_id.strip().lower()
    language = None if language is None else language.lower()
    if model in _STANDARD_MODELS and voice in models.PRO_VOICES:
        fitting: tuple[str, ...] = _STANDARD_FITTING.get(language or "", _STANDARD_DEFAULT)
        trouble = f"voice {voice_id!r} is one of the Pro catalogue, and model {model!r} speaks with standard voices"
    elif model.startswith(_PRO_MODEL) and voice in models.STANDARD_VOICES:
        fitting = _PRO_FITTING.get(language, ())
        trouble = (
            f"voice {voice_id!r} is a standard one, and model {model!r} speaks with those of the Pro catalogue"
        )
    elif model.startswith(_PRO_MODEL) and not _may_speak(voice, language):
        fitting = _PRO_FITTING.get(language, ())
        trouble = f"voice {voice_id!r} does not speak language {language!r}"
    else:
        return None
    if not fitting:
        return f"{trouble}. It is asked for all the same; `await tts.voices()` lists the voices of the model"
    return f"{trouble}. It is asked for all the same; voices that fit are {', '.join(fitting)}"


def _may_speak(voice: str, language: str | None) -> bool:
    """Whether nothing is known against it. No language is English and Hindi mixed, so any known voice may do."""
    if language is None or language == "auto":
        return True
    if voice in models.PRO_INDIAN_VOICES:
        return language in ("en", "hi")
    return voice not in models.PRO_ENGLISH_VOICES or language == "en"


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
