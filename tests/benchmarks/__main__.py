"""Measures this plugin beside others, on one server process, in one run; prints a table and draws it.

    python tests/benchmarks

It needs Python 3.11, pip, and about twenty minutes at its defaults; see ``--help`` for less. The contestants live
in environments of their own (``.ci-bench-*``), made at the first run. What is measured is said under the table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import report
import restart
from contestants import CONTESTANTS, OURS, SERVER, Contestant, NotReadyError, prepare
from measures import Row
from processes import Server, Worker, server
from progress import Progress
from script import SERVER_IDLE as SHORTENED

PYTHON = (3, 11)
LIMIT = 600.0
"""Seconds without a word from a contestant, after which it counts as hung."""

SERVER_IDLE = 60.0
"""Seconds after which the live server closes an idle connection."""


async def run(options: argparse.Namespace, progress: Progress) -> None:
    """Measure, and show."""
    chosen = [] if options.restart else [CONTESTANTS[name] for name in options.contestants]
    restarts = options.restart or ("ours" in options.contestants and not options.quick)
    here = Path(sys.executable)
    if not options.here:
        needed = [SERVER, *(contestant.environment for contestant in chosen), *([OURS] if restarts else [])]
        await prepare(list(dict.fromkeys(needed)), progress.say)
    rows: list[Row] = []
    restarted: str | None = None
    parts = len(options.sessions) * len(chosen) + restarts
    facts = [f"Load average before: {_load()}"]
    async with server(here if options.here else SERVER.python) as waves:
        facts.append(_about(waves))
        for number, (sessions, contestant) in enumerate((s, c) for s in options.sessions for c in chosen):
            progress.begin(
                number,
                parts,
                f"{contestant.label}, {sessions} session{'s' * (sessions > 1)}",
            )
            python = here if options.here else contestant.environment.python
            rows.append(await measure(contestant, sessions, python, waves, options, progress))
        if restarts:
            objects = max(options.sessions)
            progress.begin(parts - 1, parts, f"a service that restarts, {objects} object{'s' * (objects > 1)}")
            python = here if options.here else OURS.python
            restarted = await _restart(objects, python, waves, progress)
    progress.end()
    facts.append(f"Load average after: {_load()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    facts += report.versions(rows)
    print(report.text(rows, facts) if rows else "\n".join(facts))
    if restarted is not None:
        print(f"\n{restarted}")
    if rows:
        await report.picture(rows, options.output, here if options.here else SERVER.python, progress.say)


async def measure(
    contestant: Contestant,
    sessions: int,
    python: Path,
    waves: Server,
    options: argparse.Namespace,
    progress: Progress,
) -> Row:
    """Measure one contestant at one number of sessions. What goes wrong is part of the result."""
    row = Row(contestant.name, sessions)
    await waves.ask(idle_timeout=SERVER_IDLE)  # the one before has left it shortened
    length = "quick" if options.quick else "full"
    async with Worker(python, "client.py", contestant.driver, waves.base_url, str(sessions), length) as client:
        try:
            await _follow(client, row, waves, progress)
        except EOFError as error:
            row.broken = str(error)
        except TimeoutError:
            row.broken = f"it said nothing for {LIMIT:.0f} s"
    return row


async def _follow(client: Worker, row: Row, waves: Server, progress: Progress) -> None:
    before = (0.0, 0.0)
    part = "opening"
    while True:
        async with asyncio.timeout(LIMIT):
            told = await client.hear()
        if "ready" in told:
            part = told["ready"]
            before = await waves.ask(idle_timeout=SHORTENED if part == "idle" else SERVER_IDLE)
            await client.tell({})
        elif "result" in told:
            cpu, wall = await waves.ask()
            row.take(told, (cpu - before[0]) / (wall - before[1]))
        elif "progress" in told:
            progress.step(part, *told["progress"])
        elif "versions" in told:
            row.versions = told["versions"]
        elif "finished" in told:
            return


async def _restart(objects: int, python: Path, waves: Server, progress: Progress) -> str:
    try:
        return (await restart.measure(python, waves, objects, progress.step)).text()
    except (EOFError, TimeoutError) as error:
        return f"A service that restarts: failed: {str(error) or f'nothing was said for {restart.LIMIT:.0f} s'}"


def _load() -> str:
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _about(waves: Server) -> str:
    pace = waves.facts["pace"]
    return (
        f"Server: one process of the emulator; first audio after {pace['first_audio']:g} s, then "
        f"{pace['real_time_factor']:g} s of audio a second in chunks of {pace['chunk']:g} s; "
        f"a handshake takes {waves.facts['handshake']:g} s."
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks",
        description="First audio, gaps, tail, barge-in, idle, CPU of this plugin and others: a table, a picture.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--sessions", type=_count, nargs="+", default=[1, 100, 500], help="calls at the same time")
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="who is measured"
    )
    parser.add_argument("--quick", action="store_true", help="one reply each: a look, not a measurement")
    parser.add_argument(
        "--restart",
        action="store_true",
        help="only the restart of the service, under as many objects as the largest of --sessions: it is a part "
        "of each run with `ours` that is not --quick",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks.png"), help="the picture")
    parser.add_argument(
        "--here", action="store_true", help="make no environments, use this one: only for bare, ours and unified"
    )
    options = parser.parse_args(arguments)
    strangers = [name for name in options.contestants if CONTESTANTS[name].environment is not OURS]
    if options.here and strangers and not options.restart:
        parser.error(f"--here cannot run {', '.join(strangers)}: add `--contestants bare ours unified`")
    if not options.output.resolve().parent.is_dir():
        parser.error(f"there is no folder {options.output.resolve().parent}: make it, or choose another --output")
    return options


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 2000:
        raise argparse.ArgumentTypeError(f"{value} sessions: choose 1 to 2000")
    return value


async def main() -> int:
    options = parse(None)
    progress = Progress(sys.stderr, time.monotonic)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await run(options, progress)
    except NotReadyError as error:
        progress.end()
        print(error, file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        progress.end()
        print("Stopped. Nothing was measured to the end; run it again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    if sys.version_info < PYTHON:
        sys.exit(f"This is Python {platform.python_version()}: run it with Python 3.11 or newer")
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))
    sys.exit(130)
