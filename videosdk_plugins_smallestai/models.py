"""The models: which routes they are served on, what they are called there, and what they take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = [
    "MODELS",
    "PRO_ENGLISH_VOICES",
    "PRO_INDIAN_VOICES",
    "PRO_VOICES",
    "SAMPLE_RATES",
    "STANDARD_VOICES",
    "Model",
    "SmallestAIModel",
    "resolve",
]

SmallestAIModel = Literal[
    "lightning",
    "lightning-large",
    "lightning-v2",
    "lightning-v3.1",
    "lightning_v3.1",
    "lightning_v3.1_pro",
    "lightning_v4",
    "lightning-v4",
]
"""The model ids known when this was written. Newer ids that start with ``lightning_v`` are accepted too."""

SAMPLE_RATES = (8000, 16000, 24000, 44100)
"""Sample rates in Hz that the service produces."""

VOICE_LIST = "/lightning-v3.1/get_voices"
"""Path of the list of the standard voices."""

PRO_VOICE_LIST = "/lightning-v3.1-pro/get_voices"
"""Path of the list of the Pro catalogue's voices."""

STANDARD_VOICE = "magnus"
PRO_VOICE = "meher"
LIVE_VOICE = "brannock"

STANDARD_VOICES = frozenset({"magnus", "devansh", "kartik", "maithili", "liam", "avery"})
"""What is known of the voices of ``lightning-v3.1`` and ``lightning_v3.1``."""

PRO_INDIAN_VOICES = ("meher", "rhea", "aviraj", "zariya", "vyom")
"""Voices of the Pro catalogue for Hindi and for Indian English."""

PRO_ENGLISH_VOICES = (
    *("blake", "kaitlyn", "austin", "savannah"),  # American
    *("sophie", "henry", "ellie", "sam"),  # British
)
"""Voices of the Pro catalogue for English alone."""

PRO_VOICES = frozenset({*PRO_INDIAN_VOICES, *PRO_ENGLISH_VOICES})
"""What is known of the Pro catalogue. It has more, so no voice is refused for not being in here."""


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the table.

    Attributes:
        id: The name that a user gives.
        wire_name: What the ``model`` field of a request says; ``None`` where the route names the model.
        websocket: Path of the WebSocket route below the base URL; ``None`` where there is none.
        http: Path of the HTTP route below the base URL; ``None`` where there is none.
        default_voice: The voice used where the user chose none.
        prosody: Whether it takes ``consistency``, ``similarity`` and ``enhancement``.
        sample_rates: Sample rates in Hz that it produces.
        successor: Id of the model to use when this one's routes are gone; ``None`` where nobody says one.
        live: Whether it speaks the turns of a session, which lasts for a whole call.
        voice_list: Path of the list of its voices below the base URL.
    """

    id: str
    wire_name: str | None
    websocket: str | None
    http: str | None
    default_voice: str = STANDARD_VOICE
    prosody: bool = False
    sample_rates: tuple[int, ...] = SAMPLE_RATES
    successor: str | None = None
    live: bool = False
    voice_list: str = VOICE_LIST

    @property
    def pro(self) -> bool:
        """Whether it speaks with the Pro catalogue's voices."""
        return self.default_voice == PRO_VOICE

    @property
    def unified(self) -> bool:
        """Whether the model is served on the unified routes: they name it in the request, and answer with SSE."""
        return self.wire_name is not None


def _per_model(model: str, **more: object) -> Model:
    return Model(model, None, more.pop("websocket", None), f"/{model}/get_speech", **more)  # type: ignore[arg-type]


def _live(model: str) -> Model:
    return Model(
        model,
        None,
        "/lightning-v4/live",
        None,
        default_voice=LIVE_VOICE,
        sample_rates=(*SAMPLE_RATES, 48000),
        live=True,
        voice_list="/lightning-v4/get_voices",
    )


def _unified(model: str, successor: str | None = None) -> Model:
    pro = "_pro" in model
    return Model(
        model,
        model,
        "/tts/live",
        "/tts/live",
        default_voice=PRO_VOICE if pro else STANDARD_VOICE,
        successor=successor,
        voice_list=PRO_VOICE_LIST if pro else VOICE_LIST,
    )


_UP_TO_24_KHZ = (8000, 16000, 24000)  # the vendor documents at most 24000 Hz for its three older models

MODELS: dict[str, Model] = {
    model.id: model
    for model in (
        _per_model("lightning", sample_rates=_UP_TO_24_KHZ),
        _per_model("lightning-large", sample_rates=_UP_TO_24_KHZ),
        _per_model("lightning-v2", sample_rates=_UP_TO_24_KHZ, prosody=True),
        _per_model("lightning-v3.1", websocket="/lightning-v3.1/get_speech/stream", successor="lightning_v3.1"),
        _unified("lightning_v3.1", successor="lightning_v3.1_pro"),
        _unified("lightning_v3.1_pro"),
        _live("lightning_v4"),
        _live("lightning-v4"),
    )
}


_V4 = re.compile(r"lightning[_-]v4([_-].*)?", re.DOTALL)
"""Lightning v4 and variants of it, none of which is known. Its route takes no model id that could name one."""


def resolve(model: object) -> Model:
    """Look a model id up.

    Raises:
        ValueError: The id is none that the service has, and does not look like a newer one; or it is a variant of
            Lightning v4, of which none is known.
    """
    if isinstance(model, str) and model in MODELS:
        return MODELS[model]
    known = ", ".join(repr(name) for name in get_args(SmallestAIModel))
    if isinstance(model, str):
        if _V4.fullmatch(model):
            raise ValueError(
                f"model must be one of {known}; got {model!r}: the route of Lightning v4 has no variants. "
                f"Pass model='lightning_v4'"
            )
        if model.startswith("lightning_v"):
            return _unified(model)
    raise ValueError(f"model must be one of {known}, or a newer id that starts with 'lightning_v'; got {model!r}")
