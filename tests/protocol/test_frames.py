"""The wire format as a function of the string: what the service may say, what it means, and what we say to it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaks import KEY

from videosdk_plugins_smallestai import (
    APIConnectionError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.protocol.error_mapping import json_error
from videosdk_plugins_smallestai.protocol.frames import (
    AudioFrame,
    CompleteFrame,
    ErrorFrame,
    Frame,
    NoticeFrame,
    WordFrame,
    parse_frame,
    parse_sse,
)
from videosdk_plugins_smallestai.protocol.json_reader import load
from videosdk_plugins_smallestai.protocol.requests import (
    close_body,
    context_close_body,
    fragment_body,
    http_body,
    websocket_body,
)
from videosdk_plugins_smallestai.settings import Settings

RECORDED = json.loads((Path(__file__).parent.parent / "fixtures" / "frames.json").read_text("utf-8"))
"""What the service says: WebSocket frames, data of server-sent events, and answers to a POST; and what it means."""


def recorded(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in RECORDED[kind]])


def as_sent(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def assert_means(event: object, expected: dict[str, dict[str, Any]]) -> None:
    ((kind, told),) = expected.items()
    assert type(event).__name__ == {"Failure": "ErrorFrame"}.get(kind, f"{kind}Frame")
    if isinstance(event, ErrorFrame):
        ids = {"request_id": event.request_id, "server_id": event.server_id}
        assert ids == {name: told.get(name) for name in ids}
        assert type(event.error).__name__ == told["error"]
        assert (event.error.status, event.error.request_id) == (told.get("status"), told.get("told_id"))
        assert_says(event.error, told["says"])
    elif isinstance(event, NoticeFrame):
        assert event.text == told["text"]
    elif isinstance(event, AudioFrame):
        assert event == AudioFrame(**told | {"pcm": bytes.fromhex(told["pcm"])})
    else:
        assert event == {"Word": WordFrame, "Complete": CompleteFrame}[kind](**told)


def assert_says(error: SmallestAIError, parts: list[str]) -> None:
    said = str(error)
    for part in parts:
        assert part in said
    assert (f"HTTP {error.status}: " in said) == (error.status is not None)


# What the service says


@recorded("frames")
def test_every_recorded_frame_is_understood(row: dict[str, Any]) -> None:
    assert_means(parse_frame(as_sent(row["frame"]), secret=KEY), row["event"])


@recorded("events")
def test_every_recorded_server_sent_event_is_understood(row: dict[str, Any]) -> None:
    assert_means(parse_sse(as_sent(row["data"]), secret=KEY), row["event"])


@recorded("answers")
def test_every_recorded_refusal_of_a_post_is_the_error_that_fits(row: dict[str, Any]) -> None:
    error = json_error(row["status"], as_sent(row["body"]), request_id="req_1", retry_after=1.5, secret=KEY)
    assert type(error).__name__ == row["error"]
    assert (error.status, error.request_id) == (row["status"], "req_1")
    assert_says(error, [*row["says"], "[request req_1]"])
    assert getattr(error, "retry_after", 1.5) == 1.5


def test_a_binary_frame_is_a_failure_since_it_may_have_been_audio() -> None:
    event = parse_frame(b'{"status":"complete"}\xff')
    assert isinstance(event, ErrorFrame)
    assert isinstance(event.error, ServerError)


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1" + "0" * 400, "true", '"1.0"', "null"])
def test_a_word_at_an_impossible_time_is_no_word(time: str) -> None:
    frame = f'{{"status":"word_timestamp","data":{{"word":"a","start":{time},"end":2}}}}'
    assert isinstance(parse_frame(frame), NoticeFrame)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    (
        *("status", "data", "audio", "done", "word", "start", "end", "request_id", "external_request_id"),
        *("error", "errors", "message", "details", "code", "error_code", "status_code"),
        *("path", "received", "options"),
    )
)
statuses = st.sampled_from(["chunk", "word_timestamp", "complete", "error", "warning", "206", 429, False])
frame_like = st.recursive(
    statuses | anything,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=6),
    max_leaves=15,
)


def assert_is_an_event(text: str) -> None:
    assert isinstance(parse_frame(text, secret=KEY), Frame)
    assert isinstance(parse_sse(text, secret=KEY), Frame)
    assert isinstance(json_error(None, text, secret=KEY), SmallestAIError)


@given(st.text())
def test_any_string_is_an_event(text: str) -> None:
    assert_is_an_event(text)


@given(anything | frame_like | st.dictionaries(names, frame_like))
def test_any_json_is_an_event(value: object) -> None:
    assert_is_an_event(json.dumps(value))


@given(st.binary())
def test_any_bytes_are_a_failure(data: bytes) -> None:
    assert isinstance(parse_frame(data), ErrorFrame)


NASTY = st.sampled_from(["audio", '"audio":"', 'x"audio":"', "\\", '\\"', "A" * 2000, "#audio#", "data", ""])
MESSAGES = st.recursive(
    st.none() | st.booleans() | st.integers() | NASTY | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=4),
    max_leaves=12,
)


@given(
    frame=st.dictionaries(NASTY, MESSAGES, max_size=4),
    audio=st.sampled_from(["A" * 2000, "/" * 999 + "\\", "ünï" * 500]),
    place=st.sampled_from(["audio", "data", "inner", "nowhere"]),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_a_message_is_read_as_json_wherever_its_audio_stands(
    frame: dict[str, Any], audio: str, place: str, indent: int | None, *, ascii_only: bool
) -> None:
    if place == "audio":
        frame["audio"] = audio
    elif place != "nowhere":
        frame[place] = {"before": frame.get(place), "audio": audio}
    raw = json.dumps(frame, indent=indent, ensure_ascii=ascii_only)
    assert load(raw) == frame
    assert load(raw[:-1]) is None  # cut off, it is none


@given(st.binary(min_size=1))
def test_audio_comes_out_as_it_was_sent(pcm: bytes) -> None:
    audio = base64.b64encode(pcm).decode()
    assert parse_frame(json.dumps({"status": "chunk", "data": {"audio": audio}})) == AudioFrame(pcm)
    assert parse_sse(json.dumps({"audio": audio, "done": False, "status": "206"})) == AudioFrame(pcm)


@pytest.mark.slow
@pytest.mark.parametrize("around", ['{"error":%s}', '{"error":{"a":%s}}', '{"errors":[{"received":%s}]}', "%s"])
def test_nesting_of_any_depth_is_an_event(around: str) -> None:
    """At some depths the JSON parser stands it, and what makes text of it does not."""
    for depth in (1, 150, *range(180, 210), *range(900, 1000), 100_000):
        assert_is_an_event(around % ("[" * depth + "]" * depth))
        assert_is_an_event(around % ('{"a":' * depth + "1" + "}" * depth))


# What an error says


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (400, InvalidRequestError, False),
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, ModelRetiredError, False),
        (405, ModelRetiredError, False),
        (410, ModelRetiredError, False),
        (413, InvalidRequestError, False),
        (422, InvalidRequestError, False),
        (429, RateLimitError, True),
        (500, ServerError, True),
        (502, ServerError, True),
        (503, ServerError, True),
        (504, ServerError, True),
    ],
)
@pytest.mark.parametrize("body", ["", "{}", "[]", "null", "no JSON", '{"message":"Something broke"}'])
def test_a_status_alone_tells_the_kind_of_error(
    status: int, error: type[SmallestAIError], retryable: bool, body: str
) -> None:
    told = json_error(status, body)
    assert type(told) is error
    assert told.retryable is retryable
    assert told.status == status
    assert str(told).startswith(f"HTTP {status}: ")
    assert len(str(told).split(". ", 1)[1]) > 20, "says what to do"


@pytest.mark.parametrize(
    "said",
    [
        {"error": "x" * 2000},
        {"error": {"code": "y" * 300, "message": "x" * 2000}},
        {"error": [{"code": "c", "path": ["p"], "message": "x" * 300, "received": "x" * 2000}] * 9},
        {"errors": ["x" * 100] * 99},
        {"message": "x" * 400, "error": "xy" * 400},
        {"status": "error", "request_id": "x" * 2000, "message": "x" * 2000},
        "x" * 2000,
    ],
)
def test_a_message_quotes_at_most_500_characters_of_the_server(said: object) -> None:
    text = as_sent(said)
    frame = parse_frame(text)
    event = parse_sse(text)
    assert isinstance(frame, ErrorFrame)
    assert isinstance(event, ErrorFrame)
    answer = json_error(500, text)
    for error in (frame.error, event.error, answer):
        quoted = str(error).removeprefix("HTTP 500: ").split(". The service failed")[0]
        assert 400 < quoted.count("x") + quoted.count("y") <= 500
        assert len(quoted) < 560, "our own words are few"
        assert len(error.request_id or "") <= 128


@pytest.mark.parametrize(
    "said",
    [
        f"Invalid API key {KEY}",
        {"error": f"Invalid API key {KEY}"},
        {"error": {"code": KEY, "message": f"Bearer {KEY}"}},
        {"error": {"unknown": KEY}},
        {"errors": [{"code": KEY, "path": [KEY], "message": KEY, "received": KEY, "options": [KEY]}]},
        {"message": KEY, "details": KEY},
        {"data": {"error": KEY}},
        {"status": "error", "request_id": KEY, "message": "x"},
        {"status": "warning", "message": KEY},
        {"status": KEY},
        *({"error": "x" * size + KEY} for size in range(480, 502)),
        *("x" * size + KEY for size in range(480, 502)),
    ],
)
def test_a_key_that_the_server_repeats_is_in_no_message(said: object) -> None:
    text = as_sent(said)
    told: list[Any] = [json_error(status, text, request_id=f"req {KEY}", secret=KEY) for status in (None, 401, 500)]
    events = parse_frame(text, secret=KEY), parse_sse(text, secret=KEY)
    told += [event.error if isinstance(event, ErrorFrame) else event for event in events]
    for each in told:
        assert KEY not in str(each)
        assert KEY not in repr(each)
        assert KEY not in repr(vars(each) if isinstance(each, Exception) else each)
        assert KEY[:10] not in str(each), "not cut off in its middle either"


def test_a_key_with_a_quote_in_it_is_not_shown_in_escaped_form() -> None:
    key = 'sk_"quoted\\key'
    for body in (json.dumps({"reason": key}), json.dumps([key]), json.dumps({"reason": key})[:-1]):
        assert "quoted" not in str(json_error(500, body, secret=key))


@pytest.mark.parametrize("said", ["", ".", " "])
def test_an_error_without_a_reason_says_so(said: str) -> None:
    assert str(json_error(503, said)).startswith("HTTP 503: no reason told. ")


def test_an_idle_close_is_a_broken_connection_and_not_a_refusal() -> None:
    error = json_error(None, "Connection timed out after 20 seconds of inactivity", request_id="task_1")
    assert isinstance(error, APIConnectionError)
    assert not error.opening
    assert error.request_id == "task_1"


def test_an_inactive_subscription_is_no_idle_close() -> None:
    assert isinstance(json_error(None, "Your subscription is inactive"), AuthenticationError)


def test_a_model_is_told_to_be_retired_in_words_and_not_by_a_404_alone() -> None:
    plain = json_error(404, "Not found")
    told = json_error(404, '{"error_code":"MODEL_DEPRECATED","message":"lightning-v3.1 has been retired."}')
    assert isinstance(plain, ModelRetiredError)
    assert isinstance(told, ModelRetiredError)
    assert (plain.told, told.told) == (False, True)


# What we say

DEFAULTS = Settings(
    model="lightning-v3.1",
    voice_id="magnus",
    language="en",
    sample_rate=24000,
    speed=1.0,
    consistency=0.5,
    similarity=0.0,
    enhancement=1.0,
    sentence_streaming=True,
    timeout=30.0,
    enable_streaming=True,
    complete_backoff_ms=0,
    max_buffer_flush_ms=0,
)
SPEECH = {"voice_id": "magnus", "text": "Hello.", "language": "en", "sample_rate": 24000, "speed": 1.0}
OTHER = {"voice_id": "voice_1", "language": "hi", "sample_rate": 8000, "speed": 1.5}
PROSODY = {"consistency": 0.5, "similarity": 0.0, "enhancement": 1.0}
LOUD = {"consistency": 1.0, "similarity": 0.2, "enhancement": 2}


def settings(**changes: Any) -> Settings:
    if changes.get("model") in ("lightning", "lightning-large", "lightning-v2"):
        changes["enable_streaming"] = False
    return replace(DEFAULTS, **changes)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        ({"complete_backoff_ms": 4000}, {"complete_backoff_ms": 4000}),
        ({"max_buffer_flush_ms": 1}, {"max_buffer_flush_ms": 1}),
        ({"word_timestamps": True}, {"word_timestamps": True}),
        (OTHER, OTHER),
        (LOUD, {}),
        ({"model": "lightning_v3.1"}, {"model": "lightning_v3.1"}),
        ({"model": "lightning_v3.1_pro_07_26"}, {"model": "lightning_v3.1_pro_07_26"}),
    ],
)
def test_a_websocket_request_has_exactly_these_fields(changes: dict[str, Any], more: dict[str, Any]) -> None:
    body = websocket_body(settings(**changes), "Hello.", "id_1")
    assert body == SPEECH | {"request_id": "id_1", "complete_backoff_ms": 1} | more


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        ({"complete_backoff_ms": 4000, "max_buffer_flush_ms": 1000, "word_timestamps": True}, {}),
        (LOUD, {}),
        (OTHER, OTHER),
        ({"model": "lightning"}, {}),
        ({"model": "lightning-large"}, {}),
        ({"model": "lightning-v2"}, PROSODY),
        ({"model": "lightning-v2"} | LOUD, LOUD),
        ({"model": "lightning_v3.1"}, {"model": "lightning_v3.1"}),
        (
            {"model": "lightning_v3.1_pro", "voice_id": "meher"},
            {"model": "lightning_v3.1_pro", "voice_id": "meher"},
        ),
    ],
)
def test_an_http_request_has_exactly_these_fields(changes: dict[str, Any], more: dict[str, Any]) -> None:
    assert http_body(settings(**changes), "Hello.") == SPEECH | {"output_format": "pcm"} | more


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"number_pronunciation_language": "hi"}, {"number_pronunciation_language": "hi"}),
        ({"math_notation": False}, {"math_notation": False}),
        ({"math_notation": True}, {"math_notation": True}),
        ({"content_filter": "reject"}, {"content_filter": {"enabled": True, "action": "reject"}}),
        ({"content_filter": "flag"}, {"content_filter": {"enabled": True, "action": "flag"}}),
        ({"pronunciation_dicts": ("d1", "d2")}, {"pronunciation_dicts": ["d1", "d2"]}),
    ],
)
@pytest.mark.parametrize("model", ["lightning_v3.1", "lightning_v3.1_pro"])
def test_the_fields_of_the_unified_routes_are_sent_where_they_are_set(
    model: str, changes: dict[str, Any], more: dict[str, Any]
) -> None:
    chosen = settings(model=model, **changes)
    common = SPEECH | {"model": model} | more
    assert http_body(chosen, "Hello.") == common | {"output_format": "pcm"}
    assert websocket_body(chosen, "Hello.", "id_1") == common | {"request_id": "id_1", "complete_backoff_ms": 1}


def test_no_language_is_sent_where_there_is_none() -> None:
    assert "language" not in websocket_body(settings(language=None), "Hello.", "id_1")
    assert "language" not in http_body(settings(language=None), "Hello.")


CONTEXT = SPEECH | {
    "model": "lightning_v3.1",
    "request_id": "id_1",
    "complete_backoff_ms": 1,
    "context_id": "c1",
    "continue": True,
    "max_buffer_delay_ms": 1,
}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        ({"max_buffer_delay_ms": 0}, {}),
        ({"max_buffer_delay_ms": 250}, {"max_buffer_delay_ms": 250}),
        ({"max_buffer_flush_ms": 500}, {}),  # refused together with a context_id
        ({"word_timestamps": True}, {"word_timestamps": True}),
    ],
)
def test_a_fragment_of_a_continuation_has_exactly_these_fields(
    changes: dict[str, Any], more: dict[str, Any]
) -> None:
    chosen = settings(model="lightning_v3.1", **changes)
    assert fragment_body(chosen, "Hello.", "id_1", "c1") == CONTEXT | more
    closing = {name: value for name, value in (CONTEXT | more).items() if name != "text"}
    assert close_body(chosen, "id_1", "c1") == closing | {"continue": False}


def test_a_continuation_is_ended_at_once_by_its_id_alone() -> None:
    assert context_close_body("c1") == {"context_id": "c1", "context_close": True}


@given(st.text())
def test_any_text_is_sent_as_it_is(text: str) -> None:
    assert json.loads(json.dumps(websocket_body(DEFAULTS, text, "id_1")))["text"] == text
    assert json.loads(json.dumps(http_body(DEFAULTS, text)))["text"] == text
