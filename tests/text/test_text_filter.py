"""A person would say what the filter leaves of a language model's text, and hears it without delay."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from agent_session import SilentAgent, in_virtual_call
from hypothesis import assume, example, given
from hypothesis import strategies as st
from videosdk.agents import FlushMarker

from videosdk_plugins_smallestai import SpeechTextFilter
from videosdk_plugins_smallestai.sentences import is_speakable
from videosdk_plugins_smallestai.testing import call
from videosdk_plugins_smallestai.text.markdown import SpokenText
from videosdk_plugins_smallestai.text.reasoning import Reasoning

FILE = (Path(__file__).parent / "model_texts.txt").read_text(encoding="utf-8")
TEXTS: dict[str, tuple[str, str]] = {
    name: (written, said)
    for name, written, said in re.findall(r"(?sm)^§ ([^\n]+)\n(.+?)\n⇒\n(.+?)\n(?=\n§|\Z)", FILE)
} | {
    "hard breaks": ("Line one  \nLine two\\\nLine three", "Line one\nLine two\nLine three"),
    "windows line ends": ("# Hi\r\n- one\r\n\r\n---\r\n```\r\ncode\r\n```\r\nEnd.", "Hi.\none.\ncode.\nEnd."),
    "no text": ("", ""),
    "nothing to say": ("🎉\n\n---\n![](a.png)<br>\n", ""),
}
"""What a language model wrote, and what a person would say for it."""

UNTOUCHED = [
    "£1500", "₹1299", "$1,299.50", "$5", "1.299,50 €", "10:30", "6:30 p.m.", "2026-03-14", "14/03/2026", "482913",
    "AI-302", "XK4P9Q", "+1 (555) 010-9999", "555-0123", "+91 98765 43210", "help_desk@example.co.uk", "3.14",
    "1/2", "50%", "-5°C", "2.0.1", "192.168.0.1", "5-7", "1st", "#4521", "@john_doe", "A1_b2_c3", "१२३", "٣٫٥", "①",
    "½", "★★★☆",
]  # fmt: skip

every_text = pytest.mark.parametrize("name", TEXTS)


def divided(text: str, sizes: Iterable[int]) -> list[str]:
    """`text` in pieces of these sizes, again and again."""
    pieces, start = [], 0
    for size in cycle(sizes):
        if start >= len(text):
            return pieces
        pieces.append(text[start : start + size])
        start += size
    return [text]


def spoken(pieces: Iterable[str]) -> str:
    text = SpokenText()
    return "".join(map(text.feed, pieces)) + text.finish()


def lines(text: str) -> list[str]:
    """What is heard of it: nobody hears an empty line, or a space at the end of one."""
    return [line.strip() for line in text.split("\n") if line.strip()]


# --- what is spoken --------------------------------------------------------------------------------------------


@every_text
def test_what_a_person_would_say(name: str) -> None:
    written, said = TEXTS[name]
    assert lines(spoken([written])) == lines(said)


@every_text
def test_it_does_not_depend_on_how_the_text_is_divided(name: str) -> None:
    written, _ = TEXTS[name]
    for size in (1, 2, 3, 5, 17):
        assert spoken(divided(written, [size])) == spoken([written])


some_texts = st.lists(st.sampled_from(sorted(TEXTS)), max_size=8)


@given(some_texts, st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_nor_in_any_other_division(names: list[str], sizes: list[int]) -> None:
    for written, said in map(TEXTS.__getitem__, names):
        assert lines(spoken(divided(written, sizes))) == lines(said)


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "It is {}.",
        "{}\n",
        "**{}**",
        "*{}*!",
        "- {}\nNext",
        "| {} | x |\n",
        "`{}`",
        "a {} b",
        "[{}](https://x.y) b",
    ],
)
def test_numbers_money_times_and_codes_are_left_as_they_are_written(around: str) -> None:
    for number in UNTOUCHED:
        assert number in spoken([around.format(number)])
        assert f"{number} or {number}" in spoken(around.format(f"{number} or {number}"))


PLAIN = st.text(
    st.characters(categories=["L", "Nd", "Zs"]) | st.sampled_from(" .,;:!?…।॥。，？！،؟'\"()%€£"), max_size=60
)


@given(PLAIN, st.integers(1, 5))
def test_a_line_without_marks_is_passed_on_unchanged(line: str, size: int) -> None:
    assert spoken(divided(line, [size])) == line


@given(st.lists(PLAIN.map(lambda line: "So " + line), max_size=4).map("\n".join))
def test_paragraphs_without_marks_are_passed_on_unchanged(text: str) -> None:
    assert spoken([text]) == text


FORMATTING = [
    "*",
    "**",
    "***",
    "_",
    "__",
    "`",
    "~~",
    "\n# ",
    "\n- ",
    "\n1. ",
    "\n> ",
    "|",
    "\n|",
    "\n\n",
    "😊",
    " ",
    "! ",
    " (",
]
WORDS = ["Alpha", "beta7", "482913", "$5", "$1,299.50", "दूध", "牛奶", "10:30", "http", "x", "[see] ", "f(x)"]


@given(st.lists(st.sampled_from(WORDS) | st.sampled_from(FORMATTING), max_size=30).map("".join))
def test_no_word_is_lost_whatever_the_formatting(text: str) -> None:
    assume("```" not in text and "~~~" not in text)  # a word behind them names the code's language
    assert list(filter(str.isalnum, spoken([text]))) == list(filter(str.isalnum, text))


@given(some_texts)
def test_of_several_texts_each_is_read_as_it_is_alone(names: list[str]) -> None:
    written = "\n\n".join(TEXTS[name][0] for name in names if name != "code that is never closed")
    alone = [line for name in names if name != "code that is never closed" for line in lines(TEXTS[name][1])]
    assert [line.rstrip(".。।") for line in lines(spoken([written]))] == [line.rstrip(".。।") for line in alone]


# --- when it is spoken -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "given_out"),
    [
        (["Hello", " there", ".", " How"], ["Hello", " there", ".", " How"]),
        (["Hello ", "there. ", "How"], ["Hello", " there. ", "How"]),
        (["It is **", "very", "*", "* good", "."], ["It is", " very", "", " good", "."]),
        (["It costs $", "5", ".", " And", " more"], ["It costs", "", " $5.", " And", " more"]),
        (["- ", "**Eggs", "**\n", "-", " milk"], ["", "Eggs", ".\n", "", "milk"]),
        (["See [", "the docs", "](", "https://x.y/z", ")."], ["See", "", "", "", " the docs."]),
        (["See [", "note", "] here"], ["See", "", " [note] here"]),
        (["Run `git", " push", "`."], ["Run", "", " git push."]),
        (["Wow", "!", " [Yes", ". No", ". Ok"], ["Wow", "!", " ", "", "[Yes. No. Ok"]),
        (["Hi", " 👋", "!", " Bye"], ["Hi", "", "!", " Bye"]),
        (["At https", "://exam", "ple.com/", "docs", ". So"], ["At", " exam", "ple.com", "/docs", ". So"]),
        (["2", " *", " 3", " <", " 7"], ["2", "", " * 3", "", " < 7"]),
        (["my", "_", "var", "_name"], ["my", "", "_var", "_name"]),
        (["1", ".", " eggs", "\n", "2", "."], ["1", ".", " eggs", ".\n", "2", "."]),
        (["5 * 3", "\n", "---", "\n", "Yes."], ["5 * 3", "\n", "", "", "Yes."]),
    ],
)  # fmt: skip
def test_each_token_is_given_out_at_once_but_for_an_open_mark(tokens: list[str], given_out: list[str]) -> None:
    text = SpokenText()
    assert [text.feed(token) for token in tokens] == given_out


SENTENCE_ENDS = re.compile(r"[.!?](?=\s|\Z)|[。！？।؟]")
OPEN_MARK = re.compile(
    r"""(`[^`\n]*          # code
    |(?<!\\)\[[^\]\n]*     # a link's text
    |\]\([^)\n]*           # its address
    |<[A-Za-z/!][^>]*      # a tag
    |\$[^$\d\n][^$\n]*     # mathematics
    |https?://\S*[/?#]\S*  # the end of an address
    )\Z""",
    re.VERBOSE,
)


@every_text
def test_a_finished_sentence_is_never_held_back(name: str) -> None:
    written, _ = TEXTS[name]
    for end in [found.end() for found in SENTENCE_ENDS.finditer(written)]:
        text = SpokenText()
        given_out = "".join(text.feed(char) for char in written[:end])
        held = text.finish()
        if not OPEN_MARK.search(written[:end]):
            assert not is_speakable(held)
            assert not SENTENCE_ENDS.search(held)
            assert given_out.rstrip().endswith(written[end - 1])
        elif "<!--" not in written:
            assert len(SENTENCE_ENDS.findall(held)) <= 1


MARKS = [
    "*", "**", "***", "_", "__", "`", "```", "~", "~~", "~~~", "[", "]", "(", ")", "!", "![", "](", "[^1]", "[^1]:",
    "]: ", "https://", "http://www.", "/", "?", "q=1", "#", "## ", "- ", "+", "• ", "==", "1. ", "> ", "|", " | ",
    "---", "|---|---|", "\\", "\\(", "\\)", "\\[", "\\]", "\\frac{1}{2}", "$", "$$", "$5", "$x$", "<", "<b>",
    "</b>", "<br>", "</td>", "<!--", "-->", "<a@b.c>", "&", "&amp;", "&#39;", ";", "😊", "👍🏽", "❤️", "1️⃣", "\u200d",
    "\ufe0f", "\u20e3", "ℹ️", "ℹ", "【", "†", "】", ".", ",", "word", "Hello", "हिन्दी", "中文", "。", "5", "a", "h",
    "w", "http", "{", "}", "'", '"', "@", "x", "^", "\ud800", "\x00", "\u00a0", " ", "\n", "\n\n", "\t", "\r\n",
    " The end. ", "<b", " class=", "<details open", "</think>", "```\n",
]  # fmt: skip
marked = st.lists(st.sampled_from(MARKS), max_size=30).map("".join)
anything = st.text(st.characters(), max_size=60)
LONGEST_HELD = 3500
"""Characters: a link with the longest address."""


@given(marked | anything, st.lists(st.integers(1, 7), min_size=1, max_size=4))
@example("<b\n\n> ", [1])
@example("<b class=x\n> ", [1])
def test_any_text_in_any_division(text: str, sizes: list[int]) -> None:
    assert spoken(divided(text, sizes)) == spoken([text]) == spoken(text)


HOSTILE = [
    "[", "[[a]", "[a](", "[[a](", "[x](((b)(", "[x](y \"", "![", "[^1]", "`a", "```a", "~", "**", "$x ", "$5 ",
    "\\", "\\(1", "<b ", "<!--a", "&a", "a ", "https://a?", "https://", "(", "|", "😊", "- ", "-", "【a", "a\u0301",
    "a\n", "\ud800",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_little_is_held_back_of_a_long_text(piece: str) -> None:
    text = SpokenText()
    for _ in range(200):
        text.feed(piece * 20)
    assert len(text.finish()) <= LONGEST_HELD


def test_what_is_less_than_something_holds_nothing_back() -> None:
    text = "If a <b and the rest of it goes on"
    assert "".join(map(SpokenText().feed, text)) == text


@pytest.mark.parametrize("mark", ["**", "*", "__", "~~", "`", "[", "![", "<b ", "$", "> ", "- ", "# ", "1. "])
def test_inside_an_open_mark_one_sentence_is_held_back_at_most(mark: str) -> None:
    text = SpokenText()
    assert "This one is held back." in text.feed(f"{mark}This one is held back. And this one perhaps. And that")


# --- the filter ------------------------------------------------------------------------------------------------


async def stream(items: Iterable[Any], error: Exception | None = None) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item
    if error is not None:
        raise error


class Model:
    """A language model in front of the framework's queue of 50 tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=50)
        self.thinking = asyncio.ensure_future(self._think())

    async def _think(self) -> None:
        for token in [*self._tokens, None]:
            await self._queue.put(token)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (token := await self._queue.get()) is not None:
            yield token


