"""List the service's voices of one model, all of them or those of one language.

    python examples/voices.py --model lightning_v3.1_pro --language hindi

Any of the ids can be given to say.py as --voice. The list comes from the service if SMALLEST_API_KEY is set, and
else from the emulator, a local server with the same protocol and a few voices. Some voices may be missing in it,
cloned ones too, and can be used all the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from _shared import CannotSayError, run
from _shared import service as any_service

from videosdk_plugins_smallestai import SmallestAITTS, Voice

HEADINGS = ("id", "name", "languages", "accent", "gender")
CODES = {"en": "english", "hi": "hindi", "mr": "marathi", "ta": "tamil", "bn": "bengali", "gu": "gujarati"}
"""The service lists languages by their English names; the plugin's own argument takes codes."""

UNTOLD = "-"
"""What a table shows where the service does not say."""


@asynccontextmanager
async def service() -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to the service, or to an emulator, which need not speak."""
    async with any_service(announce="these are the emulator's voices", voice="tone") as address:
        yield address


async def voices(model: str | None) -> list[Voice]:
    """Ask for a model's list; without one, for that of the plugin's default model."""
    async with service() as address, SmallestAITTS(**address) as tts:
        listed: list[Voice] = await tts.voices(model)
        return listed


def speaking(listed: Sequence[Voice], language: str | None) -> list[Voice]:
    """Those that speak the language, by its name or code; all if none is asked for."""
    found = [voice for voice in listed if language is None or _speaks(voice, language)]
    if not found:
        known = sorted({name for voice in listed for name in voice.languages})
        asked = (
            "" if language is None else f" that speaks {language!r}: it knows {', '.join(known) or 'no language'}"
        )
        raise CannotSayError(f"the service lists no voice{asked}")
    return found


def _speaks(voice: Voice, language: str) -> bool:
    wanted = CODES.get(language.casefold(), language.casefold())
    return wanted in (name.casefold() for name in voice.languages)


def table(listed: Sequence[Voice]) -> str:
    """One line a voice, under headings, in columns as wide as they need to be."""
    rows = [HEADINGS, *(_row(voice) for voice in listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(voice: Voice) -> tuple[str, ...]:
    cells = (voice.id, voice.name, ", ".join(voice.languages), voice.accent, voice.gender)
    return tuple(cell or UNTOLD for cell in cells)


async def listing(model: str | None, language: str | None) -> str:
    """The table that was asked for."""
    return table(speaking(await voices(model), language))


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    command = argparse.ArgumentParser(description="List the service's voices.")
    command.add_argument("--model", help="whose voices, such as lightning_v3.1_pro; by default the standard ones")
    command.add_argument("--language", help="only those that speak it, such as english, hindi, or en, hi")
    options = command.parse_args(argv)
    return run("voices.py", lambda: listing(options.model, options.language))


if __name__ == "__main__":
    sys.exit(main())
