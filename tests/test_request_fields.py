"""What each route is asked for on the wire; a setting that a route does not have is refused and never dropped."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from listening import RecordingTrack, items
from routes import ROUTES, WEBSOCKETS
from staging import MakeStage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator.catalogue import PRONUNCIATION_DICTS

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


DICTIONARY = next(iter(PRONUNCIATION_DICTS))

OF_A_CALL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"number_pronunciation_language": "hi"}, {"number_pronunciation_language": "hi"}),
    ({"math_notation": True}, {"math_notation": True}),
    ({"content_filter": "flag"}, {"content_filter": {"enabled": True, "action": "flag"}}),
    ({"pronunciation_dicts": [DICTIONARY]}, {"pronunciation_dicts": [DICTIONARY]}),
    ({"word_timestamps": True}, {"word_timestamps": True}),
    ({"max_buffer_delay_ms": 70}, {"max_buffer_delay_ms": 70}),
]
"""What is given for one call, and what the request then has."""


@pytest.mark.parametrize(("given", "sent"), OF_A_CALL, ids=lambda fields: next(iter(fields)))
@in_virtual_time
async def test_a_field_that_is_given_for_one_call_is_sent_with_that_one(
    stage: MakeStage, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    [name] = sent
    async with stage({"model": "lightning_v3.1"}) as s:
        await s.tts.synthesize("This is one.", **given)
        await s.tts.synthesize("This is another.")
        first, second = (request.body for request in s.waves.requests)
        assert first[name] == sent[name]
        assert second.get(name) != sent[name]


@pytest.mark.parametrize("key", [5, b"sk_test"])
def test_a_key_that_is_no_string_is_refused(key: Any) -> None:
    with pytest.raises(ValueError, match=r"^api_key must be a str"):
        SmallestAITTS(api_key=key)


# On the wire

VOICE = {"voice_id": "magnus", "language": "en", "sample_rate": 24000, "speed": 1.0}
MODEL = {"model": "lightning_v3.1", "session_id": "<session>"}
MESSAGE = {"request_id": "<id>", "complete_backoff_ms": 1}
FRAGMENT = VOICE | MODEL | MESSAGE | {"context_id": "<id>", "max_buffer_delay_ms": 1}
SAID: dict[str, list[dict[str, Any]]] = {
    "websocket": [VOICE | MESSAGE | {"text": "Hello there."}, VOICE | MESSAGE | {"text": "And on."}],
    "http": [VOICE | {"output_format": "pcm", "text": text} for text in ("Hello there.", "And on.")],
    "unified": [VOICE | MODEL | MESSAGE | {"text": text} for text in ("Hello there.", "And on.")],
    "continuations": [
        FRAGMENT | {"continue": True, "text": "Hello there."},
        FRAGMENT | {"continue": True, "text": " And on."},
        FRAGMENT | {"continue": False},
    ],
    "sse": [VOICE | MODEL | {"output_format": "pcm", "text": text} for text in ("Hello there.", "And on.")],
    "live": [{"event": "speak", "turn_id": "<id>", "text": text} for text in ("Hello there.", "And on.")],
}
"""What is sent for a reply of two sentences with the defaults, ids aside: these fields and no other."""

PLACES = {
    "websocket": ("/lightning-v3.1/get_speech/stream", {}),
    "http": ("/lightning-v3.1/get_speech", "audio/wav"),
    "unified": ("/tts/live", {"timeout": "300"}),
    "continuations": ("/tts/live", {"timeout": "300"}),
    "sse": ("/tts/live", "text/event-stream"),
    "live": (
        "/lightning-v4/live",
        {"voice_id": "brannock", "language": "en", "sample_rate": "24000", "speed": "1.0", "output_format": "pcm"},
    ),
}
"""Where it is sent: the path, and the query of the handshake or what the POST accepts."""


def without_ids(message: dict[str, Any], session_id: str) -> dict[str, Any]:
    """A message with a sign for each of its ids, which are such as the service takes."""
    ids = {name: "<id>" for name in ("request_id", "context_id", "turn_id") if name in message}
    assert all(re.fullmatch(r"[\w.-]{1,128}", message[name]) for name in ids)
    assert message.get("context_id") in (None, message.get("request_id"))
    return message | ids | ({"session_id": "<session>"} if message.get("session_id") == session_id else {})


@pytest.mark.parametrize("route", ROUTES)
@in_virtual_time
async def test_a_reply_is_asked_for_with_exactly_these_fields_at_this_address(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await s.tts.synthesize(items(["Hello there.", "And on."]))
        path, more = PLACES[route]
        requests = s.waves.connections if route in WEBSOCKETS else s.waves.requests
        assert {request.path for request in requests} == {"/waves/v1" + path}
        assert {request.headers["authorization"] for request in requests} == {"Bearer sk_test"}
        if route in WEBSOCKETS:
            assert all(connection.query == more for connection in s.waves.connections)
            messages = [message for connection in s.waves.connections for message in connection.messages]
        else:
            assert {request.headers["accept"] for request in requests} == {more}
            messages = [request.body for request in s.waves.requests]
        assert [without_ids(message, s.tts.session_id) for message in messages] == SAID[route]


@pytest.mark.parametrize(("age", "asked"), [(5.0, "60"), (61.2, "62"), (600, "600")])
@in_virtual_time
async def test_the_unified_route_is_asked_to_keep_a_connection_for_as_long_as_it_is_wanted(
    stage: MakeStage, age: float, asked: str
) -> None:
    async with stage(ROUTES["continuations"] | {"max_connection_age_sec": age}) as s:
        await s.tts.prewarm()
        assert [connection.query for connection in s.waves.connections] == [{"timeout": asked}]