async def test_a_stream_is_filtered_and_no_item_is_empty() -> None:
    items = [
        item async for item in SpeechTextFilter().filter(stream(["**", "", "Hi", "**", " 🎉", "!", "\n---\n"]))
    ]
    assert items == ["Hi", "!", "\n"]


async def test_the_stream_is_read_before_anybody_reads_the_result() -> None:
    model = Model(["**so** "] * 200)
    result = SpeechTextFilter().filter(aiter(model))
    async with asyncio.timeout(5):
        await model.thinking
    assert "".join([item async for item in result]).split() == ["so"] * 200


async def test_the_stream_is_read_to_its_end_when_its_reader_has_stopped() -> None:
    model = Model(["**so** "] * 200)
    async for _ in SpeechTextFilter().filter(aiter(model)):
        break
    async with asyncio.timeout(5):
        await model.thinking


async def test_a_reader_that_closes_the_result_stops_nobody_else() -> None:
    model = Model(["**so** "] * 200)
    result: Any = SpeechTextFilter().filter(aiter(model))
    assert await anext(result) == "so"
    await result.aclose()
    async with asyncio.timeout(5):
        await model.thinking


async def test_replies_that_overlap_do_not_mix() -> None:
    both = SpeechTextFilter()
    first = both.filter(stream(["```\n", "a_b *c*", "\n```"]))
    second = both.filter(stream(["[one", " two](", "http://x.y)", " **b**"]))
    items: list[list[str]] = [[], []]
    for _ in range(6):
        for result, found in zip((first, second), items, strict=True):
            if (item := await anext(result, None)) is not None:
                found.append(item)
        await both.reset()
    assert ["".join(found) for found in items] == ["a_b *c*.\n", "one two b"]


