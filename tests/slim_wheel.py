"""Leaves out of the wheel what only readers of the source need: comments, and docstrings of what nobody imports.

That is a quarter of the plugin. Lines keep their numbers, so that a traceback from an installed plugin fits the
repository; the source distribution, an editable install and the emulator stay as they are. Called by hatchling, see
pyproject.toml.
"""

from __future__ import annotations

import ast
import io
import tempfile
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "videosdk_plugins_smallestai"

DOCUMENTED = {"__init__.py", "errors.py", "models.py", "pytest_plugin.py", "tts.py", "version.py", "voices.py"}
"""Modules that users import from: editors show their docstrings."""

FOR_TOOLS = ("# type:", "# noqa")
"""How comments begin that are none."""


class SlimWheel(BuildHookInterface):  # type: ignore[misc]
    """Puts slim copies in the place of the modules."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the build: an editable install is the checkout itself."""
        self._folder = tempfile.TemporaryDirectory()
        if version == "editable":
            return
        for module in sorted((Path(self.root) / PACKAGE).glob("*.py")):
            if module.name not in DOCUMENTED:
                copy = Path(self._folder.name) / module.name
                copy.write_text(slim(module.read_text(encoding="utf-8")), encoding="utf-8")
                build_data["force_include"][str(copy)] = f"{PACKAGE}/{module.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After the build."""
        self._folder.cleanup()


def slim(source: str) -> str:
    """A module without comments and docstrings, those of constants included, each statement on its old line.

    Raises:
        ValueError: The result would not be the same program.
    """
    lines = source.splitlines()
    for row, column in _comments(source):
        lines[row] = lines[row][:column]
    for text, needs_body in _texts(ast.parse(source)):
        first, last = text.lineno - 1, (text.end_lineno or text.lineno) - 1
        lines[first : last + 1] = [""] * (last + 1 - first)
        if needs_body:
            lines[first] = " " * text.col_offset + "..."
    result = "\n".join(line.rstrip() for line in lines) + "\n"
    if program(result) != program(source):
        raise ValueError("a module cannot be made slim: a docstring shares its line with something else")
    return result


def program(source: str) -> str:
    """What a module does, and where each part of it begins; docstrings and ``...`` left out."""
    tree = ast.parse(source)
    for body in _bodies(tree):
        body[:] = [statement for statement in body if not _is_constant(statement, str, type(...))]
    for node in ast.walk(tree):
        if hasattr(node, "end_lineno"):
            node.end_lineno = node.end_col_offset = None  # type: ignore[attr-defined]
    return ast.dump(tree, include_attributes=True)


def _comments(source: str) -> Iterator[tuple[int, int]]:
    """Where comments begin: line and column, from 0."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(FOR_TOOLS):
            yield token.start[0] - 1, token.start[1]


def _texts(tree: ast.AST) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements that are mere texts, and whether something has to stand there so that a body is not empty."""
    for body in _bodies(tree):
        for statement in body:
            if _is_constant(statement, str):
                yield statement, statement is body[-1] and all(_is_constant(other, str) for other in body)


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield body


def _is_constant(statement: ast.stmt, *types: type) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, types)
    )
