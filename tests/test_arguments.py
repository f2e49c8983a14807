"""What a caller may pass and assign, what is refused and how it says so, and what the next request carries."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from leaks import KEY
from listening import RecordingTrack, items
from staging import MakeStage, Stage

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import tone

SIXTEEN: dict[str, Any] = {
    "api_key": None,
    "model": "lightning-v3.1",
    "voice_id": "magnus",
    "language": "en",
    "sample_rate": 24000,
    "speed": 1.0,
    "consistency": 0.5,
    "similarity": 0.0,
    "enhancement": 1.0,
    "sentence_streaming": True,
    "base_url": "https://api.smallest.ai/waves/v1",
    "timeout": 30.0,
    "enable_streaming": True,
    "max_connection_age_sec": 300.0,
    "complete_backoff_ms": 0,
    "max_buffer_flush_ms": 0,
}
"""The arguments that code written for the plugin of this name passes, with the defaults that it relies on."""

PUBLIC = set(SIXTEEN) - {"api_key", "base_url", "sample_rate", "max_connection_age_sec"}
"""Those of them that are attributes too."""

FAST: dict[str, Any] = {"first_audio": 0.0, "real_time_factor": 100.0}
"""A server whose speech takes no time: here only the requests matter."""

HUGE = 10**400
"""A whole number that no float can hold."""

ACCEPTED: list[tuple[str, list[Any]]] = [
    (
        "model",
        [
            *("lightning-v3.1", "lightning_v3.1", "lightning_v3.1_pro", "lightning_v3.1_pro_07_26", "lightning_v5"),
            *("lightning_v4", "lightning-v4"),
        ],
    ),
    ("voice_id", ["magnus", "voice_abc", "Nobody We Know"]),
    ("language", ["en", "hi", "auto", "xx-YY", None]),
    ("sample_rate", [8000, 16000, 24000, 44100]),
    ("speed", [0.5, 1, 2, 2.0]),
    ("sentence_streaming", [True, False]),
    (
        "base_url",
        ["http://localhost:8000/waves/v1", "https://example.org", "https://[::1]:80/a/b///", "HTTP://HOST"],
    ),
    ("timeout", [0.001, 1, 3600]),
    ("max_connection_age_sec", [0.001, 1, 86400]),
    ("complete_backoff_ms", [0, 1, 10_000]),
    ("max_buffer_flush_ms", [0, 1, 1_000]),
]

NO_NUMBER: list[Any] = [math.nan, math.inf, -math.inf, HUGE, -HUGE, True, False, "1", None, [], 1j]
REFUSED: list[tuple[str, str, list[Any]]] = [
    (
        "model",
        "model must be one of",
        [
            "",
            "lightning_v4_pro",
            "lightning-v3",
            "Lightning_v3.1",
            "lightning_",
            " lightning_v3.1",
            "sonic",
            None,
            31,
            [],
        ],
    ),
    ("voice_id", "voice_id must be", ["", " ", None, 7, ["magnus"]]),
    (
        "sample_rate",
        "sample_rate must be one of",
        [0, 7999, 22050, 48000, 24000.0, "24000", math.nan, True, None, HUGE, [24000]],
    ),
    ("speed", "speed must be", [0.499, 2.001, 0, -1, *NO_NUMBER]),
    (
        "base_url",
        "base_url must be",
        [
            *("", "api.smallest.ai", "ws://host", "wss://host/waves/v1", "ftp://host", "https://", "https:///v1"),
            *("http://[half", "http://host:port", "http://host:99999", "http://ho st", "https://user:pass@host"),
            *("https://host/waves?version=1", "https://host/waves#v1", None, 7, b"https://host"),
        ],
    ),
    ("enable_streaming", "enable_streaming must be True or False", ["false", 1, None]),
    ("sentence_streaming", "sentence_streaming must be True or False", ["no", 0, None]),
    ("timeout", "timeout must be", [0, 0.0, -1, *NO_NUMBER]),
    ("max_connection_age_sec", "max_connection_age_sec must be", [0, 0.0, -1, *NO_NUMBER]),
    ("complete_backoff_ms", "complete_backoff_ms must be", [-1, 10_001, 0.5, 100.0, *NO_NUMBER]),
    ("max_buffer_flush_ms", "max_buffer_flush_ms must be", [-1, 1_001, 0.5, 100.0, *NO_NUMBER]),
]
REFUSED_PROSODY: list[tuple[str, list[Any]]] = [
    ("consistency", [-0.001, 1.001, *NO_NUMBER]),
    ("similarity", [-0.001, 1.001, *NO_NUMBER]),
    ("enhancement", [-0.001, 2.001, *NO_NUMBER]),
]


def short(value: object) -> str:
    return repr(value) if len(repr(value)) < 40 else "huge"


def table(rows: list[tuple[Any, ...]]) -> list[Any]:
    """A case for each value in the last column."""
    return [pytest.param(*row[:-1], value, id=f"{row[0]}={short(value)}") for row in rows for value in row[-1]]


def make(**arguments: Any) -> SmallestAITTS:
    return SmallestAITTS(**({"api_key": KEY} | arguments))


# The signature


def test_the_sixteen_come_first_by_name_only_with_their_defaults() -> None:
    parameters = list(inspect.signature(SmallestAITTS).parameters.values())
    assert {p.name: p.default for p in parameters[:16]} == SIXTEEN
    assert [p.name for p in parameters[:16]] == list(SIXTEEN)
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    assert all(p.default is not p.empty for p in parameters)


def test_synthesize_takes_the_text_a_voice_and_any_keyword() -> None:
    parameters = list(inspect.signature(SmallestAITTS.synthesize).parameters.values())[1:]
    assert [(p.name, p.kind.name) for p in parameters] == [
        ("text", "POSITIONAL_OR_KEYWORD"),
        ("voice_id", "POSITIONAL_OR_KEYWORD"),
        ("kwargs", "VAR_KEYWORD"),
    ]


def test_an_instance_begins_with_the_defaults_and_bound_to_nothing() -> None:
    tts = make()
    assert {name: getattr(tts, name) for name in PUBLIC} == {name: SIXTEEN[name] for name in PUBLIC}
    assert tts.sample_rate == 24000
    assert tts.num_channels == 1
    assert tts.audio_track is None
    assert tts.loop is None


def test_what_is_passed_is_what_the_attributes_say() -> None:
    passed: dict[str, Any] = {
        "model": "lightning-v2",
        "voice_id": "emily",
        "language": "hi",
        "speed": 1.5,
        "consistency": 0.1,
        "similarity": 0.2,
        "enhancement": 2,
        "sentence_streaming": False,
        "timeout": 7,
        "enable_streaming": False,
        "complete_backoff_ms": 11,
        "max_buffer_flush_ms": 12,
    }
    tts = make(sample_rate=16000, **passed)
    assert set(passed) == PUBLIC
    assert {name: getattr(tts, name) for name in passed} == passed
    assert tts.sample_rate == 16000


@pytest.mark.parametrize("first", [True, False])
def test_a_subclass_may_keep_what_it_passes_on(first: bool) -> None:
    class Ours(SmallestAITTS):
        def __init__(self, api_key: str) -> None:
            if first:
                self.api_key = api_key
            super().__init__(api_key=api_key)
            self.api_key = api_key

    assert Ours(KEY).api_key == KEY


# The key


def test_the_key_of_the_environment_is_used_where_none_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", KEY)
    for none in (None, ""):
        SmallestAITTS(api_key=none)


@pytest.mark.parametrize("environment", [None, "", "  "])
@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_the_error_names_both_places(
    monkeypatch: pytest.MonkeyPatch, key: str | None, environment: str | None
) -> None:
    monkeypatch.delenv("SMALLEST_API_KEY", raising=False)
    if environment is not None:
        monkeypatch.setenv("SMALLEST_API_KEY", environment)
    with pytest.raises(ValueError, match=r"^SmallestAI API key required.*api_key.*SMALLEST_API_KEY"):
        SmallestAITTS(api_key=key)


async def test_the_key_that_is_passed_goes_before_the_environments(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_environment")
    async with stage({"api_key": f" {KEY}\n"}, api_keys=[KEY], **FAST) as s:
        await s.tts.synthesize("Hello.")
        assert s.track.speech == tone("Hello.")


@pytest.mark.parametrize("key", ["sk_with space", "sk_line\nbreak", "sk_ünï", "sk_\0"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key must be") as caught:
        make(api_key=key)
    assert "sk_" not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    tts = make()
    for shown in (repr(tts), str(tts), repr(vars(tts)), *map(repr, vars(tts).values())):
        assert KEY not in shown


# Each argument


@pytest.mark.parametrize(("name", "value"), table(ACCEPTED))
def test_these_values_are_accepted(name: str, value: Any) -> None:
    make(**{name: value})


@pytest.mark.parametrize(("name", "message", "value"), table(REFUSED))
def test_a_refused_value_is_told_with_what_is_accepted(name: str, message: str, value: Any) -> None:
    with pytest.raises(ValueError, match="got ") as caught:
        make(**{name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [7, b"en", ["en"], True])
def test_a_language_that_is_no_string_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^language must be a str"):
        make(language=value)


@pytest.mark.parametrize(("name", "value"), table(REFUSED_PROSODY))
def test_prosody_is_checked_where_it_is_sent(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        make(model="lightning-v2", enable_streaming=False, **{name: value})


@pytest.mark.parametrize("edge", [0, 0.0, 1, 1.0])
def test_prosody_is_accepted_to_its_edges(edge: float) -> None:
    make(model="lightning-v2", enable_streaming=False, consistency=edge, similarity=edge, enhancement=2 * edge)


@pytest.mark.parametrize("model", ["lightning", "lightning-large", "lightning-v2"])
def test_the_three_oldest_models_are_http_only_and_say_what_to_pass(model: str) -> None:
    with pytest.raises(ValueError, match=r"^enable_streaming=True is only supported for") as caught:
        make(model=model)
    for named in ("'lightning-v3.1'", "'lightning_v3.1'", "'lightning_v3.1_pro'", "enable_streaming=False"):
        assert named in str(caught.value)
    assert make(model=model, enable_streaming=False).model == model
    with pytest.raises(ValueError, match=r"^sample_rate must be one of"):
        make(model=model, enable_streaming=False, sample_rate=44100)


@pytest.mark.parametrize("model", ["lightning_v3.1_pro", "lightning_v3.1_pro_07_26", "lightning_v5_pro"])
def test_a_pro_model_has_a_pro_voice_unless_one_is_chosen(model: str) -> None:
    assert make(model=model).voice_id == "meher"
    for voice in ("avery", "magnus"):
        assert make(model=model, voice_id=voice).voice_id == voice


@pytest.mark.parametrize("model", ["lightning_v3.1", "lightning_v5", "lightning-v3.1"])
def test_another_model_has_the_standard_voice(model: str) -> None:
    assert make(model=model).voice_id == "magnus"


@pytest.mark.parametrize("end", ["", "/", "///"])
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_trailing_slash_and_capitals_in_the_base_url_do_not_matter(
    stage: MakeStage, end: str, streaming: bool
) -> None:
    async with stage({"enable_streaming": streaming}, **FAST) as s:
        url = s.waves.base_url.replace("http", "HTTP") + end
        tts = make(base_url=url, enable_streaming=streaming)
        tts.audio_track, tts.loop = RecordingTrack(), asyncio.get_running_loop()
        await tts.synthesize("Hello.")
        await tts.aclose()
        assert tts.audio_track.speech == tone("Hello.")
        assert s.waves.requests[0].path.startswith("/waves/v1/lightning-v3.1/get_speech")


# What the next request carries


async def body(s: Stage, **call: Any) -> dict[str, Any]:
    """What the server gets for one reply."""
    before = len(s.waves.requests)
    await s.tts.synthesize("Hello.", **call)
    (request,) = s.waves.requests[before:]
    return request.body


def without_id(told: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(told.pop("request_id", ""), str)
    return told


SPEECH = {"voice_id": "magnus", "text": "Hello.", "language": "en", "sample_rate": 24000, "speed": 1.0}
CHANGES: dict[str, Any] = {"voice_id": "kartik", "language": "hi", "speed": 1.5}
SOON = {"complete_backoff_ms": 1}
"""What is sent for 0: a server may take 0 for absent."""

TIMING: dict[str, Any] = {"complete_backoff_ms": 11, "max_buffer_flush_ms": 20}


@pytest.mark.parametrize("how", ["assigned", "for one call"])
async def test_the_next_websocket_request_obeys_what_is_changed(stage: MakeStage, how: str) -> None:
    async with stage(**FAST) as s:
        assert without_id(await body(s)) == SPEECH | SOON
        changed = SPEECH | CHANGES | TIMING
        if how == "assigned":
            for name, value in (CHANGES | TIMING).items():
                setattr(s.tts, name, value)
            assert without_id(await body(s)) == changed
            assert without_id(await body(s)) == changed
        else:
            assert without_id(await body(s, sample_rate=8000, **CHANGES, **TIMING)) == changed | {
                "sample_rate": 8000
            }
            assert without_id(await body(s)) == SPEECH | SOON
        assert len(s.waves.connections) == 1, "on the same warm connection"


@pytest.mark.parametrize("how", ["assigned", "for one call"])
async def test_the_next_http_request_obeys_what_is_changed(stage: MakeStage, how: str) -> None:
    prosody = {"consistency": 0.1, "similarity": 0.2, "enhancement": 0.3}
    before = SPEECH | {"voice_id": "emily", "output_format": "pcm"}
    before |= {"consistency": 0.5, "similarity": 0.0, "enhancement": 1.0}
    changes = CHANGES | {"voice_id": "james"} | prosody
    async with stage({"model": "lightning-v2", "voice_id": "emily", "enable_streaming": False}, **FAST) as s:
        assert await body(s) == before
        if how == "assigned":
            for name, value in changes.items():
                setattr(s.tts, name, value)
            assert await body(s) == before | changes
        else:
            assert await body(s, **changes, **TIMING) == before | changes
            assert await body(s) == before


async def test_model_and_transport_can_be_changed_between_replies(stage: MakeStage) -> None:
    async with stage(**FAST) as s:
        seen = []
        for model, streaming in [
            ("lightning-v3.1", True),
            ("lightning-v3.1", False),
            ("lightning_v3.1", False),
            ("lightning-v3.1", True),
        ]:
            s.tts.model, s.tts.enable_streaming = model, streaming
            await body(s)
            seen.append((s.waves.requests[-1].transport, s.waves.requests[-1].path.removeprefix("/waves/v1")))
        assert seen == [
            ("websocket", "/lightning-v3.1/get_speech/stream"),
            ("http", "/lightning-v3.1/get_speech"),
            ("sse", "/tts/live"),
            ("websocket", "/lightning-v3.1/get_speech/stream"),
        ]
        assert s.track.speech.endswith(tone("Hello."))


async def test_a_reply_in_pieces_is_cut_as_the_attribute_says(stage: MakeStage) -> None:
    parts = ["One two ", "three. Four ", "five."]
    async with stage(**FAST) as s:
        s.tts.sentence_streaming = False
        await s.tts.synthesize(items(parts))
        assert [request.text.strip() for request in s.waves.requests] == [part.strip() for part in parts]


async def test_the_attributes_stay_as_they_were_assigned(stage: MakeStage) -> None:
    async with stage(**FAST) as s:
        for name, value in CHANGES.items():
            setattr(s.tts, name, value)
        before = {name: getattr(s.tts, name) for name in PUBLIC}
        await body(s, voice_id="liam", language="en", speed=0.5)
        assert {name: getattr(s.tts, name) for name in PUBLIC} == before


@pytest.mark.parametrize(("name", "value"), [("word_timestamps", True), ("sample_rate", 8000)])
def test_what_can_only_be_read_cannot_be_assigned(name: str, value: Any) -> None:
    with pytest.raises(AttributeError, match=f"^{name} cannot be changed: pass it to the constructor, or for one"):
        setattr(make(), name, value)


@pytest.mark.parametrize(
    "name", ["api_key", "base_url", "max_connection_age_sec", "http_session", "expire_content"]
)
def test_what_has_no_effect_when_it_is_assigned_is_warned_of(name: str, caplog: pytest.LogCaptureFixture) -> None:
    tts = make()
    assert caplog.records == []
    setattr(tts, name, KEY)
    [warning] = caplog.records
    assert warning.levelno == logging.WARNING
    assert f"{name} = ... has no effect: pass it to the constructor" in warning.getMessage()
    assert KEY not in warning.getMessage()


async def test_unknown_keywords_and_none_are_ignored(stage: MakeStage) -> None:
    """A fallback wrapper hands the same keywords to every provider."""
    async with stage(**FAST) as s:
        told = await body(
            s, voice_id=None, speed=None, emotion="happy", model="eleven", voice_settings={}, output_format=None
        )
        assert without_id(told) == SPEECH | SOON
        assert without_id(await body(s, output_format="pcm")) == SPEECH | SOON


# Refused before any text is taken


class Text:
    """A reply of which nothing must be taken."""

    def __init__(self) -> None:
        self.taken = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        self.taken = True
        return "Hello."


async def assert_refused(s: Stage, error: type[Exception], message: str, **call: Any) -> None:
    text = Text()
    with pytest.raises(error) as caught:
        await s.tts.synthesize(text, **call)
    assert str(caught.value).startswith(message)
    with pytest.raises(error):
        await anext(s.tts.stream_synthesize(text, **call))
    assert not text.taken
    assert s.errors == []
    assert not s.waves.requests
    assert not s.waves.connections


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("voice_id", "", ValueError, "voice_id must be"),
    ("language", 7, TypeError, "language must be"),
    ("speed", 2.5, ValueError, "speed must be"),
    ("speed", math.nan, ValueError, "speed must be"),
    ("complete_backoff_ms", -1, ValueError, "complete_backoff_ms must be"),
    ("max_buffer_flush_ms", 1001, ValueError, "max_buffer_flush_ms must be"),
]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        *WRONG,
        ("model", "sonic", ValueError, "model must be one of"),
        ("model", "lightning-v2", ValueError, "enable_streaming=True is only supported for"),
        ("timeout", 0, ValueError, "timeout must be"),
    ],
)
async def test_a_wrong_value_that_was_assigned_is_refused_at_the_next_reply(
    stage: MakeStage, name: str, value: Any, error: type[Exception], message: str
) -> None:
    async with stage(**FAST) as s:
        right = getattr(s.tts, name)
        setattr(s.tts, name, value)
        await assert_refused(s, error, message)
        setattr(s.tts, name, right)
        await s.tts.synthesize("Hello.")
        assert s.track.speech == tone("Hello.")


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        *WRONG,
        ("sample_rate", 22050, ValueError, "sample_rate must be one of"),
        ("output_format", "wav", ValueError, "output_format must be 'pcm'"),
        ("output_format", "", ValueError, "output_format must be 'pcm'"),
    ],
)
async def test_a_wrong_value_for_one_call_is_refused(
    stage: MakeStage, name: str, value: Any, error: type[Exception], message: str
) -> None:
    async with stage(**FAST) as s:
        await assert_refused(s, error, message, **{name: value})


@pytest.mark.parametrize("name", ["consistency", "similarity", "enhancement"])
async def test_wrong_prosody_is_refused_for_one_call_too(stage: MakeStage, name: str) -> None:
    async with stage({"model": "lightning-v2", "enable_streaming": False}, **FAST) as s:
        await assert_refused(s, ValueError, f"{name} must be", **{name: 3})


@pytest.mark.parametrize("text", [None, 7, b"Hello.", ["Hello."]])
async def test_a_text_of_another_type_is_refused(stage: MakeStage, text: Any) -> None:
    async with stage(**FAST) as s:
        with pytest.raises(TypeError, match=r"^text must be"):
            await s.tts.synthesize(text)
        assert s.errors == []


async def test_a_failed_setting_does_not_raise_from_prewarm(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(**FAST) as s:
        s.tts.speed = 9
        await s.tts.prewarm()
        assert "speed must be" in caplog.text
        assert s.errors == []


@pytest.mark.parametrize("missing", [["audio_track"], ["loop"], ["audio_track", "loop"]])
async def test_without_a_track_or_a_loop_the_framework_is_told_and_nothing_raised(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, missing: list[str]
) -> None:
    async with stage(**FAST) as s:
        for name in missing:
            setattr(s.tts, name, None)
        text = Text()
        await s.tts.synthesize(text)
        assert not text.taken
        assert s.errors == ["Audio track or event loop not set"]
        ours = [record for record in caplog.records if record.name.startswith("videosdk_plugins_smallestai")]
        assert [record.levelno for record in ours] == [logging.ERROR]
        assert not s.waves.connections
