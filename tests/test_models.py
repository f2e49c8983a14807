"""Which model ids are taken, and what stands in for a model that is gone."""

from __future__ import annotations

from typing import Any

import pytest

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.models import PRO_VOICE, PRO_VOICES, resolve


@pytest.mark.parametrize("model", ["lightning_v4", "lightning-v4"])
def test_lightning_v4_is_taken_with_its_own_voice_and_rates(model: str) -> None:
    for rate in (8000, 16000, 24000, 44100, 48000):
        tts = SmallestAITTS(api_key="sk_test", model=model, sample_rate=rate)
        assert (tts.voice_id, tts.sample_rate) == ("brannock", rate)
    assert SmallestAITTS(api_key="sk_test", model=model, voice_id="rhodes").voice_id == "rhodes"
    with pytest.raises(ValueError, match=r"^sample_rate must be one of \(8000, 16000, 24000, 44100, 48000\)"):
        SmallestAITTS(api_key="sk_test", model=model, sample_rate=22050)


@pytest.mark.parametrize("model", ["lightning_v4_07_26", "lightning-v4-beta", "lightning_v4_pro"])
def test_a_variant_of_lightning_v4_is_refused_since_its_route_cannot_name_it(model: str) -> None:
    with pytest.raises(ValueError, match=r"^model must be one of .*no variants. Pass model='lightning_v4'"):
        SmallestAITTS(api_key="sk_test", model=model)


def test_lightning_v4_without_streaming_is_refused_with_what_to_pass() -> None:
    with pytest.raises(ValueError, match=r"^enable_streaming=False is not supported .*Pass enable_streaming=True"):
        SmallestAITTS(api_key="sk_test", model="lightning_v4", enable_streaming=False)


@pytest.mark.parametrize(
    "argument",
    [
        {"math_notation": True},
        {"number_pronunciation_language": "hi"},
        {"pronunciation_dicts": ["a"]},
        {"max_buffer_delay_ms": 5},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_lightning_v4_refuses_what_a_session_cannot_carry(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(argument))} "):
        SmallestAITTS(api_key="sk_test", model="lightning_v4", **argument)


@pytest.mark.parametrize("model", ["lightning_v3.1_pro_07_26", "lightning_v5", "lightning_v40"])
def test_a_newer_model_is_served_on_the_unified_routes(model: str) -> None:
    assert resolve(model).wire_name == model
    assert resolve(model).websocket == "/tts/live"
    assert resolve(model).successor is None


def test_the_chain_of_successors_ends_at_pro() -> None:
    chain = ["lightning-v3.1"]
    while (successor := resolve(chain[-1]).successor) is not None:
        chain.append(successor)
    assert chain == ["lightning-v3.1", "lightning_v3.1", "lightning_v3.1_pro"]
    assert PRO_VOICE in PRO_VOICES


def test_no_language_is_accepted_and_another_type_is_not() -> None:
    assert SmallestAITTS(api_key="sk_test", language=None).language is None  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="language must be a str"):
        SmallestAITTS(api_key="sk_test", language=5)  # type: ignore[arg-type]
