"""Clients that nobody here wrote, on the emulator: they check its reading of the protocol against others'.

Each runs in an environment of its own, as a process; the emulator runs here. ``.ci/run`` makes the environments and
runs these tests. By hand, from the repository, for example::

    python3.11 -m venv .ci-peer-livekit && .ci-peer-livekit/bin/python -m pip install livekit-plugins-smallestai
    PEERS_LIVEKIT_PYTHON=.ci-peer-livekit/bin/python python -m pytest -m peers
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from videosdk_plugins_smallestai.emulator import Fault, Refuse, SpeechRequest, WavesEmulator, tone

pytestmark = pytest.mark.peers

TEXT = "Hello there. Your total is $1,299.50 at 10:30. Anything else?"
OLD_STREAM = "/waves/v1/lightning-v3.1/get_speech/stream"
OLD_POST = "/waves/v1/lightning-v3.1/get_speech"
STREAM = "/waves/v1/tts/live"
POST = "/waves/v1/tts"
RIFF_HEADER = 44  # bytes
LIMIT = 60  # seconds until a client counts as hung: their imports alone may take some


@dataclass(frozen=True)
class Peer:
    """A client: its runner, the requirement for its environment, and the variable that tells where that is."""

    script: str
    requirement: str
    variable: str

    @property
    def python(self) -> str:
        """Its environment's interpreter; without one the test is skipped."""
        path = os.environ.get(self.variable)
        if not path:
            pytest.skip(f"run `bash .ci/run`, or set {self.variable} to a python that has {self.requirement}")
        return str(Path(path).absolute())


SDK = Peer("smallestai_client.py", "smallestai==5.14.0", "PEERS_SMALLESTAI_PYTHON")
OLD_SDK = Peer("smallestai_client.py", "smallestai==5.0.0", "PEERS_SMALLESTAI_OLD_PYTHON")
LIVEKIT = Peer("livekit_client.py", "livekit-plugins-smallestai==1.8.9", "PEERS_LIVEKIT_PYTHON")


@dataclass(frozen=True)
class Run:
    exit_code: int
    out: bytes
    err: str


def environment() -> dict[str, str]:
    """No key, no proxy to the loopback, and nothing sent home."""
    kept = {name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"}
    return kept | {"DO_NOT_TRACK": "1", "SMALLESTAI_TELEMETRY": "0", "NO_PROXY": "*", "no_proxy": "*"}


def emulator(**settings: Any) -> WavesEmulator:
    quick: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 30.0, "complete": 0.05}
    return WavesEmulator(**(quick | settings))


async def run(peer: Peer, waves: WavesEmulator, way: str, text: str = TEXT) -> Run:
    """Let the client speak, in its own process."""
    process = await asyncio.create_subprocess_exec(
        peer.python,
        str(Path(__file__).with_name(peer.script)),
        waves.base_url,
        way,
        text,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, out, err.decode())


async def hear(peer: Peer, waves: WavesEmulator, way: str) -> bytes:
    """The PCM that the client got. It must be all that the emulator spoke."""
    heard = await run(peer, waves, way)
    assert heard.exit_code == 0, heard.err
    assert [request.outcome for request in waves.requests] == ["served"] * len(waves.requests)
    return heard.out


def paths(waves: WavesEmulator) -> set[str]:
    return {request.path for request in waves.requests}


@pytest.mark.parametrize(
    ("peer", "path"), [(SDK, STREAM), (OLD_SDK, OLD_STREAM)], ids=["unified route", "route of a model"]
)
@pytest.mark.parametrize("way", ["streaming", "streaming_text"])
async def test_the_vendors_streaming_class_hears_all(peer: Peer, path: str, way: str) -> None:
    async with emulator() as waves:
        assert await hear(peer, waves, way) == tone(TEXT)
        assert paths(waves) == {path}


