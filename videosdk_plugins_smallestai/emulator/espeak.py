"""The speech voice: eSpeak NG, through ctypes.

The library keeps its state in globals: it is loaded once in a process, and used under a lock. That state
(the flutter of the pitch) makes it speak a text a little differently each time, so recent speech is kept:
a client that asks for the same text again, to resume it, gets the same samples.
"""

from __future__ import annotations

import ctypes
import functools
import re
import threading
import zlib
from dataclasses import dataclass
from typing import Any

from . import catalogue
from .orders import Order
from .speech import Speech, VoiceUnavailable, Word

_LIBRARY_RATE = 22050
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1
_WORDS_PER_MINUTE = 175

# Where eSpeak's name differs from the service's code.
_LANGUAGES = {"en": "en-us", "zh": "cmn", "no": "nb", "auto": "en-us", "pt": "pt-br", "es": "es-419"}
_LANGUAGES |= {catalogue.MIXED: "en-us"}
_VARIANTS = {"magnus": "m3", "devansh": "m2", "kartik": "m7", "maithili": "f2", "liam": "m1", "avery": "f4"}
_VARIANTS |= {"meher": "f3", "emily": "f1"}
_OTHER_VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f3", "f4", "f5")


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class _Heard:
    """A word event: the character at which the word begins (0-based), and when, in milliseconds."""

    character: int
    milliseconds: int


def prepare() -> None:
    """Load the library and the resampler, so that the first request does not wait for them. Blocks.

    Raises:
        VoiceUnavailable: If eSpeak NG is not installed, or does not work here.
    """
    speak(Order("Hello.", "magnus"))


def speak(order: Order) -> Speech:
    """Synthesize a request's speech. Blocks; may be called from any thread.

    Raises:
        VoiceUnavailable: If eSpeak NG is not installed, or does not work here.
    """
    return _spoken(order.text, order.voice_id, order.language, order.sample_rate, order.speed)


@functools.lru_cache(maxsize=128)
def _spoken(text: str, voice_id: str, language: str, sample_rate: int, speed: float) -> Speech:
    with _lock:
        audio, heard = _engine().synthesize(text, voice_id, language, speed)
    seconds = len(audio) / 2 / _LIBRARY_RATE
    return Speech(_resampled(audio, sample_rate), _words(text, heard, seconds))


_lock = threading.Lock()


@functools.cache
def _engine() -> _Engine:
    return _Engine()


class _Engine:
    """The library, initialised."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise VoiceUnavailable(
                "voice='speech' needs eSpeak NG: pip install 'videosdk-plugins-smallestai[emulator]',"
                " or use voice='tone'"
            ) from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = espeakng_loader.get_data_path().encode()
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data_path, _DONT_EXIT)
        if rate != _LIBRARY_RATE:
            raise VoiceUnavailable(f"eSpeak NG does not start: espeak_Initialize gives {rate}")
        self._audio = bytearray()
        self._heard: list[_Heard] = []
        # Kept here: the library holds no reference to it.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def synthesize(self, text: str, voice_id: str, language: str, speed: float) -> tuple[bytes, list[_Heard]]:
        """Return PCM at the library's rate, and the word events in it."""
        self._audio.clear()
        self._heard.clear()
        self._choose_voice(voice_id, language)
        self._library.espeak_SetParameter(_RATE, round(_WORDS_PER_MINUTE * speed), 0)
        encoded = text.encode("utf-8", "replace") + b"\0"
        size = ctypes.c_size_t(len(encoded))
        self._library.espeak_Synth(
            encoded, size, ctypes.c_uint(0), _POSITION_CHARACTER, ctypes.c_uint(0), _CHARS_UTF8, None, None
        )
        return bytes(self._audio), list(self._heard)

    def _choose_voice(self, voice_id: str, language: str) -> None:
        spread = zlib.crc32(voice_id.encode())
        variant = _VARIANTS.get(voice_id) or _OTHER_VARIANTS[spread % len(_OTHER_VARIANTS)]
        for name in (_LANGUAGES.get(language, language), "en-us"):
            if self._library.espeak_SetVoiceByName(f"{name}+{variant}".encode()) == 0:
                break
        self._library.espeak_SetParameter(_PITCH, 40 + spread % 21, 0)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._audio += ctypes.string_at(samples, 2 * count)
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            event = events[index]
            if event.type == _EVENT_WORD:
                self._heard.append(_Heard(event.text_position - 1, event.audio_position))
            index += 1
        return 0


def _words(text: str, heard: list[_Heard], seconds: float) -> tuple[Word, ...]:
    """Give each word of the text the times at which eSpeak begins it and goes on to the next."""
    found: list[tuple[int, str, float]] = []
    for index, match in enumerate(re.finditer(r"\S+", text)):
        starts = [event.milliseconds for event in heard if match.start() <= event.character < match.end()]
        if starts:
            found.append((index, match[0], min(starts) / 1000))
    ends = [start for _, _, start in found] + [seconds]
    return tuple(Word(index, word, start, end) for (index, word, start), end in zip(found, ends[1:], strict=True))


def _resampled(audio: bytes, sample_rate: int) -> bytes:
    from videosdk.agents.audio_native import converter

    resampler = converter(in_rate=_LIBRARY_RATE, in_channels=1, out_rate=sample_rate, out_channels=1)
    # The filter lags behind by a millisecond or two: silence pushes the last of the speech out.
    out: bytes = resampler.process(audio + bytes(2 * _LIBRARY_RATE // 50))
    return out[: 2 * round(len(audio) / 2 * sample_rate / _LIBRARY_RATE)]
