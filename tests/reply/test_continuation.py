"""How much of a continuation counts as come whole: a pure rule over what was sent and what the server told."""

from __future__ import annotations

import pytest

from videosdk_plugins_smallestai._old.boundaries import sentences
from videosdk_plugins_smallestai._old.releases import Releases


def releases(*told_and_sent: str | None, closed: bool = False) -> bool:
    """Whether all counts as told, after texts that were sent and releases (`None`) that were told."""
    counted = Releases()
    for text in told_and_sent:
        if text is None:
            counted.told(closed=closed)
        else:
            counted.sent(text)
    return counted.all_told(closed=closed)


@pytest.mark.parametrize(
    ("told_and_sent", "whole"),
    [
        (("One is here.", None), True),
        (("One is here.", "Two comes after it.", None), False),
        (("One is here.", "Two comes after it.", None, None), True),
        (("One is here. Two comes with it.", None), False),
        (("One is here. Two comes with it.", None, None), True),
        (("I met Dr. Smith,", None), False),
        (("I met Dr. Smith,", None, "and we left.", None), True),
        (("I met Dr. Smith,", "and we left.", None), False),
        (("Let me see,", None, "it is here.", None), True),
        (("Let me see,", None, "it is here."), False),
        (("One is here.", None, None, None, "Two comes after it."), False),
    ],
)
def test_all_is_told_when_each_sentence_is(told_and_sent: tuple[str | None, ...], whole: bool) -> None:
    assert releases(*told_and_sent) is whole


def test_what_is_sent_while_a_release_plays_is_not_in_it() -> None:
    counted = Releases()
    counted.sent("It opens at nine every morning,")
    counted.heard(closed=False)  # released since it waited for so long
    counted.sent("and closes at noon.")
    counted.heard(closed=False)
    counted.told(closed=False)
    assert not counted.all_told(closed=False)
    counted.heard(closed=False)
    counted.told(closed=False)
    assert counted.all_told(closed=False)


def test_an_unfinished_sentence_is_released_when_nothing_follows() -> None:
    assert not releases("One is here. And then", None, closed=True)
    assert releases("One is here. And then", None, None, closed=True)
    assert not releases("One is here. And then", None, None, closed=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "One.",
        "One. Two",
        "“One!” she said. Two…  Three",
        "It costs $1,299.50 at 10:30.",
        "好的。再见。",
        "Dr. No",
    ],
)
def test_sentences_leave_nothing_out(text: str) -> None:
    assert "".join(sentences(text)) == text
    assert all(item for item in sentences(text)[:-1])
