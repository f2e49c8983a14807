"""What a caller gets when the service refuses or cannot be reached: one error that tells, and not the key."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from leaks import KEY, assert_has_no_key
from listening import items
from routes import ROUTES, every_route, every_untold_websocket, every_websocket
from staging import MakeStage, Stage, impatient
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.emulator import Frames, Refuse
from videosdk_plugins_smallestai.timing import Timing

every_route_of_fields = pytest.mark.parametrize("route", [name for name in ROUTES if name != "live"])
"""Routes on which each request says how it is to be spoken, and its refusal names the field."""

FAST: dict[str, Any] = {"first_audio": 0.0, "real_time_factor": 100.0}

MESSAGE_ROUTES = {"websocket", "unified", "continuations", "live"}
"""Routes on which a refusal comes in a frame, without an HTTP status."""


@pytest.fixture(autouse=True)
def no_log_record_has_the_key(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
        for record in caplog.get_records("call"):  # `records` are those of the teardown here
            assert KEY not in record.getMessage()
            assert KEY not in repr(vars(record))


async def error_of(s: Stage, **call: Any) -> SmallestAIError:
    """The error of a reply, told once in each way."""
    with pytest.raises(SmallestAIError) as caught:
        await s.tts.synthesize(items(["Hello there.", "And on."]), **call)
    assert s.errors == [str(caught.value)]
    assert_has_no_key(caught.value)
    assert not s.track.heard
    return caught.value


def plugin(route: str, **more: Any) -> dict[str, Any]:
    return ROUTES[route] | {"api_key": KEY} | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def assert_told_by(error: SmallestAIError, route: str, status: int) -> None:
    """HTTP tells its status and the server's id; a frame has neither, and its message stands for itself."""
    if route in MESSAGE_ROUTES:
        assert error.status in (None, status)
    else:
        assert error.status == status
        assert f"HTTP {status}" in str(error)
        assert error.request_id is not None
        assert error.request_id.startswith("req_")
        assert error.request_id in str(error)


@every_route
async def test_a_wrong_key(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route), api_keys=["sk_other"]) as s:
        error = await error_of(s)
        assert type(error) is AuthenticationError
        assert error.status == 401
        assert "HTTP 401" in str(error)
        assert "api_key" in str(error), "says what to check"
        assert len(s.waves.connections) + len(s.waves.requests) <= 1, "raised at once"


@every_route
async def test_an_address_without_these_routes(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route), **FAST) as s:
        nowhere = s.waves.base_url + "/nowhere"
    async with stage(plugin(route, base_url=nowhere), port=s.waves.port, **FAST) as s:
        error = await error_of(s)
        assert type(error) is InvalidRequestError, "no model is retired"
        assert error.status == 404
        assert "HTTP 404" in str(error)
        assert "base_url" in str(error), "says what to check"
        assert nowhere in str(error)


@pytest.mark.parametrize("route", ["unified", "continuations", "sse"])
async def test_a_model_that_the_service_does_not_have(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route, model="lightning_v99"), **FAST) as s:
        error = await error_of(s)
        assert type(error) is InvalidRequestError
        assert "lightning_v99" in str(error)
        assert_told_by(error, route, 400)


@every_route
async def test_a_voice_that_the_model_does_not_have(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route, voice_id="nobody"), **FAST) as s:
        error = await error_of(s)
        assert type(error) is InvalidRequestError
        assert "Invalid Voice ID" in str(error)
        assert "voice_id" in str(error), "says what to check"
        if route == "live":
            assert error.unspoken == "", "no text was taken"
        else:
            assert error.unspoken.startswith("Hello there.")
        assert "Hello there." not in str(error)
        assert_told_by(error, route, 400)


@every_route_of_fields
async def test_a_language_that_the_model_does_not_speak(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route), **FAST) as s:
        error = await error_of(s, language="tlh")
        assert type(error) is InvalidRequestError
        assert "language: " in str(error)
        assert "received 'tlh'" in str(error)
        assert_told_by(error, route, 400)


@every_route_of_fields
async def test_a_sample_rate_that_the_service_refuses(stage: MakeStage, route: str) -> None:
    told = {
        "message": "Invalid input data",
        "error": [{"code": "invalid_enum_value", "path": ["sample_rate"], "message": "No", "received": 44100}],
    }
    async with stage(plugin(route, sample_rate=44100), fault=lambda request: Refuse(400, body=told), **FAST) as s:
        error = await error_of(s)
        assert type(error) is InvalidRequestError
        assert "sample_rate: No (received 44100)" in str(error)
        assert_told_by(error, route, 400)


REFUSALS: list[tuple[int, Any, type[SmallestAIError]]] = [
    (400, {"error": {"code": "CONTENT_FILTER_BLOCKED", "message": "Blocked"}}, InvalidRequestError),
    (401, {"status": False, "message": f"Invalid API key {KEY}"}, AuthenticationError),
    (403, {"errors": "You have used up the credits of your plan"}, AuthenticationError),
    (410, {"error_code": "MODEL_DEPRECATED", "message": "Retired"}, ModelRetiredError),
    (413, {"errors": [{"code": "too_big", "path": ["text"], "message": "Too long"}]}, InvalidRequestError),
    (429, {"data": {"error": "Too many concurrent requests"}}, RateLimitError),
    (503, {"details": f"Upstream refused Bearer {KEY}"}, ServerError),
]


