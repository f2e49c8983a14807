"""LaTeX as it is spoken."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["spoken_formula"]

_BRACES = r"\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
_SYMBOLS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠", "approx": "≈", "infty": "∞", "to": "→", "circ": "°", "quad": " ", "left": "", "right": "",
}  # fmt: skip


def spoken_formula(formula: str) -> str:
    r"""`1/2` for `\frac{1}{2}`; powers and indices as they are written, other commands without the backslash."""
    for pattern, spoken in _LATEX:
        formula = pattern.sub(spoken, formula)
    return " ".join(formula.replace("{", "").replace("}", "").split())


def _root(found: re.Match[str]) -> str:
    return "√" + _grouped(found[1])


def _fraction(found: re.Match[str]) -> str:
    return f"{_grouped(found[1])}/{_grouped(found[2])}"


def _grouped(part: str) -> str:
    return f"({part})" if re.search(r"\s", part) else part


def _symbol(found: re.Match[str]) -> str:
    return _SYMBOLS.get(found[1], found[1])


_LATEX: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\\sqrt" + _BRACES), _root),
    (re.compile(r"\\[dt]?frac" + _BRACES * 2), _fraction),
    (re.compile(r"\\[dt]?frac" + _BRACES * 2), _fraction),  # that had one in it
    (re.compile(r"\\(?:text|mathrm|mathbf|mathit|operatorname|boxed)" + _BRACES), lambda found: found[1]),
    (re.compile(r"\\([A-Za-z]+)"), _symbol),
    (re.compile(r"\\[^A-Za-z]"), lambda _: " "),  # spaces of a certain width
)
