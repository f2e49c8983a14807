"""The per-model WebSocket: who is served when, and how a request ends."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from clients import OLD_STREAM, STREAM, audio

from videosdk_plugins_smallestai.emulator import Mute, Refuse, tone


async def test_a_request_is_spoken_whole_and_completed(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hello there.", request_id="mine", session_id="s")
        frames = await line.hear_until("complete")
        assert audio(frames) == tone("Hello there.")
        assert all(frame["external_request_id"] == "mine" for frame in frames)
        assert all(frame["external_session_id"] == "s" for frame in frames)
        assert {frame["status"] for frame in frames} == {"chunk", "complete"}
        request = client.waves.requests[0]
        assert (request.outcome, request.sent, request.audio) == (
            "served",
            len(request.audio),
            tone("Hello there."),
        )
        assert (request.transport, request.connection, request.text) == ("websocket", 0, "Hello there.")
        assert request.received <= request.first_sent <= request.last_sent <= request.completed


async def test_ids_are_not_echoed_where_that_is_off(serve: Any) -> None:
    async with serve(echo_ids=False) as client:
        line = await client.open()
        await line.say("Hi", request_id="mine")
        assert all("external_request_id" not in frame for frame in await line.hear_until("complete"))


async def test_the_pace_is_the_documented_one(serve: Any) -> None:
    async with serve(first_audio=0.2, real_time_factor=3.3) as client:
        line = await client.open()
        await line.say("Twenty characters ..!")
        await line.hear_until("complete")
        request = client.waves.requests[0]
        seconds = len(request.audio) / 48000
        assert request.first_sent - request.received == pytest.approx(0.2, abs=0.1)
        assert request.last_sent - request.first_sent == pytest.approx((seconds - 0.1) / 3.3, abs=0.12)


async def test_serial_requests_are_served_in_turn(serve: Any) -> None:
    async with serve(complete=0.2) as client:
        line = await client.open()
        await line.say("Hello", request_id="a")
        await line.say("world", request_id="b")
        frames = await line.hear_until("complete", 2)
        order = [frame["external_request_id"] for frame in frames if frame["status"] == "chunk"]
        assert order == sorted(order)
        first, second = client.waves.requests
        assert second.first_sent >= first.last_sent
        # The turn ends with the last chunk, not with the complete.
        assert second.first_sent < first.completed


async def test_interleaved_requests_mix(serve: Any) -> None:
    async with serve(serving="interleaved", real_time_factor=20) as client:
        line = await client.open()
        await line.say("Hello wide", request_id="a")
        await line.say("world here", request_id="b")
        frames = await line.hear_until("complete", 2)
        order = [frame["external_request_id"] for frame in frames if frame["status"] == "chunk"]
        assert order.index("b") < len(order) - order[::-1].index("a") - 1
        assert audio(frames, "a") == tone("Hello wide")
        assert audio(frames, "b") == tone("world here")


@pytest.mark.parametrize(
    ("setting", "asked", "expected"), [("asked", 300, 0.3), ("asked", 1, 0.0), (0.3, 1, 0.3), (0.0, 4000, 0.0)]
)
async def test_complete_comes_when_it_is_set_to(serve: Any, setting: Any, asked: int, expected: float) -> None:
    async with serve(complete=setting) as client:
        line = await client.open()
        await line.say("Hi", complete_backoff_ms=asked)
        await line.hear_until("complete")
        request = client.waves.requests[0]
        assert request.completed - request.last_sent == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("asked", [None, 0])
async def test_complete_takes_four_seconds_where_the_client_does_not_ask_or_asks_for_zero(
    serve: Any, asked: int | None
) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hi", complete_backoff_ms=asked)
        await line.hear_until("chunk")
        assert await line.hears_nothing(0.3)
        assert client.waves.requests[0].outcome is None


async def test_a_complete_asked_for_after_zero_comes_at_once_where_zero_is_a_number(serve: Any) -> None:
    async with serve(zero_is_absent=False) as client:
        line = await client.open()
        await line.say("Hi", complete_backoff_ms=0)
        await line.hear_until("complete")
        request = client.waves.requests[0]
        assert request.completed - request.last_sent < 3.0


async def test_complete_never_comes_where_it_is_off_even_in_the_middle(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hi")
        await line.hear_until("complete")
        client.waves.complete = None
        await line.say("Hi")
        await line.hear_until("chunk")
        await client.waves.idle()
        assert await line.hears_nothing()
        assert (client.waves.requests[1].outcome, client.waves.requests[1].completed) == ("served", None)


async def test_requests_that_queue_together_share_a_complete(serve: Any) -> None:
    async with serve(complete_shared=True) as client:
        line = await client.open()
        for name in "abc":
            await line.say("Hi", request_id=name)
        frames = await line.hear_until("complete")
        await client.waves.idle()
        assert await line.hears_nothing()
        assert [frame["external_request_id"] for frame in frames if frame["status"] == "complete"] == ["c"]
        assert [request.outcome for request in client.waves.requests] == ["served"] * 3


@pytest.mark.parametrize(
    ("setting", "path", "closed"),
    [("unified", OLD_STREAM, False), (False, STREAM, False), (True, OLD_STREAM, True), ("unified", STREAM, True)],
)
async def test_the_connection_is_closed_after_complete_as_it_is_set_to(
    serve: Any, setting: Any, path: str, closed: bool
) -> None:
    async with serve(close_after_complete=setting) as client:
        line = await client.open(path)
        await line.say("Hi")
        if not closed:
            await line.hear_until("complete")
            await line.say("Ho")
            assert audio(await line.hear_until("complete")) == tone("Ho")
            return
        frames = await line.hear_out()
        assert frames[-1]["status"] == "complete"
        await client.waves.connections[0].wait_closed()
        assert not client.waves.connections[0].client_closed


async def test_an_empty_request_is_noted_and_not_answered(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("")
        await line.say("Hi", request_id="next")
        assert (await line.hear())["external_request_id"] == "next"
        assert [body["text"] for body in client.waves.connections[0].messages] == ["", "Hi"]
        assert len(client.waves.requests) == 1


async def test_a_client_that_leaves_cancels_its_requests(serve: Any) -> None:
    async with serve(real_time_factor=1.0, concurrency=2) as client:
        line = await client.open()
        await line.say("Hello there")
        await line.say("and more")
        await line.hear()
        await line.ws.close()
        await client.waves.connections[0].wait_closed()
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == ["cancelled", "cancelled"]
        assert client.waves.connections[0].client_closed
        # Their slots are free.
        assert (await client.post("x"))[0] == 200


@pytest.mark.parametrize("path", ["/lightning-v3.1/get_speech/stream", STREAM])
async def test_one_request_too_many_is_refused_at_once(serve: Any, path: str) -> None:
    async with serve(concurrency=1, real_time_factor=1.0) as client:
        line = await client.open(path)
        await line.say("Hello there", request_id="a")
        await line.say("too many", request_id="b")
        error = (await line.hear_until("error"))[-1]
        assert error["external_request_id"] == "b"
        assert error["error"] == {"code": "rate_limit_exceeded", "message": "Too many concurrent requests"}
        assert (await client.post("over HTTP"))[0] == 429
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == ["served", "refused", "refused"]


@pytest.mark.parametrize(("freed", "status"), [("last_chunk", 200), ("complete", 429)])
async def test_a_slot_is_freed_when_it_is_set_to(serve: Any, freed: str, status: int) -> None:
    async with serve(concurrency=1, slot_freed=freed, complete=0.5) as client:
        line = await client.open()
        await line.say("Hi")
        await line.hear_until("chunk")
        assert (await client.post("x"))[0] == status


async def test_each_key_has_slots_of_its_own(serve: Any) -> None:
    async with serve(concurrency=1, fault=lambda request: Mute()) as client:
        line = await client.open()
        await line.say("Hi")
        await client.waves.request(0)
        client.waves.fault = None
        other = {"Authorization": "Bearer sk_other"}
        async with aiohttp.ClientSession(headers=other) as client.session:
            assert (await client.post("x"))[0] == 200


async def test_silence_of_the_client_ends_the_connection_whatever_it_pings(serve: Any) -> None:
    async with serve(idle_timeout=0.3) as client:
        line = await client.open(heartbeat=0.1)
        frames = await line.hear_out()
        assert frames == [{"status": "error", "message": "Connection timed out after 0.3 seconds of inactivity"}]
        connection = client.waves.connections[0]
        await connection.wait_closed()
        assert connection.closed - connection.opened == pytest.approx(0.3, abs=0.15)
        assert not connection.client_closed


async def test_the_timeout_in_the_url_overrides_the_setting(serve: Any) -> None:
    async with serve(idle_timeout=0.1) as client:
        line = await client.open(STREAM + "?timeout=30")
        assert await line.hears_nothing(0.3)
        assert client.waves.connections[0].query == {"timeout": "30"}


@pytest.mark.parametrize("how", ["close", "reset", "idle"])
async def test_connections_are_closed_on_demand(serve: Any, how: Any) -> None:
    async with serve() as client:
        line = await client.open()
        hearing = asyncio.create_task(line.hear_out())
        await client.waves.close_connections(how)
        frames = await hearing
        assert [frame["status"] for frame in frames] == (["error"] if how == "idle" else [])
        assert line.ws.close_code == (
            aiohttp.WSCloseCode.ABNORMAL_CLOSURE if how == "reset" else aiohttp.WSCloseCode.OK
        )
        assert client.waves.connections[0].closed is not None


@pytest.mark.parametrize("answer", [401, 404, 410, 429, 503])
async def test_a_handshake_is_refused_on_demand(serve: Any, answer: int) -> None:
    async with serve(handshake=lambda connection: answer if connection.number == 0 else None) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.open()
        assert refused.value.status == answer
        line = await client.open()
        await line.say("Hi")
        await line.hear_until("complete")
        assert [connection.status for connection in client.waves.connections] == [answer, 101]


async def test_a_handshake_hangs_on_demand(serve: Any) -> None:
    async with serve(handshake=lambda connection: "hang") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.open(), 0.2)
        await client.waves.connections[0].wait_closed()
        assert client.waves.connections[0].client_closed


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer sk_wrong"}, {"Authorization": "Bearer "}])
async def test_a_wrong_key_opens_nothing(serve: Any, headers: dict[str, str]) -> None:
    async with serve(api_keys={"sk_right"}) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.open(headers=headers)
        assert refused.value.status == 401
        assert (await client.post("Hi"))[0] == 401
        assert client.waves.requests == []


async def test_words_are_told_as_they_are_heard(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("It costs $100", word_timestamps=True)
        await line.say("Yes", word_timestamps=True)
        frames = await line.hear_until("complete", 2)
        words = [frame["data"] for frame in frames if frame["status"] == "word_timestamp"]
        assert [(word["id"], word["word"]) for word in words] == [(0, "It"), (1, "costs"), (2, "$100"), (0, "Yes")]
        assert [word["start"] for word in words] == pytest.approx([0.0, 0.1, 0.35, 0.0])
        assert words[2]["end"] == pytest.approx(0.55)


async def test_word_times_may_count_from_the_start_of_the_connection(serve: Any) -> None:
    async with serve(words="absolute") as client:
        line = await client.open()
        await line.say("It costs", word_timestamps=True)
        await line.say("Yes", word_timestamps=True)
        frames = await line.hear_until("complete", 2)
        starts = [frame["data"]["start"] for frame in frames if frame["status"] == "word_timestamp"]
        assert starts == pytest.approx([0.0, 0.1, 0.35])


@pytest.mark.parametrize(
    "fields", [{"voice_id": "voice_mine"}, {"language": "es"}, {"word_timestamps": False}], ids=str
)
async def test_no_words_where_the_voice_has_none(serve: Any, fields: dict[str, Any]) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hi there", **({"word_timestamps": True} | fields))
        frames = await line.hear_until("complete")
        assert {frame["status"] for frame in frames} == {"chunk", "complete"}


async def test_a_refused_request_does_not_hold_up_the_next(serve: Any) -> None:
    async with serve(fault=lambda request: Refuse(503) if request.number == 0 else None) as client:
        line = await client.open()
        await line.say("Hi", request_id="a")
        await line.say("Ho", request_id="b")
        error = await line.hear()
        assert (error["status"], error["external_request_id"]) == ("error", "a")
        assert error["error"]["code"] == "service_unavailable"
        assert audio(await line.hear_until("complete")) == tone("Ho")
