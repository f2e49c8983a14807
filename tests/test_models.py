"""Which model ids are taken, and what stands in for a model that is gone."""

from __future__ import annotations

import pytest

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.models import PRO_VOICE, PRO_VOICES, resolve


@pytest.mark.parametrize(
    "model", ["lightning_v4", "lightning-v4", "lightning_v4_07_26", "lightning-v4-beta", "lightning_v4_pro"]
)
def test_lightning_v4_is_refused_with_the_reason(model: str) -> None:
    with pytest.raises(ValueError, match=r"^model must be one of .*Lightning v4 speaks a protocol of its own"):
        SmallestAITTS(api_key="sk_test", model=model)


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
