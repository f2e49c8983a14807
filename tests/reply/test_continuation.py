"""Which fragment the audio of a continuation belongs to, what of that is certain, and where it is resumed.

Audio is symbolic: ``"aaab"`` are three units of a first segment and one of a second. Nothing here has a clock: each
event says when it happens.
"""

from __future__ import annotations

import pytest

from videosdk_plugins_smallestai.reply.continuation import Context
from videosdk_plugins_smallestai.reply.retry import RetryPolicy
from videosdk_plugins_smallestai.reply.streams import Ended, Segment, Tape
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.transport.base import Habits

TIMING = Timing()


class Reply:
    """Segments of a reply, spoken in contexts one after another on one tape."""

    def __init__(self, *, prompt: bool | None = None) -> None:
        self.tape = Tape(RetryPolicy(TIMING))
        self.segments = [
            Segment(index, letter * 3, "", self.tape, letter * 3) for index, letter in enumerate("abcd")
        ]
        self.habits = Habits(prompt=prompt)
        self.heard = ""
        self.again()

    def again(self) -> None:
        """The connection broke: a new context, on which the fragments from the anchor on are sent again."""
        for segment in self.segments[self.tape.anchor :]:
            segment.ended = None
        self.context = Context(1, self.tape, 0, self.habits, TIMING)

    def send(self, *indices: int, now: float = 0.0) -> None:
        for index in indices:
            self.context.send(self.segments[index], now)

    def hear(self, audio: str, server_id: str | None = None, now: float = 1.0) -> Segment:
        """Audio comes. Returns the segment that it is taken for."""
        owner = self.context.owner(server_id)
        self.heard += "".join(self.context.hear(audio, server_id, now))
        return owner

    def complete(self, server_id: str | None = None, now: float = 1.0) -> bool:
        return self.context.complete(server_id, now)

    @property
    def ends(self) -> list[Ended | None]:
        return [segment.ended for segment in self.segments]

    @property
    def anchor(self) -> tuple[int, int]:
        """The segment to resume from, and the place on the tape at which it begins."""
        return self.tape.anchor, self.tape.anchor_at


TOLD, GUESSED = Ended.TOLD, Ended.GUESSED


# Boundaries


def test_a_complete_with_nothing_else_in_flight_is_a_certain_boundary() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", "1")
    assert reply.complete("1")
    assert reply.ends[:2] == [TOLD, None]
    assert reply.anchor == (1, 3)


def test_the_first_frame_with_a_new_id_ends_the_fragment_before() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", "1")
    reply.send(1)
    assert reply.anchor == (0, 0), "to have sent it tells nothing"
    assert reply.hear("bb", "2") is reply.segments[1]
    assert reply.ends[:2] == [TOLD, None]
    assert reply.anchor == (1, 3)
    assert reply.context.began_at(reply.segments[1]) == 3


def test_a_frame_after_a_complete_begins_the_next_but_is_certain_only_where_completes_are_prompt() -> None:
    for prompt, anchor in ((True, (1, 3)), (None, (0, 0))):
        reply = Reply(prompt=prompt)
        reply.send(0)
        reply.hear("aaa", now=1.0)
        reply.send(1, now=1.0)
        reply.complete(now=9.0)  # which is not prompt
        reply.habits.prompt = prompt
        assert reply.hear("b", now=9.1) is reply.segments[1]
        assert reply.anchor == anchor


def test_more_audio_of_what_was_told_to_be_complete_is_before_the_anchor() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aa", "1")
    reply.complete("1")
    reply.hear("a", "1")
    assert reply.anchor == (1, 3)
    assert reply.heard == "aaa"


def test_fragments_sent_in_one_burst_may_be_merged_so_that_one_complete_is_no_boundary() -> None:
    reply = Reply(prompt=True)
    reply.send(0, 1)
    reply.hear("aaabbb")
    reply.complete()
    assert reply.ends[:2] == [TOLD, None]
    assert reply.anchor == (0, 0)


def test_the_complete_of_each_of_a_burst_is_a_certain_boundary_in_the_end() -> None:
    reply = Reply()
    reply.send(0, 1)
    reply.hear("aaa", "1")
    reply.complete("1")
    reply.hear("bbb", "2")
    reply.complete("2")
    assert reply.ends[:2] == [TOLD, TOLD]
    assert reply.anchor == (2, 6)


# Ids


def test_a_server_whose_id_never_changes_is_told_apart_by_its_completes() -> None:
    reply = Reply()
    for index, letter in enumerate("abc"):
        reply.send(index)
        assert reply.hear(letter * 3, "ever the same") is reply.segments[index]
        assert reply.complete("ever the same")
    assert reply.ends[:3] == [TOLD] * 3
    assert reply.anchor == (3, 9)


def test_an_unseen_id_with_nothing_more_in_flight_is_still_the_same_fragment() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("a", "1")
    assert reply.hear("aa", "2") is reply.segments[0]
    assert reply.ends[0] is None
    assert reply.complete("2")
    assert reply.ends[0] is TOLD


def test_a_complete_with_an_unseen_id_ends_the_current_fragment() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa")
    assert reply.complete("of the server's own")
    assert reply.ends[0] is TOLD


def test_a_second_complete_with_the_same_id_ends_no_other_fragment() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", "1")
    reply.complete("1")
    reply.send(1)
    reply.hear("b", "2")
    assert reply.complete("1"), "it tells nothing, and is no failure"
    assert reply.ends[1] is None


