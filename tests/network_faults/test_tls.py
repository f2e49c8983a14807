"""Whose certificates are trusted: whom the environment trusts, and nobody else."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from certificates import authority, tls, trust
from leaks import KEY, assert_has_no_key
from listening import assert_same, items
from routes import ROUTES, every_route
from staging import MakeStage, Stage, impatient

from videosdk_plugins_smallestai import APIConnectionError, SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator, tone
from videosdk_plugins_smallestai.timing import Timing

TEXT = "Nobody else can hear this."
FAST: dict[str, Any] = {"first_audio": 0.0, "real_time_factor": 100.0}


async def refused(s: Stage) -> APIConnectionError:
    with pytest.raises(APIConnectionError) as caught:
        await s.tts.synthesize(items([TEXT]))
    assert s.errors == [str(caught.value)]
    assert caught.value.opening
    assert not s.waves.connections
    assert not s.waves.requests
    assert_has_no_key(caught.value)
    return caught.value


@every_route
async def test_an_authority_that_the_environment_names_is_trusted(
    stage: MakeStage, route: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trust(monkeypatch, tmp_path)
    async with stage(ROUTES[route], tls=tls(), **FAST) as s:
        assert s.waves.base_url.startswith("https:")
        await s.tts.synthesize(items([TEXT]))
        assert_same(s.track.speech, tone(TEXT))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only openssl knows the name of such a file")
async def test_an_authority_in_a_folder_that_the_environment_names_is_trusted(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pem = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(pem)
    pem.rename(tmp_path / _name_by_hash(pem))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    async with stage(tls=tls(), **FAST) as s:
        await s.tts.synthesize(items([TEXT]))
        assert_same(s.track.speech, tone(TEXT))


async def test_the_environment_of_a_process_is_enough(tmp_path: Path) -> None:
    """As a user starts it: everything is imported under that environment."""
    file = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(file)
    program = """if True:
        import asyncio, sys
        from videosdk_plugins_smallestai import SmallestAITTS
        async def main():
            tts = SmallestAITTS(api_key="sk_test", base_url=sys.argv[1])
            print(len(await tts.voices()))
            await tts.aclose()
        asyncio.run(main())
    """
    async with WavesEmulator(voice="tone", tls=tls()) as waves:
        process = await _start(program, waves.base_url, env=os.environ | {"SSL_CERT_FILE": str(file)})
        out, _ = await process.communicate()
        assert int(out) > 0
        process = await _start(program, waves.base_url, env=dict(os.environ))
        _, err = await process.communicate()
        assert "certificate is not trusted" in err.decode()


@every_route
async def test_an_unknown_authority_is_an_error_that_says_what_to_do(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"api_key": KEY}, tls=tls(), **FAST) as s:
        error = await refused(s)
        assert s.waves.base_url in str(error)
        assert "certificate is not trusted" in str(error)
        assert "SSL_CERT_FILE" in str(error), "says what to do"


@every_route
async def test_the_certificate_of_another_host_is_an_error(
    stage: MakeStage, route: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trust(monkeypatch, tmp_path)
    async with stage(ROUTES[route] | {"api_key": KEY}, tls=tls("elsewhere.test"), **FAST) as s:
        error = await refused(s)
        assert "127.0.0.1" in str(error)
        assert "certificate is not trusted" in str(error)
        assert "match" in str(error) or "not valid for" in str(error)


async def test_the_list_of_voices_needs_a_trusted_certificate_too(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with stage({"api_key": KEY}, tls=tls()) as s:
        with pytest.raises(APIConnectionError, match="certificate is not trusted") as caught:
            await s.tts.voices()
        assert_has_no_key(caught.value)
    trust(monkeypatch, tmp_path)
    async with stage(tls=tls()) as s:
        assert await s.tts.voices()


async def test_what_a_callers_session_trusts_is_trusted(stage: MakeStage) -> None:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        for route in ("websocket", "http"):
            async with stage(ROUTES[route] | {"http_session": session}, tls=tls(), **FAST) as s:
                await s.tts.synthesize(items([TEXT]))
                assert_same(s.track.speech, tone(TEXT))


@pytest.mark.parametrize(
    "base_url", ["http://voice.test/waves/v1", "http://192.0.2.1:8080", "http://[2001:db8::1]"]
)
@every_route
async def test_a_key_over_plain_http_is_one_warning(
    caplog: pytest.LogCaptureFixture, base_url: str, route: str
) -> None:
    tts = impatient(Timing(connect=0.01))(**ROUTES[route], base_url=base_url, api_key=KEY)
    for _ in range(2):
        with pytest.raises(SmallestAIError):
            await anext(tts.stream_synthesize(items([TEXT])))
    await tts.aclose()
    [warning] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "unencrypted" in warning.getMessage()
    assert base_url in warning.getMessage()
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "base_url",
    [
        "https://voice.test",
        "http://127.0.0.1:1",
        "http://127.8.0.1:1",
        "http://[::1]:1",
        "http://localhost:1",
        "http://a.localhost.",
    ],
)
def test_a_key_that_nobody_else_can_read_is_no_warning(caplog: pytest.LogCaptureFixture, base_url: str) -> None:
    SmallestAITTS(base_url=base_url, api_key=KEY)
    assert not caplog.records


def _name_by_hash(pem: Path) -> str:
    """What OpenSSL looks for in a folder of certificates."""
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(pem)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() + ".0"


async def _start(program: str, *arguments: str, env: dict[str, str]) -> Any:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *arguments, env=env, stdout=pipe, stderr=pipe
    )
