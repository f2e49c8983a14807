"""Settings that only the unified routes have: a mistake is told before any text is taken, and none is dropped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from listening import RecordingTrack, items

from videosdk_plugins_smallestai import SmallestAITTS

UNIFIED = {"api_key": "sk_test", "model": "lightning_v3.1"}

MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_buffer_delay_ms": 5001}, ValueError, "max_buffer_delay_ms must be"),
    ({"max_buffer_delay_ms": 1.5}, ValueError, "max_buffer_delay_ms must be"),
    ({"number_pronunciation_language": 5}, TypeError, "number_pronunciation_language must be a str"),
    ({"word_timestamps": "yes"}, ValueError, "word_timestamps must be True or False"),
    ({"continuations": 1}, ValueError, "continuations must be True or False"),
    ({"math_notation": "on"}, ValueError, "math_notation must be True or False"),
    ({"content_filter": "block"}, ValueError, "content_filter must be 'reject' or 'flag'"),
    ({"pronunciation_dicts": "dict_1"}, ValueError, "pronunciation_dicts must be a list"),
    ({"pronunciation_dicts": [1]}, ValueError, "pronunciation_dicts must be a list"),
    ({"max_buffer_delay_ms": 100, "continuations": False}, ValueError, "max_buffer_delay_ms belongs to"),
    ({"max_buffer_delay_ms": 100, "enable_streaming": False}, ValueError, "max_buffer_delay_ms belongs to"),
]

UNIFIED_ONLY: list[dict[str, Any]] = [
    {"number_pronunciation_language": "en"},
    {"math_notation": False},
    {"content_filter": "flag"},
    {"pronunciation_dicts": ["dict_1"]},
]


@pytest.mark.parametrize(("wrong", "kind", "message"), MISTAKES)
def test_a_mistake_is_told_at_construction(wrong: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{message}"):
        SmallestAITTS(**UNIFIED, **wrong)


@pytest.mark.parametrize("field", UNIFIED_ONLY, ids=lambda field: next(iter(field)))
@pytest.mark.parametrize("streaming", [True, False])
def test_a_field_that_the_models_routes_do_not_have_is_refused(field: dict[str, Any], streaming: bool) -> None:
    [name] = field
    with pytest.raises(ValueError, match=f"^{name} is not served for model='lightning-v3.1'"):
        SmallestAITTS(api_key="sk_test", enable_streaming=streaming, **field)


@pytest.mark.parametrize("field", [{"max_buffer_delay_ms": 5001}, {"content_filter": "block"}])
async def test_a_mistake_in_a_call_is_told_before_any_text_is_taken(field: dict[str, Any]) -> None:
    tts = SmallestAITTS(**UNIFIED)
    tts.audio_track, tts.loop = RecordingTrack(), asyncio.get_running_loop()
    source = items(["Not taken."])
    with pytest.raises(ValueError, match=next(iter(field))):
        await tts.synthesize(source, **field)
    assert [item async for item in source] == ["Not taken."]
    await tts.aclose()


@pytest.mark.parametrize("key", [5, b"sk_test"])
def test_a_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match=r"^api_key must be a str"):
        SmallestAITTS(api_key=key)
