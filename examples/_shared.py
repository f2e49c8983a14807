"""What the examples share: where the voice comes from, a listener in place of a room, how a program ends."""

from __future__ import annotations

import _ctrl_c  # isort: skip # first: the imports below take seconds, and Ctrl-C is to end them too
import argparse
import asyncio
import logging
import os
import re
import sys
import wave
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    from videosdk.agents import TTS, CustomAudioStreamTrack
    from videosdk.agents.speech_generation import SpeechGeneration

    from videosdk_plugins_smallestai import SmallestAIError
except ModuleNotFoundError as missing:
    sys.exit(
        f"{Path(sys.argv[0]).name}: {missing}. Install the plugin, in the repository: pip install -e '.[emulator]'"
    )

OFFLINE_KEY = "sk_offline"
MUST_COME = "no audio came: run it again with --verbose to see why"


class CannotSayError(Exception):
    """The request cannot be carried out; the message says what to do."""


@asynccontextmanager
async def service(announce: str = "the emulator speaks", **settings: Any) -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to the service, or to an emulator for as long as it is needed.

    Args:
        announce: What is told of the emulator.
        **settings: Its settings.
    """
    if os.environ.get("SMALLEST_API_KEY"):
        yield {}
        return
    async with emulator(**settings) as address:
        print(f"SMALLEST_API_KEY is not set: {announce}.", file=sys.stderr)
        yield address


@asynccontextmanager
async def emulator(**settings: Any) -> AsyncIterator[dict[str, Any]]:
    """The arguments that lead to an emulator, which is there until the block ends."""
    from videosdk_plugins_smallestai.emulator import VoiceUnavailable, WavesEmulator

    try:
        async with WavesEmulator(**settings) as waves:
            yield {"api_key": OFFLINE_KEY, "base_url": waves.base_url}
    except VoiceUnavailable as missing:
        raise CannotSayError(f"{missing} Or set SMALLEST_API_KEY, and the service speaks") from missing


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
    """A counter of seconds on a terminal, so that a long wait is seen to go on.

    Args:
        shown: False where something else is seen to go on.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = -1
        self._terminal = shown and sys.stderr.isatty()

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


async def play(
    tts: TTS, text: str, track: CustomAudioStreamTrack | None = None, *, words: bool = False
) -> tuple[Heard, int]:
    """Speak the text on a track of the framework. Returns what was heard, and its sample rate.

    Args:
        tts: The voice.
        text: What it says.
        track: Where; ``None``: on one of the framework's own.
        words: Print each word as it is heard, in place of the seconds.
    """
    loop = asyncio.get_running_loop()
    track = track or CustomAudioStreamTrack(loop)
    speech = SpeechGeneration(tts=tts, audio_track=track)
    speech.set_audio_track(track)
    tts.loop = loop
    await tts.prewarm()
    if words:
        tts.on("word_spoken", _show_word)
    reply = asyncio.create_task(_speak(speech, tokens(text)))
    try:
        heard = await _listen(track, reply, Progress(shown=not words))
        await reply  # raises what went wrong
        if heard.first_audio_at is None:
            raise CannotSayError(MUST_COME)
    finally:
        reply.cancel()
        await asyncio.gather(reply, return_exceptions=True)
        if words:
            print(flush=True)  # the line of words ends
    return heard, track.sample_rate


async def _speak(speech: SpeechGeneration, text: AsyncIterator[str]) -> None:
    """One reply, until the track reports that its last sample has been heard."""
    heard_out = asyncio.Event()
    speech.on("last_audio_byte", lambda _: heard_out.set())
    await speech.synthesize(text)
    await heard_out.wait()


async def _listen(track: CustomAudioStreamTrack, reply: asyncio.Task[None], progress: Progress) -> Heard:
    """Play the track in real time, as a room does, until the reply is over."""
    loop = asyncio.get_running_loop()
    heard = Heard(asked_at=loop.time())
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


def _show_word(event: dict[str, str]) -> None:
    print(event["word"], end=" ", flush=True)


def save(pcm: bytes | bytearray, sample_rate: int, path: Path) -> None:
    """Write what was heard as a WAV file."""
    try:
        with path.open("wb") as opened, wave.open(opened, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(pcm)
    except OSError as error:
        raise CannotSayError(f"cannot write {path}: {error.strerror}. Choose another with -o") from error


def check_output(output: Path) -> None:
    """Refuse a file that cannot be there, before anything is said."""
    if not output.parent.is_dir():
        raise CannotSayError(f"there is no folder {output.parent}: create it, or choose another with -o")
    if output.is_dir():
        raise CannotSayError(f"{output} is a folder: name a file in it with -o")


def check_text(text: str) -> None:
    """Refuse what no voice could say."""
    if not any(character.isalnum() for character in text):
        raise CannotSayError("there is nothing to say: give a text with a letter or a digit in it")


def told(error: Exception) -> str:
    """An error's message, in one line."""
    return " ".join(str(error).split())


def parser(description: str, output: str = "out.wav") -> argparse.ArgumentParser:
    """A command line with what every example takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("-o", "--output", type=Path, default=Path(output), help="default: %(default)s")
    made.add_argument("--verbose", action="store_true", help="show what the framework and the plugin log")
    return made


def run(program: str, work: Callable[[], Coroutine[Any, Any, str]], *, verbose: bool = False) -> int:
    """Do the work and print the line that it returns. Returns the exit code; a failure is one line."""
    if verbose:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    else:
        logging.disable(logging.CRITICAL)  # the framework's many lines
    try:
        with _ctrl_c.interruptible():
            print(asyncio.run(work()))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return _ctrl_c.STOPPED_BY_CTRL_C
    except (CannotSayError, SmallestAIError, ValueError, TypeError, OSError) as error:
        if verbose:
            logging.exception("That failed:")
        print(f"{program}: {told(error)}", file=sys.stderr)
        return 1
    return 0
