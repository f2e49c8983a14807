"""One reply's audio on one track: whole samples, whole frames, the track's rate, and nothing after the end."""

from __future__ import annotations

import asyncio
import logging
import math
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import numpy as np
import pytest
from agent_session import without_silence
from listening import assert_same
from virtual_time import run

from videosdk_plugins_smallestai.emulator import tone
from videosdk_plugins_smallestai.playback.player import Player
from videosdk_plugins_smallestai.playback.sinks import QueueSink, TrackSink

FRAME = 0.02
"""Seconds of a frame."""

RATES = pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])


@dataclass
class Track:
    """A track in the format of the framework's, that writes down what it is given."""

    sample_rate: int = 24000
    channels: int = 1
    added: list[bytes] = field(default_factory=list)

    @property
    def chunk_size(self) -> int:
        return round(FRAME * self.sample_rate) * self.channels * 2

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.added.append(pcm)

    @property
    def heard(self) -> bytes:
        return b"".join(self.added)

    @property
    def speech(self) -> bytes:
        return without_silence(self.heard)

    @property
    def samples(self) -> array[int]:
        return array("h", self.heard)

    @property
    def seconds(self) -> float:
        return len(self.heard) / 2 / self.channels / self.sample_rate


def sine(seconds: float, rate: int, frequency: float = 440.0, level: int = 10000) -> bytes:
    samples = (math.sin(2 * math.pi * frequency * i / rate) for i in range(round(seconds * rate)))
    return array("h", (round(level * sample) for sample in samples)).tobytes()


def zero_crossings(samples: array[int]) -> int:
    return sum((a < 0) != (b < 0) for a, b in pairwise(samples))


def energy(samples: array[int], rate: int) -> float:
    return sum(sample * sample for sample in samples) / rate


def pieces(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]


async def play(track: Any, pcm: bytes, rate: int = 24000, size: int = 4800) -> Player:
    """Play a reply that comes in pieces of this size."""
    player = Player(TrackSink(track), rate)
    for piece in pieces(pcm, size):
        await player.write(piece)
    await player.finish()
    return player


# The track's rate


@RATES
@pytest.mark.parametrize("seconds", [0.013, 0.5, 1.2345])
async def test_a_voice_of_any_rate_lasts_as_long_as_it_should(rate: int, seconds: float) -> None:
    track = Track()
    await play(track, sine(seconds, rate), rate)
    assert seconds - 1e-4 <= track.seconds < seconds + FRAME + 0.005


