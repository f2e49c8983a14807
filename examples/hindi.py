"""Speak Hindi, and show each word as it is heard.

    python examples/hindi.py -o hindi.wav

Sentences end with a danda, numbers keep their commas, and the words come with the times that the service tells. The
voice comes from the service if SMALLEST_API_KEY is set, and else from the emulator.
"""

from __future__ import annotations

import argparse
import sys

from _shared import check_output, check_text, parser, play, run, save, service

from videosdk_plugins_smallestai import SmallestAITTS

TEXT = "नमस्ते! आपका ऑर्डर तैयार है। कुल राशि 1,299.50 रुपये है। क्या मैं इसे आज भेज दूँ?"


async def speak(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_text(options.text)
    check_output(options.output)
    async with (
        service() as address,
        SmallestAITTS(
            **address, model="lightning_v3.1", voice_id=options.voice, language="hi", word_timestamps=True
        ) as tts,
    ):
        heard, sample_rate = await play(tts, options.text, words=True)
    save(heard.audio, sample_rate, options.output)
    return f"{options.output}: {heard.summary(sample_rate)}"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    command = parser("Speak Hindi, and show each word as it is heard.", "hindi.wav")
    command.add_argument("text", nargs="?", default=TEXT)
    command.add_argument("--voice", default="devansh", help="such as devansh, maithili; default: %(default)s")
    options = command.parse_args(argv)
    return run("hindi.py", lambda: speak(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
