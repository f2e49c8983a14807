"""The table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import measures
from contestants import CONTESTANTS
from measures import Row, Spread

SPREADS = ("first audio", "gaps", "tail", "told after", "barge-in", "idle")
HEADINGS = ("", *SPREADS, "CPU/s", "x bare", "heard", "busy", "server", "late")
WIDTH = 118


def render(rows: Sequence[Row], facts: Iterable[str]) -> str:
    """All there is to say, as text."""
    lines = list(facts)
    for sessions in sorted({row.sessions for row in rows}):
        group = [row for row in rows if row.sessions == sessions]
        lines += ["", f"{sessions} session{'s' * (sessions != 1)}", *_grid(group), *_notes(group)]
    return "\n".join([*lines, "", _definitions()])


def _grid(group: Sequence[Row]) -> list[str]:
    bare = next((row.numbers.get("CPU/s") for row in group if row.contestant == "bare"), None)
    cells = [HEADINGS, *(_cells(row, bare) for row in group)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(_align(text, width, i) for i, (text, width) in enumerate(zip(row, widths, strict=True)))
             for row in cells]  # fmt: skip
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _align(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column else text.ljust(width)


def _cells(row: Row, bare: float | None) -> tuple[str, ...]:
    cpu = row.numbers.get("CPU/s")
    return (
        CONTESTANTS[row.contestant].label,
        *(_spread(row.spreads.get(name)) for name in SPREADS),
        f"{1000 * cpu:.2f}" if cpu else "-",
        f"{cpu / bare:.2f}" if cpu and bare else "-",
        *(
            f"{row.numbers[name]:.0%}" if name in row.numbers else "-"
            for name in ("heard", "client busy", "server busy")
        ),
        f"{1000 * row.numbers['late']:.0f}" if "late" in row.numbers else "-",
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if spread.median is None:
        return "failed"
    return f"{1000 * spread.median:.0f} / {1000 * spread.high:.0f}" + "*" * (spread.failed > 0)


def _notes(group: Sequence[Row]) -> list[str]:
    notes = []
    for row in group:
        label = CONTESTANTS[row.contestant].label
        failures = {name: spread.note for name, spread in row.spreads.items() if spread.failed}
        by_note: dict[str, list[str]] = {}
        for name, note in failures.items():
            by_note.setdefault(note, []).append(name)
        notes += [f"  {label}, {', '.join(names)}: {note}" for note, names in by_note.items()]
        if row.broken:
            notes.append(f"  {label}: failed: {row.broken}")
        if row.saturated:
            notes.append(
                f"  {label}: the {' and the '.join(row.saturated)} had no CPU left: its times are of overload"
            )
        if row.starved:
            notes.append(
                f"  {label}: other programs had the CPU: its times are theirs; run it on a machine at rest"
            )
    return [line for note in notes for line in textwrap.wrap(note, WIDTH, subsequent_indent="    ")]


def _definitions() -> str:
    return (measures.__doc__ or "").partition("\n\n")[2].rstrip()
