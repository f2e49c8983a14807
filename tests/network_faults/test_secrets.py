"""Whatever fails: the key is nowhere to be seen, and what is spoken is in no log and in no message."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from certificates import tls
from echo_server import as_events, as_json, as_text, echo_server, raw_echo_server
from leaks import KEY, assert_has_no_key, chain
from listening import items
from routes import ROUTES, every_route
from staging import Stage, make_stage
from tunnel import Tunnel

from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Break, Fault, Frames, Mute, NoAudio, Refuse, SpeechRequest
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.session import Session

SECRETS = (KEY, KEY[:12], KEY[-12:])
"""A piece of a key is as bad."""

SENTENCES = [
    'My diagnosis is "hypochondria", Doctor.',
    "मेरा नंबर गुप्त है, किसी को मत बताना।",
    "And that is all of it.",
]
PRIVATE = ("hypochondria", "diagnosis is", "गुप्त है", "गुप्त".encode("unicode_escape").decode(), "all of it")
"""What must not be read of them."""

FAST: dict[str, Any] = {"first_audio": 0.0, "real_time_factor": 100.0}

IMPATIENT = Timing(
    connect=0.3,
    first_audio=0.3,
    body_silence=0.3,
    complete_wait=0.3,
    silence_limit=0.3,
    pong=0.3,
    reconnect=(0.0,),
    server_retry=(0.0,),
    rate_retry=(0.0,),
)
"""How long the plugin waits is not what is tested here."""

Scene = Callable[[dict[str, Any]], AbstractAsyncContextManager[Stage]]


def on_emulator(**server: Any) -> Scene:
    return lambda plugin: make_stage(plugin, timing=IMPATIENT, **(FAST | server))


def echo(request: SpeechRequest) -> str:
    """What a server might say that repeats everything."""
    return f"for Bearer {KEY}, {request.text}"


def echo_in_json(request: SpeechRequest) -> str:
    return json.dumps({"key": KEY, "text": request.text})


def always(*faults: Fault | Callable[[SpeechRequest], Fault]) -> Scene:
    return on_emulator(fault=lambda request: [each(request) if callable(each) else each for each in faults])


def refuse_with(status: int, request: SpeechRequest) -> Refuse:
    return Refuse(status, body={"message": echo(request)}, headers={"X-Request-Id": KEY, "Retry-After": KEY})


def refuse_like_a_validator(request: SpeechRequest) -> Refuse:
    said = echo(request)
    problem = {"path": [KEY, "text"], "message": said, "received": said, "options": [said]}
    return Refuse(400, body={"message": said, "errors": [problem]})


def at(where: Callable[[], AbstractAsyncContextManager[str]]) -> Scene:
    """A server that is not the emulator, by its address."""

    @asynccontextmanager
    async def scene(plugin: dict[str, Any]) -> AsyncIterator[Stage]:
        async with where() as base_url, make_stage(plugin | {"base_url": base_url}, timing=IMPATIENT) as s:
            yield s

    return scene


@asynccontextmanager
async def _nobody() -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _nowhere() -> AsyncIterator[str]:
    yield "http://nowhere.invalid"


@asynccontextmanager
async def _behind_proxy(status: str) -> AsyncIterator[str]:
    async with Tunnel(1, status) as tunnel:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("HTTPS_PROXY", tunnel.url)
            environment.setenv("NO_PROXY", "")
            yield "https://voice.test"


def first(fault: Fault) -> Callable[[SpeechRequest], Fault | None]:
    seen: list[str] = []

    def choose(request: SpeechRequest) -> Fault | None:
        seen.append(request.text)
        return fault if len(seen) == 1 else None

    return choose


SCENES: dict[str, Scene] = {
    "a wrong key": on_emulator(api_keys=["sk_other"]),
    **{f"refused with {status}": always(partial(refuse_with, status)) for status in (400, 401, 403, 404, 429, 500)},
    "refused in the words of a validator": always(refuse_like_a_validator),
    "refused by a frame that is no JSON": always(lambda request: Refuse(500, frame=echo(request))),
    **{
        f"a handshake refused with {status}": on_emulator(handshake=lambda connection, status=status: status)
        for status in (401, 403, 404, 429, 500)
    },
    "a retired model": on_emulator(retired=dict.fromkeys(("lightning-v3.1", "lightning_v3.1"), "MODEL_DEPRECATED")),
    "garbage": always(lambda request: Frames(instead=echo(request))),
    "binary garbage": always(lambda request: Frames(instead=echo(request).encode())),
    "garbage in JSON": always(lambda request: Frames(instead=echo_in_json(request))),
    "no JSON, and not even text": always(lambda request: Frames(instead=b"\xff" + echo(request).encode())),
    "events of garbage": always(
        lambda request: Frames(instead=f"data: {echo(request)}\n\n", content_type="text/event-stream")
    ),
    "unknown frames, then a break": always(
        lambda request: Frames(before=[echo_in_json(request), echo(request)]), Break(0.2, "reset")
    ),
    "a reset": always(Break(0.2, "reset")),
    "a close": always(Break(0.2, "close")),
    "silence": always(Break(0.2, "silence")),
    "no answer": always(Mute()),
    "no audio": always(NoAudio()),
    "a break that is overcome": on_emulator(fault=first(Break(0.2, "reset"))),
    "a refusal that is overcome": on_emulator(fault=first(Refuse(503, body={"message": f"for {KEY}"}))),
    "nothing": on_emulator(),
    "a handshake without an end": on_emulator(handshake=lambda connection: "hang"),
    "an echo of text": at(lambda: echo_server(as_text(200))),
    "an echo that refuses": at(lambda: echo_server(as_text(400))),
    "an echo that fails": at(lambda: echo_server(as_text(500))),
    "an echo that redirects": at(lambda: echo_server(as_text(307))),
    "an echo of JSON": at(lambda: echo_server(as_json(200))),
    "an echo of JSON that refuses": at(lambda: echo_server(as_json(422))),
    "an echo of events": at(lambda: echo_server(as_events(200))),
    "what is no HTTP": at(raw_echo_server),
    "what begins like HTTP": at(lambda: raw_echo_server(b"HTTP/1.1 200 OK\r\n")),
    "a status line of its own": at(lambda: raw_echo_server(b"HTTP/1.1 700 ")),
    "chunks of no size": at(lambda: raw_echo_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")),
    "an upgrade to something else": at(lambda: raw_echo_server(b"HTTP/1.1 101 Switching\r\nUpgrade: ")),
    "nobody": at(_nobody),
    "nowhere": at(_nowhere),
    "a proxy that refuses": at(lambda: _behind_proxy("407 " + KEY)),
    "a proxy that leads nowhere": at(lambda: _behind_proxy("200 OK")),
    "an unknown authority": on_emulator(tls=tls()),
}

AUDIO_ON_LIVE = ("binary garbage", "no JSON, and not even text")
"""What is played in a session of Lightning v4, whose audio has no frame around it: no failure is told of it."""

FAILING = ("a wrong", "refused", "an echo that", "nobody", "nowhere", "a proxy", "an unknown", "no answer")
"""Beginnings of those in which every route fails: what a body of PCM says cannot be wrong, and breaks can heal."""


@pytest.fixture(autouse=True)
def nothing_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The logs of everything, down to DEBUG, after each test."""
    asyncio_logger = logging.getLogger("asyncio")
    before = asyncio_logger.level
    asyncio_logger.setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield
    asyncio_logger.setLevel(before)
    for record in caplog.get_records("call"):  # `records` are those of the teardown here
        assert_record_is_discreet(record)


