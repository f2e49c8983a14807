"""The README's agent and its tests, copied into an empty folder and run there."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def block(part: str) -> str:
    """The README's Python with this in it."""
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if part in code)
    return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's: the agent, its tests, and the opt-in to the fixture."""
    (tmp_path / "receptionist.py").write_text(block("class Receptionist"), encoding="utf-8")
    (tmp_path / "test_receptionist.py").write_text(block("import call"), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(block("pytest_plugins"), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_readmes_tests_of_its_agent_pass(folder: Path) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, check=False, timeout=100, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_readmes_agent_has_ten_lines(folder: Path) -> None:
    lines = (folder / "receptionist.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) == 10


def test_the_readmes_program_imports_the_agent_and_what_the_framework_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = ModuleType("videosdk.agents.plugins")
    for name in ("DeepgramSTT", "OpenAILLM", "SileroVAD", "SmallestAITTS", "TurnDetector"):
        setattr(plugins, name, object)
    monkeypatch.setitem(sys.modules, plugins.__name__, plugins)
    monkeypatch.syspath_prepend(folder)
    (folder / "readme_agent.py").write_text(block("WorkerJob("), encoding="utf-8")
    try:
        program = importlib.import_module("readme_agent")
        assert program.Receptionist("Be brief.").instructions.endswith("Be brief.")
    finally:
        for name in ("readme_agent", "receptionist"):
            sys.modules.pop(name, None)
