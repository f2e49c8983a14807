"""Say one text, and keep what a listener hears.

    python examples/say.py 'Hello from VideoSDK. Your total is $1,299.50 at 10:30.' -o hello.wav

The plugin and the framework's speech generation and audio track are the real ones. Only the room is missing: this
program takes its place and plays the track, 20 ms at a time. The voice comes from the service if SMALLEST_API_KEY
is set, and else from the emulator, a local server with the same protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    from videosdk.agents import CustomAudioStreamTrack
    from videosdk.agents.speech_generation import SpeechGeneration

    from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
except ModuleNotFoundError as missing:
    sys.exit(f"say.py: {missing}. Install the plugin first, in the repository: pip install -e '.[emulator]'")
except KeyboardInterrupt:
    sys.exit(130)  # these imports take seconds

STOPPED_BY_CTRL_C = 130  # what a shell expects: 128 and the number of SIGINT
OFFLINE_KEY = "sk_offline"


class CannotSayError(Exception):
    """The request cannot be carried out; the message says what to do."""


@dataclass
class Heard:
    """What a listener hears: the frames from the first with speech to the last, and the silence between them."""

    asked_at: float
    first_audio_at: float | None = None
    audio: bytearray = field(default_factory=bytearray)
    gaps: int = 0
    gap_seconds: float = 0.0
    _silence: list[tuple[bytes, float]] = field(default_factory=list)

    def add(self, pcm: bytes, seconds: float, *, from_the_reply: bool, now: float) -> None:
        """Take one frame. One that is not from the reply is the track's own: its buffer was empty."""
        if not from_the_reply:
            if self.first_audio_at is not None:
                self._silence.append((pcm, seconds))
            return
        if self.first_audio_at is None:
            self.first_audio_at = now
        if self._silence:  # the reply goes on, so this silence was a gap and not the end
            self.gaps += 1
            for silent_pcm, silent_seconds in self._silence:
                self.audio += silent_pcm
                self.gap_seconds += silent_seconds
            self._silence.clear()
        self.audio += pcm

    def summary(self, sample_rate: int) -> str:
        """The result in one line."""
        first_audio = (self.first_audio_at or self.asked_at) - self.asked_at
        seconds = len(self.audio) / 2 / sample_rate
        return (
            f"first audio after {first_audio:.2f} s, {seconds:.2f} s of audio, "
            f"{self.gaps} gaps heard ({self.gap_seconds:.2f} s)"
        )


