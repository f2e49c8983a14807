"""The examples, as a user runs them: processes of their own, without a key, so that the emulator speaks."""

from __future__ import annotations

import array
import asyncio
import base64
import importlib.util
import io
import json
import math
import os
import re
import signal
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import videosdk.agents
from listening import FRAME_BYTES, RecordingTrack, assert_same

from videosdk_plugins_smallestai import FallbackTTS, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse, WavesEmulator, tone

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"
ANNOUNCEMENT = "SMALLEST_API_KEY is not set: the emulator speaks."
LIMIT = 50  # seconds until a run counts as hung

VOICES = ["hindi.py", "telephony.py", "fallback.py", "local_agent.py", "cached_phrases.py", "v4_conversation.py"]
"""Those that speak into a WAV file."""

SOME_VOICES = [*VOICES[:2], *(pytest.param(program, marks=pytest.mark.soak) for program in VOICES[2:])]
"""What they have in common is the same code: two of them show it, and the long form asks all."""


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it would be in
        return False


@pytest.fixture(autouse=True)
def programs_mind_ctrl_c() -> Iterator[None]:
    """Also where the tests run in a background that ignores it: who is started from there would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


async def start(
    folder: Path, program: str, *arguments: str, python: tuple[str, ...] = ()
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *python, str(EXAMPLES / program)),
        *arguments,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(folder: Path, program: str, *arguments: str) -> tuple[int | None, list[str], list[str]]:
    """Exit code, and the lines of output and of errors."""
    process = await start(folder, program, *arguments)
    try:
        async with asyncio.timeout(LIMIT):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode().splitlines(), err.decode().splitlines()


def check_speech(path: Path, *, rate: int, seconds: tuple[float, float]) -> None:
    """It is speech, at this rate, about this long."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        samples = array.array("h", file.readframes(file.getnframes()))
    shortest, longest = seconds
    assert shortest < len(samples) / rate < longest
    assert math.sqrt(sum(s * s for s in samples) / len(samples)) > 300


