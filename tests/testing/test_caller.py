"""The caller's end of the line: what is played of what comes, what an interruption drops, and where silence was."""

from __future__ import annotations

from videosdk_plugins_smallestai.testing.caller import Caller, News


def make() -> Caller:
    return Caller(News())


def play(caller: Caller, frames: int) -> None:
    for _ in range(frames):
        caller.play_frame(4)


def test_what_comes_is_played_in_real_time() -> None:
    caller = make()
    caller.take(b"abcdefghij")
    assert caller.heard == b""
    play(caller, 2)
    assert (bytes(caller.heard), caller.has_heard_all) == (b"abcdefgh", False)
    play(caller, 2)
    assert (bytes(caller.heard), caller.has_heard_all) == (b"abcdefghij", True)


def test_an_interruption_drops_what_was_not_played() -> None:
    caller = make()
    caller.take(b"abcdefghij")
    play(caller, 1)
    caller.drop()
    caller.take(b"klmn")
    play(caller, 3)
    assert caller.heard == b"abcdklmn"


def test_what_was_heard_of_each_reply_is_told_by_places_in_what_came() -> None:
    caller = make()
    caller.take(b"abcdefghij")
    play(caller, 1)
    caller.drop()
    caller.take(b"klmn")
    play(caller, 1)
    assert caller.heard_between(0, 10) == b"abcd"
    assert caller.heard_between(10, 14) == b"klmn"
    assert caller.heard_between(2, 6) == b"cd"


def test_silence_is_told_where_the_caller_waited_for_more() -> None:
    caller = make()
    play(caller, 5)
    caller.take(b"abcd")
    play(caller, 3)
    caller.take(b"efgh")
    play(caller, 4)
    assert caller.silences_between(0, 8) == [2]
    assert caller.silences_between(4, 8) == []


def test_no_silence_is_told_where_there_was_none() -> None:
    caller = make()
    caller.take(b"abcd")
    play(caller, 1)
    caller.take(b"efgh")
    play(caller, 1)
    assert caller.silences_between(0, 8) == []
