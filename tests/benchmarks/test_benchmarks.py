"""The benchmark runs. What it measures is nobody's business here: no time is asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LIMIT = 100
"""Seconds until it counts as hung; pytest's own limit comes after."""


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this environment."""
    return subprocess.run(
        [sys.executable, str(Path(__file__).parent), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_a_quick_run_prints_a_row_for_each_contestant(tmp_path: Path) -> None:
    ran = benchmark(
        "--here", "--quick", "--sessions", "1", "--contestants", "bare", "ours", "-o", str(tmp_path / "drawn.png")
    )
    assert ran.returncode == 0, ran.stderr
    table, _, definitions = ran.stdout.partition("What is measured")
    rows = [line for line in table.splitlines() if line.startswith(("bare loop", "this plugin"))]
    assert len(rows) == 2, ran.stdout
    assert "failed" not in table, ran.stdout
    assert "first audio" in definitions
    assert " 100%" in rows[0], "what there was to hear was heard"
    assert " 100%" in rows[1], "what there was to hear was heard"
    assert "1 of 2: bare loop" in ran.stderr, "progress is shown"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--here"], "--contestants bare ours"),
        (["--sessions", "0"], "choose 1 to 2000"),
        (["-o", "no/such/folder/drawn.png"], "choose another --output"),
    ],
    ids=["a stranger in this environment", "no session", "no folder"],
)
def test_what_is_refused_says_what_to_do(arguments: list[str], advice: str) -> None:
    ran = benchmark(*arguments)
    assert ran.returncode == 2
    assert advice in ran.stderr
