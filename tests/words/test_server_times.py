"""Where in a segment's audio a word is spoken, whatever the server's times count from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.words.server_times import ServerTimes

STARTS = [0.05, 0.4, 1.1, 2.3]
"""Where the words are spoken, in seconds of the segment's audio."""


def placed(
    *, origin: float, began: float, lag: float = 0.0, ids: tuple[str | None, ...] = ("t",) * 4
) -> list[float]:
    """The places of the words, whose times count from `origin` and are told `lag` seconds after their audio."""
    times = ServerTimes()
    return [
        times.place(start - origin, server_id=server_id, heard=max(0.0, start + lag), stream_began=began)
        for start, server_id in zip(STARTS, ids, strict=True)
    ]


@pytest.mark.parametrize("lag", [-0.1, 0.0, 0.1, 2.0])
@pytest.mark.parametrize("began", [0.0, 0.3, 7.0])
def test_times_that_count_from_the_requests_audio(began: float, lag: float) -> None:
    assert placed(origin=0.0, began=began, lag=lag) == pytest.approx(STARTS)


@pytest.mark.parametrize("lag", [-0.1, 0.0, 0.1, 2.0])
@pytest.mark.parametrize("began", [0.0, 0.6, 7.0])
def test_times_that_count_from_the_connections_audio(began: float, lag: float) -> None:
    assert placed(origin=-began, began=began, lag=lag) == pytest.approx(STARTS)


def test_times_that_count_from_somewhere_else_are_placed_where_the_audio_is() -> None:
    """As in the third fragment of a continuation, if they count from its first."""
    assert placed(origin=-20.0, began=7.0, lag=0.1) == pytest.approx([start + 0.1 for start in STARTS])


def test_times_that_count_from_each_release_of_a_segment() -> None:
    times = ServerTimes()
    first = [times.place(start, server_id="r1", heard=start, stream_began=3.0) for start in (0.0, 0.8)]
    second = [times.place(start, server_id="r2", heard=2.0 + start, stream_began=3.0) for start in (0.0, 0.8)]
    assert first + second == pytest.approx([0.0, 0.8, 2.0, 2.8])


def test_a_server_that_gives_each_release_an_id_may_count_on_across_them() -> None:
    assert placed(origin=0.0, began=7.0, ids=("r1", "r1", "r2", "r2")) == pytest.approx(STARTS)


def test_a_release_is_seen_without_ids_by_times_that_begin_again() -> None:
    times = ServerTimes()
    told = [(0.0, 0.0), (1.0, 1.0), (0.1, 2.0), (0.6, 2.5)]
    found = [times.place(start, server_id=None, heard=heard, stream_began=0.0) for start, heard in told]
    assert found == pytest.approx([0.0, 1.0, 2.1, 2.6])


@given(
    st.lists(st.tuples(st.floats(-5, 50), st.sampled_from([None, "a", "b"]), st.floats(0, 50), st.floats(0, 50)))
)
def test_no_place_is_before_the_segment(told: list[tuple[float, str | None, float, float]]) -> None:
    times = ServerTimes()
    for start, server_id, heard, began in told:
        assert times.place(start, server_id=server_id, heard=heard, stream_began=began) >= 0.0
