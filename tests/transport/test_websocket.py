"""The WebSocket as one reply uses it, over real sockets: what it sends, and what it is told."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from leaks import KEY, assert_has_no_key
from replies import JOINED, LIMIT, PLAIN, UNIFIED, Instance, instance
from servers import PCM, SmallServer, chunk, complete, small_server
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APIConnectionError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
)
from videosdk_plugins_smallestai.emulator import Break, Mute, Refuse, SpeechRequest, WavesEmulator, tone
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.base import (
    Audio,
    Complete,
    Failed,
    Opened,
    OpenFailed,
    Pong,
    Traits,
    Word,
)

ROUTES = {"plain": PLAIN, "unified": UNIFIED, "joined": JOINED}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)

ONE, TWO = "Hello there.", "And we go on."


def emulator(**changed: Any) -> WavesEmulator:
    """One that is fast, and whose settings do not depend on its defaults."""
    fast: dict[str, Any] = {
        "voice": "tone",
        "first_audio": 0.02,
        "real_time_factor": 50.0,
        "complete": 0.0,
        "close_after_complete": "unified",
        "context_complete": "release",
    }
    return WavesEmulator(**(fast | changed))


async def closed(waves: WavesEmulator, number: int) -> None:
    async with asyncio.timeout(LIMIT):
        await waves.connections[number].wait_closed()


async def connected(waves: WavesEmulator, count: int) -> None:
    async with asyncio.timeout(LIMIT):
        while len(waves.connections) < count or waves.connections[-1].status is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# What each route is like


async def test_plain_requests_share_a_connection_and_each_gets_its_own_audio() -> None:
    async with emulator(serving="interleaved") as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        assert (await reply.open()).traits == Traits(shared=True)
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        assert await reply.complete(1) == tone(ONE)
        assert await reply.complete(2) == tone(TWO)
        assert len(waves.connections) == 1


async def test_each_unified_plain_request_has_a_connection_that_was_opened_ahead() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(UNIFIED)
        assert (await reply.open()).traits == Traits()
        reply.transport.send(1, ONE, joined=False)
        await connected(waves, 2)
        reply.transport.send(2, TWO, joined=False)
        assert await reply.complete(1) == tone(ONE)
        assert await reply.complete(2) == tone(TWO)
        assert [request.connection for request in waves.requests] == [0, 1]
        await connected(waves, 3)
        reply.transport.release()
        assert not reply.all(Failed), "a close after `complete` is no failure"


async def test_a_unified_requests_connection_is_closed_after_complete_by_us_if_not_by_the_server() -> None:
    async with emulator(close_after_complete=False) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(UNIFIED)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        assert await reply.complete(1) == tone(ONE)
        await closed(waves, 0)
        assert waves.connections[0].client_closed


async def test_a_unified_request_does_not_wait_for_the_one_before() -> None:
    async with (
        emulator(fault=lambda r: Mute() if r.text == ONE else None) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(UNIFIED)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        await reply.until(lambda: reply.all(Complete))
        assert reply.audio(2) == tone(TWO)


async def test_fragments_of_a_context_share_one_stream_and_each_is_complete() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(JOINED)
        assert (await reply.open()).traits == Traits(joined=True, shared=True)
        reply.transport.send(1, ONE, joined=True)
        await reply.next(Complete)
        reply.transport.send(1, " " + TWO, joined=True)
        reply.transport.close_stream(1)
        await reply.next(Complete, 2)
        audio = b"".join(event.pcm for event in reply.all(Audio))
        assert audio == b"".join(request.audio for request in waves.requests)
        assert len({event.server_id for event in reply.all(Complete)}) == 2
        first, second, last = waves.connections[0].messages
        assert (first["text"], second["text"]) == (ONE, " " + TWO)
        assert "text" not in last
        assert last["continue"] is False
        assert len({message["context_id"] for message in (first, second, last)}) == 1


async def test_the_flush_time_is_not_sent_with_a_context() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(JOINED, max_buffer_flush_ms=500)
        await reply.open()
        reply.transport.send(1, ONE, joined=True)
        assert await reply.complete(1) == waves.requests[0].audio


@every_route
async def test_the_next_reply_has_a_connection_at_once(route: dict[str, Any]) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        for text in (ONE, TWO):
            reply = plugin.reply(route)
            joined = (await reply.open()).traits.joined
            reply.transport.send(1, text, joined=joined)
            assert await reply.complete(1) == waves.requests[-1].audio
            reply.transport.close_stream(1)
            reply.transport.release()
            count = len(waves.connections)
            await connected(waves, count)
        first, second = waves.requests
        assert second.received >= waves.connections[second.connection or 0].opened
        assert (first.connection == second.connection) is (route is not UNIFIED)


async def test_two_replies_never_share_a_connection() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        one, two = plugin.reply(PLAIN), plugin.reply(PLAIN)
        await asyncio.gather(one.open(), two.open())
        one.transport.send(1, ONE, joined=False)
        two.transport.send(1, TWO, joined=False)
        one.transport.abandon()
        assert await two.complete(1) == tone(TWO)
        assert len({request.connection for request in waves.requests}) == len(waves.requests)


async def test_words_come_with_the_audio_that_the_connection_had_brought_before() -> None:
    async with emulator(words="absolute") as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN, word_timestamps=True)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await reply.complete(1)
        reply.transport.send(2, TWO, joined=False)
        await reply.complete(2)
        words = {stream: [w for w in reply.all(Word) if w.stream == stream] for stream in (1, 2)}
        assert [word.text for word in words[1] + words[2]] == [*ONE.split(), *TWO.split()]
        assert {word.stream_began for word in words[1]} == {0.0}
        [began] = {word.stream_began for word in words[2]}
        assert began == pytest.approx(len(tone(ONE)) / 48000)
        assert words[2][0].start >= began, "this server counts from the start of the connection"


# Failures


@every_route
async def test_a_connection_that_breaks_fails_all_that_is_on_it_together(route: dict[str, Any]) -> None:
    broken = Break(after=0.1, how="close")
    async with emulator(fault=lambda r: broken, real_time_factor=5.0) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        traits = (await reply.open()).traits
        reply.transport.send(1, ONE, joined=traits.joined)
        if not traits.joined:
            reply.transport.send(2, TWO, joined=False)
        failed = await reply.failure()
        assert type(failed.error) is APIConnectionError
        assert failed.streams == ((1, 2) if route is PLAIN else (1,))
        assert failed.connection_lost is traits.shared
        waves.fault = None
        await reply.open()
        reply.transport.send(3, ONE, joined=traits.joined)
        await reply.until(lambda: any(event.stream == 3 for event in reply.all(Complete)))
        assert reply.audio(3) == waves.requests[-1].audio


async def test_a_close_with_nothing_in_progress_is_told_and_costs_nothing() -> None:
    async with emulator(close_after_complete=True) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await reply.next(Complete)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((), True)
        await reply.open()
        reply.transport.send(2, TWO, joined=False)
        await reply.next(Complete, 2)
        assert reply.audio(2) == tone(TWO)


async def test_what_was_sent_ahead_on_a_connection_that_closes_after_complete_fails_alone() -> None:
    async with emulator(close_after_complete=True) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((2,), True)
        assert reply.audio(1) == tone(ONE)


async def test_a_request_on_a_connection_that_has_gone_is_a_broken_connection() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        await waves.close_connections("reset")
        await reply.failure()
        reply.transport.send(1, ONE, joined=False)
        assert len(reply.all(Failed)) == 1, "nothing comes from within a call"
        failed = await reply.failure(2)
        assert (failed.streams, failed.connection_lost) == ((1,), True)
        assert isinstance(failed.error, APIConnectionError)


async def test_an_error_that_names_its_request_fails_that_one_alone() -> None:
    async with (
        emulator(fault=lambda r: Refuse(429) if r.text == ONE else None) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        await reply.next(Complete)
        [failed] = reply.all(Failed)
        assert (failed.streams, failed.connection_lost) == ((1,), False)
        assert isinstance(failed.error, RateLimitError)
        assert reply.audio(2) == tone(TWO)
        assert len(waves.connections) == 1


async def test_an_error_that_names_nobody_fails_all_in_one_event() -> None:
    """What still comes of them could be taken for what is asked for next: the connection is left."""

    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        body = await server.read(socket)
        assert body is not None
        if len(server.opened) == 1:
            await server.read(socket)
            await socket.send_str('{"status":"error","message":"Everything failed"}')
        await socket.send_str(chunk(external_request_id=body["request_id"]))
        await server.read(socket)

    async with small_server(serve) as server, instance(server.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((1, 2), True)
        assert "Everything failed" in str(failed.error)
        await reply.open()
        reply.transport.send(3, ONE, joined=False)
        await reply.audible(3)


async def test_an_announced_idle_close_is_a_lost_connection() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        await waves.close_connections("idle")
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((), True)
        assert "inactivity" in str(failed.error)
        assert len(reply.all(Failed)) == 1


async def test_the_reason_that_a_server_gives_before_it_closes_is_the_error() -> None:
    async def refuse(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await server.read(socket)
        await socket.send_str('{"status":"error","message":"Your subscription is inactive"}')

    async with small_server(refuse) as server, instance(server.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        failed = await reply.failure()
        assert failed.streams == (1,)
        assert isinstance(failed.error, AuthenticationError)
        lost = await reply.failure(2)
        assert lost.connection_lost
        assert "Your subscription is inactive" in str(lost.error)


async def test_an_error_in_a_context_leaves_its_connection() -> None:
    async with (
        emulator(fault=lambda r: Refuse(500) if r.number == 0 else None) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(JOINED)
        await reply.open()
        reply.transport.send(1, ONE, joined=True)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((1,), True)
        assert isinstance(failed.error, ServerError)
        await reply.open()
        reply.transport.send(2, ONE, joined=True)
        await reply.next(Complete)
        assert [request.connection for request in waves.requests] == [0, 1]


@pytest.mark.parametrize("ids", [{}, {"request_id": "always the same"}, {"request_id": "new"}])
async def test_requests_that_cannot_be_told_apart_are_given_up_and_then_have_connections_of_their_own(
    ids: dict[str, str],
) -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        while await server.read(socket) is not None:
            if len(server.messages) == 1:
                await server.read(socket)
            await socket.send_str(chunk(**ids))
            await socket.send_str(complete(**ids))

    async with small_server(serve) as server, instance(server.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        failed = await reply.failure()
        assert failed == Failed((1, 2), failed.error, connection_lost=True, indistinct=True)
        assert (await reply.open()).traits == Traits()
        reply.transport.send(3, ONE, joined=False)
        reply.transport.send(4, TWO, joined=False)
        await reply.next(Complete, 2)
        assert reply.audio(3) == reply.audio(4) == PCM
        assert (await plugin.reply(PLAIN).open()).traits == Traits(shared=True), "the next reply runs ahead again"


async def test_a_request_whose_frames_have_only_the_servers_id_is_known_by_it() -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await server.read(socket)
        await socket.send_str(chunk(b"11", request_id="a"))
        await server.read(socket)
        await socket.send_str(chunk(b"22", request_id="b"))
        await socket.send_str(chunk(b"33", request_id="a"))
        await socket.send_str(complete(request_id="b"))
        await socket.send_str(complete(request_id="a"))
        await server.read(socket)

    async with small_server(serve) as server, instance(server.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await reply.audible(1)
        reply.transport.send(2, TWO, joined=False)
        await reply.next(Complete, 2)
        assert (reply.audio(1), reply.audio(2)) == (b"1133", b"22")
        assert [event.stream for event in reply.all(Complete)] == [2, 1]


async def test_a_mistake_of_ours_is_logged_and_fails_what_is_on_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        mistake, post = ValueError("a mistake"), reply.post

        def stumble(event: Any) -> None:
            if isinstance(event, Audio):
                raise mistake
            post(event)

        reply.transport._events._post = stumble  # type: ignore[attr-defined]
        reply.transport.send(1, ONE, joined=False)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((1,), True)
        assert isinstance(failed.error, ServerError)
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.exc_info is not None
        assert record.exc_info[1] is mistake


@every_route
async def test_a_service_that_is_not_there_is_told_before_anything_is_sent(route: dict[str, Any]) -> None:
    waves = emulator()
    await waves.start()
    await waves.stop()
    async with instance(waves.base_url, key=KEY) as plugin:
        reply = plugin.reply(route)
        reply.transport.open()
        failed = await reply.next(OpenFailed)
        assert isinstance(failed.error, APIConnectionError)
        assert failed.error.opening
        assert_has_no_key(failed.error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationError), (403, AuthenticationError), (429, RateLimitError), (503, ServerError)],
)
async def test_a_refused_handshake_is_the_error_that_fits_and_shows_no_key(
    status: int, kind: type[Exception]
) -> None:
    async with emulator(handshake=lambda c: status) as waves, instance(waves.base_url, key=KEY) as plugin:
        reply = plugin.reply(PLAIN)
        reply.transport.open()
        failed = await reply.next(OpenFailed)
        assert type(failed.error) is kind
        assert failed.error.status == status
        assert_has_no_key(failed.error)
        assert failed.error.__context__ is None


async def test_a_handshake_that_is_refused_for_a_limit_tells_when_to_come_again() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "1.5", "X-Request-Id": "req_1"})

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    async with TestServer(app) as server, instance(str(server.make_url(""))) as plugin:
        reply = plugin.reply(PLAIN)
        reply.transport.open()
        error = (await reply.next(OpenFailed)).error
        assert isinstance(error, RateLimitError)
        assert (error.retry_after, error.request_id) == (1.5, "req_1")


async def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    elsewhere: list[web.Request] = []

    async def send_away(request: web.Request) -> web.Response:
        if "elsewhere" in request.path:
            elsewhere.append(request)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/{path:.*}", send_away)
    async with TestServer(app) as server, instance(str(server.make_url("")), key=KEY) as plugin:
        reply = plugin.reply(PLAIN)
        reply.transport.open()
        failed = await reply.next(OpenFailed)
        assert "redirects" in str(failed.error)
        assert isinstance(failed.error, APIConnectionError)
        assert elsewhere == []
        assert_has_no_key(failed.error)


@every_route
async def test_nothing_that_was_to_be_spoken_is_in_an_error(route: dict[str, Any]) -> None:
    secret = "The account number is 12 34 56 78."
    refusal = Refuse(400, frame={"status": "error", "message": f"Bad text: {secret}"})
    async with emulator(fault=lambda r: refusal) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        joined = (await reply.open()).traits.joined
        reply.transport.send(1, secret, joined=joined)
        failed = await reply.failure()
        assert "Bad text" in str(failed.error)
        assert "account" not in str(failed.error)


# Giving up


@every_route
async def test_nothing_comes_after_an_interruption_and_the_next_connection_is_opened_at_once(
    route: dict[str, Any],
) -> None:
    async with (
        emulator(real_time_factor=2.0, close_after_complete=False) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(route)
        joined = (await reply.open()).traits.joined
        reply.transport.send(1, ONE, joined=joined)
        await reply.audible(1)
        count = len(reply.events)
        reply.transport.abandon()
        await closed(waves, 0)
        await connected(waves, 2)
        assert waves.connections[0].client_closed
        assert len(reply.events) == count
        if joined:
            message = waves.connections[0].messages[-1]
            context_id = waves.connections[0].messages[0]["context_id"]
            assert message == {"context_id": context_id, "context_close": True}
        await reply.transport.aclose()
        assert len(reply.events) == count


async def test_one_of_two_unified_requests_can_be_given_up() -> None:
    async with emulator(real_time_factor=2.0) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(UNIFIED)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        await reply.audible(1)
        reply.transport.drop(1)
        await closed(waves, 0)
        heard = len(reply.audio(1))
        await reply.until(lambda: reply.all(Complete))
        assert reply.audio(2) == tone(TWO)
        assert len(reply.audio(1)) == heard
        assert not reply.all(Failed)


async def test_a_connection_that_is_given_back_in_the_middle_is_not_used_again() -> None:
    async with (
        emulator(fault=lambda r: Mute() if r.number == 0 else None) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await waves.request(0)
        reply.transport.release()
        await closed(waves, 0)
        other = plugin.reply(PLAIN)
        await other.open()
        other.transport.send(1, TWO, joined=False)
        assert await other.complete(1) == tone(TWO)


async def test_late_audio_still_comes_while_the_next_reply_has_another_connection() -> None:
    async with emulator(real_time_factor=2.0) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await reply.audible(1)
        reply.transport.linger()
        await connected(waves, 2)
        other = plugin.reply(PLAIN)
        await other.open()
        other.transport.send(1, TWO, joined=False)
        assert await reply.complete(1) == tone(ONE)
        assert await other.complete(1) == tone(TWO)
        assert [request.connection for request in waves.requests] == [0, 1]


async def test_an_interruption_while_the_connection_is_being_opened_is_not_answered() -> None:
    async with emulator() as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        reply.transport.open()
        reply.transport.abandon()
        await reply.transport.aclose()
        other = plugin.reply(PLAIN)
        await other.open()
        assert reply.events == []
        assert len(waves.connections) == 1, "the handshake serves the next reply"


# Whether the line is alive


@every_route
async def test_a_ping_is_answered_once_for_the_newest(route: dict[str, Any]) -> None:
    async with emulator(fault=lambda r: Mute()) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(route)
        joined = (await reply.open()).traits.joined
        reply.transport.send(1, ONE, joined=joined)
        await waves.request(0)
        reply.transport.ping(1)
        reply.transport.ping(1)
        assert not reply.all(Pong)
        await reply.pong()
        reply.transport.ping(1)
        await reply.pong(2)
        assert len(reply.all(Pong)) == 2


@in_virtual_time
async def test_each_of_two_connections_answers_for_itself() -> None:
    async with (
        emulator(fault=lambda r: Mute() if r.number else Break(after=0.0, how="silence")) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(UNIFIED)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        await asyncio.sleep(1.0)
        reply.transport.send(2, TWO, joined=False)
        await asyncio.sleep(1.0)
        reply.transport.ping(1)
        await asyncio.sleep(5.0)
        assert not reply.all(Pong), "the first one is dead"
        reply.transport.ping(2)
        await reply.pong()


@in_virtual_time
async def test_a_dead_line_does_not_answer() -> None:
    async with (
        emulator(fault=lambda r: Break(after=0.0, how="silence")) as waves,
        instance(waves.base_url) as plugin,
    ):
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.ping(1)
        await reply.pong()
        reply.transport.send(1, ONE, joined=False)
        await waves.request(0)
        await asyncio.sleep(1.0)  # the silence begins when the first chunk is due
        reply.transport.ping(1)
        await asyncio.sleep(5.0)
        assert len(reply.all(Pong)) == 1


async def test_a_server_that_answers_no_pings_at_all_is_taken_to_be_alive() -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await server.read(socket)
        await server.read(socket)

    async with small_server(serve, pongs=0) as server, instance(server.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.ping(1)
        await reply.pong()


async def test_a_peer_that_is_gone_is_found_out_by_the_heartbeat() -> None:
    timing = Timing(heartbeat=0.1, pong_idle=0.2)
    async with (
        emulator(fault=lambda r: Break(after=9.0, how="silence")) as waves,
        instance(waves.base_url, timing=timing) as plugin,
    ):
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.ping(1)
        await reply.pong()
        reply.transport.send(1, ONE, joined=False)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((1,), True)
        assert reply.audio(1) == tone(ONE)


# Limits


async def test_a_reply_has_at_most_four_requests_on_connections_of_their_own() -> None:
    async with emulator(fault=lambda r: Mute()) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(UNIFIED)
        await reply.open()
        for stream in range(1, 6):
            reply.transport.send(stream, ONE, joined=False)
            await waves.request(stream - 1)
        assert (await reply.failure()).streams == (1,)
        await closed(waves, 0)
        assert len(reply.all(Failed)) == 1


# Retired models


async def test_what_is_in_progress_on_a_retired_models_connection_fails_with_it() -> None:
    def fault(request: SpeechRequest) -> Mute | Refuse:
        if request.number == 1:
            return Mute()
        ids = {"external_request_id": request.body["request_id"]}
        return Refuse(400, frame={"status": "error", "error_code": "MODEL_DEPRECATED"} | ids)

    async with emulator(fault=fault) as waves, instance(waves.base_url) as plugin:
        reply = plugin.reply(PLAIN)
        await reply.open()
        reply.transport.send(1, ONE, joined=False)
        reply.transport.send(2, TWO, joined=False)
        failed = await reply.failure()
        assert (failed.streams, failed.connection_lost) == ((1,), False)
        assert isinstance(failed.error, ModelRetiredError)
        reply.transport.move_on()
        failed = await reply.failure(2)
        assert (failed.streams, failed.connection_lost) == ((2,), True)
        assert (await reply.open()).traits.joined


async def speak(plugin: Instance, route: dict[str, Any], text: str, **changed: Any) -> None:
    """Speak, and move on to successors as the reply machine does."""
    reply = plugin.reply(route, **changed)
    for stream in range(1, 4):
        seen, failures = len(reply.events), len(reply.all(Failed))
        reply.transport.open()
        outcome = await reply.until(lambda: reply.events[seen:])  # noqa: B023
        if isinstance(outcome[0], Opened):
            reply.transport.send(stream, text, joined=outcome[0].traits.joined)
            outcome = await reply.until(lambda: reply.all(Complete) or reply.all(Failed)[failures:])  # noqa: B023
        if isinstance(outcome[0], Complete):
            reply.transport.release()
            return
        assert isinstance(outcome[0], OpenFailed | Failed)
        error = outcome[0].error
        if not isinstance(error, ModelRetiredError) or error.successor is None:
            raise error
        reply.transport.abandon()
        reply.transport.move_on()


@pytest.mark.parametrize("how", [404, 405, 410, "MODEL_DEPRECATED"])
async def test_the_successor_speaks_and_is_stayed_with(how: int | str, caplog: pytest.LogCaptureFixture) -> None:
    async with emulator(retired={"lightning-v3.1": how}) as waves, instance(waves.base_url) as plugin:
        await speak(plugin, PLAIN, ONE)
        waves.retired = {}
        await speak(plugin, PLAIN, TWO)
        assert [request.body["model"] for request in waves.requests if request.outcome == "served"] == [
            "lightning_v3.1",
            "lightning_v3.1",
        ]
        [warning] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert "'lightning-v3.1' is retired; 'lightning_v3.1' speaks instead" in warning


@pytest.mark.parametrize(("voice", "spoken"), [("magnus", "blake"), ("avery", "meher"), ("voice_1", "voice_1")])
async def test_at_the_end_of_the_chain_a_pro_voice_speaks(
    voice: str, spoken: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        while (body := await server.read(socket)) is not None:
            if body["model"] == "lightning_v3.1_pro":
                await socket.send_str(chunk())
                await socket.send_str(complete())
            else:
                message = "lightning_v3.1 is retired"
                await socket.send_str(
                    json.dumps({"status": "error", "error_code": "MODEL_DEPRECATED", "message": message})
                )

    async with small_server(serve) as server, instance(server.base_url) as plugin:
        await speak(plugin, JOINED, ONE, voice_id=voice)
        await speak(plugin, JOINED, TWO, voice_id=voice)
        assert server.messages[0]["voice_id"] == voice
        assert {m["voice_id"] for m in server.messages if m.get("model") == "lightning_v3.1_pro"} == {spoken}
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == (1 if voice == spoken else 2)
        if voice != spoken:
            assert repr(voice) in warnings[1]
            assert repr(spoken) in warnings[1]
            assert "voice_id=" in warnings[1]


async def test_a_base_url_under_which_nothing_is_found_is_named() -> None:
    async with emulator() as waves:
        wrong = waves.base_url.replace("/waves/", "/wave/")
        async with instance(wrong) as plugin:
            with pytest.raises(InvalidRequestError, match="base_url is probably wrong") as caught:
                await speak(plugin, PLAIN, ONE)
            assert wrong in str(caught.value)
            assert caught.value.status == 404


async def test_a_successor_that_has_not_spoken_is_not_stayed_with() -> None:
    async with (
        emulator(retired={"lightning-v3.1": 404}, fault=lambda r: Refuse(500)) as waves,
        instance(waves.base_url) as plugin,
    ):
        with pytest.raises(ServerError):
            await speak(plugin, PLAIN, ONE)
        waves.retired, waves.fault = {}, None
        await speak(plugin, PLAIN, TWO)
        assert "model" not in waves.requests[-1].body
