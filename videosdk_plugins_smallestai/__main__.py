"""``python -m videosdk_plugins_smallestai check``: find out what the service really does."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command line; ``None``: the process's.

    Returns:
        The command's exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m videosdk_plugins_smallestai",
        description="The emulator is started with `python -m videosdk_plugins_smallestai.emulator`.",
        add_help=False,
    )
    parser.add_argument("command", choices=["check"], help="ask the service what it really does")
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["-h"], ["--help"]):
        parser.print_help()
        return 0
    parser.parse_args(given[:1])
    from .check.cli import main as check  # imports aiohttp

    return check(given[1:])


if __name__ == "__main__":
    sys.exit(main())
