"""Lightning v4's messages: the address of a session, what is said to it, and what its frames mean."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai import (
    AuthenticationError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.protocol.frames import ErrorFrame, NoticeFrame
from videosdk_plugins_smallestai.protocol.live_session import (
    InterruptedFrame,
    ReadyFrame,
    TurnEndFrame,
    TurnStartFrame,
    UserTurnRefusedFrame,
    live_path,
    parse_live_frame,
    speak_body,
    user_audio_body,
)
from videosdk_plugins_smallestai.settings import Settings

KEY = "sk_1234567890abcdef"


def settings(**changed: Any) -> Settings:
    values: dict[str, Any] = {
        "model": "lightning_v4",
        "voice_id": "brannock",
        "language": "en",
        "sample_rate": 24000,
        "speed": 1.0,
        "consistency": 0.5,
        "similarity": 0.0,
        "enhancement": 1.0,
        "sentence_streaming": True,
        "timeout": 30.0,
        "enable_streaming": True,
        "complete_backoff_ms": 0,
        "max_buffer_flush_ms": 0,
    }
    return Settings(**(values | changed))


def query(**changed: Any) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(live_path(settings(**changed))).query))


def test_the_address_sets_the_voice() -> None:
    assert urlsplit(live_path(settings())).path == "/lightning-v4/live"
    assert query() == {
        "voice_id": "brannock",
        "language": "en",
        "sample_rate": "24000",
        "output_format": "pcm",
        "speed": "1.0",
    }
    assert query(model="lightning-v4", voice_id="a b&c", sample_rate=48000, speed=1.25)["voice_id"] == "a b&c"


@pytest.mark.parametrize("language", ["en", "auto", "hi", "en-US", None])
def test_a_language_that_it_does_not_know_is_found_out_by_the_service(language: str | None) -> None:
    assert query(language=language)["language"] == (language if language in ("en", "auto") else "auto")


@pytest.mark.parametrize("action", ["reject", "flag"])
def test_the_content_filter_is_asked_for_in_the_address(action: str) -> None:
    asked = query(content_filter=action)
    assert (asked["content_filter"], asked["content_filter_action"]) == ("true", action)
    assert "content_filter" not in query()


def test_what_the_user_said_is_sent_as_a_wav() -> None:
    pcm = bytes(range(200))
    body = user_audio_body("Hello?", pcm, 16000)
    assert (body["event"], body["text"]) == ("user_audio", "Hello?")
    with wave.open(io.BytesIO(base64.b64decode(body["audio"]))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert file.readframes(1000) == pcm
    assert speak_body("t1", "Yes.") == {"event": "speak", "turn_id": "t1", "text": "Yes."}


@pytest.mark.parametrize(
    ("frame", "meaning"),
    [
        ({"event": "ready", "session_id": "s"}, ReadyFrame("s", None)),
        ({"event": "ready", "sample_rate": 24000}, ReadyFrame(None, 24000)),
        ({"event": "ready", "sample_rate": 0}, ReadyFrame(None, None)),
        ({"event": "ready", "sample_rate": "24000"}, ReadyFrame(None, None)),
        ({"event": "ready", "sample_rate": True}, ReadyFrame(None, None)),
        ({"event": "turn_start", "turn_id": "t"}, TurnStartFrame("t")),
        ({"event": "turn_end", "turn_id": "t", "chunks": 12}, TurnEndFrame("t")),
        ({"event": "turn_end"}, TurnEndFrame(None)),
        ({"event": "interrupted", "turn_id": "t", "chunks": 3}, InterruptedFrame("t")),
        ({"event": "interrupted", "turn_id": 7}, InterruptedFrame(None)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_frame_means_one_thing(frame: dict[str, Any], meaning: object) -> None:
    assert parse_live_frame(json.dumps(frame)) == meaning


@pytest.mark.parametrize(
    "frame", [{"event": "weather"}, {"event": ["ready"]}, {"status": "warning", "message": "x"}, {}]
)
def test_what_is_not_known_is_a_notice(frame: dict[str, Any]) -> None:
    assert isinstance(parse_live_frame(json.dumps(frame)), NoticeFrame)


CODES: list[tuple[str, type[SmallestAIError], bool]] = [
    ("model_access_denied", AuthenticationError, False),
    ("invalid_voice", InvalidRequestError, False),
    ("invalid_query", InvalidRequestError, False),
    ("bad_frame", ServerError, True),
    ("rate_limit_exceeded", RateLimitError, True),
    ("CONTENT_FILTER_BLOCKED", InvalidRequestError, False),
    ("something_new", ServerError, True),
]


@pytest.mark.parametrize(("code", "kind", "retryable"), CODES, ids=[code for code, *_ in CODES])
@pytest.mark.parametrize("opening", [True, False], ids=["opening", "in session"])
def test_a_code_is_an_error_of_its_kind(
    code: str, kind: type[SmallestAIError], retryable: bool, opening: bool
) -> None:
    told = {"code": code, "message": f"Not with {KEY}"}
    frame = {"status": "error", "error": told} if opening else {"event": "error", "turn_id": "t", **told}
    parsed = parse_live_frame(json.dumps(frame), secret=KEY)
    assert isinstance(parsed, ErrorFrame)
    assert parsed.request_id == (None if opening else "t")
    assert type(parsed.error) is kind
    assert parsed.error.retryable is retryable
    assert code in str(parsed.error)
    assert KEY not in str(parsed.error)


def test_an_account_without_the_beta_is_told_so() -> None:
    frame = {"status": "error", "error": {"code": "model_access_denied", "message": "no"}}
    parsed = parse_live_frame(json.dumps(frame))
    assert isinstance(parsed, ErrorFrame)
    assert "beta, and gated" in str(parsed.error)


@pytest.mark.parametrize("named", [{}, {"turn_id": "t"}])
def test_a_refusal_of_what_the_user_said_is_no_error_of_a_turn(named: dict[str, str]) -> None:
    frame = {"event": "error", "code": "bad_user_audio", "message": "no WAV", **named}
    assert isinstance(parse_live_frame(json.dumps(frame)), UserTurnRefusedFrame)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.text(max_size=20)
    | st.dictionaries(
        st.sampled_from(["event", "status", "turn_id", "code", "message", "error", "sample_rate", "session_id"]),
        JSON | st.sampled_from(["ready", "error", "turn_start", "turn_end", "interrupted", "bad_user_audio"]),
    ).map(json.dumps)
)
def test_nothing_that_a_server_sends_raises(raw: str) -> None:
    parse_live_frame(raw)
