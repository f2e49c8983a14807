"""What is shown at the end: the text, and the picture."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import table
from contestants import CONTESTANTS
from measures import Row
from processes import HERE


def versions(rows: Sequence[Row]) -> list[str]:
    """A line about each environment."""
    told: dict[str, None] = {}
    for row in rows:
        packages = ", ".join(f"{name} {version}" for name, version in row.versions.items())
        told[f"{CONTESTANTS[row.contestant].environment.name}: {packages}"] = None
    return [f"Environment {line}" for line in told]


def text(rows: Sequence[Row], facts: Sequence[str]) -> str:
    """The table with its header and its definitions."""
    return table.render(rows, facts)


async def picture(rows: Sequence[Row], path: Path, python: Path, say: Callable[[str], None]) -> None:
    """Draw the picture, in an environment that has matplotlib."""
    names = list(dict.fromkeys(row.contestant for row in rows))
    told = {
        "title": "Server: the emulator, on the loopback.",
        "counts": sorted({row.sessions for row in rows}),
        "labels": {name: CONTESTANTS[name].label for name in names},
        "values": {key: value for row in rows for key, value in _values(row).items()},
    }
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(HERE / "drawing.py"),
        str(path.resolve()),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, err = await process.communicate(json.dumps(told).encode())
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode == 0:
        say(f"the picture is {path}")
    else:
        reason = (err.decode(errors="replace").strip().splitlines() or ["no reason told"])[-1]
        say(f"no picture: {reason}. Install matplotlib for {python}, or run it without --here")


def _values(row: Row) -> dict[str, tuple[float, float]]:
    """In ms, by contestant, sessions and measure; what failed is left out."""
    key = f"{row.contestant} {row.sessions}"
    found = {
        f"{key} {name}": (1000 * spread.median, 1000 * spread.high)
        for name, spread in row.spreads.items()
        if spread.median is not None
    }
    if "CPU/s" in row.numbers:
        found[f"{key} CPU/s"] = (1000 * row.numbers["CPU/s"],) * 2
    return found
