"""When a reply's text is released: what a pause, a stop, a failure or an interruption of the stream does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import pytest
import virtual_time
from hypothesis import given
from hypothesis import strategies as st
from videosdk.agents import FlushMarker

from videosdk_plugins_smallestai.sentences import Finish, finish
from videosdk_plugins_smallestai.text.segmenter import ReplyText
from videosdk_plugins_smallestai.timing import Timing

TIMING = Timing(sentence_idle=0.2, number_idle=1.0)

Step = str | float | FlushMarker
"""An item, or the seconds that pass before the next one."""


async def model(steps: Iterable[Step]) -> AsyncIterator[str | FlushMarker]:
    """A language model that pauses."""
    for step in steps:
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            yield step


def reply_text(text: Any, *, sentence_streaming: bool = True) -> ReplyText:
    return ReplyText(text, sentence_streaming=sentence_streaming, timing=TIMING)


def heard(*steps: Step, sentence_streaming: bool = True) -> list[tuple[float, str]]:
    """Each segment, with the time at which it is released, to the tenth of a second."""

    async def listen() -> list[tuple[float, str]]:
        clock = asyncio.get_running_loop().time
        segments = reply_text(model(steps), sentence_streaming=sentence_streaming).segments()
        return [(round(clock(), 1), segment.lead + segment.text) async for segment in segments]

    return virtual_time.run(listen())


# A pause of the language model


def test_a_finished_sentence_is_heard_before_the_model_comes_back_from_a_tool_call() -> None:
    tokens = ("I'll", " check", " that", " for", " you", ".", 5.0, " It", " is", " there", ".")
    assert heard(*tokens) == [(0.2, "I'll check that for you."), (5.0, " It is there.")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("So", " it", " is", "!", 3.0), [(0.2, "So it is!")]),
        (("Let", " me", " see", "...", 3.0, "ok"), [(0.2, "Let me see..."), (3.0, "ok")]),
        (("你好", "。", 3.0, "好"), [(0.2, "你好。"), (3.0, "好")]),
        (("He", ' said "go', ".", '"', 3.0, " Now"), [(0.2, 'He said "go."'), (3.0, " Now")]),
        (("Hello.", 3.0, "How are you?"), [(0.2, "Hello."), (3.0, " How are you?")]),
        # A number, an address, an abbreviation: what follows may belong to it.
        (("It", " is", " 3.", 0.9, "50", " now", "."), [(0.9, "It is 3.50 now.")]),
        (("It", " is", " 3.", 5.0, " Really"), [(1.0, "It is 3."), (5.0, " Really")]),
        (("Mail", " a@smallest.", 0.9, "ai", " now"), [(0.9, "Mail a@smallest.ai now")]),
        (("Until", " 5", " p.m.", 0.9, " sharp"), [(0.9, "Until 5 p.m. sharp")]),
        (("Until", " 5", " p.m.", 5.0, " Then"), [(1.0, "Until 5 p.m."), (5.0, " Then")]),
        # What is announced may come from a tool.
        (
            ("Let", " me", " look", " that", " up:", 5.0, "\n\n", "It"),
            [(1.0, "Let me look that up:"), (5.0, " It")],
        ),
        (("我来查一下：", 5.0, "好"), [(1.0, "我来查一下："), (5.0, "好")]),
        (("At", " 10", ":", 5.0, "30"), [(5.0, "At 10:30")]),
        (("See", " https", ":", 5.0, "//x.com"), [(5.0, "See https://x.com")]),
        (("It", " is", " 500", " Rs.", 5.0, " Ok"), [(1.0, "It is 500 Rs."), (5.0, " Ok")]),
        (("कुल 500 रु.", 5.0, "ठीक"), [(0.0, "कुल 500 रु."), (5.0, " ठीक")]),
        # Not finished: waits however long it takes.
        (("I", " met", " Dr.", 5.0, " Smith", "."), [(5.0, "I met Dr. Smith.")]),
        (("It", " is", " Rs.", 5.0, " 500", "."), [(5.0, "It is Rs. 500.")]),
        (("Let", " me", " check", 5.0, " that"), [(5.0, "Let me check that")]),
        (("One", " moment", ",", 5.0, " please"), [(5.0, "One moment, please")]),
        (("1.", 5.0, " Wash"), [(5.0, "1. Wash")]),
        (("...", 5.0, "5 left"), [(5.0, "...5 left")]),
    ],
)
def test_what_a_pause_releases(steps: tuple[Step, ...], expected: list[tuple[float, str]]) -> None:
    assert heard(*steps) == expected


def test_tokens_that_come_in_time_stay_together() -> None:
    tokens = ("Wait", 0.1, ".", 0.1, ".", 0.1, ".", 0.1, '"', 0.1, " Next", ".")
    assert heard(*tokens) == [(0.5, 'Wait..."'), (0.5, " Next.")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("He said so.", 1.0, '"', " And left."), ["He said so.", '" And left.']),
        (("It is 3.", 2.0, "50", " now."), ["It is 3.", "50 now."]),
        (("Good.", 1.0, ".", ".", " Next."), ["Good.", ".. Next."]),
    ],
)
def test_what_belonged_to_a_released_sentence_begins_the_next(steps: tuple[Step, ...], expected: list[str]) -> None:
    assert [text.strip() for _, text in heard(*steps)] == expected


def test_an_item_that_is_one_request_waits_for_nothing() -> None:
    steps = ("Hello.", 3.0, "3.", 3.0, "Bye")
    assert [at for at, _ in heard(*steps, sentence_streaming=False)] == [0.0, 3.0, 6.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, Finish.YES) for text in ("Yes.", "Yes?!", "Wait...", "ठीक है।", "好。", "(So.)", "Etc...", "don't.")]
    + [
        (text, Finish.PERHAPS)
        for text in ("3.", "३.", "Room 5.", "the U.S.", "etc.", "vitamin C.", "a@b.ai.", "3．", "So:")
    ]
    + [(text, Finish.NO) for text in ("", "Yes", "Yes,", "Dr.", "e.g.", "10:", "डॉ.", "Rs.", "http:")],
)
def test_what_counts_as_finished(text: str, expected: Finish) -> None:
    assert finish(text) is expected


TOKENS = [
    "Hi",
    " there",
    ".",
    " ",
    "Go",
    " to 3",
    "50",
    " Dr.",
    " Smith",
    "?",
    '"',
    "。",
    "字",
    "...",
    " a@b.",
    "ai",
]
OTHER_ITEMS = ["Go to gate 3.", "5 people wait.", "\n", "1.", " 5 p.m.", ",", FlushMarker()]
PARTS = st.sampled_from([*TOKENS, *OTHER_ITEMS])
PAUSES = st.sampled_from([0.0, 0.0, 0.1, 0.3, 2.0])


@given(st.lists(st.one_of(PARTS, PAUSES), max_size=30))
def test_whatever_the_pauses_nothing_is_lost_or_doubled(steps: list[Step]) -> None:
    found = [text for _, text in heard(*steps)]
    wanted = "".join("".join(step for step in steps if isinstance(step, str)).split())
    kept = "".join("".join(found).split())
    assert wanted.startswith(kept)
    assert not any(map(str.isalnum, wanted[len(kept) :]))
    assert all(any(map(str.isalnum, text)) and len(text) <= 251 for text in found)


@given(st.lists(st.one_of(PARTS, st.just(0.1)), max_size=30))
def test_pauses_shorter_than_the_wait_change_nothing(steps: list[Step]) -> None:
    # No two in a row: together they would be longer.
    short = [
        step for i, step in enumerate(steps) if not (isinstance(step, float) and isinstance(steps[i - 1], float))
    ]
    at_once = [step for step in steps if not isinstance(step, float)]
    assert [text for _, text in heard(*short)] == [text for _, text in heard(*at_once)]


# The caller's iterator


class Source:
    """The caller's generator: waits for `more` before its third item, and tells what became of it."""

    def __init__(self) -> None:
        self.more = asyncio.Event()
        self.awaited = asyncio.Event()
        self.cancelled = False

    async def items(self) -> AsyncIterator[str]:
        yield "So it"
        yield " is."
        self.awaited.set()
        try:
            await self.more.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        yield " And more"
        yield " of it."


