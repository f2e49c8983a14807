"""Phrases that an agent says often, made once and then heard at once.

    python examples/cached_phrases.py -o phrases.wav

The framework's TTSAudioCache asks the plugin for the audio, beside whatever is being said, and keeps it. Here the
phrases are said in a session on this machine. The voice comes from the service if SMALLEST_API_KEY is set, and else
from the emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from _shared import MUST_COME, CannotSayError, check_output, parser, run, save, service
from videosdk.agents import Agent, TTSAudioCache

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.testing import call

PHRASES = ["One moment, please.", "Let me check that for you."]


class Clerk(Agent):  # type: ignore[misc]
    """Waits for what there is to say."""

    async def on_enter(self) -> None:
        """Somebody is there."""

    async def on_exit(self) -> None:
        """They have left."""


async def converse(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    async with service() as address:
        tts = SmallestAITTS(**address)  # the session closes it
        async with call(Clerk(instructions="Be brief."), tts=tts) as c:
            cache = TTSAudioCache(tts)
            made = [await _timed(cache, phrase) for phrase in PHRASES]
            found = [await _timed(cache, phrase) for phrase in PHRASES]
            for phrase in PHRASES:
                await c.say(phrase, audio_data=await cache.fetch(phrase))
    if not c.heard:
        raise CannotSayError(MUST_COME)
    save(c.heard, c.sample_rate, options.output)
    print(f"Made in {sum(made):.2f} s, and found again in {sum(found):.2f} s.")
    return f"{options.output}: the caller heard {len(c.heard) / 2 / c.sample_rate:.2f} s"


async def _timed(cache: TTSAudioCache, phrase: str) -> float:
    clock = asyncio.get_running_loop().time
    began = clock()
    await cache.fetch(phrase)
    return clock() - began


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parser("Make phrases once, and say them at once.", "phrases.wav").parse_args(argv)
    return run("cached_phrases.py", lambda: converse(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
