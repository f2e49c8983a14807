"""The command, as a user runs it: a process of its own, on an emulator."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asked import BY_NAME
from leaks import KEY

from videosdk_plugins_smallestai import check
from videosdk_plugins_smallestai.__main__ import main
from videosdk_plugins_smallestai.check.probes import PROBES
from videosdk_plugins_smallestai.check.run import characters
from videosdk_plugins_smallestai.emulator import Mute, Refuse, WavesEmulator
from videosdk_plugins_smallestai.emulator.__main__ import main as emulator_main

FAST: dict[str, Any] = {"voice": "tone", "first_audio": 0.01, "real_time_factor": 100.0}
COMMAND = (sys.executable, "-m", "videosdk_plugins_smallestai", "check")
LIMIT = 60  # seconds until a run counts as hung


@pytest.fixture(autouse=True)
def programs_mind_ctrl_c() -> Iterator[None]:
    """Also where the tests run in a background that ignores it: who is started from there would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


async def start(url: str, *arguments: str, key: str | None = KEY) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        "--base-url",
        url,
        *arguments,
        env=environment | {"COLUMNS": "250"} | ({} if key is None else {"SMALLEST_API_KEY": key}),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )


async def run(url: str, *arguments: str, typed: str = "", key: str | None = KEY) -> tuple[int | None, str, str]:
    """Exit code, output and errors. The key is in neither."""
    process = await start(url, *arguments, key=key)
    async with asyncio.timeout(LIMIT):
        output, errors = (part.decode() for part in await process.communicate(typed.encode()))
    assert KEY not in output + errors
    return process.returncode, output, errors


def only(*names: str) -> list[str]:
    return [argument for name in names for argument in ("--only", name)]


async def test_all_is_as_assumed(tmp_path: Path) -> None:
    report, record = tmp_path / "check.json", tmp_path / "check.jsonl"
    files = ("--report", str(report), "--record", str(record))
    async with WavesEmulator(**FAST) as waves:
        code, output, errors = await run(waves.base_url, "--yes", *files, *only("ids_echoed", "wrong_key"))
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()[2:4]] == ["ids_echoed", "wrong_key"]
    assert "2 as assumed, 0 differ" in output
    assert "[1/2] Is the client's request_id echoed? echoed (as assumed, " in errors
    probes = json.loads(report.read_text())["probes"]
    assert [list(probe) for probe in probes] == [["name", "assumed", "seen", "verdict", "seconds"]] * 2
    assert [(probe["name"], probe["verdict"]) for probe in probes] == [
        ("ids_echoed", "as assumed"),
        ("wrong_key", "as assumed"),
    ]
    assert KEY not in report.read_text() + record.read_text()
    async with WavesEmulator(replay=record) as waves:
        code, again, _ = await run(waves.base_url, "--yes", *only("ids_echoed", "wrong_key"), key="sk_another")
    assert (code, again) == (0, output)


async def test_the_plugin_copes_with_a_difference() -> None:
    async with WavesEmulator(**FAST, assume={"ids_echoed": "not echoed"}) as waves:
        code, output, _ = await run(waves.base_url, "--yes", *only("ids_echoed"))
    assert code == 3
    row = output.splitlines()[2]
    assert ("copes" in row, "not echoed" in row, "without it the server's own id is" in row) == (True,) * 3


async def test_something_does_not_work() -> None:
    async with WavesEmulator(**FAST, fault=lambda request: Refuse(500)) as waves:
        code, output, _ = await run(waves.base_url, "--yes", *only("ids_echoed"))
    assert code == 1
    assert "failed: ServerError: internal_error" in output
    assert "1 of 1 questions were not asked" not in output


@pytest.mark.slow
async def test_nothing_is_spoken_before_the_user_agrees() -> None:
    async with WavesEmulator(**FAST) as waves:
        for typed in ("", "n\n", "\n"):
            code, _, errors = await run(waves.base_url, typed=typed)
            assert (code, len(waves.connections)) == (2, 0)
            assert f"25 questions to {waves.base_url}: up to {characters(PROBES)} characters of speech" in errors
        code, _, errors = await run(waves.base_url, *only("ids_echoed"), typed="y\n")
        assert code == 0
        assert f": up to {sum(len(request.text) for request in waves.requests)} characters" in errors


@pytest.mark.parametrize(
    ("url", "key", "report", "said"),
    [
        ("http://127.0.0.1:1", None, None, "SMALLEST_API_KEY"),
        ("ftp://127.0.0.1", KEY, None, "base_url must be an http:// or https:// URL"),
        ("http://127.0.0.1:1", KEY, "missing/check.json", "No such file or directory"),
    ],
    ids=["no key", "no address", "no folder for the report"],
)
async def test_what_cannot_be_done_is_said_at_once(
    tmp_path: Path, url: str, key: str | None, report: str | None, said: str
) -> None:
    files = ("--report", str(tmp_path / report)) if report else ()
    code, output, errors = await run(url, "--yes", *files, key=key)
    assert (code, output) == (2, "")
    assert said in errors
    assert "Traceback" not in errors


async def test_ctrl_c_leaves_what_was_found(tmp_path: Path) -> None:
    report, record = tmp_path / "check.json", tmp_path / "check.jsonl"
    async with WavesEmulator(**FAST) as waves:
        waves.fault = lambda request: Mute() if request.text == BY_NAME["complete_at_1"].says[0] else None
        process = await start(
            waves.base_url,
            *("--yes", "--report", str(report), "--record", str(record)),
            *only("ids_echoed", "complete_at_1", "current_model"),
        )
        await waves.request(1)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT):
            output, errors = (part.decode() for part in await process.communicate())
    assert process.returncode == 130
    assert [probe["name"] for probe in json.loads(report.read_text())["probes"]] == ["current_model"]
    assert "current_model" in output
    assert "2 of 3 questions were not asked." in output
    assert "Stopped." in errors
    assert "Traceback" not in errors
    assert BY_NAME["complete_at_1"].says[0] in record.read_text()


def test_other_commands_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "check" in capsys.readouterr().out
    for arguments in ([], ["speak"], ["check", "--only", "nothing"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
    assert "complete_at_1" in capsys.readouterr().err


def test_the_emulators_command_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (
        (["--assume", "nothing=1"], "assume knows current_model"),
        (["--assume", "speed"], "speed can be assumed as something like '3.3x'"),
        (["--assume", "v4=perhaps"], "v4 can be assumed as 'open'"),
        (["--replay", str(tmp_path / "missing")], "No such file"),
    ):
        with pytest.raises(SystemExit, match="2"):
            emulator_main(arguments)
        assert said in capsys.readouterr().err


@pytest.mark.slow
async def test_a_run_in_real_time_takes_less_than_a_minute(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with WavesEmulator(voice="speech") as waves:
        began = loop.time()
        code, output, _ = await run(waves.base_url, "--yes", "--record", str(tmp_path / "check.jsonl"))
        assert (code, loop.time() - began < 60) == (0, True), output
    async with WavesEmulator(replay=tmp_path / "check.jsonl") as waves:
        code, again, _ = await run(waves.base_url, "--yes")
    assert (code, again.splitlines()[-1]) == (0, output.splitlines()[-1])


def test_the_guide_lists_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    guide = (Path(check.__file__).parent / "README.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    options = set(re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE))
    assert options
    assert set(re.findall(r"^\| `(--[\w-]+)", guide, re.MULTILINE)) == options


def test_the_readme_tells_how_many_questions_there_are_and_what_they_cost() -> None:
    readme = (Path(check.__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
    assert f"{len(PROBES)} short questions (some {round(characters(PROBES), -1)} characters" in readme
