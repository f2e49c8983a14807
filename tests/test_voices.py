"""The service's lists of voices, as values and as ``examples/voices.py`` prints them; voices that do not fit."""

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
from routes import ROUTES
from staging import MakeStage, open_sessions
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APIConnectionError,
    AuthenticationError,
    ServerError,
    SmallestAIError,
    SmallestAITTS,
    Voice,
)
from videosdk_plugins_smallestai.emulator import WavesEmulator
from videosdk_plugins_smallestai.voices import advice

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


@pytest.mark.parametrize(
    "model", ["lightning-v3.1", "lightning_v3.1_pro", "lightning_v3.1_pro_07_26", "lightning_v4"]
)
async def test_each_model_has_a_list_of_its_own(model: str) -> None:
    known = {"lightning-v3.1": "avery", "lightning_v4": "brannock"}.get(model, "rhea")
    async with WavesEmulator(voice="tone") as waves:
        arguments = {"api_key": "sk_test", "base_url": waves.base_url}
        async with SmallestAITTS(**arguments) as other, SmallestAITTS(model=model, **arguments) as own:
            voices = [voice.id for voice in await other.voices(model=model)]
            assert voices == [voice.id for voice in await own.voices()]
            assert [voice for voice in ("avery", "rhea", "brannock") if voice in voices] == [known]
            assert other.model == "lightning-v3.1"


async def test_a_cloned_voice_that_the_service_lists_is_listed() -> None:
    voices = await listed({"voiceId": "magnus"}, {"voiceId": "voice_x1", "displayName": "Our own"})
    assert voices == [Voice("magnus", "magnus"), Voice("voice_x1", "Our own")]


@pytest.mark.parametrize("model", ["thunder", "", "lightning_v4_5"])
async def test_the_list_of_an_unknown_model_is_refused_with_what_is_accepted(model: str) -> None:
    async with SmallestAITTS(api_key="sk_test", base_url="http://127.0.0.1:9/waves/v1") as tts:
        with pytest.raises(ValueError, match=r"lightning_v3\.1_pro"):
            await tts.voices(model)


STANDARD, PRO = "lightning_v3.1", "lightning_v3.1_pro"


@pytest.mark.parametrize(
    ("model", "voice", "language", "three"),
    [
        (PRO, "magnus", "en", "blake, kaitlyn, sophie"),
        (PRO, "Devansh ", "hi", "meher, rhea, aviraj"),
        (PRO, "avery", None, "meher, rhea, aviraj"),
        (PRO + "_07_26", "liam", "auto", "meher, rhea, aviraj"),
        (STANDARD, "sophie", "en", "magnus, liam, avery"),
        ("lightning-v3.1", "meher", "hi", "devansh, kartik, maithili"),
        (PRO, "blake", "hi", "meher, rhea, aviraj"),
    ],
)
def test_a_voice_that_is_known_not_to_fit_is_told_with_three_that_do(
    model: str, voice: str, language: str | None, three: str
) -> None:
    told = advice(model, voice, language)
    assert told is not None
    assert repr(voice) in told
    assert told.endswith(f"voices that fit are {three}")
    assert [advice(model, other, language) for other in three.split(", ")] == [None] * 3


@pytest.mark.parametrize(("voice", "language"), [("magnus", "fr"), ("meher", "ta"), ("sophie", "ja")])
def test_where_no_voice_is_known_to_fit_the_way_to_the_list_is_told(voice: str, language: str) -> None:
    assert "tts.voices()" in (advice(PRO, voice, language) or "")