class Progress:
    """A counter of seconds on a terminal, so that a long wait is seen to go on."""

    def __init__(self) -> None:
        self._shown = -1
        self._terminal = sys.stderr.isatty()

    def show(self, seconds: float) -> None:
        """Tell how long it has been going on; cheap enough for every frame."""
        if self._terminal and int(seconds) > self._shown:
            self._shown = int(seconds)
            print(f"\r{self._shown} s ", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line as if nothing had been on it."""
        if self._terminal and self._shown >= 0:
            print("\r          \r", end="", file=sys.stderr, flush=True)


async def tokens(text: str) -> AsyncIterator[str]:
    """The text as a language model gives it: piece by piece. The plugin finds the sentences itself."""
    for token in re.findall(r"\s*\S+", text):
        yield token


async def speak(speech: SpeechGeneration, text: AsyncIterator[str]) -> None:
    """One reply, until the track reports that its last sample has been heard."""
    heard_out = asyncio.Event()
    speech.on("last_audio_byte", lambda _: heard_out.set())
    await speech.synthesize(text)
    await heard_out.wait()


async def listen(track: CustomAudioStreamTrack, reply: asyncio.Task[None]) -> Heard:
    """Play the track in real time, as a room does, until the reply is over."""
    loop = asyncio.get_running_loop()
    heard, progress = Heard(asked_at=loop.time()), Progress()
    try:
        while not reply.done():
            played_before, _ = track.snapshot_playback()
            frame = await track.recv()  # waits until the frame is due
            played, _ = track.snapshot_playback()
            pcm = frame.to_ndarray().tobytes()
            seconds = frame.samples / track.sample_rate
            heard.add(pcm, seconds, from_the_reply=played > played_before, now=loop.time())
            progress.show(loop.time() - heard.asked_at)
    finally:
        progress.clear()
    return heard


async def play(tts: SmallestAITTS, text: str) -> tuple[Heard, int]:
    """Speak the text on a track of the framework. Returns what was heard, and its sample rate."""
    loop = asyncio.get_running_loop()
    track = CustomAudioStreamTrack(loop)
    speech = SpeechGeneration(tts=tts, audio_track=track)
    speech.set_audio_track(track)
    tts.loop = loop
    await tts.prewarm()
    reply = asyncio.create_task(speak(speech, tokens(text)))
    try:
        heard = await listen(track, reply)
        await reply  # raises what went wrong
        if heard.first_audio_at is None:
            raise CannotSayError("no audio came: run it again with --verbose to see why")
    finally:
        reply.cancel()
        await asyncio.gather(reply, return_exceptions=True)
    return heard, track.sample_rate


@asynccontextmanager
async def service() -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to the service, or to an emulator for as long as it is needed."""
    if os.environ.get("SMALLEST_API_KEY"):
        yield {}
        return
    try:
        from videosdk_plugins_smallestai.emulator import WavesEmulator
    except ModuleNotFoundError as missing:
        raise CannotSayError(
            f"{missing}. Set SMALLEST_API_KEY, or install the emulator: "
            "pip install 'videosdk-plugins-smallestai[emulator]'"
        ) from missing
    print("SMALLEST_API_KEY is not set: the emulator speaks.", file=sys.stderr)
    async with WavesEmulator() as waves:
        yield {"api_key": OFFLINE_KEY, "base_url": waves.base_url}


def show_word(event: dict[str, str]) -> None:
    """Print a word at the moment when it is heard."""
    print(event["word"], end=" ", flush=True)


def save(heard: Heard, sample_rate: int, path: Path) -> None:
    """Write what was heard as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(heard.audio)


async def say(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    if not any(character.isalnum() for character in options.text):
        raise CannotSayError("there is nothing to say: give a text with a letter or a digit in it")
    if not options.output.parent.is_dir():
        raise CannotSayError(f"there is no folder {options.output.parent}: create it, or choose another with -o")
    async with service() as address, SmallestAITTS(**address, **arguments(options)) as tts:
        if options.words:
            tts.on("word_spoken", show_word)
        heard, sample_rate = await play(tts, options.text)
        if options.words:
            print()
    save(heard, sample_rate, options.output)
    return f"{options.output}: {heard.summary(sample_rate)}"


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The plugin's arguments that were given on the command line; it has a default for the others."""
    given = {
        "model": options.model,
        "voice_id": options.voice,
        "language": options.language,
        "speed": options.speed,
        "sample_rate": options.sample_rate,
        "enable_streaming": False if options.http else None,
        "word_timestamps": True if options.words else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Say one text, and keep what a listener hears as a WAV file.")
    parser.add_argument("text")
    parser.add_argument("-o", "--output", type=Path, default=Path("out.wav"), help="default: %(default)s")
    parser.add_argument("--http", action="store_true", help="use HTTP instead of the WebSocket")
    parser.add_argument("--model", help="such as lightning-v3.1, lightning_v3.1_pro")
    parser.add_argument("--voice", help="such as magnus, avery")
    parser.add_argument("--language", help="such as en, hi")
    parser.add_argument("--speed", type=float, help="0.5 to 2.0")
    parser.add_argument("--sample-rate", type=int, help="what the service is asked for: 8000, 16000, 24000, 44100")
    parser.add_argument("--words", action="store_true", help="show each word as it is spoken")
    parser.add_argument("--verbose", action="store_true", help="show what the framework and the plugin log")
    return parser.parse_args(argv)


def set_up_logging(verbose: bool) -> None:
    """Show everything, or keep the framework's many lines away."""
    if verbose:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    else:
        logging.disable(logging.CRITICAL)


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parse(argv)
    set_up_logging(options.verbose)
    try:
        print(asyncio.run(say(options)))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return STOPPED_BY_CTRL_C
    except (CannotSayError, SmallestAIError, ValueError, TypeError, OSError) as error:
        if options.verbose:
            logging.exception("That failed:")
        print("say.py:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
