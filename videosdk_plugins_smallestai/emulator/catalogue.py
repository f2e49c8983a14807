"""The models, voices and languages the emulated service offers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

STANDARD_VOICES = frozenset({"magnus", "devansh", "kartik", "maithili", "liam", "avery"})
"""Voices of ``lightning-v3.1`` and ``lightning_v3.1``."""

PRO_VOICES = frozenset(
    {
        *("rhea", "zariya", "meher", "aviraj", "vyom"),  # Indian
        *("sophie", "ellie", "sam", "henry"),  # British
        *("kaitlyn", "savannah", "blake", "austin"),  # American
    }
)
"""A part of the catalogue of ``lightning_v3.1_pro``. It has voices for 29 more languages."""

WORD_VOICES = STANDARD_VOICES | {"meher"}
"""Voices with word timestamps. Each source names six, with ``magnus`` or with ``meher``."""

OLD_VOICES = frozenset(
    {
        "emily",
        "jasmine",
        "arman",
        "james",
        "mithali",
        "aravind",
        "raj",
        "diya",
        "raman",
        "ananya",
        "isha",
        "william",
        "aarav",
        "monika",
        "niharika",
    }
)
"""A part of the catalogue that ``lightning-v2``, ``lightning-large`` and ``lightning`` share."""

MIXED = "en-hi"
"""English and Hindi mixed: what Pro speaks where a request names no language."""

WORD_LANGUAGES = frozenset({"en", "hi", MIXED})

PRONUNCIATION_DICTS = frozenset({"dict_names", "dict_products"})
"""The ids that exist in every account of this emulator. They change nothing in the speech."""

BLOCKED_WORDS = frozenset({"damn", "bastard", "bollocks", "crap"})
"""What the content filter finds."""

_V31_LANGUAGES = frozenset(
    {
        "auto",
        "en",
        "hi",
        "mr",
        "kn",
        "ta",
        "bn",
        "gu",
        "te",
        "ml",
        "pa",
        "or",
        "es",
        "de",
        "fr",
        "it",
        "nl",
        "sv",
        "pt",
        "ru",
        "pl",
    }
)
_PRO_LANGUAGES = _V31_LANGUAGES | frozenset({"el", "fi", "no", "ar", "zh", "id", "ja", "ko", "ms", "tr", "vi"})
_V2_LANGUAGES = frozenset(
    {"en", "hi", "mr", "kn", "ta", "bn", "gu", "de", "fr", "es", "it", "pl", "nl", "ru", "ar", "he", "sv"}
)
_ALL_RATES = (8000, 16000, 24000, 44100)


@dataclass(frozen=True)
class Model:
    """What one model accepts.

    Attributes:
        name: The id, as in a route or in a body's ``model``.
        voices: Voice ids (cloned voices, ``voice_*``, are accepted by every model).
        languages: Language codes.
        rates: Sample rates in Hz.
        tuning: Whether ``consistency``, ``similarity`` and ``enhancement`` are accepted.
        streams: Whether it has a WebSocket route of its own.
        default_language: What it speaks where a request names no language.
    """

    name: str
    voices: frozenset[str]
    languages: frozenset[str]
    rates: tuple[int, ...] = _ALL_RATES
    tuning: bool = False
    streams: bool = False
    default_language: str = "en"

    def has_voice(self, voice_id: str) -> bool:
        """Return whether the model speaks with this voice."""
        return voice_id in self.voices or voice_id.startswith("voice_")


ROUTE_MODELS = {
    model.name: model
    for model in (
        Model("lightning-v3.1", STANDARD_VOICES, _V31_LANGUAGES, streams=True),
        Model("lightning-v2", OLD_VOICES, _V2_LANGUAGES, _ALL_RATES[:3], tuning=True),
        Model("lightning-large", OLD_VOICES, frozenset({"en", "hi"}), _ALL_RATES[:3], tuning=True),
        Model("lightning", OLD_VOICES, frozenset({"en", "hi"}), _ALL_RATES[:3]),
    )
}
"""Models with routes of their own, by id."""

LIVE_MODEL = Model(
    "lightning-v4", frozenset({"brannock", "rhodes"}), frozenset({"en", "auto"}), (*_ALL_RATES, 48000)
)
"""Lightning v4, which has a route and a protocol of its own. Its catalogue has more voices."""

UNIFIED_DEFAULT = "lightning_v3.1"
_DATED = re.compile(r"_\d\d_\d\d$")
_UNIFIED = {
    "lightning_v3.1": Model("lightning_v3.1", STANDARD_VOICES, _V31_LANGUAGES),
    "lightning_v3.1_pro": Model("lightning_v3.1_pro", PRO_VOICES, _PRO_LANGUAGES, default_language=MIXED),
}
UNIFIED_MODELS = tuple(_UNIFIED)


def unified_model(name: str) -> Model | None:
    """Return the model that a unified route's ``model`` names, a dated variant included."""
    return _UNIFIED.get(_DATED.sub("", name))


