"""Two voices: when the first fails, FallbackTTS goes on with the second, and no word is lost between them.

    python examples/fallback.py -o fallback.wav

The first voice is a service on this machine that fails after its first sentence. The second comes from the service
if SMALLEST_API_KEY is set, and else from the emulator. With your own providers it is
`WholeFallbackTTS([ReturningTTS(), ElevenLabsTTS()])`.

The framework's wrapper hands the second voice the same stream of text, from which the first has already taken a
sentence or two. So the first hands back what it has not spoken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from _shared import check_output, emulator, parser, play, run, save, service
from videosdk.agents import FallbackTTS, FlushMarker

from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse

TEXT = "This is the first voice, which fails now. You hear the second one. Nothing of the reply is lost."


class ReturnableText:
    """A stream of text whose end can be handed back, for whoever reads on."""

    def __init__(self, text: AsyncIterator[str | FlushMarker]) -> None:
        self._text = text
        self._taken = ""
        self._returned = ""

    def __aiter__(self) -> AsyncIterator[str | FlushMarker]:
        return self

    async def __anext__(self) -> str | FlushMarker:
        item = self._returned or await anext(self._text)
        self._returned = ""
        if isinstance(item, str):
            self._taken += item
        return item

    def hand_back(self, unspoken: str) -> None:
        """Give the last of what was taken once more: as much of it, white space apart, as was not spoken."""
        left = sum(not char.isspace() for char in unspoken)
        start = len(self._taken)
        while left and start:
            start -= 1
            left -= not self._taken[start].isspace()
        self._returned, self._taken = self._taken[start:], ""


class ReturningTTS(SmallestAITTS):
    """Hands back what it took and did not speak."""

    async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
        """As the plugin's."""
        try:
            await super().synthesize(text, voice_id, **kwargs)
        except SmallestAIError as error:
            if isinstance(text, ReturnableText):
                text.hand_back(error.unspoken)
            raise


class WholeFallbackTTS(FallbackTTS):  # type: ignore[misc]
    """The framework's, with text that can be handed back."""

    async def synthesize(self, text: Any, **kwargs: Any) -> None:
        """As the framework's."""
        await super().synthesize(text if isinstance(text, str) else ReturnableText(text), **kwargs)


async def speak(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    failures: list[str] = []
    failing = emulator(fault=lambda request: Refuse(503) if request.number else None)
    async with failing as first_address, service() as second_address:
        first, second = ReturningTTS(**first_address), SmallestAITTS(**second_address)
        first.on("error", lambda message: failures.append(message))
        async with WholeFallbackTTS([first, second]) as tts:
            with redirect_stdout(StringIO()):  # the framework prints a long line when it switches
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