@pytest.mark.parametrize(
    ("peer", "way", "path"),
    [(SDK, "socket", STREAM), (OLD_SDK, "v31_socket", OLD_STREAM)],
    ids=["unified route", "route of a model"],
)
async def test_the_vendors_socket_hears_two_requests_with_their_words_and_ids(
    peer: Peer, way: str, path: str
) -> None:
    # The socket is used again after a `complete`: that needs a server that keeps it open on the unified route too.
    async with emulator(complete="asked", close_after_complete=False) as waves:
        assert await hear(peer, waves, way) == tone(TEXT) * 2
        assert paths(waves) == {path}
        assert len(waves.connections) == 1


@pytest.mark.parametrize(
    ("peer", "way", "path"),
    [(SDK, "http", POST), (SDK, "sse", STREAM), (OLD_SDK, "v31_http", OLD_POST)],
    ids=["one body", "events", "route of a model"],
)
async def test_the_vendors_http_client_hears_all(peer: Peer, way: str, path: str) -> None:
    async with emulator() as waves:
        assert await hear(peer, waves, way) == tone(TEXT)
        assert paths(waves) == {path}


async def test_the_vendors_file_helper_gets_a_wav_file() -> None:
    async with emulator() as waves:
        heard = await hear(SDK, waves, "wav")
    assert heard[:4] + heard[8:12] == b"RIFFWAVE"
    assert heard[RIFF_HEADER:] == tone(TEXT)


async def test_the_vendors_client_lists_the_voices() -> None:
    async with emulator() as waves:
        heard = await run(SDK, waves, "voices", "lightning-v3.1")
    assert heard.out.decode().split() == ["avery", "devansh", "kartik", "liam", "magnus", "maithili"]


@pytest.mark.parametrize("way", ["streaming", "http"])
async def test_the_vendors_clients_are_told_what_is_refused(way: str) -> None:
    def refuse(request: SpeechRequest) -> Fault:
        return Refuse(400, body={"message": "Invalid Voice ID"})

    async with emulator(fault=refuse) as waves:
        heard = await run(SDK, waves, way)
    assert (heard.exit_code, heard.out) == (1, b"")
    assert "Invalid Voice ID" in heard.err.splitlines()[-1]


async def test_livekits_synthesize_hears_all() -> None:
    async with emulator() as waves:
        assert await hear(LIVEKIT, waves, "synthesize") == tone(TEXT)
        assert paths(waves) == {POST}


@pytest.mark.parametrize("completed", ["release", "context", None])
async def test_livekits_stream_hears_a_continuation_whenever_it_is_completed(completed: Any) -> None:
    async with emulator(context_complete=completed) as waves:
        assert await hear(LIVEKIT, waves, "stream") == tone(TEXT)
        assert "".join(request.text for request in waves.requests) == TEXT


@pytest.mark.parametrize(
    "server",
    [{"context_ids": "connection"}, {"merge_within": 0.3}, {"complete": 4.0}, {"close_after_complete": False}],
    ids=str,
)
async def test_livekits_stream_hears_a_continuation_on_servers_of_the_other_readings(
    server: dict[str, Any],
) -> None:
    async with emulator(**server) as waves:
        heard = await run(LIVEKIT, waves, "stream")
    # Not the outcome of its requests: where `complete` is late, it leaves without waiting for it.
    assert (heard.exit_code, heard.out) == (0, tone(TEXT)), heard.err


async def test_livekits_stream_hears_the_words_of_a_continuation() -> None:
    async with emulator() as waves:
        assert await hear(LIVEKIT, waves, "stream_with_words") == tone(TEXT)


async def test_livekits_stream_never_uses_a_socket_again_after_a_continuation() -> None:
    async with emulator() as waves:
        assert await hear(LIVEKIT, waves, "stream_twice") == tone(TEXT) * 2
        assert len({request.connection for request in waves.requests}) == 2


async def test_livekits_stream_without_continuations_takes_a_complete_for_the_end() -> None:
    # Without continuations the pool uses a socket again after a `complete`: that needs a server that keeps it open.
    async with emulator(close_after_complete=False) as waves:
        assert await hear(LIVEKIT, waves, "stream_twice_without_continuations") == tone(TEXT) * 2
        assert len(waves.connections) == 1
