"""The command ``check``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from ..timing import Timing
from ..transport.session import Session, find_key
from . import report
from .probes import PROBES, Probe
from .run import Row, bench, characters, run

__all__ = ["main"]

BASE_URL = "https://api.smallest.ai/waves/v1"

NOT_RUN = 2
"""Exit code of wrong arguments, as argparse has it, and of a run that was not wanted."""

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    """Ask the service, and report.

    Args:
        arguments: Command line; ``None``: the process's.

    Returns:
        The exit code: 0 where all is as assumed, 3 where the plugin copes with a difference, 1 where something does
        not work; 2 where nothing was asked, 130 after Ctrl-C.
    """
    options = _parse(arguments)
    probes = [probe for probe in PROBES if not options.only or probe.name in options.only]
    try:
        key = find_key(None)
        Session(options.base_url, key, Timing())  # refuses a wrong address, and warns of one that is not encrypted
        told = f"up to {characters(probes)} characters of speech in all, on your account"
        print(f"{len(probes)} questions to {options.base_url}: {told}.", file=sys.stderr)
        if not (options.yes or _agreed()):
            print("Nothing was asked.", file=sys.stderr)
            return NOT_RUN
        # What the plugin warns of is what is asked here.
        logging.getLogger("videosdk_plugins_smallestai").setLevel(logging.CRITICAL)
        return _check(options, key, probes)
    except (ValueError, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return NOT_RUN
    except KeyboardInterrupt:
        return STOPPED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m videosdk_plugins_smallestai check",
        description="Find out what the service really does for your account, and what the plugin does about it. "
        "The key is that of the environment variable SMALLEST_API_KEY.",
        epilog="Exit code: 0 all is as assumed, 3 the plugin copes with a difference, 1 something does not work.",
    )
    parser.add_argument("--base-url", default=BASE_URL, help="another address of the service")
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=[probe.name for probe in PROBES],
        help="ask this question; may be repeated: " + ", ".join(probe.name for probe in PROBES),
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask before something is spoken")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the result as JSON")
    parser.add_argument(
        "--record", metavar="FILE", type=Path, help="keep every frame, for WavesEmulator(replay=FILE)"
    )
    parser.add_argument("--no-audio", action="store_true", help="keep the length and hash of audio instead of it")
    return parser.parse_args(arguments)


def _agreed() -> bool:
    try:
        return input("Ask them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _check(options: argparse.Namespace, key: str, probes: Sequence[Probe]) -> int:
    rows: list[Row] = []
    with ExitStack() as stack:
        record = stack.enter_context(options.record.open("w", encoding="utf-8")) if options.record else None
        _save(options.report, rows)  # before anything is spoken: it may not be writable
        try:
            asyncio.run(_ask_all(options, key, probes, record, rows))
            code = report.exit_code(rows)
        except KeyboardInterrupt:
            print("\nStopped. This is what was found:", file=sys.stderr)
            code = STOPPED
    print(report.table(rows, shutil.get_terminal_size((140, 24)).columns))
    print(report.summary(rows))
    if len(rows) < len(probes):
        print(f"{len(probes) - len(rows)} of {len(probes)} questions were not asked.")
    return code


async def _ask_all(
    options: argparse.Namespace, key: str, probes: Sequence[Probe], record: TextIO | None, rows: list[Row]
) -> None:
    def tell(probe: Probe) -> None:
        print(f"[{len(rows) + 1}/{len(probes)}] {probe.question} ", end="", file=sys.stderr, flush=True)

    async with bench(options.base_url, key, record, audio=not options.no_audio) as on:
        async for row in run(on, probes, tell):
            rows.append(row)
            print(f"{row.seen} ({row.verdict}, {row.seconds:.1f} s)", file=sys.stderr)
            _save(options.report, rows)


def _save(file: Path | None, rows: Sequence[Row]) -> None:
    if file is not None:
        file.write_text(report.as_json(rows), encoding="utf-8")
