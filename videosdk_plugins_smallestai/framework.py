"""What this package reads of videosdk-agents beyond its public interface, each thing in a function of its own.

Every one has a test in ``tests/test_framework_private.py`` that fails when a release of the framework changes it.
Users' tests pass mocks and small fakes for tracks: an attribute that is not a real ``int`` counts as absent.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

__all__ = [
    "SAMPLE_WIDTH",
    "TrackFormat",
    "advice",
    "frame_time",
    "is_last_to_read",
    "needs_reading_ahead",
    "played_samples",
    "queued_samples",
    "speaks_through_tts_hook",
    "spells_numbers_out",
    "track_format",
]

SAMPLE_WIDTH = 2
"""Bytes of a sample: tracks play 16-bit PCM, and the service sends it."""


class TrackFormat(NamedTuple):
    """What a track plays. ``None`` stands for what it does not tell.

    Attributes:
        rate: Sample rate, in Hz.
        channels: 1 where it does not tell.
        frame_bytes: Bytes of the frames that it plays: whole ones only.
    """

    rate: int | None
    channels: int
    frame_bytes: int | None


def track_format(track: Any) -> TrackFormat:
    """The format of the bytes that ``track.add_new_bytes`` takes."""
    return TrackFormat(
        rate=_natural(track, "sample_rate") or None,
        channels=_natural(track, "channels") or 1,
        frame_bytes=_natural(track, "chunk_size") or None,
    )


def frame_time(track: Any) -> int | None:
    """A count that advances with each frame that is pulled from the track, silent ones included."""
    return _natural(track, "frame_time")


def played_samples(track: Any) -> int | None:
    """Samples that the track has played since the framework last began a reply on it."""
    ask = getattr(track, "snapshot_playback", None)
    if not callable(ask):
        return None
    try:
        told = ask()
    except Exception:
        return None
    if isinstance(told, tuple | list) and len(told) == 2 and all(type(value) is int for value in told):
        played: int = told[0]
        return played
    if asyncio.iscoroutine(told):
        told.close()  # a mock's: never awaited, it would warn
    return None


def queued_samples(track: Any) -> int:
    """Samples that the track still has to play, those that a pause holds back included."""
    frames = sum(
        len(held)
        for name in ("frame_buffer", "_paused_frames")
        if isinstance(held := getattr(track, name, None), list)
    )
    samples = frames * (_natural(track, "samples") or 0)
    data = getattr(track, "audio_data_buffer", None)
    if isinstance(data, bytes | bytearray):
        samples += len(data) // (SAMPLE_WIDTH * (_natural(track, "channels") or 1))
    return samples


def speaks_through_tts_hook() -> bool:
    """Whether the current job's pipeline has a ``tts`` hook, so that ``stream_synthesize`` is the live reply."""
    has_hook = getattr(getattr(_pipeline(), "hooks", None), "has_tts_stream_hook", None)
    return has_hook is not None and has_hook() is True


def is_last_to_read(tts: object) -> bool:
    """Whether nobody reads a reply's text after this voice of the current job's pipeline.

    So it is for the pipeline's own voice, and for the last provider of a `FallbackTTS` that does not itself read
    the text to its end.
    """
    voice = getattr(_pipeline(), "tts", None)
    if voice is None or voice is tts:
        return voice is tts
    providers = getattr(voice, "providers", None)
    return isinstance(providers, list) and providers[-1:] == [tts] and not _reads_ahead(voice)


def needs_reading_ahead(tts: object) -> bool:
    """Whether the current job's pipeline has this very voice, and nothing in front of it reads ahead.

    The framework's sentence chunker does, and `SpeechTextFilter`.
    """
    pipeline = _pipeline()
    return (
        pipeline is not None
        and pipeline.tts is tts
        and pipeline.chunker is None
        and not _reads_ahead(pipeline.text_filter)
    )


def spells_numbers_out(tts: object) -> bool:
    """Whether the current job's pipeline has this voice, and the framework's filter writes numbers as words."""
    pipeline = _pipeline()
    if pipeline is None or pipeline.tts is not tts:
        return False
    text_filter = pipeline.text_filter
    return any(getattr(text_filter, name, None) is True for name in ("_verbalize_numbers", "_verbalize_currency"))


def advice(tts: object) -> str | None:
    """What to tell a user in whose pipeline a listener would hear less than the model wrote."""
    remedy = (
        "with Pipeline(text_filter=SpeechTextFilter(), text_chunking=False) it is as the model wrote it; "
        "SpeechTextFilter is in videosdk_plugins_smallestai"
    )
    if needs_reading_ahead(tts):
        return (
            "nothing in front of this voice reads the model's answer ahead, so the voice does. "
            f"After a barge-in the chat context may then say more than was heard: {remedy}"
        )
    if spells_numbers_out(tts):
        return (
            "the pipeline's text filter writes numbers as words, some of them wrongly (£1500, a "
            f"telephone number, a code), and leaves out code: {remedy}"
        )
    return None


def _pipeline() -> Any:
    """The pipeline of the current job."""
    from videosdk.agents.job import get_current_job_context

    return getattr(get_current_job_context(), "_pipeline", None)


def _reads_ahead(reader: object) -> bool:
    """Whether it says of itself that it reads its text to the end, whoever stops reading it."""
    return getattr(reader, "reads_ahead", None) is True


def _natural(owner: object, name: str) -> int | None:
    """An attribute that is a real ``int`` and not negative."""
    value = getattr(owner, name, None)
    return value if type(value) is int and value >= 0 else None
