"""Speech out of text: the fast deterministic voice, and the way to the real one."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
from typing import Literal, TypeAlias

from . import espeak
from .orders import Order
from .speech import Speech, Word

Voice: TypeAlias = Literal["speech", "tone"]

TONE_SECONDS = 0.05
"""Seconds of audio that the tone voice gives a character, at speed 1."""

# Every low byte is odd, so that no sample is 0 and padding silence can be told apart; the high byte
# keeps the level near -16 dB of full scale.
_LOW = bytes(value | 1 for value in range(256))
_HIGH = bytes((value % 40 - 20) & 0xFF for value in range(256))


async def prepare(voice: Voice) -> None:
    """Load what a voice needs.

    Raises:
        VoiceUnavailable: If it is not installed.
    """
    if voice == "speech":
        await asyncio.get_running_loop().run_in_executor(None, espeak.prepare)


async def speak(order: Order, voice: Voice) -> Speech:
    """Synthesize a request's speech at the rate it asks for."""
    if voice == "tone":
        return _tone_speech(order)
    return await asyncio.get_running_loop().run_in_executor(None, espeak.speak, order)


def tone(text: str, sample_rate: int = 24000, speed: float = 1.0) -> bytes:
    """Return the deterministic voice's mono, 16-bit little-endian PCM.

    Each character but white space gives a block of 50 ms that depends on the character alone. So the
    tone of a text is that of its pieces joined, wherever it was cut: ``tone(a + b) == tone(a) + tone(b)``.
    No sample is 0.

    Args:
        text: Any text.
        sample_rate: Hz.
        speed: Divides the length of a block.
    """
    return b"".join(_block(char, _block_samples(sample_rate, speed)) for char in text if not char.isspace())


def _block_samples(sample_rate: int, speed: float) -> int:
    return round(TONE_SECONDS * sample_rate / speed)


@functools.lru_cache(maxsize=1024)
def _block(char: str, samples: int) -> bytes:
    noise = hashlib.shake_128(char.encode("utf-32-le", "surrogatepass")).digest(2 * samples)
    block = bytearray(2 * samples)
    block[0::2] = noise[0::2].translate(_LOW)
    block[1::2] = noise[1::2].translate(_HIGH)
    return bytes(block)


def _tone_speech(order: Order) -> Speech:
    second = _block_samples(order.sample_rate, order.speed) / order.sample_rate
    words: list[Word] = []
    at = 0.0
    for index, match in enumerate(re.finditer(r"\S+", order.text)):
        end = at + len(match[0]) * second
        words.append(Word(index, match[0], at, end))
        at = end
    return Speech(tone(order.text, order.sample_rate, order.speed), tuple(words))
