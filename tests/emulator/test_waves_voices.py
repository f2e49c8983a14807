"""The two voices: a tone that shows every lost sample, and speech."""

from __future__ import annotations

import array
import sys
from typing import Any

import pytest
from clients import audio
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.emulator import VoiceUnavailable, WavesEmulator, espeak, tone
from videosdk_plugins_smallestai.emulator.orders import Order


@given(st.text(max_size=8), st.text(max_size=8), st.sampled_from([8000, 16000, 24000, 44100]))
def test_the_tone_of_a_text_is_that_of_its_pieces(first: str, second: str, rate: int) -> None:
    assert tone(first + second, rate) == tone(first, rate) + tone(second, rate)


def test_the_tone_leaves_white_space_out() -> None:
    assert tone(" a\n b\t") == tone("ab")
    assert tone(" \n") == b""


def test_the_tone_has_no_silent_sample_and_tells_characters_apart() -> None:
    samples = array.array("h", tone("The quick brown fox. Ça va? नमस्ते"))
    assert 0 not in samples
    assert max(map(abs, samples)) < 8000
    assert len({tone(char) for char in "abcdefghijklmnopqrstuvwxyz0123456789.,!?"}) == 40


@pytest.mark.parametrize(("rate", "speed", "size"), [(24000, 1.0, 2400), (8000, 1.0, 800), (24000, 2.0, 1200)])
def test_the_tone_has_50_ms_for_each_character(rate: int, speed: float, size: int) -> None:
    assert len(tone("a", rate, speed)) == size


def order(text: str = "It costs $100 today, Dr. Smith.", **fields: Any) -> Order:
    return Order(**({"text": text, "voice_id": "magnus", "sample_rate": 24000} | fields))


def test_speech_is_audible_and_has_the_length_of_speech() -> None:
    speech = espeak.speak(order())
    samples = array.array("h", speech.audio)
    assert 2.0 < len(samples) / 24000 < 4.0
    assert 8000 < max(map(abs, samples)) <= 32767


def test_words_are_verbatim_and_in_order() -> None:
    speech = espeak.speak(order())
    assert [word.text for word in speech.words] == ["It", "costs", "$100", "today,", "Dr.", "Smith."]
    assert [word.index for word in speech.words] == list(range(6))
    assert speech.words[0].start < 0.1
    assert all(word.start < word.end for word in speech.words)
    assert all(word.end == after.start for word, after in zip(speech.words, speech.words[1:], strict=False))
    assert speech.words[-1].end == pytest.approx(len(speech.audio) / 48000, abs=0.001)


@pytest.mark.parametrize("text", ["...", "?!", "\x00", "👍"])
def test_odd_texts_are_spoken_too(text: str) -> None:
    assert len(espeak.speak(order(text)).audio) % 2 == 0


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_speech_lasts_as_long_at_every_rate(rate: int) -> None:
    seconds = len(espeak.speak(order("Hello there.", sample_rate=rate)).audio) / 2 / rate
    assert seconds == pytest.approx(0.66, abs=0.05)


def test_the_same_request_gives_the_same_samples() -> None:
    first = espeak.speak(order()).audio
    espeak.speak(order("Something else."))
    assert espeak.speak(order()).audio == first


def test_voices_languages_and_speeds_differ() -> None:
    texts = [order(), order(voice_id="avery"), order(language="hi"), order(speed=2.0), order(voice_id="voice_x")]
    assert len({espeak.speak(each).audio for each in texts}) == len(texts)
    assert len(espeak.speak(order(speed=2.0)).audio) < 0.65 * len(espeak.speak(order()).audio)


@pytest.mark.parametrize("language", ["hi", "ta", "es", "zh", "ja", "ar", "no", "auto", "tlh"])
def test_every_language_is_spoken(language: str) -> None:
    assert len(espeak.speak(order("Hello 123.", language=language)).audio) > 24000


async def test_the_server_speaks(serve: Any) -> None:
    async with serve(voice="speech") as client:
        line = await client.open()
        await line.say("Hello there.", word_timestamps=True)
        frames = await line.hear_until("complete")
        assert audio(frames) == client.waves.requests[0].audio == espeak.speak(order("Hello there.")).audio
        words = [frame["data"]["word"] for frame in frames if frame["status"] == "word_timestamp"]
        assert words == ["Hello", "there."]


async def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    espeak._engine.cache_clear()
    espeak._spoken.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(VoiceUnavailable, match=r"pip install 'videosdk-plugins-smallestai\[emulator\]'"):
        await WavesEmulator().start()
