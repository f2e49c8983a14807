"""When a listener is taken to the next segment, or the reply is over, although the server has not said so.

Numbers are those of the promise: 40 ms to hand over; 0.25 s of silence or 1.5 times the longest pause, at most 2 s;
2 s before asking again for what is too short; 5 s for a `complete` that is likely to come.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.reply.silence_watchdog import Facts, Ruling, judge, likely_end
from videosdk_plugins_smallestai.timing import Timing

WAIT, END, ASK_AGAIN, FAIL = Ruling.WAIT, Ruling.END, Ruling.ASK_AGAIN, Ruling.FAIL

TIMING = Timing()

LETTERS = 20
PACE = 0.06

WHOLE = LETTERS * PACE
"""Seconds of audio that the text takes."""


def facts(**changes: Any) -> Facts:
    """A segment whose audio is as long as its text takes, and whose listener has heard everything long ago."""
    usual: dict[str, Any] = {
        "silence": 10.0,
        "longest_pause": 0.1,
        "audio": WHOLE,
        "letters": LETTERS,
        "pace": PACE,
        "repeats": False,
        "asked_again": False,
        "several": False,
        "told": False,
        "prompt": False,
        "mixes": False,
        "next_waits": False,
        "asked": False,
        "awaits_text": False,
        "unsent": False,
        "buffered": 0.0,
    }
    return Facts(**(usual | changes))


FOLLOWED = {"next_waits": True, "asked": True}
AWAITED = {"asked": True}
SHORT = {"audio": 0.03 * LETTERS}
BRISK = {"audio": 0.04 * LETTERS}
"""Perhaps all of the text, but shorter than at the reply's own pace."""
AGAIN = {"asked_again": True}
MERGED = {"several": True}
NOBODY = {"buffered": None}

