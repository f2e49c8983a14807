"""Two voices: when the first fails, FallbackTTS goes on with the second, and no word is lost between them.

    python examples/fallback.py -o fallback.wav

The first voice is a service on this machine that fails after its first sentence. The second comes from the service
if SMALLEST_API_KEY is set, and else from the emulator. Any voice of the framework can be one of them:
`FallbackTTS([SmallestAITTS(), ElevenLabsTTS()])`.
"""

from __future__ import annotations

import argparse
import sys

from _shared import check_output, emulator, parser, play, run, save, service

from videosdk_plugins_smallestai import FallbackTTS, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse

TEXT = "This is the first voice, which fails now. You hear the second one. Nothing of the reply is lost."


async def speak(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    failures: list[str] = []
    failing = emulator(fault=lambda request: Refuse(503) if request.number else None)
    async with failing as first_address, service() as second_address:
        voices = [SmallestAITTS(**first_address), SmallestAITTS(**second_address)]
        async with FallbackTTS(voices) as tts:
            tts.on("error", lambda message: failures.append(message))
            heard, sample_rate = await play(tts, TEXT)
    save(heard.audio, sample_rate, options.output)
    print(f"The first voice failed: {failures[0]}")
    return f"The second went on. {options.output}: {heard.summary(sample_rate)}"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parser("Let a second voice go on where the first fails.", "fallback.wav").parse_args(argv)
    return run("fallback.py", lambda: speak(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
