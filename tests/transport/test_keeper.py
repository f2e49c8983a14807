"""A connection is ready for every reply: what happens between replies is mended unheard, and without a storm."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from replies import JOINED, PLAIN, UNIFIED, Instance, instance, settings
from servers import SmallServer, small_server
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import AuthenticationError, RateLimitError, ServerError
from videosdk_plugins_smallestai.emulator import Break, Mute, NoAudio, Refuse, SpeechRequest, WavesEmulator, tone
from videosdk_plugins_smallestai.emulator.threaded import ThreadedWavesEmulator
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.base import Failed, Opened, OpenFailed

ROUTES = {"plain": PLAIN, "unified": UNIFIED, "joined": JOINED}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)

TEXT = "Hello there."


def now() -> float:
    return asyncio.get_running_loop().time()


def emulator(**changed: Any) -> WavesEmulator:
    fast: dict[str, Any] = {
        "voice": "tone",
        "complete": 0.0,
        "close_after_complete": "unified",
        "context_complete": "release",
        "idle_timeout": None,
    }
    return WavesEmulator(**(fast | changed))


async def warm(plugin: Instance, route: dict[str, Any] = PLAIN) -> None:
    await plugin.transports.prewarm(settings(**route))


async def speak(plugin: Instance, route: dict[str, Any] = PLAIN) -> None:
    """Speak a reply, whole."""
    reply = plugin.reply(route)
    joined = (await reply.open()).traits.joined
    reply.transport.send(1, TEXT, joined=joined)
    assert await reply.complete(1) == tone(TEXT)
    reply.transport.close_stream(1)
    reply.transport.release()


def is_ready(waves: WavesEmulator) -> bool:
    """Whether exactly one connection is open."""
    return [connection.closed for connection in waves.connections if connection.status == 101].count(None) == 1


@every_route
@in_virtual_time
async def test_the_first_reply_after_prewarm_pays_no_handshake(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await asyncio.gather(warm(plugin, route), warm(plugin, route))
        await warm(plugin, route)
        assert len(waves.connections) == 1
        reply = plugin.reply(route)
        await reply.open()
        reply.transport.send(1, TEXT, joined=route is JOINED)
        assert (await waves.request(0)).connection == 0


@every_route
@in_virtual_time
async def test_a_reply_and_a_prewarm_share_one_handshake(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        await asyncio.gather(warm(plugin, route), reply.open())
        await warm(plugin, route)
        await asyncio.sleep(0.1)
        assert len(waves.connections) == (2 if route is UNIFIED else 1), (
            "where each serves one, one is opened ahead"
        )


@in_virtual_time
async def test_prewarm_over_http_opens_nothing() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await warm(plugin, {"enable_streaming": False})
        assert waves.connections == []


@in_virtual_time
async def test_a_prewarm_that_is_refused_is_told_and_not_repeated_until_the_reply() -> None:
    async with (
        emulator(handshake=lambda c: 403 if c.number == 0 else None) as waves,
        instance(waves.base_url) as plugin,
    ):
        with pytest.raises(AuthenticationError):
            await warm(plugin)
        await asyncio.sleep(60.0)
        assert len(waves.connections) == 1
        await speak(plugin)


@pytest.mark.parametrize(("headers", "quiet"), [({"Retry-After": "20"}, 20.0), ({}, 0.5)], ids=["told", "untold"])
@in_virtual_time
async def test_a_prewarm_that_is_refused_for_a_limit_is_repeated_as_late_as_the_service_asks(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], quiet: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    came: list[float] = []

    async def refuse(request: web.Request) -> web.Response:
        came.append(now())
        return web.Response(status=429, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    async with TestServer(app) as server, instance(str(server.make_url(""))) as plugin:
        with pytest.raises(RateLimitError):
            await warm(plugin)
        await asyncio.sleep(25.0)
        assert came[1] - came[0] >= quiet
        assert len(came) < 10


@in_virtual_time
async def test_a_prewarm_takes_the_successor_of_a_retired_model() -> None:
    async with emulator(retired={"lightning-v3.1": 410}) as waves, instance(waves.base_url) as plugin:
        await warm(plugin)
        assert [connection.status for connection in waves.connections] == [410, 101]


@in_virtual_time
async def test_a_service_that_was_down_at_prewarm_is_found_without_a_reply() -> None:
    async with emulator(handshake=lambda c: 503) as waves, instance(waves.base_url) as plugin:
        with pytest.raises(ServerError):
            await warm(plugin)
        await asyncio.sleep(20.0)
        waves.handshake = None
        await asyncio.sleep(13.0)
        assert is_ready(waves)


# Between replies


@every_route
@in_virtual_time
async def test_after_every_reply_one_connection_is_ready(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        for _ in range(3):
            await speak(plugin, route)
            await asyncio.sleep(2.0)
            assert is_ready(waves)
        assert len(waves.connections) == (4 if route is UNIFIED else 1)


@in_virtual_time
async def test_of_two_that_are_given_back_one_is_closed_in_good_order() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await asyncio.gather(speak(plugin), speak(plugin))
        await asyncio.sleep(2.0)
        assert len(waves.connections) == 2
        assert is_ready(waves)
        assert [c.client_closed for c in waves.connections if c.closed is not None] == [True]


@every_route
@in_virtual_time
async def test_an_idle_close_by_the_service_is_mended_at_once(route: dict[str, Any]) -> None:
    async with emulator(idle_timeout=60.0) as waves, instance(waves.base_url, max_age=60.0) as plugin:
        await speak(plugin, route)
        opened = len(waves.connections)
        await asyncio.sleep(65.0)
        gone, mended = waves.connections[opened - 1], waves.connections[opened]
        assert gone.closed is not None
        assert mended.opened - gone.closed < 0.1
        assert is_ready(waves)


@in_virtual_time
async def test_a_close_after_a_long_life_is_mended_at_once() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await warm(plugin)
        await asyncio.sleep(30.0)
        await waves.close_connections("close")
        await asyncio.sleep(1.0)
        assert len(waves.connections) == 2
        assert is_ready(waves)


@in_virtual_time
async def test_an_old_connection_is_replaced_before_it_is_closed() -> None:
    async with emulator() as waves, instance(waves.base_url, max_age=100.0) as plugin:
        await warm(plugin)
        await asyncio.sleep(101.0)
        first, second = waves.connections
        assert first.closed is not None
        assert second.opened <= first.closed
        assert first.client_closed
        await speak(plugin)
        assert waves.requests[0].connection == 1


@in_virtual_time
async def test_a_connection_that_grows_old_in_a_reply_serves_it_to_its_end() -> None:
    async with emulator(first_audio=3.0) as waves, instance(waves.base_url, max_age=1.0) as plugin:
        await speak(plugin)
        assert [request.connection for request in waves.requests] == [0]


@in_virtual_time
async def test_a_quiet_call_is_let_go_and_speaks_again_when_it_must() -> None:
    timing = Timing(warm_for=100.0)
    async with emulator() as waves, instance(waves.base_url, max_age=1e6, timing=timing) as plugin:
        await speak(plugin)
        await asyncio.sleep(90.0)
        assert is_ready(waves)
        await asyncio.sleep(20.0)
        assert waves.connections[0].client_closed
        assert len(waves.connections) == 1
        await speak(plugin)
        assert len(waves.connections) == 2


@in_virtual_time
async def test_a_dead_connection_is_handed_to_nobody() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await speak(plugin)
        await waves.close_connections("reset")
        await asyncio.sleep(0.1)
        await speak(plugin)
        assert [request.connection for request in waves.requests] == [0, 1]


@in_virtual_time
async def test_the_reason_of_an_idle_failure_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="videosdk_plugins_smallestai")
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await warm(plugin)
        await waves.stop()
        await asyncio.sleep(5.0)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert any("the idle connection is gone: The server closed the connection" in message for message in said)
    assert any(
        "no connection on route /lightning-v3.1/get_speech/stream: Could not open the WebSocket" in message
        for message in said
    )


@in_virtual_time
async def test_an_idle_connection_whose_peer_is_gone_is_replaced() -> None:
    async with small_server(stay, pongs=1) as server, instance(server.base_url) as plugin:
        await warm(plugin)
        await asyncio.sleep(25.0)
        assert len(server.opened) == 1
        await asyncio.sleep(40.0)
        assert len(server.opened) == 2


@in_virtual_time
async def test_a_server_that_answers_no_pings_keeps_its_connection() -> None:
    async with small_server(stay, pongs=0) as server, instance(server.base_url) as plugin:
        await warm(plugin)
        await asyncio.sleep(200.0)
        assert len(server.opened) == 1


def test_an_instance_serves_in_one_event_loop_after_another() -> None:
    plugin = Instance("http://127.0.0.1:1")

    async def speak_once() -> None:
        async with emulator() as waves:
            plugin.session.base_url = waves.base_url
            await speak(plugin)

    asyncio.run(speak_once())
    plugin.transports.forget()
    plugin.replies.clear()

    async def speak_again() -> None:
        await speak_once()
        await plugin.aclose()

    asyncio.run(speak_again())


def test_an_event_loop_that_ends_opens_no_further_connection() -> None:
    """As in a script whose main function returns without `aclose`: what was opened then would be left behind."""
    plugin = Instance("http://127.0.0.1:1")
    waves = ThreadedWavesEmulator(voice="tone")
    begun: list[str] = []

    def note(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        begun.append(work.__qualname__)
        return asyncio.Task(work, loop=loop, **options)

    async def leave() -> None:
        plugin.session.base_url = waves.base_url
        await warm(plugin)
        asyncio.get_running_loop().set_task_factory(note)

    with waves.thread():
        asyncio.run(leave())
        plugin.session.forget()
        assert len(waves.connections) == 1
        assert "WireKeeper._connect" not in begun


# Services that do not keep a connection


async def stay(server: SmallServer, socket: web.WebSocketResponse) -> None:
    await server.read(socket)


async def close_after_a_second(server: SmallServer, socket: web.WebSocketResponse) -> None:
    await asyncio.sleep(1.1)


async def tell_and_close(server: SmallServer, socket: web.WebSocketResponse) -> None:
    await socket.send_str('{"status":"error","message":"Your subscription is inactive"}')


async def time_out_early(server: SmallServer, socket: web.WebSocketResponse) -> None:
    await asyncio.sleep(0.3)
    await socket.send_str('{"status":"error","message":"Connection timed out after 0.3 seconds of inactivity"}')


@pytest.mark.parametrize("serve", [close_after_a_second, tell_and_close, time_out_early])
@in_virtual_time
async def test_a_service_that_closes_every_connection_is_not_dialled_in_a_storm(serve: Any) -> None:
    async with small_server(serve) as server, instance(server.base_url) as plugin:
        await warm(plugin)
        await asyncio.sleep(15.0)
        assert 2 <= len(server.opened) <= 5
        await asyncio.sleep(105.0)
        assert len(server.opened) <= 5 + 105 / 7.5, "once in ten seconds in the long run"


@in_virtual_time
async def test_why_a_service_closes_every_connection_is_a_warning_told_once_and_the_replys_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with small_server(tell_and_close) as server, instance(server.base_url) as plugin:
        await warm(plugin)
        await asyncio.sleep(15.0)
        [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert "Your subscription is inactive" in warning
        reply = plugin.reply()
        reply.transport.open()
        failed = await reply.until(lambda: [*reply.all(OpenFailed), *reply.all(Failed)])
        assert "Your subscription is inactive" in str(failed[0].error)
        assert isinstance(failed[0].error, AuthenticationError)


@in_virtual_time
async def test_a_service_that_restarts_is_found_again_by_each_without_a_storm() -> None:
    objects, away = 40, 20.0
    async with emulator() as waves:
        plugins = [Instance(waves.base_url) for _ in range(objects)]
        await asyncio.gather(*(warm(plugin) for plugin in plugins))
        await asyncio.sleep(30.0)
        waves.handshake = lambda connection: 503
        gone = now()
        await waves.close_connections("close")
        await asyncio.sleep(away)
        early = [c.opened for c in waves.connections if gone <= c.opened < gone + 10.0]
        assert objects <= len(early) <= 3 * objects
        assert max(early) - min(early) > 5.0
        busiest = max(sum(at <= other < at + 0.1 for other in early) for at in early)
        assert busiest < objects * 0.75, "spread by jitter"
        waves.handshake = None
        await asyncio.sleep(15.0)
        ready = [c for c in waves.connections if c.status == 101 and c.closed is None]
        assert len(ready) == objects
        await asyncio.gather(*(plugin.aclose() for plugin in plugins))


@in_virtual_time
async def test_a_keeper_that_was_closed_ends_everything_and_serves_again() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        await warm(plugin)
        hanging = plugin.reply()
        waves.handshake = lambda connection: "hang"
        first = await plugin.reply().open()
        assert first.traits.shared
        hanging.transport.open()
        await asyncio.sleep(0.1)
        await plugin.transports.aclose()
        await hanging.transport.aclose()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if "videosdk_plugins_smallestai/transport" in str(task)]
        waves.handshake = None
        await speak(plugin)


@in_virtual_time
async def test_a_reply_whose_keeper_is_closed_is_told_so() -> None:
    async with emulator(handshake=lambda connection: "hang") as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply()
        opening = asyncio.ensure_future(reply.open())
        await asyncio.sleep(0.1)
        await plugin.transports.aclose()
        with pytest.raises(AssertionError, match="given up"):
            await opening


@in_virtual_time
async def test_opening_that_hangs_is_given_up() -> None:
    async with (
        emulator(handshake=lambda connection: "hang") as waves,
        instance(waves.base_url, timing=Timing(connect=5.0)) as plugin,
    ):
        began = now()
        reply = plugin.reply()
        with pytest.raises(AssertionError, match=r"longer than 5 s"):
            await reply.open()
        assert 5.0 <= now() - began < 5.5


# Everything at once


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@every_route
@in_virtual_time
async def test_whatever_happens_to_replies_one_connection_is_ready_in_the_end(
    route: dict[str, Any], seed: int
) -> None:
    chance = random.Random(seed)

    def fault(request: SpeechRequest) -> Any:
        after = chance.uniform(0.0, 1.0)
        faults = [Break(after, "close"), Break(after, "reset"), Refuse(500), Refuse(429), Mute(), NoAudio()]
        return chance.choice([None, None, *faults])

    async def reply_somehow(plugin: Instance) -> None:
        await asyncio.sleep(chance.uniform(0.0, 20.0))
        reply = plugin.reply(route)
        transport = reply.transport
        transport.open()
        for stream in range(1, chance.randint(2, 4)):
            await asyncio.sleep(chance.choice([0.0, 0.3]))
            if reply.all(Opened):
                joined = reply.all(Opened)[-1].traits.joined
                transport.send(1 if joined else stream, TEXT, joined=joined)
            if chance.random() < 0.2:
                transport.open()
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        end = chance.choice(["abandon", "release", "linger", "close"])
        if end == "linger":
            transport.linger()
            await asyncio.sleep(chance.uniform(0.0, 2.0))
        if end in ("linger", "release"):
            transport.close_stream(1)
            transport.release()
        elif end == "abandon":
            transport.abandon()
        count = len(reply.events)
        await transport.aclose()
        await asyncio.sleep(2.0)
        assert len(reply.events) == count, "nothing comes once a reply has let go"

    async with emulator(fault=fault) as waves, instance(waves.base_url) as plugin:
        await asyncio.gather(*(reply_somehow(plugin) for _ in range(25)))
        await asyncio.sleep(30.0)
        assert is_ready(waves)
        waves.fault = None
        await speak(plugin, route)