def test_a_complete_before_any_audio_is_said_to_have_brought_none() -> None:
    reply = Reply()
    reply.send(0)
    assert not reply.complete("1")
    assert reply.ends[0] is None


# Guessed ends


def test_a_guessed_end_moves_no_anchor_and_owes_a_complete_that_is_charged_to_it() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", now=1.0)
    reply.context.guess_end(hasty=True)
    assert reply.ends[0] is GUESSED
    assert reply.anchor == (0, 0)
    assert reply.context.owes
    reply.send(1, now=2.0)
    reply.hear("b", now=3.0)
    reply.complete(now=5.0)  # four seconds late, that of the first
    assert reply.ends[:2] == [GUESSED, None]
    reply.hear("bb", now=5.1)
    reply.complete(now=5.1)
    assert reply.ends[:2] == [GUESSED, TOLD]
    assert reply.anchor == (2, 6)
    assert not reply.context.owes


def test_a_guess_before_the_first_frame_of_a_fragment_makes_all_boundaries_after_it_uncertain() -> None:
    reply = Reply()
    reply.send(0, 1)
    reply.hear("aaabbb")
    reply.context.guess_end(hasty=True)
    assert reply.context.unsure
    reply.send(2, now=3.0)
    reply.hear("ccc", "9", now=4.0)
    reply.complete(now=4.0)
    assert reply.anchor == (0, 0)
    assert reply.context.indistinct(reply.segments[1])[:2] == reply.segments[:2]


def test_a_guess_in_haste_is_taken_back_when_nothing_more_comes() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("a", now=1.0)
    reply.context.guess_end(hasty=True)
    reply.context.take_back_haste(1.5)
    assert reply.ends[0] is None
    reply.context.guess_end(hasty=True)
    reply.context.take_back_haste(reply.context.settled_at)
    assert reply.ends[0] is GUESSED, "it was silent for long enough"


# Resuming


@pytest.mark.parametrize("cut", range(1, 10))
def test_after_a_break_it_is_resumed_at_the_anchor_and_nothing_is_heard_twice_or_left_out(cut: int) -> None:
    """Whether the server merges the fragments in the repetition or not: what was received is skipped by units."""
    whole = "aaabbbccc"
    for merged in (False, True):
        reply = Reply()
        for index, letter in enumerate("abc"):
            if len(reply.heard) == cut and index:
                break
            reply.send(index)
            reply.hear(letter * min(3, cut - 3 * index), str(index))
        begins = reply.tape.anchor
        reply.again()
        reply.send(*range(begins, 3), now=2.0)
        if merged:
            reply.hear(whole[3 * begins :], now=3.0)
        else:
            for index in range(begins, 3):
                reply.hear("abc"[index] * 3, f"again {index}", now=3.0)
                reply.complete(f"again {index}", now=3.0)
        assert reply.heard == whole
        if not merged:
            assert reply.ends[:3] == [TOLD] * 3
            assert reply.anchor == (3, 9)


def test_a_repetition_is_recognised_as_one_until_it_brings_something_new() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aa")
    reply.again()
    reply.send(0, now=2.0)
    assert reply.context.repeats
    reply.hear("a", now=3.0)
    assert (reply.context.repeats, reply.context.brought) == (True, False)
    reply.hear("aa", now=3.0)
    assert (reply.context.repeats, reply.context.brought) == (False, True)
    assert reply.heard == "aaa"


# Sending


def test_the_next_fragment_follows_the_first_frame_of_the_one_before() -> None:
    reply = Reply()
    assert reply.context.may_follow(0.0, buffered=5.0)
    reply.send(0)
    assert not reply.context.may_follow(9.0, buffered=5.0)
    assert not reply.context.may_follow(9.0, buffered=None), "nobody listens, so there is time"
    reply.hear("a")
    assert reply.context.may_follow(1.0, buffered=5.0)


def test_where_little_is_left_to_hear_the_next_follows_without_it_but_never_a_third() -> None:
    reply = Reply()
    reply.send(0)
    assert not reply.context.may_follow(0.0, buffered=0.0)
    assert reply.context.may_follow(reply.context.follows_at, buffered=0.0)
    reply.send(1, now=1.0)
    assert not reply.context.may_follow(9.0, buffered=0.0)
    reply.hear("aaabbb", now=9.0)
    assert not reply.context.may_follow(9.0, buffered=0.0), "whose audio it is nobody knows yet"


# What is learned of the server


@pytest.mark.parametrize(("seconds", "prompt"), [(0.1, True), (4.0, False)])
def test_it_is_learned_whether_completes_are_prompt(seconds: float, prompt: bool) -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", "1", now=1.0)
    reply.complete("1", now=1.0 + seconds)
    assert reply.habits.prompt is prompt


def test_nothing_is_learned_from_a_complete_that_may_be_another_fragments() -> None:
    reply = Reply()
    reply.send(0, 1)
    reply.hear("aaa", now=1.0)
    reply.complete(now=1.1)
    assert reply.habits.prompt is None


def test_words_go_to_the_fragment_with_their_id() -> None:
    reply = Reply()
    reply.send(0)
    reply.hear("aaa", "1")
    reply.send(1)
    reply.hear("b", "2")
    assert reply.context.owner("1") is reply.segments[0]
    assert reply.context.owner("2") is reply.segments[1]
    assert reply.context.owner(None) is reply.segments[1]
