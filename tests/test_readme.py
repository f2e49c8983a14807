"""The README's agent, and its tests there and in the emulator's guide: in an empty folder, as a user has them, and
faster in this process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videosdk_plugins_smallestai.emulator import WavesEmulator

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = ROOT / "videosdk_plugins_smallestai" / "emulator" / "README.md"


def block(page: Path, part: str) -> str:
    """The page's Python with this in it."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (code for code in blocks if part in code)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's: the agent, its tests, and the opt-in to the fixture."""
    (tmp_path / "receptionist.py").write_text(block(README, "class Receptionist"), encoding="utf-8")
    (tmp_path / "test_receptionist.py").write_text(block(README, "import call"), encoding="utf-8")
    (tmp_path / "test_service_down.py").write_text(block(GUIDE, "import call"), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(block(GUIDE, "pytest_plugins"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("receptionist", None)


@pytest.mark.slow
def test_in_an_empty_folder_the_tests_of_the_readmes_agent_pass(folder: Path) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, check=False, timeout=100, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def the_agents_tests() -> list[tuple[Path, str]]:
    return [
        (page, name)
        for page in (README, GUIDE)
        for name in re.findall(r"async def (test_\w+)", block(page, "import call"))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name"), the_agents_tests(), ids=[name for _, name in the_agents_tests()])
async def test_the_tests_of_the_readmes_agent_pass(
    folder: Path, waves_emulator: WavesEmulator, page: Path, name: str
) -> None:
    names: dict[str, Any] = {}
    exec(compile(block(page, "import call"), str(page), "exec"), names)
    test = names[name]
    await (test(waves_emulator) if test.__code__.co_argcount else test())


def test_the_readmes_agent_has_ten_lines() -> None:
    assert len([line for line in block(README, "class Receptionist").splitlines() if line.strip()]) == 10
