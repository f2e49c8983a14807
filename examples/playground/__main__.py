"""A page to try the voices on: speak, see each word lit, interrupt, break things, and see what happened.

    python examples/playground

The page is served to this machine only. The voice comes from the service if SMALLEST_API_KEY is set, and else from
the emulator, whose faults are buttons on the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # where _shared.py is

import _ctrl_c  # noqa: F401  # isort: skip # first: what follows takes seconds
import argparse
import asyncio

from _shared import CannotSayError, run
from aiohttp import web
from server import make_app

HOST = "127.0.0.1"
PORT = 8770


async def serve(port: int) -> str:
    """Serve the page until Ctrl-C."""
    runner = web.AppRunner(make_app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        print(f"Playground: http://{HOST}:{runner.addresses[0][1]}/\nCtrl-C stops it.", flush=True)
        await asyncio.Event().wait()
    except OSError as error:
        raise CannotSayError(
            f"cannot serve on port {port}: {error.strerror}. Choose another with --port"
        ) from error
    finally:
        await runner.cleanup()
    return ""


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    command = argparse.ArgumentParser(prog="playground", description="A page to try the voices on.")
    command.add_argument("--port", type=_port, default=PORT, help="0 picks a free one; default: %(default)s")
    command.add_argument("--verbose", action="store_true", help="show what the framework and the plugin log")
    options = command.parse_args(argv)
    return run("playground", lambda: serve(options.port), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