@RATES
@pytest.mark.parametrize("track_rate", [16000, 24000, 48000])
async def test_a_voice_of_any_rate_has_the_right_pitch(rate: int, track_rate: int) -> None:
    track = Track(sample_rate=track_rate)
    await play(track, sine(1.0, rate, 440.0), rate)
    middle = track.samples[track_rate // 10 : -track_rate // 10]
    assert zero_crossings(middle) == pytest.approx(2 * 440 * len(middle) / track_rate, abs=3)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
@pytest.mark.parametrize("frequency", [440.0, 1000.0, 3000.0])
async def test_a_voice_of_any_rate_is_heard_clean(rate: int, frequency: float) -> None:
    """At 40 dB, distortion is a hundredth of the voice."""
    track = Track()
    await play(track, sine(1.0, rate, frequency), rate)
    heard = np.frombuffer(track.heard, "<i2").astype(float)[2400:-2400]
    phase = 2 * np.pi * frequency * np.arange(len(heard)) / 24000
    waves = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    voice = waves @ np.linalg.lstsq(waves, heard, rcond=None)[0]
    assert 20 * np.log10(np.linalg.norm(voice) / np.linalg.norm(heard - voice)) > 40


@RATES
@pytest.mark.parametrize("size", [1, 441, 4800, 100_000])
async def test_a_converted_voice_has_the_strength_of_the_original(rate: int, size: int) -> None:
    voice = sine(0.1, rate)
    track = Track()
    await play(track, voice, rate, size)
    assert energy(track.samples, 24000) == pytest.approx(energy(array("h", voice), rate), rel=0.05)


@RATES
async def test_the_last_sample_is_heard(rate: int) -> None:
    """What a resampler holds back at the end of a reply would be cut off, or stick to the next."""
    click = round(rate * 0.002)
    voice = bytes(2 * (round(rate * 0.3) - click)) + sine(0.002, rate, 1000.0)
    track = Track()
    await play(track, voice, rate)
    end = array("h", track.heard[-track.chunk_size * 2 :])
    assert energy(end, 24000) == pytest.approx(energy(array("h", voice), rate), rel=0.15)


@pytest.mark.parametrize("size", [1, 7, 959, 4800, 48001])
async def test_a_voice_of_the_tracks_own_rate_is_heard_sample_for_sample(size: int) -> None:
    track = Track()
    await play(track, tone("Hello there."), size=size)
    assert_same(track.speech, tone("Hello there."))


async def test_replies_of_different_rates_share_nothing() -> None:
    track = Track()
    for rate in (8000, 16000, 24000, 44100):
        await play(track, sine(0.1, rate), rate)
        del track.added[:]
    await play(track, tone("Hello there."))
    assert_same(track.speech, tone("Hello there."))


async def test_a_stereo_track_hears_the_voice_on_both_sides() -> None:
    track = Track(sample_rate=48000, channels=2)
    await play(track, sine(0.5, 24000), 24000)
    left, right = track.samples[::2], track.samples[1::2]
    assert left == right
    assert 0.5 <= track.seconds < 0.5 + FRAME + 0.005
    assert energy(left, 48000) == pytest.approx(energy(array("h", sine(0.5, 24000)), 24000), rel=0.05)


# Whole samples and whole frames


@pytest.mark.parametrize("size", [1, 3, 961, 4799])
@pytest.mark.parametrize("rate", [16000, 24000])
async def test_odd_sized_writes_reach_the_track_as_whole_samples(size: int, rate: int) -> None:
    track = Track()
    await play(track, sine(0.1, rate), rate, size)
    assert track.added
    assert all(len(pcm) % 2 == 0 for pcm in track.added)


async def test_half_a_sample_at_the_end_of_a_segment_does_not_turn_the_next_into_noise() -> None:
    track = Track()
    player = Player(TrackSink(track), 24000)
    await player.write(tone("One.") + b"\x55")
    player.end_segment()
    await player.write(tone("Two."))
    await player.finish()
    assert track.heard.startswith(tone("One.") + tone("Two."))


@pytest.mark.parametrize("samples", [1, 479, 480, 481, 12345])
async def test_the_last_frame_is_filled_with_silence_and_no_frame_more(samples: int) -> None:
    track = Track()
    voice = tone("a" * 20)[: 2 * samples]
    await play(track, voice)
    assert len(track.heard) == math.ceil(samples / 480) * 960
    assert track.heard == voice.ljust(len(track.heard), b"\0")


async def test_a_reply_without_audio_adds_no_silence() -> None:
    track = Track()
    await play(track, b"")
    assert not track.added


async def test_late_audio_after_the_end_is_heard_and_its_last_frame_filled_again() -> None:
    track = Track()
    player = await play(track, tone("abc"))
    end = len(track.heard)
    await player.write(tone("d")[:1000])
    await player.finish()
    assert track.heard[end : end + 1000] == tone("d")[:1000]
    assert len(track.heard) % track.chunk_size == 0


async def test_the_last_samples_can_be_heard_before_the_end_is_known() -> None:
    track = Track()
    player = Player(TrackSink(track), 24000)
    await player.write(tone("abc")[:1000])
    await player.fill_frame()
    await player.fill_frame()
    assert track.heard == tone("abc")[:1000].ljust(1920, b"\0")
    await player.write(tone("d")[:960])
    await player.finish()
    assert track.heard[1920:] == tone("d")[:960]


async def test_filling_a_frame_of_a_converted_voice_puts_no_silence_into_it() -> None:
    track = Track()
    player = Player(TrackSink(track), 16000)
    voice = sine(0.5, 16000)
    await player.write(voice[:5001])
    await player.fill_frame()
    await player.write(voice[5001:])
    await player.finish()
    unbroken = Track()
    await play(unbroken, voice, 16000)
    assert_same(track.heard, unbroken.heard)


# The first-audio callback


async def test_the_first_audio_is_announced_once_before_the_first_byte() -> None:
    track = Track()
    heard_before: list[bytes] = []

    async def announce() -> None:
        heard_before.append(track.heard)

    player = Player(TrackSink(track), 24000, on_first_audio=announce)
    assert not heard_before
    for piece in pieces(tone("Hello there."), 960):
        await player.write(piece)
    await player.finish()
    assert heard_before == [b""]


async def test_a_callback_that_fails_is_logged_and_costs_no_audio(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("the metrics are not there")

    track = Track()
    player = Player(TrackSink(track), 24000, on_first_audio=fail)
    await player.write(tone("Hello there."))
    await player.finish()
    assert_same(track.speech, tone("Hello there."))
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "the metrics are not there" in caplog.text


async def test_a_callback_that_raises_a_cancellation_of_its_own_does_not_end_the_reply_silently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError("the metrics gave up")

    track = Track()
    player = Player(TrackSink(track), 24000, on_first_audio=give_up)
    await player.write(tone("Hello there."))
    await player.finish()
    assert_same(track.speech, tone("Hello there."))
    [record] = caplog.records
    assert record.levelno == logging.ERROR


async def test_a_callback_that_awaits_a_cancelled_task_does_not_end_the_reply_silently() -> None:
    async def wait_for_a_cancelled_task() -> None:
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await waiting

    track = Track()
    player = Player(TrackSink(track), 24000, on_first_audio=wait_for_a_cancelled_task)
    await player.write(tone("Hello there."))
    await player.finish()
    assert_same(track.speech, tone("Hello there."))


async def test_a_reply_that_is_cancelled_while_the_first_audio_is_announced_ends_with_nothing_heard() -> None:
    announcing = asyncio.Event()

    async def announce() -> None:
        announcing.set()
        await asyncio.Event().wait()

    track = Track()
    player = Player(TrackSink(track), 24000, on_first_audio=announce)
    writing = asyncio.ensure_future(player.write(tone("Hello there.")))
    await announcing.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not track.added


async def test_an_interrupt_while_the_first_audio_is_announced_lets_nothing_through() -> None:
    track = Track()

    async def interrupt() -> None:
        player.close()

    player = Player(TrackSink(track), 24000, on_first_audio=interrupt)
    await player.write(tone("Hello there."))
    await player.finish()
    assert not track.added


# The end


@RATES
async def test_after_close_nothing_goes_out(rate: int) -> None:
    track = Track()
    player = Player(TrackSink(track), rate)
    await player.write(sine(0.5, rate))
    heard = track.heard
    player.close()
    await player.write(sine(0.5, rate))
    await player.finish()
    assert heard
    assert_same(track.heard, heard)


async def test_a_reply_that_is_closed_before_its_first_byte_announces_nothing() -> None:
    announced: list[None] = []

    async def announce() -> None:
        announced.append(None)

    track = Track()
    player = Player(TrackSink(track), 24000, on_first_audio=announce)
    player.close()
    await player.write(tone("Hello there."))
    await player.finish()
    assert not track.added
    assert not announced


# What the listener still has to hear


async def test_what_remains_to_be_heard_is_what_was_added_and_not_yet_played() -> None:
    loop = asyncio.get_running_loop()
    player = Player(TrackSink(Track()), 16000)
    assert player.remaining == 0
    began = loop.time()
    await player.write(sine(0.5, 16000))
    await player.write(sine(0.5, 16000))
    await asyncio.sleep(0.05)
    assert player.remaining == pytest.approx(1.0 - (loop.time() - began), abs=0.1)
    assert player.seconds == pytest.approx(1.0, abs=0.01)
    assert player.gaps == []


async def test_a_pause_of_the_server_is_a_gap_once_the_listener_has_heard_everything() -> None:
    player = Player(TrackSink(Track()), 24000)
    await player.write(sine(0.02, 24000))
    await asyncio.sleep(0.1)
    await player.write(sine(0.02, 24000))
    [gap] = player.gaps
    assert gap >= 0.075
    assert player.remaining == pytest.approx(0.02, abs=0.02), "the gap was no audio"


def test_a_pause_stops_the_count_of_what_the_listener_still_has_to_hear() -> None:
    async def hear() -> None:
        player = Player(TrackSink(Track()), 24000)
        await player.write(sine(2.0, 24000))
        await asyncio.sleep(0.5)
        player.pause()
        await asyncio.sleep(30.0)
        assert player.remaining == pytest.approx(1.5, abs=0.01)
        player.resume()
        await asyncio.sleep(0.5)
        assert player.remaining == pytest.approx(1.0, abs=0.01)
        assert player.gaps == []

    run(hear())


async def test_nothing_remains_to_be_heard_where_nobody_listens() -> None:
    player = Player(QueueSink(None, 24000), 24000, heard=False)
    await player.write(tone("Hello there."))
    assert player.remaining is None


# Anything in a track's place


class SynchronousFake:
    """The least that can be a track: no rate, and an ordinary method."""

    def __init__(self) -> None:
        self.heard = b""

    def add_new_bytes(self, pcm: bytes) -> None:
        self.heard += pcm


class AsynchronousFake:
    def __init__(self) -> None:
        self.heard = b""

    async def add_new_bytes(self, pcm: bytes) -> None:
        self.heard += pcm


class NoneFake(AsynchronousFake):
    sample_rate = channels = chunk_size = None


class StringFake(AsynchronousFake):
    sample_rate, channels, chunk_size = "24000", True, 960.0


@pytest.mark.parametrize("fake", [SynchronousFake, AsynchronousFake, NoneFake, StringFake])
@pytest.mark.parametrize("rate", [16000, 24000])
async def test_a_small_fake_gets_the_bytes_as_they_are(fake: Any, rate: int) -> None:
    track = fake()
    await play(track, tone("Hello there.", rate), rate)
    assert_same(track.heard, tone("Hello there.", rate))


@pytest.mark.parametrize("mock", [MagicMock, AsyncMock])
@pytest.mark.parametrize("rate", [16000, 24000])
async def test_a_mock_gets_the_bytes_as_they_are(mock: Any, rate: int) -> None:
    track = mock()
    await play(track, tone("Hello there.", rate), rate)
    heard = b"".join(call.args[0] for call in track.add_new_bytes.call_args_list)
    assert heard == tone("Hello there.", rate)


@pytest.mark.parametrize(("track", "heard"), [(None, 1.0), (Track(), 1.0), (Track(sample_rate=48000), 2.0)])
async def test_an_iterator_gets_the_format_of_the_track_that_it_may_end_on(track: Any, heard: float) -> None:
    sink = QueueSink(track, 24000)
    player = Player(sink, 24000, heard=False)
    voice = tone("Hello there.")
    await player.write(voice)
    await player.finish()
    pcm = b"".join(sink.queue.get_nowait() or b"" for _ in range(sink.queue.qsize()))
    assert len(pcm) == pytest.approx(heard * len(voice), abs=2 * 960)
    if track is not None:
        assert not track.added
