"""The reply machine against a simulated service: see `simulated.py`. Each case is a range of schedules."""

from __future__ import annotations

import pytest
from simulated import TRAITS, Plan, draw, judge, run

from videosdk_plugins_smallestai.errors import APIConnectionError, InvalidRequestError, ServerError

SCHEDULES = 3200
AT_ONCE = 200


@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_ONCE))
def test_what_is_heard_is_the_text_or_an_error_whatever_happens(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        plan = draw(seed)
        problem, listed = judge(plan, run(plan))
        assert problem is None or listed is not None, f"seed {seed}: {problem}\n{plan}"


@pytest.mark.parametrize("route", TRAITS)
def test_a_reply_without_faults_is_heard_whole_with_a_request_for_each_segment(route: str) -> None:
    plan = Plan(route, [40, 60, 20])
    outcome = run(plan)
    assert judge(plan, outcome) == (None, None)
    assert outcome.requests == 3
    assert outcome.gap < 0.05


@pytest.mark.parametrize("route", TRAITS)
def test_a_break_is_mended_and_the_error_of_a_second_one_in_a_row_is_raised(route: str) -> None:
    once = run(Plan(route, [40, 60], cuts={(0, 0): 30}))
    assert once.error is None
    ever = run(Plan(route, [40, 60], cuts={(0, attempt): 30 for attempt in range(9)}))
    assert isinstance(ever.error, APIConnectionError)
    assert ever.heard == [(0, sample) for sample in range(30)]
    assert ever.unspoken.startswith("a" * 40)


@pytest.mark.parametrize("route", TRAITS)
def test_a_refusal_of_the_second_segment_is_told_when_the_first_was_heard(route: str) -> None:
    plan = Plan(route, [60, 30], refusals={(1, attempt): InvalidRequestError("no") for attempt in range(9)})
    outcome = run(plan)
    assert isinstance(outcome.error, InvalidRequestError)
    assert outcome.heard == [(0, sample) for sample in range(plan.units(0))]
    assert outcome.emitted == [outcome.error]


@pytest.mark.parametrize("route", ["plain", "own", "context"])
@pytest.mark.parametrize("complete", [0.01, 4.0, None])
def test_a_stall_for_good_in_mid_sentence_is_an_error_within_fifteen_seconds(
    route: str, complete: float | None
) -> None:
    stalls = {(0, attempt): (20, float("inf")) for attempt in range(9)}
    outcome = run(Plan(route, [100], stalls=stalls, complete=complete))
    assert isinstance(outcome.error, ServerError)
    assert outcome.ended_at is not None
    assert outcome.ended_at < 15.0


def test_the_judge_finds_what_is_lost_repeated_or_late() -> None:
    """A judge that finds nothing would make all of the above pass."""
    plan = Plan("http", [30, 30])
    whole = run(plan)
    whole.heard.pop()
    assert "lost without an error" in str(judge(plan, whole)[0])
    again = run(plan)
    again.heard.insert(5, again.heard[4])
    assert "not a beginning" in str(judge(plan, again)[0])
    endless = run(plan)
    endless.ended_at = None
    assert "never ends" in str(judge(plan, endless)[0])
    failed = run(plan)
    failed.error = ServerError("for no reason")
    assert "without a cause" in str(judge(plan, failed)[0])
