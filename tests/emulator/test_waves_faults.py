"""Faults: each is what a client would see of the real thing."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import Any

import aiohttp
import pytest
from clients import OLD_STREAM, STREAM, audio, message

from videosdk_plugins_smallestai.emulator import (
    Break,
    ChunkBytes,
    CloseAfter,
    Frames,
    Hangup,
    Mute,
    NoAudio,
    NoIds,
    Refuse,
    SpeechRequest,
    Stall,
    WavesEmulator,
    tone,
)

CHUNK = 4800
TEXT = "Hello wide world"


def only_first(fault: Any) -> Any:
    """Return a callback that gives the fault to the first request alone."""
    return lambda request: fault if request.number == 0 else None


async def timed(line: Any) -> list[float]:
    """Return when each chunk of a request arrived."""
    times = []
    while (await line.hear())["status"] == "chunk":
        times.append(asyncio.get_running_loop().time())
    return times


async def test_a_stall_pauses_once_where_it_says(serve: Any) -> None:
    async with serve(fault=lambda request: Stall(0.3, after=0.2)) as client:
        line = await client.open()
        await line.say(TEXT)
        times = await timed(line)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert gaps[1] == pytest.approx(0.3, abs=0.1)
        assert max(gaps[:1] + gaps[2:]) < 0.15


async def test_a_stall_may_come_again_and_again(serve: Any) -> None:
    async with serve(fault=lambda request: [Stall(0.15, every=2)]) as client:
        line = await client.open()
        await line.say(TEXT)
        times = await timed(line)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert [gap > 0.1 for gap in gaps] == [False, True, False, True, False, True]


async def test_a_stall_for_good_leaves_the_connection_alive_and_its_requests_unanswered(serve: Any) -> None:
    async with serve(fault=only_first(Stall(math.inf, after=0.3))) as client:
        line = await client.open()
        await line.say(TEXT)
        frames = [await line.hear() for _ in range(3)]
        assert audio(frames) == tone(TEXT)[: 3 * CHUNK]
        await client.waves.idle()
        ponged = asyncio.create_task(line.hears_nothing(0.3))
        await line.ws.ping(b"alive")
        assert await ponged
        assert client.waves.connections[0].closed is None
        await line.ws.close()
        await client.waves.connections[0].wait_closed()
        assert [request.outcome for request in client.waves.requests] == ["cancelled"]


async def test_a_body_may_stall_for_good(serve: Any) -> None:
    async with serve(fault=only_first(Stall(math.inf, after=0.3))) as client:
        async with client.session.post(client.waves.base_url + "/tts", json=message(TEXT)) as response:
            assert await response.content.readexactly(3 * CHUNK) == tone(TEXT)[: 3 * CHUNK]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.read(1), 0.2)
        assert (await client.post(TEXT))[1] == tone(TEXT)


async def test_a_server_may_interleave_and_stall_and_never_complete(serve: Any) -> None:
    settings: dict[str, Any] = {"serving": "interleaved", "complete": None}
    async with serve(fault=only_first(Stall(0.3, after=0.3)), **settings) as client:
        line = await client.open()
        await line.say(TEXT, request_id="a")
        await line.say(TEXT, request_id="b")
        frames = [await line.hear() for _ in range(14)]
        assert audio(frames, "a") == audio(frames, "b") == tone(TEXT)
        assert frames[-1]["external_request_id"] == "a"
        assert await line.hears_nothing()


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_is_dropped_when_a_text_arrives(serve: Any, how: Any) -> None:
    async with serve(
        real_time_factor=1.0, fault=lambda request: Hangup(how) if request.number == 1 else None
    ) as client:
        line = await client.open()
        await line.say(TEXT)
        await line.hear()
        await line.say("second")
        assert audio(await line.hear_out()) != tone(TEXT)
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == ["broken", "broken"]
        closed = aiohttp.WSCloseCode.OK if how == "close" else aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        assert line.ws.close_code == closed
        # Over HTTP it is the POST's own connection.
        client.waves.fault = lambda request: Hangup(how)
        with pytest.raises(aiohttp.ClientError):
            await client.post("third")


@pytest.mark.parametrize("path", [OLD_STREAM, STREAM])
async def test_some_frames_have_no_id(serve: Any, path: str) -> None:
    async with serve(fault=lambda request: NoIds(chunks=[2], complete=True)) as client:
        line = await client.open(path)
        await line.say(TEXT, request_id="mine")
        frames = await line.hear_until("complete")
        assert audio(frames) == tone(TEXT)
        bare = [index for index, frame in enumerate(frames) if not set(frame) - {"status", "data"}]
        assert bare == [2, 7]
        assert all(frame["external_request_id"] == "mine" for frame in frames if "request_id" in frame)


async def test_each_connection_is_told_something_and_closed(serve: Any) -> None:
    told = {"status": "error", "message": "Your subscription is inactive"}
    async with serve(handshake=lambda connection: CloseAfter(frame=told)) as client:
        for number in range(2):
            line = await client.open()
            assert await line.hear_out() == [told]
            assert line.ws.close_code == aiohttp.WSCloseCode.OK
            await client.waves.connections[number].wait_closed()
        first, second = client.waves.connections
        assert (first.status, second.status) == (101, 101)
        assert first.opened < second.opened
        assert not first.client_closed


async def test_a_context_goes_on_after_frames_that_came_instead_of_a_release(serve: Any) -> None:
    fault = only_first(Frames(instead='{"status": "odd"}'))
    async with serve(concurrency=1, context_complete="context", fault=fault) as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", context_id="c", **{"continue": True})
        assert await line.hear() == {"status": "odd"}
        await line.say("And you?", context_id="c", **{"continue": False})
        assert audio(await line.hear_until("complete")) == tone("And you?")
        assert (await client.post("x"))[0] == 200


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_lives_for_so_long_whatever_it_serves(serve: Any, how: Any) -> None:
    async with serve(real_time_factor=1.0, handshake=lambda connection: CloseAfter(0.3, how=how)) as client:
        line = await client.open()
        await line.say("x" * 40)
        assert 0 < len(audio(await line.hear_out())) < len(tone("x" * 40))
        connection = client.waves.connections[0]
        await connection.wait_closed()
        assert connection.closed - connection.opened >= 0.29
        assert client.waves.requests[0].outcome == "broken"


@pytest.mark.parametrize(("after", "chunks"), [(0.0, 0), (0.3, 3), (0.25, 3), (60.0, 7)])
async def test_a_closed_connection_breaks_where_it_says(serve: Any, after: float, chunks: int) -> None:
    async with serve(fault=only_first(Break(after, "close"))) as client:
        line = await client.open()
        await line.say(TEXT)
        await line.say("queued")
        frames = await line.hear_out()
        assert audio(frames) == tone(TEXT)[: chunks * CHUNK]
        assert [frame for frame in frames if frame["status"] != "chunk"] == []
        assert line.ws.close_code == aiohttp.WSCloseCode.OK
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == ["broken", "broken"]
        await client.waves.connections[0].wait_closed()
        assert not client.waves.connections[0].client_closed


async def test_a_reset_is_no_clean_close(serve: Any) -> None:
    async with serve(fault=only_first(Break(0.3, "reset"))) as client:
        line = await client.open()
        await line.say(TEXT)
        assert audio(await line.hear_out()) == tone(TEXT)[: 3 * CHUNK]
        assert line.ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_a_silent_connection_stays_silent(serve: Any) -> None:
    async with serve(fault=only_first(Break(0.3, "silence"))) as client:
        line = await client.open()
        await line.say(TEXT)
        for _ in range(3):
            await line.hear()
        await line.say("later")
        await line.say("later", speed=99)
        await line.ws.ping()
        assert await line.hears_nothing()
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == ["broken", None, "refused"]
        assert client.waves.connections[0].closed is None
        await line.ws.close()
        await client.waves.connections[0].wait_closed()
        assert client.waves.requests[1].outcome == "cancelled"
        assert client.waves.connections[0].client_closed


@pytest.mark.parametrize("how", ["close", "reset", "idle"])
async def test_a_silent_connection_is_dropped_on_demand(serve: Any, how: Any) -> None:
    async with serve(fault=only_first(Break(0.0, "silence"))) as client:
        line = await client.open()
        await line.say(TEXT)
        await client.waves.request(0)
        await client.waves.idle()
        await client.waves.close_connections(how)
        assert await line.hear_out() == []
        assert line.ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("path", ["/lightning-v3.1/get_speech", "/tts", "/tts/live"])
async def test_a_body_is_cut_short(serve: Any, how: Any, path: str) -> None:
    async with serve(fault=lambda request: Break(0.3, how)) as client:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await client.post(TEXT, path)
        await client.waves.idle()
        assert client.waves.requests[0].outcome == "broken"
        assert client.waves.requests[0].sent == 3 * CHUNK


async def test_a_body_falls_silent(serve: Any) -> None:
    async with serve(fault=lambda request: Break(0.3, "silence")) as client:
        url = client.waves.base_url + "/tts"
        async with client.session.post(url, json=message(TEXT)) as response:
            assert await response.content.readexactly(3 * CHUNK) == tone(TEXT)[: 3 * CHUNK]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.read(1), 0.1)
        assert client.waves.requests[0].outcome == "broken"


async def test_a_refusal_is_a_status_and_a_frame(serve: Any) -> None:
    async with serve(fault=lambda request: Refuse(429, {"Retry-After": "1"})) as client:
        url = client.waves.base_url + "/tts"
        async with client.session.post(url, json=message(TEXT)) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
            assert "message" in (await response.json())["error"]
        line = await client.open()
        await line.say(TEXT, request_id="mine")
        error = await line.hear()
        assert error == {
            "status": "error",
            "external_request_id": "mine",
            "error": {"code": "rate_limit_exceeded", "message": "Too many concurrent requests"},
        }


async def test_a_refusal_says_what_it_is_told_to_say(serve: Any) -> None:
    frames: list[Any] = [{"status": False}, "not json"]
    fault = lambda request: Refuse(500, body=["odd"], frame=frames[request.number])  # noqa: E731
    async with serve(fault=fault) as client:
        line = await client.open()
        await line.say(TEXT)
        await line.say(TEXT)
        assert await line.hear() == {"status": False}
        assert await line.ws.receive_str() == "not json"
        client.waves.fault = lambda request: Refuse(500, body=["odd"])
        assert await client.post(TEXT) == (500, b'["odd"]')
        await line.say(TEXT)
        assert await line.hear() == {"status": "error", "error": ["odd"]}


async def test_a_mute_request_is_never_answered_and_the_next_one_is(serve: Any) -> None:
    async with serve(fault=only_first(Mute())) as client:
        line = await client.open()
        await line.say("unanswered")
        await line.say("answered", request_id="b")
        frames = await line.hear_until("complete")
        assert {frame["external_request_id"] for frame in frames} == {"b"}
        await client.waves.idle()
        assert [request.outcome for request in client.waves.requests] == [None, "served"]


async def test_a_mute_post_has_not_even_headers(serve: Any) -> None:
    async with serve(fault=only_first(Mute())) as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post(TEXT), 0.1)
        assert (await client.post(TEXT))[0] == 200
        assert client.waves.requests[0].outcome == "cancelled"


async def test_no_audio_is_a_bare_complete_or_an_empty_body(serve: Any) -> None:
    async with serve(fault=lambda request: NoAudio()) as client:
        line = await client.open()
        await line.say(TEXT)
        assert [frame["status"] for frame in await line.hear_until("complete")] == ["complete"]
        assert await client.post(TEXT) == (200, b"")
        assert [request.sent for request in client.waves.requests] == [0, 0]


async def test_frames_come_before_and_after(serve: Any) -> None:
    async with serve(fault=lambda request: Frames(before=['{"status": "warning"}'], after=[b"\x00"])) as client:
        line = await client.open()
        await line.say("Hi")
        statuses = [frame["status"] for frame in await line.hear_until("complete")]
        assert statuses == ["warning", "chunk", "complete"]
        assert await line.ws.receive_bytes() == b"\x00"


async def test_frames_come_instead_of_everything(serve: Any) -> None:
    async with serve(fault=lambda request: Frames(instead='{"status": "odd"}')) as client:
        line = await client.open()
        await line.say("Hi")
        assert await line.hear() == {"status": "odd"}
        assert await line.hears_nothing()
        url = client.waves.base_url + "/tts"
        async with client.session.post(url, json=message("Hi")) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert await response.read() == b'{"status": "odd"}'


async def test_chunks_have_the_sizes_asked_for(serve: Any) -> None:
    async with serve(fault=lambda request: ChunkBytes([1001, 3, 4000])) as client:
        line = await client.open()
        await line.say("Hello")
        frames = await line.hear_until("complete")
        sizes = [len(audio([frame])) for frame in frames[:-1]]
        assert sizes == [1001, 3, 4000, 1001, 3, 4000, 1001, 3, 988]
        assert audio(frames) == tone("Hello")


async def test_sizes_of_nothing_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="positive"):
        ChunkBytes([])


async def test_faults_combine_and_are_asked_for_once(serve: Any) -> None:
    asked: list[SpeechRequest] = []

    def fault(request: SpeechRequest) -> Any:
        asked.append(request)
        return [ChunkBytes([999]), Break(0.1, "close")]

    async with serve(fault=fault) as client:
        line = await client.open()
        await line.say("Hello")
        assert audio(await line.hear_out()) == tone("Hello")[: 5 * 999]
        assert asked == client.waves.requests
        assert asked[0].audio == tone("Hello")


async def speech(waves: WavesEmulator) -> None:
    """Ask for some."""
    url = waves.base_url + "/lightning-v3.1/get_speech"
    headers = {"Authorization": "Bearer sk_test"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=message(TEXT), headers=headers) as answer,
    ):
        await answer.read()


@pytest.mark.parametrize("answer", [Refuse, 503, "Break", [Mute], {"status": 503}], ids=str)
async def test_what_is_no_fault_is_told_when_the_emulator_is_stopped(answer: Any) -> None:
    waves = WavesEmulator(voice="tone", fault=lambda request: answer)
    await waves.start()
    await speech(waves)
    with pytest.raises(TypeError, match="fault must return a fault such as Refuse"):
        await waves.stop()
    async with waves:
        pass  # it has been told


async def test_a_mistake_in_a_callback_is_raised_when_the_emulator_is_stopped() -> None:
    def fault(request: SpeechRequest) -> None:
        raise LookupError("no such sentence")

    waves = WavesEmulator(voice="tone", fault=fault)
    await waves.start()
    await speech(waves)
    await waves.idle()
    assert [request.outcome for request in waves.requests] == ["served"]
    with pytest.raises(LookupError, match="no such sentence"):
        await waves.stop()
