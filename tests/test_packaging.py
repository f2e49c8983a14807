"""What a user finds: names, arguments, the README."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import videosdk_plugins_smallestai as package
from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SAY = "examples/say.py 'Hello from VideoSDK. Your total is $1,299.50 at 10:30.'"

SIXTEEN = {
    "api_key": None,
    "model": "lightning-v3.1",
    "voice_id": "magnus",
    "language": "en",
    "sample_rate": 24000,
    "speed": 1.0,
    "consistency": 0.5,
    "similarity": 0.0,
    "enhancement": 1.0,
    "sentence_streaming": True,
    "base_url": "https://api.smallest.ai/waves/v1",
    "timeout": 30.0,
    "enable_streaming": True,
    "max_connection_age_sec": 300.0,
    "complete_backoff_ms": 0,
    "max_buffer_flush_ms": 0,
}


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def argument_table() -> dict[str, str]:
    """Argument to default, as the README's tables have them."""
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", README, re.MULTILINE))


def constructor() -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(SmallestAITTS).parameters)


def test_the_constructor_begins_with_the_sixteen_arguments_and_their_defaults() -> None:
    first = list(constructor().values())[: len(SIXTEEN)]
    assert [(p.name, p.default) for p in first] == list(SIXTEEN.items())
    for parameter, default in zip(first, SIXTEEN.values(), strict=True):
        assert type(parameter.default) is type(default)  # 0 == 0.0 == False


def test_every_argument_is_a_keyword_with_a_default() -> None:
    for parameter in constructor().values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


@pytest.mark.parametrize(
    "path", ["videosdk.plugins.smallestai", "videosdk.plugins.smallestai.tts", "videosdk.agents.plugins"]
)
def test_each_import_path_leads_to_the_same_class(path: str) -> None:
    assert importlib.import_module(path).SmallestAITTS is SmallestAITTS


def test_the_package_exports_what_it_says() -> None:
    assert {"SmallestAITTS", "SmallestAIModel", "SmallestAIError", "__version__"} <= set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_every_error_is_exported_and_is_a_smallest_ai_error() -> None:
    from videosdk_plugins_smallestai import errors

    for name in errors.__all__:
        assert getattr(package, name) is getattr(errors, name)
        assert issubclass(getattr(package, name), package.SmallestAIError)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'SmallestAISTT'"):
        package.SmallestAISTT  # noqa: B018


def test_importing_the_package_or_the_emulator_does_not_import_the_framework() -> None:
    code = (
        "import sys, videosdk_plugins_smallestai.emulator\n"
        "sys.exit('videosdk' in sys.modules or 'videosdk.agents' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_installed_version_satisfies_a_requirement_on_the_plugin_it_replaces() -> None:
    version = importlib.metadata.version("videosdk-plugins-smallestai")
    assert version == package.__version__
    assert tuple(int(part) for part in version.split(".")) > (1, 0, 30)


def test_at_run_time_only_aiohttp_and_the_framework_are_required() -> None:
    required = importlib.metadata.requires("videosdk-plugins-smallestai") or []
    always = {requirement.replace(" ", "") for requirement in required if "extra ==" not in requirement}
    assert always == {"aiohttp>=3.11", "videosdk-agents>=1.0.30"}


def test_the_readme_has_the_two_commands_each_with_its_own_set_up() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3.11 -m venv .venv && ")]
    say, test = commands
    assert SAY in say
    assert "-m pytest" in test


def test_the_readme_describes_every_constructor_argument_with_its_default() -> None:
    table = argument_table()
    for name, parameter in constructor().items():
        assert name in table, f"the README has no row for {name}"
        default = str(parameter.default) if name == "base_url" else repr(parameter.default).replace("'", '"')
        assert table[name] == f"`{default}`"


def test_the_readme_names_every_error() -> None:
    from videosdk_plugins_smallestai import errors

    assert [name for name in errors.__all__ if name not in README] == []


@pytest.mark.parametrize("block", python_blocks())
def test_the_readmes_python_is_valid_and_its_imports_exist(block: str) -> None:
    tree = compile(block, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            names = {alias.name for alias in node.names}
            # The framework lists the plugins that it knows; the others are not installed here.
            assert names <= set(dir(module)) | set(getattr(module, "__all__", ()))


async def test_the_readmes_offline_tests_of_an_agent_pass(waves_emulator: WavesEmulator) -> None:
    (block,) = (block for block in python_blocks() if "async def test_" in block)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await test(waves_emulator)