CASES: dict[str, tuple[dict[str, Any], tuple[Ruling, float | None]]] = {
    # Another segment follows, and its audio is here.
    "the next goes on two frames before there would be a gap": (FOLLOWED | {"buffered": 0.04}, (END, None)),
    "nobody decides while there is something to hear": (FOLLOWED | {"buffered": 1.0}, (WAIT, 0.96)),
    "the next goes on although a complete is likely": (FOLLOWED | {"prompt": True, "silence": 0.5}, (END, None)),
    "a server that mixes requests may only be pausing": (
        FOLLOWED | {"mixes": True, "silence": 0.5, "longest_pause": 1.0},
        (WAIT, 1.0),
    ),
    "a server that mixes requests is not waited for longer than 2 s": (
        FOLLOWED | {"mixes": True, "silence": 2.0, "longest_pause": 9.0},
        (END, None),
    ),
    "a server that mixes requests and tells ends promptly will tell this one's": (
        FOLLOWED | {"mixes": True, "prompt": True, "silence": 2.0},
        (WAIT, 3.0),
    ),
    "a server that mixes requests has not told an end that was due": (
        FOLLOWED | {"mixes": True, "prompt": True, "silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "what is too short is given 2 s before the next": (FOLLOWED | SHORT | {"silence": 0.5}, (WAIT, 1.5)),
    "what is too short is asked for again before the next": (
        FOLLOWED | SHORT | {"silence": 2.0},
        (ASK_AGAIN, None),
    ),
    "what is too short twice is an error, although the next is here": (
        FOLLOWED | SHORT | AGAIN | {"silence": 2.0},
        (FAIL, None),
    ),
    # It is the last, or the next has not begun to speak.
    "a prompt server is waited for": ({"prompt": True, "silence": 1.0}, (WAIT, 4.0)),
    "a prompt server that does not tell the end in 5 s is asked again": (
        {"prompt": True, "silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "a prompt server that stops twice where the text may end is believed": (
        {"prompt": True, "silence": 5.0} | AGAIN,
        (END, None),
    ),
    "a prompt server that stops twice before is not": (
        {"prompt": True, "silence": 5.0} | AGAIN | BRISK,
        (FAIL, None),
    ),
    "a quarter of a second of silence ends a reply": ({"silence": 0.25}, (END, None)),
    "less silence does not": ({"silence": 0.125}, (WAIT, 0.125)),
    "a reply with pauses ends after a longer silence": ({"silence": 1.0, "longest_pause": 1.0}, (WAIT, 0.5)),
    "a reply with pauses ends in the end": ({"silence": 1.5, "longest_pause": 1.0}, (END, None)),
    "two seconds of silence end any reply": ({"silence": 2.0, "longest_pause": 9.0}, (END, None)),
    "no end is guessed while there is something to hear": ({"buffered": 3.25}, (WAIT, 3.0)),
    "it is guessed a quarter of a second before all is heard": ({"buffered": 0.25}, (END, None)),
    "what is brisk is given 2 s": (BRISK | {"silence": 0.5}, (WAIT, 1.5)),
    "and then is all": (BRISK | {"silence": 2.0}, (END, None)),
    "while the next is under way there is nothing to decide": (AWAITED, (WAIT, None)),
    "while the next waits for this one to be sent its end is guessed": (
        AWAITED | {"unsent": True, "silence": 0.25},
        (END, None),
    ),
    "what is too short is given 2 s": (SHORT | {"silence": 0.5}, (WAIT, 1.5)),
    "what is too short is asked for again half a second before the listener would notice": (
        SHORT | {"buffered": 3.0},
        (WAIT, 2.5),
    ),
    "what is too short is asked for again": (SHORT | {"silence": 2.0}, (ASK_AGAIN, None)),
    "what is too short is asked for again while the next is under way": (
        SHORT | AWAITED | {"silence": 2.0},
        (ASK_AGAIN, None),
    ),
    "the second attempt is as patient as the first": (SHORT | AGAIN | {"silence": 0.5}, (WAIT, 1.5)),
    "what is still too short is an error": (SHORT | AGAIN | {"silence": 2.0}, (FAIL, None)),
    "what is still brisk after a second attempt is an error": (BRISK | AGAIN | {"silence": 2.0}, (FAIL, None)),
    "what stops twice where the text may end is all": (AGAIN | {"silence": 0.25}, (END, None)),
    "a repetition that stops before it brings anything new is given 5 s": (
        BRISK | AGAIN | {"repeats": True, "silence": 2.0},
        (WAIT, 3.0),
    ),
    "and is an error then": (BRISK | AGAIN | {"repeats": True, "silence": 5.0}, (FAIL, None)),
    # Fragments of a continuation that cannot be told apart.
    "merged fragments end after a second": (MERGED | {"silence": 0.25}, (WAIT, 0.75)),
    "merged fragments as long as their texts end": (MERGED | {"silence": 1.0}, (END, None)),
    "merged fragments that are shorter are asked for again after 2 s": (
        MERGED | BRISK | {"silence": 1.0},
        (WAIT, 1.0),
    ),
    "merged fragments that are shorter are asked for again": (MERGED | BRISK | {"silence": 2.0}, (ASK_AGAIN, None)),
    "merged fragments that are shorter twice are an error": (
        MERGED | BRISK | AGAIN | {"silence": 2.0},
        (FAIL, None),
    ),
    "more text goes on behind merged fragments as behind others": (
        MERGED | AWAITED | {"silence": 0.25},
        (END, None),
    ),
    # Nobody listens.
    "where nobody listens there is time": (NOBODY | {"silence": 2.0}, (WAIT, 3.0)),
    "where nobody listens 5 s end it": (NOBODY | {"silence": 5.0}, (END, None)),
    "where nobody listens the next has time too": (NOBODY | FOLLOWED | {"silence": 2.0}, (WAIT, 3.0)),
    "where nobody listens what is too short is asked for again": (
        NOBODY | SHORT | {"silence": 5.0},
        (ASK_AGAIN, None),
    ),
    "where nobody listens what is still too short is an error": (
        NOBODY | SHORT | AGAIN | {"silence": 5.0},
        (FAIL, None),
    ),
}


@pytest.mark.parametrize(("changes", "expected"), CASES.values(), ids=CASES)
def test_the_ruling(changes: dict[str, Any], expected: tuple[Ruling, float | None]) -> None:
    ruling, seconds = judge(facts(**changes), TIMING)
    assert ruling is expected[0]
    assert seconds == (None if expected[1] is None else pytest.approx(expected[1]))


@pytest.mark.parametrize(
    ("longest_pause", "silence"), [(0.0, 0.25), (0.1, 0.25), (0.2, 0.3), (1.0, 1.5), (1.5, 2.0), (60.0, 2.0)]
)
def test_the_silence_that_makes_an_end_likely_grows_with_the_pauses_of_the_reply(
    longest_pause: float, silence: float
) -> None:
    assert likely_end(longest_pause, TIMING) == pytest.approx(silence)


@pytest.mark.parametrize(("audio", "plausible"), [(0.36, True), (0.34, False), (0.0, False)])
def test_audio_is_too_short_under_35_ms_for_each_letter_or_digit(audio: float, plausible: bool) -> None:
    assert facts(letters=10, audio=audio).plausible is plausible


def test_what_has_no_letters_is_never_too_short() -> None:
    assert facts(letters=0, audio=0.0).plausible


@pytest.mark.parametrize(("pace", "likely"), [(0.05, True), (0.058, True), (0.06, False)])
def test_audio_is_likely_to_be_whole_from_85_percent_of_the_replys_own_pace(pace: float, likely: bool) -> None:
    assert facts(letters=10, pace=pace, audio=0.5).likely is likely


seconds = st.floats(0, 20)
any_facts = st.builds(
    Facts,
    silence=seconds,
    longest_pause=seconds,
    audio=seconds,
    letters=st.integers(0, 250),
    pace=st.floats(0.03, 0.11),
    repeats=st.booleans(),
    asked_again=st.booleans(),
    several=st.booleans(),
    told=st.booleans(),
    prompt=st.booleans(),
    mixes=st.booleans(),
    next_waits=st.booleans(),
    asked=st.booleans(),
    awaits_text=st.booleans(),
    unsent=st.booleans(),
    buffered=st.none() | seconds,
)


@given(any_facts)
def test_who_waits_knows_how_long_and_no_longer_than_the_listener_has_audio_and_5_s(f: Facts) -> None:
    ruling, wait = judge(f, TIMING)
    if ruling is WAIT and wait is not None:
        assert 0 < wait <= max(5.0, f.buffered or 0.0)
    elif ruling is WAIT:
        assert f.asked, "an event will come: its audio, or the end of the text"
    else:
        assert wait is None


@given(any_facts)
def test_silence_ends_within_5_s_of_what_is_heard_unless_the_next_is_under_way(f: Facts) -> None:
    if f.silence >= 5.0 and not f.buffered:
        ruling, wait = judge(f, TIMING)
        assert ruling is not WAIT or (wait is None and f.asked)


@given(any_facts)
def test_what_is_too_short_is_never_taken_for_all(f: Facts) -> None:
    """Of merged fragments it is the pace that says what is too short."""
    if not f.plausible and not f.several:
        assert judge(f, TIMING)[0] is not END


@given(any_facts)
def test_what_stops_twice_before_the_text_may_end_is_never_taken_for_all(f: Facts) -> None:
    if f.asked_again and not f.likely:
        assert judge(f, TIMING)[0] is not END


@given(any_facts)
def test_it_is_an_error_only_after_it_was_asked_for_again(f: Facts) -> None:
    if judge(f, TIMING)[0] is FAIL:
        assert f.asked_again


@given(any_facts)
def test_the_last_segment_is_not_over_before_the_listener_has_nearly_heard_it(f: Facts) -> None:
    if judge(f, TIMING)[0] is END and not (f.goes_on or f.prompt or f.several):
        assert (f.buffered or 0.0) <= 0.251