@pytest.mark.parametrize(
    ("model", "voice", "language"),
    [
        (STANDARD, "magnus", "hi"),
        (STANDARD, "magnus", "fr"),
        (PRO, "meher", "en"),
        (PRO, "meher", "HI"),
        (PRO, "blake", "auto"),
        (PRO, "blake", None),
        (PRO, "voice_mine", "ja"),
        (STANDARD, "voice_mine", "en"),
        (PRO, "yuki", "ja"),
        (STANDARD, "somebody", "en"),
        ("lightning-v2", "meher", "en"),
        ("lightning_v9_pro", "magnus", "en"),
    ],
)
def test_nothing_is_told_of_a_voice_that_fits_or_that_is_not_known(model: str, voice: str, language: str) -> None:
    assert advice(model, voice, language) is None


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("way", ["continuations", "sse"])
@in_virtual_time
async def test_one_warning_as_a_reply_starts_and_it_is_spoken_with_the_voice_that_was_named(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    plugin = ROUTES[way] | {"model": PRO, "voice_id": "magnus"}
    async with stage(plugin, mismatched_voices="spoken") as s:
        for _ in range(2):
            await s.tts.synthesize("Hello there.")
        [line] = warnings(caplog)
        assert "'magnus'" in line.getMessage()
        assert "blake, kaitlyn, sophie" in line.getMessage()
        assert line.__dict__["reply_id"].endswith("-1")
        await s.tts.synthesize("Hello there.", language="hi")
        await s.tts.synthesize("Hello there.", voice_id="voice_mine")
        await s.tts.synthesize("Hello there.", voice_id="meher")
        assert len(warnings(caplog)) == 2, "another language is another matter; a voice that fits is none"
        assert "meher, rhea, aviraj" in warnings(caplog)[1].getMessage()
        spoken = [request.body["voice_id"] for request in s.waves.requests]
        assert spoken == ["magnus"] * 3 + ["voice_mine", "meher"], "no request is made to find out"
        assert s.errors == []


@in_virtual_time
async def test_a_stream_warns_too_and_what_the_service_refuses_is_still_an_error(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    async def text() -> AsyncIterator[str]:
        yield "Hello there."

    async with stage({"model": PRO, "voice_id": "magnus"}, mismatched_voices="refused") as s:
        with pytest.raises(SmallestAIError):
            _ = [pcm async for pcm in s.tts.stream_synthesize(text())]
        assert ["voices that fit are" in line.getMessage() for line in warnings(caplog)].count(True) == 1


@in_virtual_time
async def test_on_the_way_to_pro_only_the_warnings_of_that_are_given(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    retired = {"lightning-v3.1": 410, STANDARD: 410}
    async with stage({"voice_id": "magnus"}, retired=retired) as s:
        await s.tts.synthesize("Hello there.")
        await s.tts.synthesize("Hello there.", voice_id="sophie")
        assert s.waves.requests[-1].body["voice_id"] == "sophie"
        assert not [line for line in warnings(caplog) if "voices that fit" in line.getMessage()]


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("continuations", [True, False])
@pytest.mark.parametrize(("voice", "told"), [("meher", True), ("rhea", False)])
@in_virtual_time
async def test_the_words_of_meher_on_pro_have_the_times_that_the_service_tells(
    stage: MakeStage, language: str, continuations: bool, voice: str, told: bool
) -> None:
    """The emulator's tone has 50 ms for each character, which is not what an estimate takes a number for."""
    words = ["It", "costs", "$1,000,000", "now."]
    plugin = {"model": PRO, "voice_id": voice, "language": language, "continuations": continuations}
    async with stage(plugin | {"word_timestamps": True}) as s:
        heard: list[tuple[str, float]] = []
        all_heard = asyncio.Event()

        def hear(event: dict[str, str]) -> None:
            heard.append((event["word"].strip(), asyncio.get_running_loop().time()))
            if len(heard) == len(words):
                all_heard.set()

        s.tts.on("word_spoken", hear)
        await s.tts.synthesize(" ".join(words))
        await all_heard.wait()
        assert [word for word, _ in heard] == words
        began = s.track.arrivals[0][0]
        starts = [sum(map(len, words[:index])) * 0.05 for index in range(len(words))]
        worst = max(abs(at - began - start) for (_, at), start in zip(heard, starts, strict=True))
        assert (worst < 0.06) is told, worst


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


@in_virtual_time
async def test_voices_asked_for_while_all_is_closed_are_an_error_and_leave_nothing_open() -> None:
    before = open_sessions()
    async with WavesEmulator() as waves:
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url)
        await tts.prewarm()
        asked = []
        closing = asyncio.ensure_future(tts.aclose())
        await asyncio.sleep(0)
        while not closing.done():  # at each moment of it
            asked.append(asyncio.ensure_future(tts.voices()))
            await asyncio.sleep(0)
        told = await asyncio.gather(*asked[:-1], return_exceptions=True)
        assert {type(each) for each in told} == {APIConnectionError}
        assert "aclose is running" in str(told[-1])
        await asked[-1]  # after it
        await tts.aclose()
        assert open_sessions() == before


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


def test_the_example_shows_the_voices_of_one_model(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SMALLEST_API_KEY", raising=False)
    assert example.main(["--model", PRO, "--language", "hindi"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [ANNOUNCEMENT]
    assert [line.split()[0] for line in out.splitlines()] == ["id", "aviraj", "meher", "rhea", "zariya"]


def test_a_model_that_there_is_not_is_told_in_one_line(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_test")
    assert example.main(["--model", "thunder"]) == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert (out, line.startswith("voices.py: model must be one of "), "'thunder'" in line) == ("", True, True)


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
    async def none(_model: str | None) -> list[Voice]:
        return []

    monkeypatch.setattr(example, "voices", none)
    assert example.main([]) == 1
    assert capsys.readouterr() == ("", "voices.py: the service lists no voice\n")


async def test_with_a_key_the_live_service_is_asked(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_test")
    async with example.service() as arguments:
        assert arguments == {}