VOICE_LISTS = {
    **ROUTE_MODELS,
    "lightning-v3.1-pro": _UNIFIED["lightning_v3.1_pro"],
    LIVE_MODEL.name: LIVE_MODEL,
}
"""Models whose voices are listed, by the name in the path."""


def is_known(voice_id: str) -> bool:
    """Return whether any model has this voice."""
    return any(model.has_voice(voice_id) for model in VOICE_LISTS.values())


def voice_list(model: Model) -> dict[str, Any]:
    """Return what ``GET /<model>/get_voices`` answers."""
    return {"voices": [_listed(voice) for voice in sorted(model.voices)]}


_TAGS: dict[str, dict[str, Any]] = {
    "magnus": {"language": ["english"], "accent": "american", "gender": "male", "age": "middle-aged"},
    "devansh": {"language": ["hindi", "english"], "accent": "indian", "gender": "male", "age": "young"},
    "kartik": {"language": ["hindi", "english"], "accent": "indian", "gender": "male", "age": "young"},
    "maithili": {"language": ["hindi", "english"], "accent": "indian", "gender": "female", "age": "young"},
    "liam": {"language": ["english"], "accent": "american", "gender": "male", "age": "young"},
    "rhea": {"language": ["hindi", "english"], "accent": "indian", "gender": "female", "age": "young"},
    "zariya": {"language": ["hindi", "english"], "accent": "indian", "gender": "female", "age": "young"},
    "meher": {"language": ["hindi", "english"], "accent": "indian", "gender": "female", "age": "young"},
    "aviraj": {"language": ["hindi", "english"], "accent": "indian", "gender": "male", "age": "young"},
    "sophie": {"language": ["english"], "accent": "british", "gender": "female", "age": "young"},
    "ellie": {"language": ["english"], "accent": "british", "gender": "female", "age": "young"},
    "sam": {"language": ["english"], "accent": "british", "gender": "male", "age": "young"},
    "henry": {"language": ["english"], "accent": "british", "gender": "male", "age": "middle-aged"},
    "kaitlyn": {"language": ["english"], "accent": "american", "gender": "female", "age": "young"},
    "savannah": {"language": ["english"], "accent": "american", "gender": "female", "age": "young"},
    "blake": {"language": ["english"], "accent": "american", "gender": "male", "age": "young"},
    "brannock": {"language": ["english"], "accent": "american", "gender": "male", "age": "middle-aged"},
    "rhodes": {"language": ["english"], "accent": "american", "gender": "male", "age": "middle-aged"},
    # The others, such as avery and vyom, have empty tags: the real lists have such voices.
}


def _listed(voice: str) -> dict[str, Any]:
    tags = _TAGS.get(voice, {})
    extra = {"emotions": ["neutral"], "usecases": ["conversational"]} if tags else {}
    return {"voiceId": voice, "displayName": voice.capitalize(), "tags": tags | extra}
