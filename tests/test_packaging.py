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

import pytest

import videosdk_plugins_smallestai as package
from videosdk_plugins_smallestai import SmallestAITTS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
READMES = {
    name: ROOT / folder / "README.md"
    for name, folder in {
        "the user's": "",
        "the package's": "videosdk_plugins_smallestai",
        "the emulator's": "videosdk_plugins_smallestai/emulator",
        "the check's": "videosdk_plugins_smallestai/check",
        "the examples'": "examples",
        "the comparison's": "tests/comparison",
        "the benchmarks'": "tests/benchmarks",
    }.items()
}
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


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the README."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def constructor() -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(SmallestAITTS).parameters)


def test_the_constructor_begins_with_the_sixteen_arguments_and_their_defaults() -> None:
    first = list(constructor().values())[: len(SIXTEEN)]
    assert [(p.name, repr(p.default)) for p in first] == [  # 0 == 0.0 == False
        (name, repr(default)) for name, default in SIXTEEN.items()
    ]


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


def test_the_readmes_table_tells_the_true_defaults_of_ten_arguments() -> None:
    told = [(name, default) for name, default, _ in rows("Arguments")]
    assert len(told) == 10
    for name, default in told:
        actual = constructor()[name.strip("`")].default
        shown = str(actual) if name == "`base_url`" else repr(actual).replace("'", '"')
        assert default == f"`{shown}`", name


def test_the_docstring_of_the_class_describes_every_argument_in_order() -> None:
    arguments = (inspect.getdoc(SmallestAITTS.__init__) or "").partition("Args:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+): \S", arguments, re.MULTILINE) == list(constructor())


def test_the_readmes_table_lists_each_error_and_whether_it_is_retryable() -> None:
    from videosdk_plugins_smallestai import errors

    told = {name.strip("`"): retryable for name, _, retryable in rows("Errors and fallback")}
    actual = {
        name: "yes" if getattr(errors, name)("").retryable else "no"
        for name in errors.__all__
        if name != "SmallestAIError"
    }
    assert told == actual


def test_the_readmes_line_for_a_dockerfile_installs_the_wheel_of_this_version() -> None:
    wheels = set(re.findall(r"videosdk_plugins_smallestai-[^ ]+\.whl", README))
    assert wheels == {f"videosdk_plugins_smallestai-{package.__version__}-py3-none-any.whl"}


def headings(page: Path) -> set[str]:
    """What a link to a part of the page can name."""
    lines = page.read_text(encoding="utf-8").splitlines()
    titles = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("readme", READMES)
def test_what_a_readme_links_to_exists(readme: str) -> None:
    page = READMES[readme]
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in (link for link in links if not link.startswith("http")):
        target, _, part = link.partition("#")
        linked = page.parent / target if target else page
        assert linked.exists(), link
        assert not part or part in headings(linked), link


def test_each_other_readme_is_linked_to_from_the_users_or_the_packages() -> None:
    linked = {
        (READMES[name].parent / link.partition("#")[0]).resolve()
        for name in ("the user's", "the package's")
        for link in re.findall(r"\]\(([^)\s]+)\)", READMES[name].read_text(encoding="utf-8"))
    }
    assert {page.resolve() for name, page in READMES.items() if name != "the user's"} <= linked


def test_the_examples_readme_lists_each_example() -> None:
    text = READMES["the examples'"].read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([\w.]+)", text, re.MULTILINE)) - {".venv"}
    folder = ROOT / "examples"
    assert told == {file.name for file in folder.glob("[!_]*.py")} | {"playground"}


def test_the_packages_readme_names_modules_and_functions_that_exist() -> None:
    text = (ROOT / "videosdk_plugins_smallestai" / "README.md").read_text(encoding="utf-8")
    table = text.partition("\n## Where do I find")[2].partition("\n## ")[0]
    named = [cell for line in table.splitlines()[4:] for cell in line.split(" | ")[1:]]
    assert len(named) >= 15
    for cell in named:
        modules = re.findall(r"`([a-z_/]+\.py)`", cell)
        assert modules, cell
        source = "".join(
            (ROOT / "videosdk_plugins_smallestai" / module).read_text(encoding="utf-8") for module in modules
        )
        for name in re.findall(r"`([\w.]+)(?:\(\))?`", re.sub(r"`[a-z_/]+\.py`", "", cell)):
            for part in name.split("."):
                assert re.search(rf"\b(def|class) {part}\b|\b{part}\(", source), f"{part} in {modules}"


@pytest.mark.parametrize("block", python_blocks())
def test_the_readmes_python_is_valid_and_its_imports_exist(block: str) -> None:
    tree = compile(block, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module not in (None, "receptionist"):  # the README's own
            module = importlib.import_module(node.module)
            names = {alias.name for alias in node.names}
            # The framework lists the plugins that it knows; the others are not installed here.
            assert names <= set(dir(module)) | set(getattr(module, "__all__", ()))
