"""The server as a whole: its start, its end, and what it writes down."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

import aiohttp
import pytest

from videosdk_plugins_smallestai.emulator import Connection, WavesEmulator, tone

HANDSHAKE = b"\r\n".join(
    (
        b"GET /waves/v1/tts/live HTTP/1.1",
        b"Host: waves",
        b"Authorization: Bearer sk_test",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"\r\n",
    )
)


async def test_it_starts_again_on_the_same_port(serve: Any) -> None:
    async with serve(real_time_factor=1.0) as client:
        address = client.waves.base_url
        line = await client.open()
        await line.say("Hello there")
        await line.hear()
        posting = asyncio.create_task(client.post("Hello there"))
        await client.waves.request(1)
        await client.waves.stop()
        with pytest.raises(aiohttp.ClientError):
            await posting
        assert await line.hear_out() == []
        assert [request.outcome for request in client.waves.requests] == ["broken", "broken"]
        assert not client.waves.connections[0].client_closed
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.post("Hi")
        await client.waves.start()
        assert client.waves.base_url == address
        assert await client.post("Hi") == (200, tone("Hi"))


async def test_stopping_is_quick_and_may_be_done_twice(serve: Any) -> None:
    shaking = asyncio.Event()

    def hang(connection: Connection) -> str:
        shaking.set()
        return "hang"

    async with serve(handshake=hang) as client:
        opening = asyncio.create_task(client.open())
        await shaking.wait()
        async with asyncio.timeout(0.5):
            await client.waves.stop()
            await client.waves.stop()
        with pytest.raises(aiohttp.ClientError):
            await opening
        assert client.waves.connections[0].closed is not None
        assert not client.waves.connections[0].client_closed


async def test_it_is_not_started_twice(serve: Any) -> None:
    async with serve() as client:
        with pytest.raises(RuntimeError, match="running already"):
            await client.waves.start()


async def test_a_port_in_use_is_an_error(serve: Any) -> None:
    async with serve() as client:
        other = WavesEmulator(voice="tone", port=client.waves.port)
        with pytest.raises(OSError, match="in use"):
            await other.start()


async def test_a_request_can_be_waited_for(serve: Any) -> None:
    async with serve() as client:
        waiting = asyncio.create_task(client.waves.request(1))
        await client.post("first")
        assert not waiting.done()
        await client.post("second")
        assert (await waiting).text == "second"


async def test_what_is_logged_shows_no_key(serve: Any) -> None:
    async with serve(key="sk_secret", api_keys=["sk_secret"]) as client:
        line = await client.open()
        await line.say("Hi")
        await line.hear_until("complete")
        seen = repr((client.waves, client.waves.requests, client.waves.connections))
        assert "sk_secret" not in seen


COMMAND = (sys.executable, "-m", "videosdk_plugins_smallestai.emulator", "--voice", "tone", "--port")


async def start(port: int) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*COMMAND, str(port), stdout=pipe, stderr=pipe)


async def test_the_command_serves_until_it_is_interrupted() -> None:
    process = await start(0)
    first = (await process.stdout.readline()).decode()
    assert "SmallestAITTS(base_url=" in (await process.stdout.readline()).decode()
    url = first.split()[-1] + "/lightning-v3.1/get_speech"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk_anything"}) as session:
        body = {"text": "Hi", "voice_id": "magnus", "sample_rate": 24000}
        async with session.post(url, json=body) as response:
            assert await response.read() == tone("Hi")
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_the_command_says_that_a_port_is_in_use(serve: Any) -> None:
    async with serve() as client:
        process = await start(client.waves.port)
        output, errors = await process.communicate()
        assert (process.returncode, output) == (1, b"")
        assert errors.decode().startswith(f"Cannot listen on 127.0.0.1:{client.waves.port}: ")
        assert errors.count(b"\n") == 1


async def test_a_client_that_goes_during_its_handshake_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    shaking = asyncio.Event()

    def note(connection: Connection) -> None:
        shaking.set()

    async with WavesEmulator(voice="tone", handshake=note) as waves:
        with socket.create_connection((waves.host, waves.port)) as line:
            line.sendall(HANDSHAKE)
        await shaking.wait()
        await waves.connections[0].wait_closed()
        assert waves.connections[0].client_closed
    assert [record.message for record in caplog.records] == []
