"""The emulator's guide: what it lists is all there is, and its tests of an agent pass."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from videosdk_plugins_smallestai import emulator
from videosdk_plugins_smallestai.emulator import Fault, Live, WavesEmulator, tone
from videosdk_plugins_smallestai.emulator.settings import Settings

GUIDE = (Path(emulator.__file__).parent / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = GUIDE.partition(f"# {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


FACTORIES = {"retired": "{}", "live": "Live()"}


@pytest.mark.parametrize(("heading", "kind"), [("Settings", Settings), ("Lightning v4", Live)])
def test_the_guide_lists_each_setting_with_its_default(heading: str, kind: type) -> None:
    told: dict[str, str] = {}
    for names, defaults, *_ in rows(heading):
        # A cell of several settings has a default for each; a default may itself be a tuple.
        cells = [cell.replace("`", "") for cell in (names, defaults)]
        told |= zip(*(cell.split(", ") if "`, `" in names else [cell] for cell in cells), strict=True)
    actual = {
        field.name: FACTORIES.get(field.name, repr(field.default).replace("'", '"'))
        for field in dataclasses.fields(kind)
    }
    assert told == actual


def test_the_guide_lists_each_fault() -> None:
    told = {re.match(r"`(\w+)", fault)[1] for fault, *_ in rows("Faults")}  # type: ignore[index]
    assert told == {kind.__name__ for kind in typing.get_args(Fault)}


def block(part: str) -> dict[str, typing.Any]:
    """What the guide's Python with this in it defines."""
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if part in code)
    names: dict[str, typing.Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


async def test_the_guides_first_program_is_heard() -> None:
    assert tone("Hello! How can I help you?") in await block("def hello")["hello"]()


async def test_the_guides_tests_of_the_voice_alone_pass(waves_emulator: WavesEmulator) -> None:
    tests = [value for name, value in block("import CustomAudioStreamTrack").items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await test(waves_emulator)
