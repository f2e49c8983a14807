"""List the service's voices, all of them or those of one language.

    python examples/voices.py --language hindi

Any of the ids can be given to say.py as --voice. The list comes from the service if SMALLEST_API_KEY is set, and
else from the emulator, a local server with the same protocol and a few voices. Pro and cloned voices may be missing
in it, and can be used all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

try:
    from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS, Voice
    from videosdk_plugins_smallestai.emulator import WavesEmulator
except ModuleNotFoundError as missing:
    sys.exit(f"voices.py: {missing}. Install the plugin first, in the repository: pip install -e .")
except KeyboardInterrupt:
    sys.exit(130)  # these imports take seconds

STOPPED_BY_CTRL_C = 130  # what a shell expects: 128 and the number of SIGINT
HEADINGS = ("id", "name", "languages", "accent", "gender")
UNTOLD = "-"
"""What a table shows where the service does not say."""


class NoVoicesError(Exception):
    """There is nothing to show; the message says why."""


@asynccontextmanager
async def service() -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to the service, or to an emulator for as long as it is needed."""
    if os.environ.get("SMALLEST_API_KEY"):
        yield {}
        return
    print("SMALLEST_API_KEY is not set: these are the emulator's voices.", file=sys.stderr)
    async with WavesEmulator(voice="tone") as waves:
        yield {"api_key": "sk_offline", "base_url": waves.base_url}


async def voices() -> list[Voice]:
    """Ask for the list."""
    async with service() as address, SmallestAITTS(**address) as tts:
        listed: list[Voice] = await tts.voices()
        return listed


def speaking(listed: Sequence[Voice], language: str | None) -> list[Voice]:
    """Those that speak the language, by its name; all if none is asked for."""
    found = [voice for voice in listed if language is None or _speaks(voice, language)]
    if not found:
        known = sorted({name for voice in listed for name in voice.languages})
        asked = (
            "" if language is None else f" that speaks {language!r}: it knows {', '.join(known) or 'no language'}"
        )
        raise NoVoicesError(f"the service lists no voice{asked}")
    return found


def _speaks(voice: Voice, language: str) -> bool:
    return language.casefold() in (name.casefold() for name in voice.languages)


def table(listed: Sequence[Voice]) -> str:
    """One line a voice, under headings, in columns as wide as they need to be."""
    rows = [HEADINGS, *(_row(voice) for voice in listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(voice: Voice) -> tuple[str, ...]:
    cells = (voice.id, voice.name, ", ".join(voice.languages), voice.accent, voice.gender)
    return tuple(cell or UNTOLD for cell in cells)


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    parser = argparse.ArgumentParser(description="List the service's voices.")
    parser.add_argument("--language", help="only those that speak it, such as english, hindi")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)  # the framework's many lines
    try:
        print(table(speaking(asyncio.run(voices()), options.language)))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return STOPPED_BY_CTRL_C
    except (NoVoicesError, SmallestAIError, ValueError, OSError) as error:
        print("voices.py:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
