"""The report: a table for people, and JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from ..version import __version__
from .probes import PROBES
from .run import Row

__all__ = ["as_json", "exit_code", "summary", "table"]

NARROWEST = 100
"""Characters of the table's width at least: below that its columns would hold single words."""

_DOES = {probe.name: probe.does for probe in PROBES}


def table(rows: Sequence[Row], width: int) -> str:
    """What was assumed and seen, and what the plugin does about it.

    Args:
        rows: What came of each question.
        width: In characters.
    """
    heads = ("question", "verdict", "assumed", "seen", "what the plugin does about it")
    cells = [(row.name, row.verdict, row.assumed, row.seen, _about(row)) for row in rows]
    widths = [max([len(head), *(len(cell[i]) for cell in cells)]) for i, head in enumerate(heads[:3])]
    rest = max(NARROWEST, width) - sum(widths) - 2 * len(widths)
    widths += [rest // 2 - 2, rest - rest // 2]
    return "\n".join(_line(cell, widths) for cell in [heads, tuple("-" * width for width in widths), *cells])


def summary(rows: Sequence[Row]) -> str:
    """How many of each verdict there are."""
    counts = Counter(row.verdict for row in rows)
    parts = (
        f"{counts['as assumed']} as assumed",
        f"{counts['copes']} differ and the plugin copes",
        f"{counts['fails']} do not work",
        f"{counts['unknown']} could not be seen",
    )
    return ", ".join(parts) + "."


def as_json(rows: Sequence[Row]) -> str:
    """The report as JSON."""
    return json.dumps({"version": __version__, "probes": [asdict(row) for row in rows]}, indent=2) + "\n"


def exit_code(rows: Sequence[Row]) -> int:
    """0 where all is as assumed, 3 where the plugin copes with a difference, 1 where something does not work."""
    verdicts = {row.verdict for row in rows}
    return 1 if "fails" in verdicts else 3 if "copes" in verdicts else 0


def _about(row: Row) -> str:
    return _DOES[row.name] if row.verdict in ("copes", "fails") else ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    columns = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    )
