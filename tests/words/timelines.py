"""Timelines for tests."""

from __future__ import annotations

from videosdk_plugins_smallestai.words.timeline import SpokenSegment, Timeline


def end(timeline: Timeline, segment: SpokenSegment, seconds: float) -> None:
    """The segment's whole audio is that long."""
    segment.add_audio(seconds - segment.heard)
    timeline.end(segment)


def spoken(text: str, seconds: float | None = None, *told: tuple[str, float]) -> dict[str, float]:
    """The words of a text and their places, after the server has told some."""
    timeline = Timeline()
    segment = timeline.begin(text, 0.0)
    for word, start in told:
        segment.place(word, start)
    if seconds is not None:
        end(timeline, segment, seconds)
    return {word.text: word.start for word in timeline.words}
