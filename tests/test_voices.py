"""The service's list of voices: as typed values, and as ``examples/voices.py`` prints it."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from videosdk_plugins_smallestai import (
    APIConnectionError,
    AuthenticationError,
    ServerError,
    SmallestAIError,
    SmallestAITTS,
    Voice,
)
from videosdk_plugins_smallestai.emulator import WavesEmulator

EXAMPLE = Path(__file__).parent.parent / "examples" / "voices.py"
ANNOUNCEMENT = "SMALLEST_API_KEY is not set: these are the emulator's voices."
LIMIT = 50  # seconds until a run counts as hung

Answer = Callable[[], web.Response]


@asynccontextmanager
async def service(answer: Answer) -> AsyncIterator[str]:
    """A service that gives this answer to whoever asks for the voices; its base URL."""

    async def voices(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer sk_test"
        return answer()

    app = web.Application()
    app.router.add_get("/waves/v1/lightning-v3.1/get_voices", voices)
    async with TestServer(app) as server:
        yield str(server.make_url("/waves/v1"))


async def ask(base_url: str, errors: list[Any] | None = None) -> list[Voice]:
    """Ask for the voices; what is emitted as an error goes into the list."""
    async with SmallestAITTS(api_key="sk_test", base_url=base_url) as tts:
        tts.on("error", [] if errors is None else errors.append)
        voices: list[Voice] = await tts.voices()
        return voices


async def listed(*items: Any) -> list[Voice]:
    async with service(lambda: web.json_response({"voices": list(items)})) as base_url:
        return await ask(base_url)


async def test_the_voices_come_as_typed_values() -> None:
    async with WavesEmulator(voice="tone") as waves:
        voices = {voice.id: voice for voice in await ask(waves.base_url)}
    assert voices["maithili"] == Voice("maithili", "Maithili", ("hindi", "english"), "indian", "female")
    assert voices["avery"] == Voice("avery", "Avery", (), "", "")  # the service may say nothing of a voice


@pytest.mark.parametrize(
    ("item", "voice"),
    [
        ({"voiceId": "ann"}, Voice("ann", "ann")),
        ({"voiceId": "ann", "displayName": None, "tags": None}, Voice("ann", "ann")),
        ({"voiceId": "ann", "displayName": "Ann", "tags": []}, Voice("ann", "Ann")),
        ({"voiceId": "ann", "tags": {"language": "english", "accent": None}}, Voice("ann", "ann")),
        ({"voiceId": "ann", "tags": {"language": [], "gender": "female"}}, Voice("ann", "ann", gender="female")),
        ({"voiceId": "ann", "color": "red", "tags": {"age": "young"}}, Voice("ann", "ann")),
    ],
    ids=["id alone", "nulls", "tags are a list", "a language is no list", "some tags", "unknown fields"],
)
async def test_what_is_not_told_of_a_voice_is_empty(item: dict[str, Any], voice: Voice) -> None:
    assert await listed(item) == [voice]


async def test_what_has_no_id_is_no_voice() -> None:
    assert await listed({"displayName": "Ann"}, {"voiceId": ""}, {"voiceId": None}, "ann", None) == []


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "[]", '"voices"', "{}", '{"voices": null}', '{"voices": {"ann": {}}}', "[" * 100_000],
    ids=["empty", "html", "a list", "a string", "no voices", "null", "an object", "too deep"],
)
async def test_an_answer_that_is_no_list_of_voices_is_an_error(text: str) -> None:
    async with service(lambda: web.Response(text=text)) as base_url:
        with pytest.raises(ServerError, match="no list of voices"):
            await ask(base_url)


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (500, ServerError)])
async def test_a_refusal_is_raised_with_its_message_and_emits_nothing(
    status: int, kind: type[SmallestAIError]
) -> None:
    def refuse() -> web.Response:
        body = {"error": {"message": "Not now"}}
        return web.json_response(body, status=status, headers={"X-Request-Id": "req_7"})

    errors: list[Any] = []
    async with service(refuse) as base_url:
        with pytest.raises(kind, match="Not now") as caught:
            await ask(base_url, errors)
    assert (caught.value.status, caught.value.request_id, errors) == (status, "req_7", [])


async def test_a_redirection_is_not_followed_for_it_would_get_the_key() -> None:
    asked: list[str] = []
    elsewhere = web.Response(status=302, headers={"Location": "/waves/v1/lightning-v3.1/get_voices?again"})

    def redirect() -> web.Response:
        asked.append("once")
        return elsewhere

    async with service(redirect) as base_url:
        with pytest.raises(SmallestAIError) as caught:
            await ask(base_url)
    assert (caught.value.status, asked) == (302, ["once"])


async def test_a_service_that_cannot_be_reached_is_a_connection_error(unused_tcp_port: int) -> None:
    with pytest.raises(APIConnectionError):
        await ask(f"http://127.0.0.1:{unused_tcp_port}/waves/v1")


async def show(*arguments: str) -> tuple[int | None, list[str], list[str]]:
    """Run the example without a key. Returns its exit code, and the lines of its output and of its errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        *arguments,
        env={name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"},
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
    return process.returncode, out.decode().splitlines(), err.decode().splitlines()


@pytest.mark.slow
async def test_the_example_prints_a_table() -> None:
    exit_code, lines, err = await show()
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    assert lines == [
        "id        name      languages       accent    gender",
        "avery     Avery     -               -         -",
        "devansh   Devansh   hindi, english  indian    male",
        "kartik    Kartik    hindi, english  indian    male",
        "liam      Liam      english         american  male",
        "magnus    Magnus    english         american  male",
        "maithili  Maithili  hindi, english  indian    female",
    ]


@pytest.mark.slow
async def test_the_example_shows_the_voices_of_one_language() -> None:
    exit_code, lines, _ = await show("--language", "Hindi")
    assert exit_code == 0
    assert [line.split()[0] for line in lines] == ["id", "devansh", "kartik", "maithili"]


@pytest.mark.slow
async def test_a_language_that_no_voice_speaks_is_told_in_one_line() -> None:
    assert await show("--language", "latin") == (
        1,
        [],
        [
            ANNOUNCEMENT,
            "voices.py: the service lists no voice that speaks 'latin': it knows english, hindi",
        ],
    )


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The program as a module, which costs no seconds."""
    spec = importlib.util.spec_from_file_location("voices_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    logging.disable(logging.NOTSET)  # the program silences its whole process


def test_what_the_service_refuses_is_told_in_one_line(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @asynccontextmanager
    async def strict() -> AsyncIterator[dict[str, Any]]:
        async with WavesEmulator(voice="tone", api_keys={"sk_right"}) as waves:
            yield {"api_key": "sk_wrong", "base_url": waves.base_url}

    monkeypatch.setattr(example, "service", strict)
    assert example.main([]) == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert (out, line.startswith("voices.py: "), "Invalid API key" in line) == ("", True, True)


def test_an_empty_list_is_told(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def none() -> list[Voice]:
        return []

    monkeypatch.setattr(example, "voices", none)
    assert example.main([]) == 1
    assert capsys.readouterr() == ("", "voices.py: the service lists no voice\n")


async def test_with_a_key_the_live_service_is_asked(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_test")
    async with example.service() as arguments:
        assert arguments == {}
