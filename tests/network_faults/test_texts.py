"""Texts that no language model should send: cut, spoken or skipped, never an exception, never a wrong request."""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from audio_checks import hears_whole
from listening import RecordingTrack, items
from routes import ROUTES
from staging import MakeStage

from videosdk_plugins_smallestai.emulator import SpeechRequest

FAST: dict[str, Any] = {"first_audio": 0.001, "real_time_factor": 1000.0}

BOUND = 60.0
"""Seconds for one text on a busy machine."""


def _every(*categories: str) -> str:
    """Every character of Unicode in these categories."""
    return "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in categories)


PUNCTUATION = _every("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps")
SPACES = _every("Zs", "Zl", "Zp", "Cc")

TEXTS: dict[str, str] = {
    "empty": "",
    "white space": " \t\n\r\v\f\u2028\u00a0\u3000",
    "emoji": "😀🎉 👨‍👩‍👧‍👦🏳️‍🌈 🇩🇪",
    "punctuation": "...!?!?--- ,,, ;",
    "control characters": "a\0b\x01c\x1b[31m d\x7f\x80\x9f e\u0007.",
    "lone surrogates": "Hello \ud800 there\udfff. \udc00\ud800",
    "a lone surrogate alone": "\ud83d",
    "right to left": "مرحبا بالعالم. كيف حالك اليوم؟ שלום עולם! زنده باد",
    "bidi overrides": "\u202eHello\u202c there\u2066 you\u2069.\u200f\u061c",
    "zero width": "H\u200be\u200bl\u200dl\u2060o\ufeff there.",
    "marks upon marks": "Zalgo" + "\u0301\u0316\u0489" * 400 + " comes.",
    "private use": "\ue000Hello\uf8ff there\U0010fffd.",
    "noncharacters": "Hello\ufffe \uffff\U0010ffff there.",
    "JSON": 'He said "yes\\", {"text": null}, \\u0000 and \\ud800.',
    "SSML": '<speak><break time="5s"/>&amp;&#0;</speak> ]]> <!-- no -->',
    "format strings": "%s %n {0} {text!r} ${HOME} $(reboot)",
    "every delimiter": "".join(f"word{mark} " for mark in PUNCTUATION),
    "every delimiter, glued": "".join(f"a{mark}" for mark in PUNCTUATION),
    "delimiters alone": PUNCTUATION,
    "every space": "".join(f"word{space}" for space in SPACES),
    "scripts": "नमस्ते। 你好。こんにちは、世界！ 안녕하세요. สวัสดีครับ မင်္ဂလာပါ။ ሰላም። Բարեւ։",
    "digits of all scripts": "1,234.56 ١٢٣ १२३ 一二三 Ⅻ ½ ²",
}

LONG: dict[str, str] = {
    "100,000 letters": "a" * 100_000,
    "100,000 marks on one letter": "a" + "\u0301" * 100_000,
    "100,000 emoji": "😀" * 100_000,
    "100,000 spaces": "a" + " " * 100_000 + "b",
    "100,000 dots": "a" + "." * 100_000,
    "100,000 characters of Chinese": "汉字" * 50_000,
    "100,000 joined emoji": "👩‍" * 50_000,
    "100,000 digits": "7" * 100_000,
}


def as_stream(text: str, size: int) -> Iterator[str]:
    """A text as items of so many characters."""
    return (text[at : at + size] for at in range(0, len(text), size))


def assert_speakable(requests: list[SpeechRequest], *, joined: bool) -> None:
    """Each request is one that the service takes; the parts of a continuation may have none that is spoken."""
    for request in requests:
        text = request.body.get("text", "")  # the end of a continuation has none
        text.encode()
        assert len(text) <= 250 + joined  # the space after a sentence
        assert joined or any(map(str.isalnum, text))


@pytest.mark.parametrize("route", ROUTES)
async def test_a_strange_text_is_spoken_or_skipped(stage: MakeStage, route: str) -> None:
    joined = route == "continuations"

    async def play(name: str, make: Callable[[str], Any]) -> None:
        # The end of a continuation is guessed when the listener has heard all of it: a short one will do.
        text = TEXTS[name][:60] if joined else TEXTS[name]
        async with stage(ROUTES[route], **FAST) as s, asyncio.timeout(BOUND):
            await s.tts.synthesize(make(text))
            assert s.errors == [], name
            assert_speakable(s.waves.requests, joined=joined)
            # On a starved machine a request may have been made twice: what was given up does not count.
            kept = [request for request in s.waves.requests if request.outcome not in ("broken", "cancelled")]
            assert await hears_whole(s.track, b"".join(request.audio for request in kept)), name

    for make in (str, lambda text: items(as_stream(text, 1)), lambda text: items(as_stream(text, 7))):
        await asyncio.gather(*(play(name, make) for name in TEXTS))


@pytest.mark.parametrize("route", ["websocket", "http"])
@pytest.mark.parametrize("name", LONG)
async def test_a_text_of_100000_characters_is_cut(stage: MakeStage, route: str, name: str) -> None:
    plugin = ROUTES[route] | {"speed": 2.0, "sample_rate": 8000}
    async with stage(plugin, chunk=30.0, **FAST) as s, asyncio.timeout(BOUND):
        s.tts.audio_track = RecordingTrack(sample_rate=8000, chunk_size=320)
        await s.tts.synthesize(items(as_stream(LONG[name], 1000)))
        assert s.errors == []
        assert_speakable(s.waves.requests, joined=False)
        assert await hears_whole(s.tts.audio_track, b"".join(request.audio for request in s.waves.requests))
