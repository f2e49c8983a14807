"""What the listener still has to hear, on a clock that the test sets."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.playhead import Playhead


class Clock:
    """Tells the time that a test has set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_pushed_is_heard_from_then_on() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    assert playhead.remaining == 0
    playhead.push(1.0)
    playhead.push(1.0)
    clock.now += 0.5
    assert playhead.remaining == pytest.approx(1.5)
    assert playhead.heard_until == pytest.approx(102.0)


def test_an_underrun_is_a_gap_and_no_audio() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    playhead.push(1.0)
    clock.now += 3.0
    assert playhead.push(1.0) == pytest.approx(2.0)
    assert playhead.remaining == pytest.approx(1.0)


def test_a_pause_is_no_gap() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    playhead.push(1.0)
    clock.now += 0.9
    playhead.pause()
    clock.now += 60.0
    playhead.push(1.0)
    assert playhead.remaining == pytest.approx(1.1)
    assert playhead.heard_until == pytest.approx(clock.now + 1.1)
    playhead.resume()
    assert playhead.remaining == pytest.approx(1.1)
    clock.now += 1.0
    assert playhead.push(1.0) == 0


def test_of_an_underrun_around_a_pause_only_the_time_that_was_not_paused_is_a_gap() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    playhead.push(1.0)
    clock.now += 1.5
    playhead.pause()
    clock.now += 60.0
    playhead.resume()
    clock.now += 0.25
    assert playhead.push(1.0) == pytest.approx(0.75)
    assert playhead.remaining == pytest.approx(1.0)


def test_a_reply_that_begins_during_a_pause_is_heard_after_it() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    playhead.pause()
    clock.now += 5.0
    assert playhead.push(1.0) == 0
    clock.now += 5.0
    assert playhead.remaining == pytest.approx(1.0)
    playhead.resume()
    clock.now += 0.25
    assert playhead.remaining == pytest.approx(0.75)


def test_of_the_silences_of_a_whole_call_nothing_is_kept() -> None:
    clock = Clock()
    playhead = Playhead(clock)
    tracemalloc.start()
    try:
        for _ in range(5000):
            clock.now += 60.0
            playhead.push(1.0)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()


STEPS = st.lists(st.sampled_from(["push", "pause", "resume"]) | st.integers(1, 30), max_size=40)


@given(STEPS)
def test_it_agrees_with_a_listener_who_hears_a_tenth_of_a_second_at_a_time(steps: list[str | int]) -> None:
    clock = Clock()
    playhead = Playhead(clock)
    left, silent, paused, begun = 0, 0, False, False
    gaps: list[int] = []
    told: list[float] = []
    for step in steps:
        if step == "push":
            if silent and begun:
                gaps.append(silent)
            silent, begun = 0, True
            left += 10
            told.append(playhead.push(1.0))
        elif step == "pause":
            paused = True
            playhead.pause()
        elif step == "resume":
            paused = False
            playhead.resume()
        else:
            for _ in range(int(step)):
                clock.now += 0.1
                silent += not paused and not left
                left -= not paused and left > 0
        assert playhead.remaining == pytest.approx(left / 10, abs=1e-6)
    assert [gap for gap in told if gap > 0.01] == pytest.approx([gap / 10 for gap in gaps])
