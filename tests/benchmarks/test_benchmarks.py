"""The benchmark runs. What it measures is nobody's business here: no time is asserted."""

from __future__ import annotations

import importlib
import re
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


def test_objects_dial_seldom_and_emit_no_error_while_the_service_restarts() -> None:
    ran = benchmark("--restart", "--here", "--sessions", "20")
    assert ran.returncode == 0, ran.stderr
    figures = {line[2:40].rstrip(): line[42:] for line in ran.stdout.splitlines() if line.startswith("  ")}
    dials = figures["handshakes an object in its first 10 s"]
    # A busy machine makes the waits between two handshakes longer, never shorter.
    assert re.match(r"median [1-3], largest [1-3] +at most 3: met$", dials), ran.stdout
    assert re.match(r"0 +none: met$", figures['"error" events']), ran.stdout
    assert re.match(r"\d+\.\d s +within 15 s: ", figures["all warm again after its return"]), ran.stdout
    assert re.match(r"\d+ of \d+ +evenly: ", figures["most handshakes in any 0.1 s"]), ran.stdout
    assert "1 of 1: a service that restarts, 20 objects" in ran.stderr, "progress is shown"


def test_a_bound_that_a_restart_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    restart = importlib.import_module("restart")
    storm = [[0.20, 0.25, 0.29, 0.31, 10.0], [0.28, 5.0]]  # of one object, and of another
    text = restart.Restart(storm, ["gone"], first_wait=0.5, warm_after=None, warm=1).text()
    assert re.search(r"median 3, largest 4 +at most 3: NOT MET", text)
    assert re.search(r"any 0.1 s +4 of 6 +evenly: 0 of all over 10 s, 0 of the first ones over 0.5 s", text)
    assert re.search(r"1 of 2 after 60 s +within 15 s: NOT MET", text)
    assert re.search(r"\"error\" events +1 +none: NOT MET\n    gone\n", text)
    assert "within 15 s: NOT MET" in restart.Restart([[0.2]], [], first_wait=0.5, warm_after=15.1, warm=1).text()


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
