"""How long a listener waits for another attempt, and when the error is raised instead. No clock, no network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.reply.retry import IncompleteAudioError, NoAudioError, RetryPolicy
from videosdk_plugins_smallestai.timing import Timing


def unreachable() -> SmallestAIError:
    return APIConnectionError("refused", opening=True)


def broken() -> SmallestAIError:
    return APIConnectionError("broke")


def failed() -> SmallestAIError:
    return ServerError("failed", status=503)


def busy(retry_after: float | None = None) -> SmallestAIError:
    return RateLimitError("busy", status=429, retry_after=retry_after)


def incomplete() -> SmallestAIError:
    return IncompleteAudioError("stopped")


def waits(*failures: SmallestAIError | tuple[SmallestAIError, str]) -> list[float | None]:
    """Seconds before the attempt after each failure; those in a tuple came after new audio."""
    policy = RetryPolicy(Timing())
    waited = []
    for failure in failures:
        if isinstance(failure, tuple):
            policy.progress()
            waited.append(policy.delay(failure[0], new_audio=True))
        else:
            waited.append(policy.delay(failure, new_audio=False))
    return waited


AFTER_AUDIO = "after audio"

CASES: dict[str, tuple[list[SmallestAIError | tuple[SmallestAIError, str]], list[float | None]]] = {
    "a service that cannot be reached: one more try": ([unreachable(), unreachable()], [0.25, None]),
    "a server that fails: two more tries": ([failed(), failed(), failed()], [0.25, 0.75, None]),
    "an account that is busy: two more tries": ([busy(), busy(), busy()], [0.5, 1.0, None]),
    "as long as the server asks": ([busy(0.3), busy(1.7), busy(0.0)], [0.3, 1.7, None]),
    "at once where the server says so": ([busy(0.0), busy(0.0), busy(0.0)], [0.0, 0.0, None]),
    "the longest wait a listener bears": ([busy(2.0), busy(0.1)], [2.0, None]),
    "longer than a listener bears": ([busy(2.1)], [None]),
    "longer than a listener bears, in two parts": ([busy(1.5), busy(1.5)], [1.5, None]),
    "complete without audio: once more": ([NoAudioError("silent"), NoAudioError("silent")], [0.0, None]),
    "broken before any audio: one more try": ([broken(), broken()], [0.0, None]),
    "broken after audio: two in a row without a new sample are the end": (
        [(broken(), AFTER_AUDIO), broken(), broken()],
        [0.0, 0.0, None],
    ),
    "broken again and again, and always a little further": ([(broken(), AFTER_AUDIO)] * 9, [0.0] * 9),
    "new audio makes the count begin anew": (
        [failed(), failed(), (failed(), AFTER_AUDIO), failed(), failed()],
        [0.25, 0.75, 0.25, 0.75, None],
    ),
    "new audio makes the wait begin anew": ([busy(2.0), (busy(2.0), AFTER_AUDIO), busy(0.1)], [2.0, 2.0, None]),
    "each kind of failure is counted by itself": (
        [broken(), failed(), unreachable(), busy(), failed(), busy(), broken()],
        [0.0, 0.25, 0.25, 0.5, 0.75, 1.0, None],
    ),
    "stopped too early: asked for once more": ([incomplete(), incomplete()], [0.0, None]),
    "stopped too early again, but further on": ([incomplete(), (incomplete(), AFTER_AUDIO)], [0.0, 0.0]),
    "no answer in time: the listener has waited long enough": ([APITimeoutError("late")], [None]),
    "a wrong key": ([AuthenticationError("key", status=401)], [None]),
    "a wrong request": ([InvalidRequestError("voice", status=400)], [None]),
    "a retired model": ([ModelRetiredError("gone", status=410)], [None]),
}


@pytest.mark.parametrize(("failures", "expected"), CASES.values(), ids=CASES)
def test_the_wait_before_each_attempt(
    failures: list[SmallestAIError | tuple[SmallestAIError, str]], expected: list[float | None]
) -> None:
    assert waits(*failures) == expected


@pytest.mark.parametrize("later", [unreachable, broken, busy, lambda: AuthenticationError("key", status=401)])
def test_the_first_failure_is_what_the_caller_gets(later: object) -> None:
    policy, first = RetryPolicy(Timing()), failed()
    assert callable(later)
    policy.delay(first, new_audio=False)
    policy.delay(later(), new_audio=False)
    assert policy.first is first


def test_a_break_in_mid_speech_is_what_the_caller_gets_if_the_new_connection_is_refused() -> None:
    policy, first = RetryPolicy(Timing()), broken()
    policy.delay(first, new_audio=True)
    assert policy.delay(AuthenticationError("key", status=401), new_audio=False) is None
    assert policy.first is first


def test_a_failure_that_was_overcome_is_not_what_the_caller_gets() -> None:
    policy, last = RetryPolicy(Timing()), failed()
    policy.delay(broken(), new_audio=False)
    policy.progress()
    policy.delay(last, new_audio=True)
    assert policy.first is last


def test_a_failure_for_which_nobody_is_to_blame_is_what_the_caller_gets_and_costs_no_attempt() -> None:
    policy, first = RetryPolicy(Timing()), broken()
    for _ in range(9):
        policy.note(first)
    assert policy.delay(broken(), new_audio=False) == 0.0
    assert policy.first is first


def test_a_segment_has_been_asked_for_again_until_new_audio_comes() -> None:
    policy = RetryPolicy(Timing())
    policy.delay(failed(), new_audio=False)
    assert not policy.asked_again, "a refusal says nothing about where its audio ends"
    policy.delay(incomplete(), new_audio=False)
    assert policy.asked_again
    policy.progress()
    assert not policy.asked_again


some_failure = st.one_of(
    st.builds(unreachable), st.builds(broken), st.builds(failed), st.builds(NoAudioError, st.just("silent")),
    st.builds(busy, st.none() | st.floats(0, 3)), st.builds(APITimeoutError, st.just("late")),
    st.builds(incomplete),
)  # fmt: skip


@given(st.lists(some_failure, min_size=9, max_size=20))
def test_whatever_fails_without_new_audio_it_is_an_error_within_seconds(failures: list[SmallestAIError]) -> None:
    policy, waited = RetryPolicy(Timing()), 0.0
    for failure in failures:
        wait = policy.delay(failure, new_audio=False)
        if wait is None:
            assert waited <= 0.25 + 1.0 + 2.0 + 1.5
            assert policy.first is failures[0]
            return
        waited += wait
    pytest.fail("the listener waits forever")