async def test_hindi_is_spoken_and_each_word_is_shown(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "hindi.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    words, summary = out
    assert words.split()[:4] == ["नमस्ते!", "आपका", "ऑर्डर", "तैयार"]
    assert words.split()[-1] == "दूँ?"
    assert summary.startswith("hindi.wav: first audio after ")
    check_speech(tmp_path / "hindi.wav", rate=24000, seconds=(4, 10))


@pytest.mark.parametrize("rate", [8000, 24000])
async def test_a_telephones_voice_has_the_right_pitch_on_either_track(tmp_path: Path, rate: int) -> None:
    exit_code, out, err = await run(tmp_path, "telephony.py", "--track-rate", str(rate))
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    assert out[0].startswith(f"phone.wav: {rate} Hz, first audio after ")
    check_speech(tmp_path / "phone.wav", rate=rate, seconds=(3, 6))


async def test_the_second_voice_goes_on_where_the_first_fails(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "fallback.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    failed, spoke = out
    assert failed.startswith("The first voice failed: ")
    assert spoke.startswith("The second went on. fallback.wav: first audio after ")
    check_speech(tmp_path / "fallback.wav", rate=24000, seconds=(4, 10))


async def test_the_figures_of_ten_replies_are_shown_and_written_as_spans(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "metrics.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    heading, *rows, summary = out
    assert summary == "spans.jsonl: 10 spans"
    table = [dict(zip(["number", *heading.split()], row.split(), strict=True)) for row in rows]
    assert [row["number"] for row in table] == [str(number) for number in range(1, 11)]
    assert [row["cancelled"] for row in table] == ["False"] * 6 + ["True"] + ["False"] * 3
    assert [row["resumes"] for row in table] == ["0"] * 7 + ["1"] + ["0"] * 2
    spans = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert {span["name"] for span in spans} == {"tts.reply"}
    assert [span["attributes"]["resumes"] for span in spans] == [0] * 7 + [1] + [0] * 2
    assert all(span["attributes"]["voice_id"] == "magnus" for span in spans)


@pytest.mark.parametrize("pace", [0.0, 0.2], ids=["at once", "slowly"])
@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("streaming", [True, False], ids=["websocket", "http"])
async def test_two_voices_lose_no_word_of_a_streamed_reply(streaming: bool, failing: int, pace: float) -> None:
    text = "Hello! How can I help you? I am here. Your total is $1,299.50 at 10:30."

    async def tokens() -> AsyncIterator[str]:
        for token in re.findall(r"\S+\s*", text):
            yield token
            await asyncio.sleep(pace)

    quick: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 20.0}
    down = WavesEmulator(**quick, fault=lambda request: Refuse(503) if request.number >= failing else None)
    async with down as first, WavesEmulator(**quick) as second:
        voices = [
            SmallestAITTS(api_key="sk_test", base_url=waves.base_url, enable_streaming=streaming)
            for waves in (first, second)
        ]
        async with FallbackTTS(voices) as tts:
            tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
            await tts.synthesize(tokens())
        said = [[r.text for r in waves.requests if r.outcome == "served"] for waves in (first, second)]
    assert " ".join(said[0] + said[1]) == text
    assert_same(track.heard, b"".join(whole_frames(b"".join(map(tone, texts))) for texts in said))


def whole_frames(pcm: bytes) -> bytes:
    """As a voice leaves it: the last frame is filled with silence."""
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


async def test_the_caller_of_a_whole_session_hears_the_agent(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "local_agent.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    assert [line.split()[0] for line in out] == ["Agent:", "Caller:", "Agent:", "call.wav:"]
    check_speech(tmp_path / "call.wav", rate=24000, seconds=(6, 14))


async def test_the_caller_of_a_conversation_hears_its_answers(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "v4_conversation.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    assert [line.split()[0] for line in out] == ["Caller:", "Agent:", "Caller:", "Agent:", "call.wav:"]
    check_speech(tmp_path / "call.wav", rate=24000, seconds=(3, 10))


@pytest.mark.parametrize("channels", [1, 2], ids=["mono", "stereo"])
async def test_each_of_the_callers_turns_is_told_to_the_voice_as_it_was_said(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from v4_conversation import TALK, ask, conversation
    from videosdk.agents import audio_format

    monkeypatch.setattr(audio_format, "get", lambda: (None, None) if channels == 1 else (48000, 2))
    async with WavesEmulator(voice="tone", first_audio=0.05, real_time_factor=20.0) as waves:
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url, model="lightning_v4")
        async with conversation(tts) as (c, recognizer):
            for question, answer in TALK:
                mono = tone(question, 16000)[: 640 * 20]
                spoken = b"".join(mono[i : i + 2] * channels for i in range(0, len(mono), 2))
                recognizer.expect(question, len(spoken))
                await ask(c, spoken)
                messages = waves.connections[0].messages
                (told,) = [message for message in messages if message.get("text") == question]
                with wave.open(io.BytesIO(base64.b64decode(told["audio"]))) as file:
                    assert file.getframerate() == (16000 if channels == 1 else 48000)
                    assert_same(file.readframes(file.getnframes()), mono)
                turns = [message["text"] for message in messages[messages.index(told) + 1 :]]
                assert "".join("".join(turns).split()) == "".join(answer.split())
        assert len(waves.connections) == 1
        assert_same(c.heard.replace(b"\0\0", b""), tone("".join(answer for _, answer in TALK)))


async def test_a_cached_phrase_is_made_once_and_heard(tmp_path: Path) -> None:
    exit_code, out, err = await run(tmp_path, "cached_phrases.py")
    assert (exit_code, err) == (0, [ANNOUNCEMENT])
    times, summary = out
    told = re.fullmatch(r"Made in (\d+\.\d\d) s, and found again in (\d+\.\d\d) s\.", times)
    assert told
    assert float(told[1]) > float(told[2])
    assert summary.startswith("phrases.wav: the caller heard ")
    check_speech(tmp_path / "phrases.wav", rate=24000, seconds=(1.5, 5))


@pytest.mark.parametrize("program", SOME_VOICES)
async def test_what_cannot_be_done_is_told_in_one_line(tmp_path: Path, program: str) -> None:
    told = f"{program}: there is no folder missing: create it, or choose another with -o"
    assert await run(tmp_path, program, "-o", "missing/out.wav") == (1, [], [told])


async def stop(process: asyncio.subprocess.Process, seen: bytes) -> bytes:
    """Press Ctrl-C when this is seen among the errors. Returns what is told after it."""
    assert process.stderr is not None
    try:
        async with asyncio.timeout(LIMIT):
            while seen not in (line := await process.stderr.readline()):
                assert line, "it has ended"
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return err


no_sigint = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")


@no_sigint
@pytest.mark.parametrize("program", SOME_VOICES)
async def test_ctrl_c_ends_it_at_once(tmp_path: Path, program: str) -> None:
    process = await start(tmp_path, program)
    assert await stop(process, ANNOUNCEMENT.encode()) == b"Stopped.\n"
    assert (process.returncode, list(tmp_path.iterdir())) == (130, [])


@no_sigint
@pytest.mark.parametrize("program", VOICES)
async def test_ctrl_c_ends_it_while_it_speaks(tmp_path: Path, program: str) -> None:
    process = await start(tmp_path, program, "--verbose")
    err = await stop(process, b"]: connected")
    assert err.endswith(b"Stopped.\n")
    assert b"Traceback" not in err
    assert (process.returncode, list(tmp_path.iterdir())) == (130, [])


@no_sigint
@pytest.mark.parametrize("program", ["say.py", "hindi.py", "playground"])
async def test_ctrl_c_ends_it_while_it_is_still_importing(tmp_path: Path, program: str) -> None:
    process = await start(tmp_path, program, "Hello.", python=("-X", "importtime"))
    err = await stop(process, b" asyncio\n")
    assert err.endswith(b"Stopped.\n")
    assert b"Traceback" not in err
    assert process.returncode == 130


async def test_no_words_and_a_folder_as_output_are_told_before_anything_is_said(tmp_path: Path) -> None:
    exit_code, out, (line,) = await run(tmp_path, "hindi.py", "...")
    assert (exit_code, out) == (1, [])
    assert line.startswith("hindi.py: there is nothing to say")
    told = f"telephony.py: {tmp_path} is a folder: name a file in it with -o"
    assert await run(tmp_path, "telephony.py", "-o", str(tmp_path)) == (1, [], [told])


@pytest.mark.skipif(installed("videosdk.plugins.deepgram"), reason="the cloud's plugins are installed")
@pytest.mark.parametrize(("mode", "extras"), [([], "turn-detector]"), (["console"], "turn-detector,console]")])
async def test_an_agent_without_its_plugins_says_what_to_install(
    tmp_path: Path, mode: list[str], extras: str
) -> None:
    exit_code, out, (line,) = await run(tmp_path, "agent.py", *mode)
    assert (exit_code, out) == (1, [])
    assert line.startswith("agent.py: No module named ")
    assert line.endswith(f"pip install . 'videosdk-agents[deepgram,openai,silero,{extras}'")


class Stub:
    """In the place of a cloud plugin, or of what the framework starts."""

    made: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.made.append(self)

    async def start(self, **options: Any) -> None:
        self.options = options


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``agent.py``, with stubs for the cloud's plugins and for the framework's pipeline and session."""
    names = ["DeepgramSTT", "OpenAILLM", "SileroVAD", "TurnDetector", "Pipeline", "AgentSession"]
    stubs: dict[str, Any] = {name: type(name, (Stub,), {"made": []}) for name in names}
    plugins = ModuleType("videosdk.agents.plugins")
    vars(plugins).update({name: stubs[name] for name in names[:4]}, SmallestAITTS=SmallestAITTS)
    monkeypatch.setitem(sys.modules, plugins.__name__, plugins)
    for name in names[4:]:
        monkeypatch.setattr(videosdk.agents, name, stubs[name])
    spec = importlib.util.spec_from_file_location("agent_example", EXAMPLES / "agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_rooms_agent_speaks_with_this_plugin(agent: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLEST_API_KEY", "sk_test")
    await agent.entrypoint(None)
    ((pipeline,), (session,)) = agent.Pipeline.made, agent.AgentSession.made
    assert isinstance(pipeline.kwargs["tts"], SmallestAITTS)
    assert pipeline.kwargs["text_chunking"] is False
    assert session.options == {"wait_for_participant": True, "run_until_shutdown": True}
    await pipeline.kwargs["tts"].aclose()


def test_an_agent_without_keys_says_which(
    agent: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in agent.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk_test")
    assert agent.main() == 1
    wanted = "VIDEOSDK_AUTH_TOKEN, DEEPGRAM_API_KEY, SMALLEST_API_KEY"
    assert capsys.readouterr().err == f"agent.py: set {wanted} in the environment\n"