async def test_after_a_stop_the_item_that_was_awaited_is_still_heard_and_no_further_one_is_taken() -> None:
    source = Source()
    items = source.items()
    text = reply_text(items)
    async with aclosing(text.segments()) as segments:
        assert (await anext(segments)).text == "So it is."  # released by a pause: an item is being awaited
        assert source.awaited.is_set()
        text.stop()
        source.more.set()
        assert [(segment.text, segment.lead) async for segment in segments] == [("And more", " ")]
    assert [item async for item in items] == [" of it."], "a fallback provider gets the rest"


async def test_text_that_was_stopped_before_it_was_read_takes_nothing() -> None:
    source = Source()
    items = source.items()
    text = reply_text(items)
    text.stop()
    assert [segment async for segment in text.segments()] == []
    assert await anext(items) == "So it"


async def test_a_reply_that_is_interrupted_while_an_item_is_awaited_leaves_no_task_behind() -> None:
    source = Source()
    segments = reply_text(source.items()).segments()
    assert (await anext(segments)).text == "So it is."
    await segments.aclose()
    assert source.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("pause", [0.0, 0.5])
async def test_a_reader_that_is_cancelled_while_an_item_is_awaited_leaves_no_task_behind(pause: float) -> None:
    source = Source()

    async def read() -> None:
        async with aclosing(reply_text(source.items()).segments()) as segments:
            async for _ in segments:
                pass

    reading = asyncio.ensure_future(read())
    await source.awaited.wait()
    await asyncio.sleep(pause)  # before the sentence is released, or after
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert source.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_callers_error_is_raised_when_what_came_before_it_was_given() -> None:
    async def broken(pause: float) -> AsyncIterator[str]:
        yield "So it is."
        yield " And then"
        await asyncio.sleep(pause)
        raise LookupError("no more")

    for pause in (0.0, 0.3):
        segments = reply_text(broken(pause)).segments()
        assert [(await anext(segments)).text for _ in range(2)] == ["So it is.", "And then"]
        with pytest.raises(LookupError, match="no more"):
            await anext(segments)


