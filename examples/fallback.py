"""Two voices: when the first cannot speak, the framework's FallbackTTS goes on with the second.

    python examples/fallback.py -o fallback.wav

The first voice is a service that is down, on this machine. It raises before it has taken any text, so the second
says all of it. The second comes from the service if SMALLEST_API_KEY is set, and else from the emulator. With your
own providers it is `FallbackTTS([SmallestAITTS(), ElevenLabsTTS()])`.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from io import StringIO

from _shared import check_output, emulator, parser, play, run, save, service
from videosdk.agents import FallbackTTS

from videosdk_plugins_smallestai import SmallestAITTS

TEXT = "The first voice is down. You hear the second one. Nothing of the reply is lost."


async def speak(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    failures: list[str] = []
    async with emulator(voice="tone", handshake=lambda connection: 503) as down, service() as address:
        first, second = SmallestAITTS(**down), SmallestAITTS(**address)
        first.on("error", lambda message: failures.append(message))
        async with FallbackTTS([first, second]) as tts:
            with redirect_stdout(StringIO()):  # the framework prints a long line when it switches
                heard, sample_rate = await play(tts, TEXT)
    save(heard.audio, sample_rate, options.output)
    print(f"The first voice failed: {failures[0]}")
    return f"The second spoke. {options.output}: {heard.summary(sample_rate)}"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parser("Let a second voice speak when the first is down.", "fallback.wav").parse_args(argv)
    return run("fallback.py", lambda: speak(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