@every_route
@pytest.mark.parametrize(("status", "told", "kind"), REFUSALS, ids=[str(row[0]) for row in REFUSALS])
@in_virtual_time
async def test_a_refusal_of_any_shape(
    stage: MakeStage,
    route: str,
    status: int,
    told: Any,
    kind: type[SmallestAIError],
) -> None:
    """Even of a server that repeats the key."""
    refusal = Refuse(status, body=told, headers={"X-Request-Id": f"req_{KEY}"})
    async with stage(plugin(route), fault=lambda request: refusal, **FAST) as s:
        error = await error_of(s)
        assert type(error) is kind
        assert_told_by(error, route, status)


@every_websocket
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequestError), (403, AuthenticationError), (429, RateLimitError), (502, ServerError)],
)
@in_virtual_time
async def test_a_refused_handshake(stage: MakeStage, route: str, status: int, kind: type[SmallestAIError]) -> None:
    async with stage(plugin(route), handshake=lambda connection: status, **FAST) as s:
        error = await error_of(s)
        assert type(error) is kind
        assert error.status == status
        assert f"HTTP {status}" in str(error)
        assert error.unspoken == "", "no text was taken"


@every_route
async def test_a_port_at_which_nobody_listens(stage: MakeStage, route: str) -> None:
    base_url = f"http://127.0.0.1:{free_port()}/waves/v1"
    async with stage(plugin(route, base_url=base_url)) as s:
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.opening
        assert base_url in str(error), "says what to check"
        assert (error.status, error.request_id) == (None, None)


@every_route
async def test_a_host_without_tls(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route)) as s:
        base_url = s.waves.base_url.replace("http:", "https:")
        async with stage(plugin(route, base_url=base_url)) as secure:
            error = await error_of(secure)
        assert type(error) is APIConnectionError
        assert base_url in str(error)
        assert not s.waves.connections
        assert not s.waves.requests


@every_route
async def test_a_host_that_does_not_exist(stage: MakeStage, route: str) -> None:
    async with stage(plugin(route, base_url="http://nowhere.invalid/waves/v1")) as s:
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.opening
        assert "nowhere.invalid" in str(error)


@every_untold_websocket
@pytest.mark.parametrize("garbage", ["upstream connect error", '{"status":"chunk","data":{"audio":"!"}}', b"\0\1"])
@in_virtual_time
async def test_a_frame_that_is_none(stage: MakeStage, route: str, garbage: str | bytes) -> None:
    async with stage(plugin(route), fault=lambda request: Frames(instead=garbage), **FAST) as s:
        error = await error_of(s)
        assert type(error) is ServerError
        assert error.retryable


@pytest.mark.parametrize("route", ["http", "sse"])
@pytest.mark.parametrize("body", [f'{{"error":"No speech for {KEY}"}}', f'{{"message":"No speech for {KEY}"}}'])
@in_virtual_time
async def test_json_with_a_good_status_instead_of_speech(stage: MakeStage, route: str, body: str) -> None:
    async with stage(plugin(route), fault=lambda request: Frames(instead=body), **FAST) as s:
        error = await error_of(s)
        assert type(error) is ServerError
        assert "No speech for ***" in str(error)
        assert error.request_id is not None


@pytest.mark.parametrize("route", ["http", "sse"])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain", "text/event-stream"])
@in_virtual_time
async def test_a_page_instead_of_speech_is_not_played(stage: MakeStage, route: str, kind: str) -> None:
    page = Frames(instead="<html>Please log in to the network</html>", content_type=kind)
    async with stage(plugin(route), fault=lambda request: page, **FAST) as s:
        error = await error_of(s)
        assert type(error) is ServerError
        assert "Please log in" in str(error)


@in_virtual_time
async def test_an_error_among_the_events(stage: MakeStage) -> None:
    events = 'data: {"status":"500","done":true,"error":"Out of memory"}\n\n'
    fault = Frames(instead=events, content_type="text/event-stream")
    async with stage(plugin("sse"), fault=lambda request: fault, **FAST) as s:
        error = await error_of(s)
        assert type(error) is ServerError
        assert "HTTP 500: Out of memory" in str(error)


@every_route
@pytest.mark.parametrize(
    ("where", "kind"),
    [
        (lambda s: {"base_url": s.waves.base_url}, AuthenticationError),
        (lambda s: {"base_url": f"http://127.0.0.1:{free_port()}"}, APIConnectionError),
    ],
    ids=["refused", "unreachable"],
)
async def test_a_stream_raises_and_emits_nothing(
    stage: MakeStage, route: str, where: Callable[[Stage], dict[str, Any]], kind: type[SmallestAIError]
) -> None:
    async with stage(api_keys=["sk_other"]) as server, stage(plugin(route, **where(server))) as s:
        with pytest.raises(kind) as caught:
            await anext(s.tts.stream_synthesize(items(["Hello there."])))
        assert s.errors == []
        assert_has_no_key(caught.value)


@every_websocket
async def test_a_failed_prewarm_is_a_warning_without_the_key(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(plugin(route), api_keys=["sk_other"]) as s:
        await s.tts.prewarm()
        assert s.errors == []
        ours = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.levelname for record in ours] == ["WARNING"]
        assert "HTTP 401" in ours[0].getMessage()


async def test_a_list_of_voices_that_never_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        tts = impatient(Timing(voices=0.2))(api_key=KEY, base_url=f"http://127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(APITimeoutError, match=r"within 0\.2 s") as caught:
            await tts.voices()
        assert_has_no_key(caught.value)
        await tts.aclose()


def test_an_error_can_be_written_to_any_log() -> None:
    """Bytes of a header that are no text come as surrogates, which UTF-8 has not."""
    error = ServerError("HTTP 500: \udce2", request_id="\udcff")
    assert str(error).encode() == "HTTP 500: \ufffd [request \ufffd]".encode()