async def test_an_error_that_comes_while_a_finished_sentence_is_held_back_is_raised_after_it() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "So it"
        yield " is."
        raise LookupError("no more")

    segments = reply_text(broken()).segments()
    assert (await anext(segments)).text == "So it is."
    with pytest.raises(LookupError, match="no more"):
        await anext(segments)


async def test_a_callers_error_that_nobody_waits_for_any_more_is_not_complained_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = asyncio.Event()

    async def broken() -> AsyncIterator[str]:
        yield "So it"
        yield " is."
        try:
            await asyncio.sleep(0.3)
            raise LookupError("no more")
        finally:
            failed.set()

    segments = reply_text(broken()).segments()
    await anext(segments)
    await failed.wait()
    await segments.aclose()
    assert not caplog.records


# What is no stream


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a list"]])
def test_a_text_of_the_wrong_type_is_refused_before_anything_is_taken(text: Any) -> None:
    with pytest.raises(TypeError, match=type(text).__name__):
        reply_text(text)


async def test_a_whole_text_is_known_to_be_empty_or_not() -> None:
    assert reply_text("").is_empty
    assert reply_text(" ... ").is_empty
    assert not reply_text("Hi").is_empty
    assert not reply_text(model(())).is_empty
    assert [segment.text async for segment in reply_text("Hello. How are you?").segments()] == [
        "Hello. How are you?"
    ]
