"""Say one text, and keep what a listener hears.

    python examples/say.py 'Hello from VideoSDK. Your total is $1,299.50 at 10:30.' -o hello.wav

The plugin and the framework's speech generation and audio track are the real ones. Only the room is missing: this
program takes its place and plays the track, 20 ms at a time. The voice comes from the service if SMALLEST_API_KEY
is set, and else from the emulator, a local server with the same protocol.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from _shared import check_output, check_text, parser, play, run, save, service

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.models import MODELS

HTTP_ONLY = {name for name, model in MODELS.items() if model.websocket is None}


async def say(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_text(options.text)
    check_output(options.output)
    async with service() as address, SmallestAITTS(**address, **arguments(options)) as tts:
        heard, sample_rate = await play(tts, options.text, words=options.words)
    save(heard.audio, sample_rate, options.output)
    return f"{options.output}: {heard.summary(sample_rate)}"


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The plugin's arguments that were given on the command line; it has a default for the others."""
    given = {
        "model": options.model,
        "voice_id": options.voice,
        "language": options.language,
        "speed": options.speed,
        "sample_rate": options.sample_rate,
        "enable_streaming": False if options.http or options.model in HTTP_ONLY else None,
        "word_timestamps": True if options.words else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    command = parser("Say one text, and keep what a listener hears as a WAV file.")
    command.add_argument("text")
    command.add_argument("--http", action="store_true", help="use HTTP even where there is a WebSocket")
    command.add_argument("--model", help="such as lightning-v3.1, lightning_v3.1_pro")
    command.add_argument("--voice", help="such as magnus, avery")
    command.add_argument("--language", help="such as en, hi")
    command.add_argument("--speed", type=float, help="0.5 to 2.0")
    command.add_argument("--sample-rate", type=int, help="what the service is asked for: 8000, 16000, 24000, 44100")
    command.add_argument("--words", action="store_true", help="show each word as it is spoken")
    return command.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parse(argv)
    return run("say.py", lambda: say(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