REASONED = {
    "reasoning": ("<think>\nHe asks for a *day*.\nSay </ thin.\n</think>\n\nIt is **Friday**.", "It is Friday."),
    "none": ("<think>\n\n</think>\n\nIt is Friday.", "It is Friday."),
    "white space before": ("\n <think>a < b</think>It is Friday.", "It is Friday."),
    "another name": ("<Thinking>He asks. <think></Thinking> It is Friday.", "It is Friday."),
    "a list behind it": ("<think>so</think>\n- one\n- two", "one.\ntwo"),
    "a word": ("Say <think>x</think>.", "Say <think>x</think>."),
    "no such tag": ("<thinker> <thin", "<thinker> <thin"),
    "formatting": ("<b>Yes</b>", "Yes"),
    "white space only": (" \n", ""),
}
"""What a model that reasons wrote, and what a person would say for it."""


async def filtered(pieces: Iterable[Any]) -> list[Any]:
    return [item async for item in SpeechTextFilter().filter(stream(pieces))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("name", REASONED)
async def test_reasoning_that_begins_a_reply_is_not_spoken(
    name: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    written, said = REASONED[name]
    items = await filtered(divided(written, [size]))
    assert lines("".join(items)) == lines(said)
    assert "" not in items
    assert not caplog.records


@given(
    st.sampled_from(["", " ", "\n", "<", "x"]),
    st.text(st.sampled_from("<>/thinkgour eas\n\u0130"), max_size=30),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_reasoning_is_the_same_in_any_division(before: str, inside: str, sizes: list[int]) -> None:
    def answer(pieces: list[str]) -> tuple[str, bool]:
        reasoning = Reasoning()
        return "".join(map(reasoning.feed, pieces)) + reasoning.finish(), reasoning.is_open

    written = f"{before}<think>{inside}</think>\n\nIt is Friday."
    for text in (written, before + inside, written.removesuffix("</think>\n\nIt is Friday.")):
        assert answer(divided(text, sizes)) == answer([text])
    told, is_open = answer([written])
    assert told.endswith("It is Friday.")
    assert not is_open


async def test_the_first_word_behind_reasoning_is_passed_on_at_once() -> None:
    text = Reasoning()
    tokens = ["<", "think", ">", "So", " it", " is", ".", "</", "think", ">", "\n\n", "It", " is", " Friday"]
    assert [text.feed(token) for token in tokens] == [""] * 11 + ["It", " is", " Friday"]


async def test_reasoning_that_never_ends_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert await filtered(["<think>", "He asks", " for a day. ", "It is Friday."]) == []
    [warning] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "<think> without </think>" in warning.getMessage()
    assert "Friday" not in warning.getMessage()


async def test_a_marker_within_reasoning_does_not_end_it() -> None:
    flush = FlushMarker()
    written = ["<think>He", flush, " asks.</think>Let me see.", flush, "<think>So.</think>", "It is Friday."]
    assert await filtered(written) == [flush, "Let me see.", flush, "It is Friday."]


async def test_a_marker_is_passed_on_behind_what_came_before_it() -> None:
    flush = FlushMarker()
    items = [item async for item in SpeechTextFilter().filter(stream(["See [this", flush, "**it**."]))]
    assert items == ["See", " [this", flush, "it."]


async def test_the_model_s_error_is_raised_after_what_came_before_it() -> None:
    result = SpeechTextFilter().filter(stream(["It is `open"], ValueError("the model's own")))
    assert [await anext(result), await anext(result)] == ["It is", " open"]
    with pytest.raises(ValueError, match="the model's own"):
        await anext(result)


@in_virtual_call
async def test_the_voice_of_an_agent_is_asked_for_the_filtered_text() -> None:
    text_filter = SpeechTextFilter()
    answers = ["**Hello** 👋! It's [$5](https://x.y).\n\n- one\n- two"]
    async with call(SilentAgent(), answers, text_filter=text_filter) as c:
        assert c.session.pipeline.text_filter is text_filter
        await c.ask("What does it cost?")
        assert c.emulator is not None
        assert [request.text for request in c.emulator.requests] == ["Hello!", "It's $5.", "one.", "two"]
