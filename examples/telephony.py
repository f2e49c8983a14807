"""A voice for the telephone: 8 kHz from the service, on a track of 8 kHz or on the framework's own of 24 kHz.

    python examples/telephony.py --track-rate 24000 -o phone.wav

A telephone carries nothing above 4 kHz, so more than 8000 samples a second are wasted on it. Whatever the service
sends, the plugin converts it to the track's rate before it is added: on the wrong one a voice would be heard three
times too fast. The voice comes from the service if SMALLEST_API_KEY is set, and else from the emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from fractions import Fraction

from _shared import check_output, parser, play, run, save, service
from videosdk.agents import CustomAudioStreamTrack

from videosdk_plugins_smallestai import SmallestAITTS

TEXT = "Thank you for calling. Your table for 4 is booked at 10:30. Goodbye."
PHONE_RATE = 8000


class PhoneTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """A track as a telephone gateway has it: 20 ms are 160 samples."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.sample_rate = PHONE_RATE
        self.samples = PHONE_RATE // 50
        self.chunk_size = self.samples * self.sample_width
        self.time_base_fraction = Fraction(1, PHONE_RATE)


async def call(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    track_type = PhoneTrack if options.track_rate == PHONE_RATE else CustomAudioStreamTrack
    async with service() as address, SmallestAITTS(**address, sample_rate=PHONE_RATE) as tts:
        heard, sample_rate = await play(tts, TEXT, track_type(asyncio.get_running_loop()))
    save(heard.audio, sample_rate, options.output)
    return f"{options.output}: {sample_rate} Hz, {heard.summary(sample_rate)}"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    command = parser("Speak at 8 kHz, for a telephone.", "phone.wav")
    command.add_argument("--track-rate", type=int, choices=(8000, 24000), default=8000, help="default: %(default)s")
    options = command.parse_args(argv)
    return run("telephony.py", lambda: call(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