def assert_record_is_discreet(record: logging.LogRecord) -> None:
    shown = logging.Formatter("%(message)s").format(record) + repr(vars(record)) + repr(record.args)
    assert_without(shown, SECRETS)
    if record.exc_info and record.exc_info[1] is not None:
        assert_error_is_discreet(record.exc_info[1])
    if record.name.startswith("videosdk_plugins_smallestai"):
        assert_without(shown, PRIVATE)


def assert_error_is_discreet(error: BaseException) -> None:
    """As a crash reporter would show it: with its chain, and with the local variables of each frame."""
    assert_has_no_key(error)
    assert_without("".join(traceback.format_exception(error)), (*SECRETS, *PRIVATE))
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert_without("".join(shown.format()), SECRETS)
    for each in chain(error):
        for text in (str(each), repr(each), repr(each.args), *getattr(each, "__notes__", ())):
            assert_without(text, (*SECRETS, *PRIVATE))


def assert_without(shown: str, secrets: tuple[str, ...]) -> None:
    for secret in secrets:
        assert secret not in shown, f"...{shown[max(0, shown.index(secret) - 300) :][:600]}..."


def assert_plugin_is_discreet(tts: SmallestAITTS) -> None:
    """As a debugger would show it: with its parts, but for the one that must have the key, and theirs."""
    attributes = vars(tts) | {"audio_track": None}  # an echo may have been taken for speech
    parts = [
        vars(part)
        for whole in (attributes, vars(tts._transports))
        for part in whole.values()
        if hasattr(part, "__dict__") and not isinstance(part, Session)
    ]
    for shown in (str(tts), repr(tts), repr(attributes), *map(repr, parts)):
        assert_without(shown, SECRETS)


async def failure_of(call: Awaitable[object]) -> BaseException | None:
    """What a call raises. Here, so that no frame above has the key in a local variable."""
    try:
        async with asyncio.timeout(20):
            await call
    except Exception as error:
        return error
    return None


async def speak(tts: SmallestAITTS) -> None:
    await tts.prewarm()
    await tts.synthesize(items(SENTENCES))


@every_route
@pytest.mark.parametrize("scene", SCENES)
async def test_a_failure_tells_neither_the_key_nor_the_text(route: str, scene: str) -> None:
    if route == "live" and scene in AUDIO_ON_LIVE:
        pytest.skip("it is audio")
    asyncio.get_running_loop().set_debug(True)
    async with SCENES[scene](ROUTES[route] | {"api_key": KEY, "timeout": 0.5}) as s:
        error = await failure_of(speak(s.tts))
        assert_plugin_is_discreet(s.tts)
        if error is not None:
            assert isinstance(error, SmallestAIError)
            assert s.errors == [str(error)]
            assert_error_is_discreet(error)
        else:
            assert not scene.startswith(FAILING)
        refusal = await failure_of(s.tts.voices())
        if refusal is not None:
            assert_error_is_discreet(refusal)


@every_route
@pytest.mark.parametrize("how", ["aclose", "interrupt", "cancel"])
async def test_an_end_in_the_middle_tells_neither_the_key_nor_the_text(route: str, how: str) -> None:
    asyncio.get_running_loop().set_debug(True)
    async with make_stage(ROUTES[route] | {"api_key": KEY}, first_audio=0.0) as s:
        speaking = asyncio.ensure_future(failure_of(speak(s.tts)))
        await s.track.hears(0.3)
        if how == "cancel":
            speaking.cancel()
        else:
            await getattr(s.tts, how)()
        [outcome] = await asyncio.gather(speaking, return_exceptions=True)
        assert_plugin_is_discreet(s.tts)
        assert outcome is None or isinstance(outcome, asyncio.CancelledError)
