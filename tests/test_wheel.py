"""What is installed: the same program, smaller."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from slim_wheel import DOCUMENTED, PACKAGE, program, slim

ROOT = Path(__file__).parent.parent
SIZE_LIMIT = 200_000
"""Bytes of the plugin itself, as it is installed: without the emulator and the package's metadata."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the wheel, by their names in it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as file:
        return {name: file.read(name) for name in file.namelist()}


def modules() -> list[str]:
    return [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*.py")
        if "_namespace" not in str(path)
    ]


def test_the_wheel_has_every_module_and_each_is_the_same_program(wheel: dict[str, bytes]) -> None:
    for name in modules():
        assert program(wheel[name].decode()) == program((ROOT / name).read_text(encoding="utf-8")), name


def test_what_users_import_and_the_emulator_are_installed_as_they_are(wheel: dict[str, bytes]) -> None:
    kept = [name for name in modules() if Path(name).name in DOCUMENTED or "emulator" in name]
    assert f"{PACKAGE}/tts.py" in kept
    for name in kept:
        assert wheel[name] == (ROOT / name).read_bytes(), name


def test_the_plugin_itself_is_small(wheel: dict[str, bytes]) -> None:
    plugin = [name for name in wheel if ".dist-info/" not in name and "/emulator/" not in name]
    assert 0 < sum(len(wheel[name]) for name in plugin) < SIZE_LIMIT


def test_a_slim_module_has_no_text_but_what_it_computes_with() -> None:
    source = '''"""A module."""

LIMIT = 2  # why
"""What it limits."""


class Refused(Exception):
    """Said no."""


def double(number: int) -> int:
    """Twice # that.

    Args:
        number: Any.
    """
    return len("# " * LIMIT * number)  # type: ignore
'''
    result = slim(source)
    assert [line for line in result.splitlines() if line] == [
        "LIMIT = 2",
        "class Refused(Exception):",
        "    ...",
        "def double(number: int) -> int:",
        '    return len("# " * LIMIT * number)  # type: ignore',
    ]
    assert len(result.splitlines()) == len(source.splitlines())
    assert ast.parse(result)


def test_what_cannot_be_made_slim_fails_the_build() -> None:
    with pytest.raises(ValueError, match="shares its line"):
        slim('LIMIT = 2; """What it limits."""\n')
