"""``examples/say.py``, as a user runs it: a process of its own, without a key, so that the emulator speaks."""

from __future__ import annotations

import array
import asyncio
import importlib.util
import logging
import math
import os
import re
import signal
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SAY = Path(__file__).parent.parent / "examples" / "say.py"
TEXT = "Hello from VideoSDK. Your total is $1,299.50 at 10:30."
SUMMARY = re.compile(
    r"(?P<path>.+): first audio after (?P<first>\d+\.\d\d) s, (?P<seconds>\d+\.\d\d) s of audio, "
    r"(?P<gaps>\d+) gaps heard \((?P<gap_seconds>\d+\.\d\d) s\)"
)
ANNOUNCEMENT = "SMALLEST_API_KEY is not set: the emulator speaks."
LIMIT = 50  # seconds until a run counts as hung


@dataclass(frozen=True)
class Run:
    exit_code: int
    out: list[str]
    err: list[str]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"}


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(SAY),
        *arguments,
        cwd=folder,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def say(folder: Path, *arguments: str) -> Run:
    process = await start(folder, *arguments)
    try:
        async with asyncio.timeout(LIMIT):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, out.decode().splitlines(), err.decode().splitlines())


def measure(path: Path) -> tuple[int, float, float]:
    """Sample rate, seconds and root mean square of a WAV file."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        rate = file.getframerate()
        samples = array.array("h", file.readframes(file.getnframes()))
    return rate, len(samples) / rate, math.sqrt(sum(s * s for s in samples) / max(1, len(samples)))


@pytest.mark.parametrize("more", [[], ["--sample-rate", "8000"]], ids=["24 kHz", "8 kHz"])
@pytest.mark.slow
async def test_the_text_is_heard_as_a_wav_and_summed_up_in_one_line(tmp_path: Path, more: list[str]) -> None:
    run = await say(tmp_path, TEXT, *more)

    assert run.exit_code == 0, run.err
    assert run.err == [ANNOUNCEMENT]
    (line,) = run.out
    summary = SUMMARY.fullmatch(line)
    assert summary, line
    rate, seconds, rms = measure(tmp_path / "out.wav")
    assert rate == 24000  # the track's
    assert 3 < seconds < 15
    assert rms > 300
    assert summary["path"] == "out.wav"
    assert float(summary["seconds"]) == pytest.approx(seconds, abs=0.01)
    assert 0 < float(summary["first"]) < 10
    assert (summary["gaps"] == "0") == (summary["gap_seconds"] == "0.00")


@pytest.mark.slow
async def test_each_word_is_shown_as_it_is_spoken(tmp_path: Path) -> None:
    run = await say(tmp_path, TEXT, "--words")
    assert run.exit_code == 0, run.err
    words, line = run.out
    assert words.split() == TEXT.split()
    assert SUMMARY.fullmatch(line)


@pytest.mark.slow
async def test_a_refused_voice_is_told_in_one_line_without_a_traceback(tmp_path: Path) -> None:
    run = await say(tmp_path, TEXT, "--voice", "nobody")
    assert (run.exit_code, run.out) == (1, [])
    announcement, line = run.err
    assert announcement == ANNOUNCEMENT
    assert line.startswith("say.py: ")
    assert "invalid voice id" in line.lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
async def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who ignores it passes that on
    process = await start(tmp_path, "A long story. " * 40)
    assert process.stderr is not None
    signal.signal(signal.SIGINT, before)
    async with asyncio.timeout(LIMIT):
        announced = await process.stderr.readline()  # from here on it is at work
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert announced.decode().strip() == ANNOUNCEMENT
    assert (process.returncode, out, err) == (130, b"", b"Stopped.\n")


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[str]], int]]:
    """The program without a process of its own, which costs seconds, in an empty folder."""
    spec = importlib.util.spec_from_file_location("say", SAY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "say", module)
    monkeypatch.delenv("SMALLEST_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    spec.loader.exec_module(module)
    yield module.main
    logging.disable(logging.NOTSET)  # the program silences its whole process


@pytest.mark.slow
def test_the_same_over_http_where_the_user_says(main: Callable[[list[str]], int], tmp_path: Path) -> None:
    assert main([TEXT, "--http", "-o", "there.wav"]) == 0
    _, seconds, rms = measure(tmp_path / "there.wav")
    assert 3 < seconds < 15
    assert rms > 300
    assert [path.name for path in tmp_path.iterdir()] == ["there.wav"]


@pytest.mark.slow
def test_a_faster_voice_is_heard_for_a_shorter_time(main: Callable[[list[str]], int], tmp_path: Path) -> None:
    assert main(["One two three four.", "-o", "slow.wav", "--speed", "0.7"]) == 0
    assert main(["One two three four.", "-o", "fast.wav", "--speed", "1.6"]) == 0
    assert measure(tmp_path / "fast.wav")[1] < 0.75 * measure(tmp_path / "slow.wav")[1]


@pytest.mark.slow
def test_a_model_without_a_websocket_is_spoken_over_http(main: Callable[[list[str]], int], tmp_path: Path) -> None:
    assert main(["One two.", "-o", "old.wav", "--model", "lightning-v2", "--voice", "emily"]) == 0
    assert measure(tmp_path / "old.wav")[1] > 0.3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([TEXT, "--model", "thunder"], "model must be one of"),
        ([TEXT, "--speed", "9"], "speed must be"),
        (["..."], "nothing to say"),
        ([TEXT, "-o", "missing/out.wav"], "no folder missing"),
    ],
    ids=["model", "speed", "no words", "no folder"],
)
def test_what_cannot_be_said_is_told_in_one_line(
    main: Callable[[list[str]], int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: str,
) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line != ANNOUNCEMENT]
    assert (out, line.startswith("say.py: "), named in line) == ("", True, True)
    assert list(tmp_path.iterdir()) == []
