"""HTTP as one reply uses it, over real sockets: a POST for each stream, whose end is always told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from leaks import KEY, assert_has_no_key
from replies import HTTP, SSE, Instance, instance, settings
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
from videosdk_plugins_smallestai.emulator import (
    Break,
    ChunkBytes,
    Frames,
    Mute,
    NoAudio,
    Refuse,
    Stall,
    WavesEmulator,
    tone,
)
from videosdk_plugins_smallestai.models import VOICE_LIST
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.base import Accepted, Audio, Complete, Failed, Pong, Traits
from videosdk_plugins_smallestai.transport.session import Session
from videosdk_plugins_smallestai.transport.voice_list import list_voices

ROUTES = {"http": HTTP, "sse": SSE}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)

ONE, TWO = "Hello there.", "And we go on."


def emulator(**changed: Any) -> WavesEmulator:
    return WavesEmulator(**({"voice": "tone", "first_audio": 0.2, "real_time_factor": 3.3} | changed))


async def failure(plugin: Instance, route: dict[str, Any], text: str = ONE, **changed: Any) -> SmallestAIError:
    """Ask for a text that will fail. Returns the error."""
    reply = plugin.reply(route, **changed)
    await reply.open()
    reply.transport.send(1, text, joined=False)
    failed = await reply.failure()
    assert failed == Failed((1,), failed.error)
    assert_has_no_key(failed.error)
    return failed.error


@every_route
@in_virtual_time
async def test_each_stream_brings_its_audio_and_its_end(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        assert (await reply.open()).traits == Traits(ends_told=True)
        assert waves.requests == [], "a POST brings its own connection"
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        assert await reply.complete(1) == tone(ONE)
        assert await reply.complete(2) == tone(TWO)
        for stream in (1, 2):
            kinds = [type(e) for e in reply.events if getattr(e, "stream", None) == stream]
            assert kinds[0] is Accepted
            assert set(kinds[1:-1]) == {Audio}
            assert kinds[-1] is Complete


@every_route
@in_virtual_time
async def test_audio_cut_in_the_middle_of_samples_is_all_there(route: dict[str, Any]) -> None:
    async with (
        emulator(fault=lambda r: ChunkBytes((1, 333, 4001))) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        assert await reply.complete(1) == tone(ONE)


@every_route
@in_virtual_time
async def test_a_good_end_without_audio_is_complete(route: dict[str, Any]) -> None:
    async with emulator(fault=lambda r: NoAudio()) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        assert await reply.complete(1) == b""


@every_route
@in_virtual_time
async def test_a_dropped_stream_ends_its_post_and_nothing_more_is_told_of_it(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        await reply.audible(1)
        reply.transport.drop(1)
        heard = len(reply.audio(1))
        assert await reply.complete(2) == tone(TWO)
        assert len(reply.audio(1)) == heard
        assert waves.requests[0].outcome == "cancelled"


@every_route
@in_virtual_time
async def test_nothing_comes_after_an_interruption(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        await reply.audible(1)
        count = len(reply.events)
        reply.transport.abandon()
        await reply.transport.aclose()
        await waves.idle()
        assert len(reply.events) == count
        assert [request.outcome for request in waves.requests] == ["cancelled", "cancelled"]


@every_route
@in_virtual_time
async def test_there_is_no_line_that_could_be_dead(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.ping(1)
        assert not reply.all(Pong)
        await reply.pong()


REFUSALS: list[tuple[Refuse, type[SmallestAIError]]] = [
    (Refuse(401), AuthenticationError),
    (Refuse(400), InvalidRequestError),
    (Refuse(429, headers={"Retry-After": "1.5"}), RateLimitError),
    (Refuse(503), ServerError),
]


@every_route
@pytest.mark.parametrize(("refusal", "kind"), REFUSALS)
@in_virtual_time
async def test_a_refusal_is_the_error_that_fits(
    route: dict[str, Any], refusal: Refuse, kind: type[SmallestAIError]
) -> None:
    async with emulator(fault=lambda r: refusal) as waves, instance(waves.base_url, key=KEY) as plugin:
        error = await failure(plugin, route)
        assert type(error) is kind
        assert error.status == refusal.status
        assert error.request_id is not None
        assert getattr(error, "retry_after", 1.5) == 1.5


@every_route
@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X-Request-Id": "req", "X-Session-Id": "sess"}, "request req, session sess]"),
        ({"X-Request-Id": "", "X-Session-Id": "sess"}, "session sess]"),
    ],
    ids=["of request and session", "of the session alone"],
)
@in_virtual_time
async def test_the_servers_ids_are_in_the_error(route: dict[str, Any], headers: dict[str, str], told: str) -> None:
    async with emulator(fault=lambda r: Refuse(500, headers)) as waves, instance(waves.base_url) as plugin:
        error = await failure(plugin, route)
        assert error.request_id == (headers["X-Request-Id"] or None)
        assert error.session_id == headers["X-Session-Id"]
        assert str(error).endswith(told)


@every_route
@pytest.mark.parametrize("how", ["close", "reset"])
@in_virtual_time
async def test_a_body_that_is_cut_short_is_a_broken_connection(route: dict[str, Any], how: Any) -> None:
    async with emulator(fault=lambda r: Break(after=0.3, how=how)) as waves, instance(waves.base_url) as plugin:
        error = await failure(plugin, route)
        assert type(error) is APIConnectionError
        assert not error.opening


@every_route
@in_virtual_time
async def test_a_body_that_falls_silent_is_a_broken_connection(route: dict[str, Any]) -> None:
    async with (
        emulator(fault=lambda r: Stall(60.0, after=0.2)) as waves,
        instance(waves.base_url, timing=Timing(body_silence=5.0)) as plugin,
    ):
        began = asyncio.get_running_loop().time()
        error = await failure(plugin, route)
        assert type(error) is APIConnectionError
        assert "stopped for 5 s" in str(error)
        assert asyncio.get_running_loop().time() - began < 7.0


@every_route
@in_virtual_time
async def test_an_answer_that_never_comes_is_a_timeout(route: dict[str, Any]) -> None:
    async with emulator(fault=lambda r: Mute()) as waves, instance(waves.base_url) as plugin:
        error = await failure(plugin, route, timeout=2.0)
        assert type(error) is APITimeoutError
        assert "timeout=2 s" in str(error)


@every_route
@in_virtual_time
async def test_an_answer_that_takes_too_long_is_a_broken_connection(route: dict[str, Any]) -> None:
    async with emulator(real_time_factor=0.1) as waves, instance(waves.base_url) as plugin:
        error = await failure(plugin, route, timeout=2.0)
        assert type(error) is APIConnectionError
        assert "not complete within timeout=2 s" in str(error)


@in_virtual_time
async def test_events_that_end_before_one_says_so_are_a_broken_connection() -> None:
    event = "data: " + json.dumps({"audio": "AAEC", "done": False, "status": "206"}) + "\n\n"
    async with (
        emulator(fault=lambda r: Frames(instead=event, content_type="text/event-stream")) as waves,
        instance(waves.base_url) as plugin,
    ):
        error = await failure(plugin, SSE)
        assert type(error) is APIConnectionError
        assert "before its end" in str(error)


@every_route
@in_virtual_time
async def test_an_error_with_a_good_status_is_an_error(route: dict[str, Any]) -> None:
    said = json.dumps({"error": {"code": "invalid_voice_id", "message": "Invalid Voice ID"}})
    async with (
        emulator(fault=lambda r: Frames(instead=said, content_type="application/json")) as waves,
        instance(waves.base_url) as plugin,
    ):
        assert type(await failure(plugin, route)) is InvalidRequestError


@in_virtual_time
async def test_a_page_of_a_captive_portal_is_not_played() -> None:
    page = "<html>Please log in</html>"
    async with (
        emulator(fault=lambda r: Frames(instead=page, content_type="text/html")) as waves,
        instance(waves.base_url) as plugin,
    ):
        assert "Please log in" in str(await failure(plugin, HTTP))


@in_virtual_time
async def test_a_retired_model_names_its_successor_which_then_speaks() -> None:
    async with emulator(retired={"lightning-v3.1": 410}) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(HTTP)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        error = (await reply.failure()).error
        assert isinstance(error, ModelRetiredError)
        assert error.successor == "lightning_v3.1"
        reply.transport.move_on()
        await reply.open()
        reply.transport.send(2, ONE, joined=False)
        await reply.next(Complete)
        assert reply.audio(2) == tone(ONE)
        other = plugin.reply(HTTP)
        await other.open()
        other.transport.send(1, TWO, joined=False)
        assert await other.complete(1) == tone(TWO)
        assert waves.requests[-1].body["model"] == "lightning_v3.1"


@in_virtual_time
async def test_one_session_serves_in_one_event_loop_after_another() -> None:
    async with emulator() as waves:
        session = Session(waves.base_url, KEY, Timing())
        first = session.client()
        session.forget()
        assert first.closed
        assert session.client() is not first
        await session.aclose()
        assert not session.client().closed
        await session.aclose()


@every_route
@in_virtual_time
async def test_a_session_of_the_callers_is_used_and_never_closed(route: dict[str, Any]) -> None:
    async with emulator() as waves, aiohttp.ClientSession(raise_for_status=True) as own:
        plugin = Instance(waves.base_url, http_session=own)
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        assert await reply.complete(1) == tone(ONE)
        await plugin.aclose()
        assert not own.closed


@in_virtual_time
async def test_the_voices_are_listed() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        voices = await list_voices(plugin.session, VOICE_LIST, plugin.timing)
        assert settings().voice_id in [voice.id for voice in voices]
