"""The README's agent and its tests: in an empty folder, as a user has them, and faster in this process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videosdk_plugins_smallestai.emulator import WavesEmulator

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(part: str) -> str:
    """The README's Python with this in it."""
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if part in code)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's: the agent, its tests, and the opt-in to the fixture."""
    (tmp_path / "receptionist.py").write_text(block("class Receptionist"), encoding="utf-8")
    (tmp_path / "test_receptionist.py").write_text(block("import call"), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(block("pytest_plugins"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("receptionist", None)


@pytest.mark.slow
def test_in_an_empty_folder_the_readmes_tests_of_its_agent_pass(folder: Path) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, check=False, timeout=100, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def the_agents_tests() -> list[str]:
    return re.findall(r"async def (test_\w+)", block("import call"))


@pytest.mark.slow
@pytest.mark.parametrize("name", the_agents_tests())
async def test_the_readmes_tests_of_its_agent_pass(folder: Path, waves_emulator: WavesEmulator, name: str) -> None:
    names: dict[str, Any] = {}
    exec(compile((folder / "test_receptionist.py").read_text(encoding="utf-8"), "README.md", "exec"), names)
    test = names[name]
    await (test(waves_emulator) if test.__code__.co_argcount else test())


def test_the_readmes_agent_has_ten_lines() -> None:
    assert len([line for line in block("class Receptionist").splitlines() if line.strip()]) == 10
