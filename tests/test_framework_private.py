"""What `framework` reads of the installed videosdk-agents is there, and means what we take it for.

A failure here says that a release of the framework has changed something that is no part of its public interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from videosdk.agents import TTS, CustomAudioStreamTrack, FallbackTTS, JobContext, Pipeline, RoomOptions
from videosdk.agents.job import _reset_current_job_context, _set_current_job_context
from videosdk.agents.room import output_stream
from videosdk.agents.tokenize import BasicTextFilter, TextFilter

from videosdk_plugins_smallestai import framework

TRACKS = [
    output_stream.CustomAudioStreamTrack,
    output_stream.MixingCustomAudioStreamTrack,
    output_stream.TeeCustomAudioStreamTrack,
    output_stream.TeeMixingCustomAudioStreamTrack,
]
every_track = pytest.mark.parametrize("kind", TRACKS)
FRAME = 480


def make(kind: type[CustomAudioStreamTrack]) -> CustomAudioStreamTrack:
    return kind(asyncio.get_running_loop())


def frames(count: int) -> bytes:
    return bytes(2 * FRAME * count)


@every_track
async def test_a_track_tells_its_format(kind: type[CustomAudioStreamTrack]) -> None:
    assert framework.track_format(make(kind)) == (24000, 1, 2 * FRAME)


@every_track
async def test_a_track_plays_whole_frames_of_its_chunk_size(kind: type[CustomAudioStreamTrack]) -> None:
    track = make(kind)
    await track.add_new_bytes(frames(1)[:-2])
    await track.recv()
    assert framework.played_samples(track) == 0
    await track.add_new_bytes(bytes(2))
    frame = await track.recv()
    assert framework.played_samples(track) == FRAME
    assert (frame.samples, frame.sample_rate) == (FRAME, 24000)


@every_track
async def test_the_frame_time_advances_with_each_frame_silent_ones_included(
    kind: type[CustomAudioStreamTrack],
) -> None:
    track = make(kind)
    times = [framework.frame_time(track)]
    for _ in range(2):
        await track.recv()
        times.append(framework.frame_time(track))
    assert times == [0, FRAME, 2 * FRAME]


@every_track
async def test_a_track_counts_what_it_has_played_since_the_reply_began(kind: type[CustomAudioStreamTrack]) -> None:
    track = make(kind)
    await track.add_new_bytes(frames(3))
    for _ in range(2):
        await track.recv()
    assert framework.played_samples(track) == 2 * FRAME
    track.mark_synthesis_start()
    assert framework.played_samples(track) == 0
    await track.recv()
    await track.recv()  # silence
    assert framework.played_samples(track) == FRAME


@every_track
async def test_what_a_track_still_has_to_play_is_counted_in_every_buffer(
    kind: type[CustomAudioStreamTrack],
) -> None:
    track = make(kind)
    assert framework.queued_samples(track) == 0
    await track.add_new_bytes(frames(3) + bytes(20))
    assert framework.queued_samples(track) == 3 * FRAME + 10
    await track.recv()
    assert framework.queued_samples(track) == 2 * FRAME + 10


@every_track
async def test_what_a_pause_holds_back_is_still_to_be_played(kind: type[CustomAudioStreamTrack]) -> None:
    track = make(kind)
    await track.add_new_bytes(frames(2))
    await track.pause()
    await track.add_new_bytes(frames(1))
    assert framework.queued_samples(track) == 3 * FRAME
    await track.resume()
    assert framework.queued_samples(track) == 3 * FRAME


@every_track
async def test_the_fading_tail_of_an_interrupted_reply_is_still_to_be_played(
    kind: type[CustomAudioStreamTrack],
) -> None:
    track = make(kind)
    await track.add_new_bytes(frames(100))
    track.interrupt()
    assert framework.queued_samples(track) == 20 * FRAME  # 0.4 s


# The tts hook


@contextmanager
def job() -> Iterator[JobContext]:
    context = JobContext(room_options=RoomOptions(room_id="nowhere", auth_token="none"))
    token = _set_current_job_context(context)
    try:
        yield context
    finally:
        _reset_current_job_context(token)


async def test_a_pipeline_with_a_tts_hook_speaks_through_stream_synthesize() -> None:
    with job():
        pipeline = Pipeline()
        assert not framework.speaks_through_tts_hook()

        @pipeline.on("tts")
        async def speak(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for _ in text:
                yield b""

        assert framework.speaks_through_tts_hook()
    assert not framework.speaks_through_tts_hook()


# What stands in front of the voice


class Voice(TTS):
    """Says nothing."""

    async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
        """Nothing."""

    async def interrupt(self) -> None:
        """Nothing."""


class Reader(TextFilter):
    """A filter that says of itself that it reads ahead."""

    reads_ahead = True

    def filter(self, chunks: AsyncIterator[str]) -> AsyncIterator[str]:
        return chunks

    async def reset(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("options", "ahead", "spelt"),
    [
        ({}, False, True),
        ({"text_chunking": False}, True, True),
        ({"text_chunking": False, "text_filtering": False}, True, False),
        ({"text_chunking": False, "text_filter": Reader()}, False, False),
        ({"text_filter": BasicTextFilter(verbalize_currency=False)}, False, False),
    ],
)
async def test_a_voice_sees_what_stands_in_front_of_it(options: dict[str, Any], ahead: bool, spelt: bool) -> None:
    voice = Voice()
    assert not framework.needs_reading_ahead(voice)
    assert not framework.spells_numbers_out(voice)
    with job():
        Pipeline(tts=voice, **options)
        assert framework.needs_reading_ahead(voice) is ahead
        assert framework.spells_numbers_out(voice) is spelt
        other = Voice()
        assert not framework.needs_reading_ahead(other)
        assert not framework.spells_numbers_out(other)


async def test_the_pipelines_own_voice_and_the_last_of_a_fallback_are_the_last_to_read() -> None:
    first, last, other = Voice(), Voice(), Voice()
    assert not framework.is_last_to_read(first), "there is no pipeline"
    with job():
        Pipeline(tts=first)
        assert framework.is_last_to_read(first)
        assert not framework.is_last_to_read(other)
    with job():
        Pipeline(tts=FallbackTTS([first, last]))
        assert not framework.is_last_to_read(first)
        assert framework.is_last_to_read(last)
    with job():
        reads_by_itself = FallbackTTS([first, last])
        reads_by_itself.reads_ahead = True
        Pipeline(tts=reads_by_itself)
        assert not framework.is_last_to_read(last)


# Anything in a track's place


NO_NUMBERS = SimpleNamespace(sample_rate=True, channels=True, chunk_size=24000.0, frame_time="480")


@pytest.mark.parametrize("track", [None, object(), MagicMock(), AsyncMock(), NO_NUMBERS])
def test_a_mock_in_a_tracks_place_tells_nothing(track: Any) -> None:
    assert framework.track_format(track) == (None, 1, None)
    assert framework.frame_time(track) is None
    assert framework.played_samples(track) is None
    assert framework.queued_samples(track) == 0


def test_a_track_that_fails_to_tell_what_it_has_played_tells_nothing() -> None:
    assert framework.played_samples(MagicMock(snapshot_playback=MagicMock(side_effect=RuntimeError))) is None
