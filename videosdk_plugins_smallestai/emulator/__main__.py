"""``python -m videosdk_plugins_smallestai.emulator``: a Waves server to develop against."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Literal

from .server import WavesEmulator
from .speech import VoiceUnavailable


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        arguments: Command line; ``None``: the process's.

    Returns:
        The exit status: 0, or 1 where it cannot serve.
    """
    waves = _emulator(arguments)
    try:
        asyncio.run(_serve(waves))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        reason = error.strerror or error
        print(f"Cannot listen on {waves.host}:{waves.port}: {reason}", file=sys.stderr)
        return 1
    except VoiceUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(waves: WavesEmulator) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows: Ctrl-C arrives as a KeyboardInterrupt.
            break
    async with waves:
        print(f"Waves emulator: {waves.base_url}")
        print(f'Use it with:    SmallestAITTS(base_url="{waves.base_url}", api_key="sk_anything")')
        print("Ctrl-C stops it.", flush=True)
        await stopped.wait()


def _emulator(arguments: list[str] | None) -> WavesEmulator:
    parser = argparse.ArgumentParser(
        prog="python -m videosdk_plugins_smallestai.emulator",
        description="A local Waves server: the protocol of Smallest AI's speech API, with an eSpeak NG voice.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="TCP port; 0 picks a free one")
    parser.add_argument("--voice", choices=("speech", "tone"), default="speech", help="what is heard")
    parser.add_argument("--first-audio", type=float, default=0.2, help="seconds to a request's first chunk")
    parser.add_argument("--real-time-factor", type=float, default=3.3, help="seconds of audio a second")
    parser.add_argument("--chunk", type=float, default=0.1, help="seconds of audio in a chunk")
    parser.add_argument("--serving", choices=("serial", "interleaved"), default="serial", help="of requests")
    parser.add_argument("--concurrency", type=int, default=None, help="requests in progress for each key")
    parser.add_argument(
        "--complete", type=_complete, default="asked", help="seconds to `complete`, `asked` or `never`"
    )
    parser.add_argument(
        "--assume", metavar="NAME=SEEN", action="append", default=[], help="a line of what `check` printed"
    )
    parser.add_argument("--replay", metavar="FILE", default=None, help="what `check --record` wrote")
    given = vars(parser.parse_args(arguments))
    given["assume"] = dict(line.partition("=")[::2] for line in given["assume"])
    try:
        return WavesEmulator(**given)
    except (OSError, ValueError) as wrong:
        parser.error(str(wrong))


def _complete(text: str) -> float | Literal["asked"] | None:
    if text == "asked":
        return "asked"
    return None if text == "never" else float(text)


if __name__ == "__main__":
    sys.exit(main())
