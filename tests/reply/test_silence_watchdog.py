"""When a listener is taken to the next segment, or the reply is over, although the server has not said so.

Numbers are those of the promise: 40 ms to hand over; 0.25 s of silence or 1.5 times the longest pause, at most 2 s;
2 s before asking again for what is too short; 5 s for a `complete` that is likely to come.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai._old.ending import Facts, Ruling, is_plausible, judge, likely_end

WAIT, END, END_SHORT, ASK_AGAIN = Ruling.WAIT, Ruling.END, Ruling.END_SHORT, Ruling.ASK_AGAIN


def facts(**changes: Any) -> Facts:
    """A segment whose last chunk came long ago, and whose listener has heard everything."""
    usual: dict[str, Any] = {
        "silence": 10.0,
        "longest_pause": 0.1,
        "plausible": True,
        "asked_again": False,
        "prompt": False,
        "interleaved": False,
        "next_waiting": False,
        "next_requested": False,
        "remaining": 0.0,
    }
    return Facts(**(usual | changes))


FOLLOWED = {"next_waiting": True, "next_requested": True}
AWAITED = {"next_requested": True}
SHORT = {"plausible": False}
SHORT_TWICE = {"plausible": False, "asked_again": True}
NOBODY = {"remaining": None}

CASES: dict[str, tuple[dict[str, Any], tuple[Ruling, float | None]]] = {
    # Another segment follows, and its audio is here.
    "the next goes on two frames before there would be a gap": (
        FOLLOWED | {"remaining": 0.04},
        (END, None),
    ),
    "nobody decides while there is something to hear": (FOLLOWED | {"remaining": 1.0}, (WAIT, 0.96)),
    "the next goes on whatever the silence, on a server that serves in turn": (
        FOLLOWED | {"silence": 0.0, "longest_pause": 1.0},
        (END, None),
    ),
    "the next goes on at once, although a complete is likely": (FOLLOWED | {"prompt": True}, (END, None)),
    "a server that mixes requests may only be pausing": (
        FOLLOWED | {"interleaved": True, "silence": 0.5, "longest_pause": 1.0},
        (WAIT, 1.0),
    ),
    "a server that mixes requests has paused for long enough": (
        FOLLOWED | {"interleaved": True, "silence": 1.5, "longest_pause": 1.0},
        (END, None),
    ),
    "a server that mixes requests is not waited for longer than 2 s": (
        FOLLOWED | {"interleaved": True, "silence": 2.0, "longest_pause": 9.0},
        (END, None),
    ),
    "a server that mixes requests and tells ends promptly will tell this one's": (
        FOLLOWED | {"interleaved": True, "prompt": True, "silence": 2.0},
        (WAIT, 3.0),
    ),
    "a server that mixes requests has not told an end that was due": (
        FOLLOWED | {"interleaved": True, "prompt": True, "silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "what is too short is given 2 s before the next": (FOLLOWED | SHORT | {"silence": 0.5}, (WAIT, 1.5)),
    "what is too short is asked again before the next": (
        FOLLOWED | SHORT | {"silence": 2.0},
        (ASK_AGAIN, None),
    ),
    # It is the last, or the next has not begun to speak.
    "a prompt server is waited for": ({"prompt": True, "silence": 1.0}, (WAIT, 4.0)),
    "a prompt server that does not tell the end in 5 s is asked again": (
        {"prompt": True, "silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "a quarter of a second of silence ends a reply": ({"silence": 0.25}, (END, None)),
    "less silence does not": ({"silence": 0.125}, (WAIT, 0.125)),
    "a reply with pauses ends after a longer silence": ({"silence": 1.0, "longest_pause": 1.0}, (WAIT, 0.5)),
    "a reply with pauses ends in the end": ({"silence": 1.5, "longest_pause": 1.0}, (END, None)),
    "two seconds of silence end any reply": ({"silence": 2.0, "longest_pause": 9.0}, (END, None)),
    "no end is guessed while there is something to hear": ({"remaining": 3.25}, (WAIT, 3.0)),
    "it is guessed a quarter of a second before all is heard": ({"remaining": 0.25}, (END, None)),
    "while the next is under way there is nothing to decide": (AWAITED, (WAIT, None)),
    "what is too short is given 2 s": (SHORT | {"silence": 0.5}, (WAIT, 1.5)),
    "what is too short is asked for again": (SHORT | {"silence": 2.0}, (ASK_AGAIN, None)),
    "what is too short is asked for again while the next is under way": (
        SHORT | AWAITED | {"silence": 2.0},
        (ASK_AGAIN, None),
    ),
    "what is still too short is accepted, with a warning": (SHORT_TWICE, (END_SHORT, None)),
    "what is still too short is given its silence too": (SHORT_TWICE | {"silence": 0.125}, (WAIT, 0.125)),
    # Nobody listens.
    "where nobody listens there is time": (NOBODY | {"silence": 2.0}, (WAIT, 3.0)),
    "where nobody listens 5 s end it": (NOBODY | {"silence": 5.0}, (END, None)),
    "where nobody listens the next has time too": (NOBODY | FOLLOWED | {"silence": 2.0}, (WAIT, 3.0)),
    "where nobody listens what is too short is asked for again": (
        NOBODY | SHORT | {"silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "where nobody listens what is still too short is accepted, with a warning": (
        NOBODY | SHORT_TWICE | {"silence": 5.0},
        (END_SHORT, None),
    ),
}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_the_ruling(changes: dict[str, Any], expected: tuple[Ruling, float | None]) -> None:
    ruling, seconds = judge(facts(**changes))
    assert (ruling, seconds) == (expected[0], seconds if expected[1] is None else pytest.approx(expected[1]))
    assert (seconds is None) == (expected[1] is None)


@pytest.mark.parametrize(
    ("longest_pause", "silence"), [(0.0, 0.25), (0.1, 0.25), (0.2, 0.3), (1.0, 1.5), (1.5, 2.0), (60.0, 2.0)]
)
def test_the_silence_that_makes_an_end_likely_grows_with_the_pauses_of_the_reply(
    longest_pause: float, silence: float
) -> None:
    assert likely_end(longest_pause) == pytest.approx(silence)


@pytest.mark.parametrize(
    ("text", "seconds", "speed", "plausible"),
    [
        ("Hi.", 0.08, 1.0, True),
        ("Hi.", 0.06, 1.0, False),
        ("ten digits", 0.32, 1.0, True),
        ("ten digits", 0.31, 1.0, False),
        ("ten digits", 0.16, 2.0, True),
        ("ten digits", 0.32, 0.5, False),
        ("नमस्ते", 0.2, 1.0, True),
        ("...", 0.0, 1.0, True),
        ("", 0.0, 1.0, True),
    ],
)
def test_audio_is_too_short_under_35_ms_for_each_letter_or_digit(
    text: str, seconds: float, speed: float, plausible: bool
) -> None:
    assert is_plausible(seconds, text, speed) is plausible


seconds = st.floats(0, 20)
any_facts = st.builds(
    Facts,
    silence=seconds,
    longest_pause=seconds,
    plausible=st.booleans(),
    asked_again=st.booleans(),
    prompt=st.booleans(),
    interleaved=st.booleans(),
    next_waiting=st.booleans(),
    next_requested=st.booleans(),
    remaining=st.none() | seconds,
)


@given(any_facts)
def test_who_waits_knows_how_long_and_no_longer_than_the_listener_has_audio_and_5_s(f: Facts) -> None:
    ruling, wait = judge(f)
    if ruling is WAIT and wait is not None:
        assert 0 < wait <= max(5.0, f.remaining or 0.0)
    elif ruling is WAIT:
        assert f.next_requested, "an event will come: its audio, or the end of the text"
    else:
        assert wait is None


@given(any_facts)
def test_nothing_is_taken_for_ended_before_the_listener_has_nearly_heard_it(f: Facts) -> None:
    ruling, _ = judge(f)
    if ruling in (END, END_SHORT):
        assert (f.remaining or 0.0) <= 0.25


@given(any_facts)
def test_what_is_too_short_is_never_taken_for_all_unless_it_was_asked_again(f: Facts) -> None:
    ruling, _ = judge(f)
    if not f.plausible and not f.asked_again:
        assert ruling in (WAIT, ASK_AGAIN)
