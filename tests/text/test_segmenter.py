"""What a listener gets to hear as one request, and when it is released."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from videosdk.agents import BasicSentenceChunker, FlushMarker
from videosdk.agents.tokenize.patterns import ABBREVIATIONS_BY_LANG, STRONG_TERMINATORS

from videosdk_plugins_smallestai.sentences import is_speakable
from videosdk_plugins_smallestai.text.cutting import MAX_SEGMENT, split
from videosdk_plugins_smallestai.text.segmenter import ReplyText, Segment
from videosdk_plugins_smallestai.timing import Timing

FLUSH = FlushMarker()
TIMING = Timing()
SURROGATE = re.compile("[\ud800-\udfff]")
STRETCH = re.compile(r"(?:[\W_]){200}")
Item = str | FlushMarker


class Items:
    """The caller's iterator, which knows how many items were taken from it."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = list(items)
        self.taken = 0
        self.closed = False

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        if self.taken == len(self.items):
            raise StopAsyncIteration
        self.taken += 1
        return self.items[self.taken - 1]

    async def aclose(self) -> None:
        self.closed = True


def segments(source: AsyncIterator[Item]) -> AsyncGenerator[Segment, None]:
    return ReplyText(source, sentence_streaming=True, timing=TIMING).segments()


def released(items: Iterable[Item]) -> list[tuple[int, Segment]]:
    """Each segment, with how many items had been taken when it came out."""

    async def collect() -> list[tuple[int, Segment]]:
        source = Items(items)
        return [(source.taken, segment) async for segment in segments(source)]

    return asyncio.run(collect())


def heard(items: Iterable[Item]) -> list[str]:
    return [segment.text for _, segment in released(items)]


def heard_as_items(items: Iterable[Item]) -> list[Segment]:
    async def collect() -> list[Segment]:
        text = ReplyText(Items(items), sentence_streaming=False, timing=TIMING)
        return [segment async for segment in text.segments()]

    return asyncio.run(collect())


def tokens(text: str, sizes: Iterable[int]) -> list[str]:
    """`text` cut into items that are no sentences: of at most 8 characters, of one word each."""
    found, start = [], 0
    for size in sizes:
        item = text[start : start + size]
        found += list(item) if len(item.split()) > 1 else [item]
        start += size
    return found + list(text[start:])


def squeezed(text: str) -> str:
    return "".join(text.split())


def only_unspeakable_is_missing(found: list[Segment], text: str) -> bool:
    """Whether `found` is all of `text` but for white space and what follows its last letter or digit."""
    kept = squeezed("".join(segment.text for segment in found))
    wanted = squeezed(SURROGATE.sub("\ufffd", text))
    if STRETCH.search(text):  # too long to go in front of what is spoken
        return [c for c in kept if c.isalnum()] == [c for c in wanted if c.isalnum()]
    return wanted.startswith(kept) and not is_speakable(wanted[len(kept) :])


# --- what belongs together -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "whole",
    [
        "It costs $1,299.50 today.",
        "Pi is 3.14 or so.",
        "That makes 1.000.000 in all.",
        "You owe ₹1,00,000 now.",
        "Come at 10:30 tomorrow.",
        "It ended at 10:30:15 sharp.",
        "Born on 12.05.2026 here.",
        "Take version 2.0.1 of it.",
        "Dr. Smith met Mrs. Jones.",
        "DR. SMITH IS IN.",
        "Bring fruit, e.g. this one.",
        "Bring it (i.e. that one) here.",
        "Meet at 5 a.m. on Monday.",
        "Made in the U.S.A. for you.",
        "Room No. 5 is free.",
        "Apples, pears etc. are here.",
        "Red vs. blue it is.",
        "St. Paul is far.",
        "By J. R. R. Tolkien himself.",
        "Herr Dr. Weiß, d. h. z. B. er.",
        "Mme. Curie est ici.",
        "Write to support@smallest.ai now.",
        "See https://a.b/c?d=e&f=1.2;g now.",
        "Open www.x.com now.",
        "Ping 192.168.0.1 now.",
        "Run main.py now.",
        "Wait...",
        "What?!",
        "1. First of all.",
        "**2.** Second of all.",
        "It costs Rs. 500 only.",
        "Smt. Rao of Rao Pvt. Ltd. is on Tel. 555 ext. 7.",
        "See vol. 3 of it, and Vol. 4.",
        "डॉ. शर्मा आए।",
        "इसकी कीमत रु. 500 है।",
        "விலை ரூ. 500 மட்டும்.",
        "कीमत १,००,००० और ३.५ है।",
        "السعر ١٢٫٥ أو ١،٥ فقط۔",
        "是3.5元，10：30开始。",
        "“Good.”",
        "«Oui.\u00a0»",
        "„Gut.“",
    ],
)
def test_what_belongs_together_is_heard_as_one(whole: str) -> None:
    assert heard(whole) == [whole]
    assert heard([whole]) == [whole]
    assert heard(f"So it is. {whole} Next one.") == ["So it is.", whole, "Next one."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("Wait... Really?! Yes!!! Well… ok", ["Wait...", "Really?!", "Yes!!!", "Well…", "ok"]),
        (
            'He said "Stop." Then (he left.) **Bold.** Next',
            ['He said "Stop."', "Then (he left.)", "**Bold.**", "Next"],
        ),
        ("One\nTwo\r\n\r\n- three\u2028four", ["One", "Two", "- three", "four"]),
        ("Great! 😀 Next. Good!😀 Bye", ["Great!", "😀 Next.", "Good!😀", "Bye"]),
        ("Well, I think so, and you know, it is", ["Well, I think so, and you know,", "it is"]),
        ("नमस्ते। आप कैसे हैं? ठीक॥ हाँ", ["नमस्ते।", "आप कैसे हैं?", "ठीक॥", "हाँ"]),
        (
            "你好。我是小明，今天天气很好，走吧！“好的。”他说",
            ["你好。", "我是小明，今天天气很好，", "走吧！", "“好的。”", "他说"],
        ),
        ("你好.5 好?是", ["你好.5 好?", "是"]),
        ("「はい。」そうです。", ["「はい。」", "そうです。"]),
        (
            "كيف حالك؟ أنا بخير، شكرا لك يا صديقي، نعم۔ لا",
            ["كيف حالك؟", "أنا بخير، شكرا لك يا صديقي،", "نعم۔", "لا"],
        ),
        ("J. K. left. vitamin C. and", ["J. K. left.", "vitamin C. and"]),
    ],
)
def test_sentences_are_heard_one_by_one(text: str, expected: list[str]) -> None:
    assert heard(text) == expected


def test_every_sentence_end_of_the_framework_ends_a_segment() -> None:
    for mark in STRONG_TERMINATORS:
        assert heard(f"Hello there{mark} Next") == [f"Hello there{mark}".strip(), "Next"], repr(mark)


def test_every_abbreviation_of_the_framework_is_kept_with_what_follows() -> None:
    for word in frozenset().union(*ABBREVIATIONS_BY_LANG.values()):
        assert heard(f"Here {word}. x") == [f"Here {word}. x"]


def test_a_short_clause_is_no_request_of_its_own() -> None:
    text = "Yes, sure, ok, I can do that for you, of course."
    assert heard(text) == ["Yes, sure, ok, I can do that for you,", "of course."]
    assert heard("是、我、们、都、很、好、你") == ["是、我、们、都、", "很、好、你"]


# --- items -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["Go to gate 3.", "5 people wait."], ["Go to gate 3.", "5 people wait."]),
        (["Go", " to", " gate", " 3.", "5 is near"], ["Go to gate 3.5 is near"]),
        (["un", "believ", "able"], ["unbelievable"]),
        (["Hello", ".", " World"], ["Hello.", "World"]),
        (["Wait.", ".", ".", " ok"], ["Wait...", "ok"]),
        (["I saw a", "red car"], ["I saw a red car"]),
        (["I saw a ", "red car"], ["I saw a red car"]),
        (["I met Dr.", "Smith today."], ["I met Dr. Smith today."]),
        (["It closes at 5 p.m.", "Then go home."], ["It closes at 5 p.m.", "Then go home."]),
        (["So, you see,", "it is"], ["So, you see,", "it is"]),
        (['He said "go."', "And left"], ['He said "go."', "And left"]),
        (["Hello.", "How are you?"], ["Hello.", "How are you?"]),
        (["support@smallest.", "ai is ours"], ["support@smallest.ai is ours"]),
        (["192.", "168.0.1 is local"], ["192.168.0.1 is local"]),
        (
            ["It is so.", "Yes.", "No!", "J.", "R.", "Ewing came."],
            ["It is so.", "Yes.", "No!", "J. R. Ewing came."],
        ),
        (["Do this now:", "1.", "First wash."], ["Do this now:", "1. First wash."]),
        (["", "Hi", "", " you", ""], ["Hi you"]),
        # Several tokens at once, as some models send them: the white space is where it belongs.
        (
            ["Hello! I can", " help with photosyn", "thesis today."],
            ["Hello!", "I can help with photosynthesis today."],
        ),
        (
            ["Well, it", " is for you $1,", "299.50 at 10:", "30 today."],
            ["Well, it is for you $1,299.50 at 10:30 today."],
        ),
        (["The newest", " one is 3.", "5 and it works."], ["The newest one is 3.5 and it works."]),
        (["Write to", " us at sup", "port@example.com."], ["Write to us at support@example.com."]),
        (["So it", " is done.", "Next one."], ["So it is done.", "Next one."]),
        (["今天天气真的非常好。", "5个人"], ["今天天气真的非常好。", "5个人"]),
        (["你好", "。", "」", "好"], ["你好。」", "好"]),
        ([], []),
        ([" ", "\n", "...", FLUSH, "🎉"], []),
    ],
)
def test_items_are_joined_as_their_form_tells(items: list[Item], expected: list[str]) -> None:
    assert heard(items) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["Hello", FLUSH, "World", FLUSH], [(2, "Hello"), (4, "World")]),
        (["Go to gate 3.", FLUSH, "Now"], [(1, "Go to gate 3."), (3, "Now")]),
        (["...", FLUSH, "5 left"], [(3, "... 5 left")]),
        ([FLUSH, "Hi"], [(2, "Hi")]),
        (["Dr.", FLUSH, "Who"], [(2, "Dr."), (3, "Who")]),
    ],
)
def test_a_flush_marker_releases_what_came_before_it(items: list[Item], expected: list[tuple[int, str]]) -> None:
    assert [(taken, segment.text) for taken, segment in released(items)] == expected


def test_an_item_that_is_none_is_passed_over_as_the_framework_does() -> None:
    """As of a hook that hands on what a model's delta holds: a call of a tool has no text."""
    items: list[Any] = [None, "How ", None, "are", None, " you?", None]
    assert heard(items) == ["How are you?"]
    assert [segment.text for segment in heard_as_items(items)] == ["How", "are", "you?"]


@pytest.mark.parametrize("item", [b"bytes", 5, ["Hello"]])
def test_a_caller_who_gives_something_else_is_told_what(item: object) -> None:
    with pytest.raises(TypeError, match=type(item).__name__):
        heard(["Hi", item])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=type(item).__name__):
        heard_as_items([item])  # type: ignore[list-item]


# --- when ------------------------------------------------------------------------------------------------------


def test_a_sentence_is_released_with_the_character_after_its_end() -> None:
    assert released(["Hello", " there", ".", " ", "How"]) == [
        (4, Segment("Hello there.", "", "Hello there.")),
        (5, Segment("How", " ", "How")),
    ]
    assert [taken for taken, _ in released("你好。我")] == [4, 4]
    assert [taken for taken, _ in released("Hi\nyou")] == [3, 6]


def test_a_finished_sentence_is_released_before_more_is_taken() -> None:
    items = ["Hello there, Ms. Jones. How are you?", "Fine, thank you.", "And you"]
    assert [taken for taken, _ in released(items)] == [1, 1, 2, 3]


async def chunked(text: str) -> list[str]:
    stream = BasicSentenceChunker().stream()
    for start in range(0, len(text), 7):
        await stream.push_text(text[start : start + 7])
    await stream.end_input()
    return [item async for item in stream]


@pytest.mark.parametrize(
    "text",
    [
        "Go to gate 3. 5 people wait there. Really? Yes. It costs $1,299.50, and that is a lot of money. Bye now.",
        "Thanks for calling. Dr. Smith is in. Wait... what? Mail me at a@b.ai, or call. Ok.",
        "नमस्ते जी, आप कैसे हैं? मैं ठीक हूँ। डॉ. शर्मा कल आएँगे।",
        "今天天气真的非常好。我们去公园走一走吧！好的。你想什么时候去呢？",
        "مرحبا بك يا صديقي، كيف حالك اليوم؟ أنا بخير والحمد لله. نعم.",
    ],
)
async def test_each_item_of_the_frameworks_chunker_is_heard_at_once(text: str) -> None:
    items = await chunked(text)
    source = Items(items)
    at = [(source.taken, segment.text) async for segment in segments(source)]
    assert {taken for taken, _ in at} == set(range(1, len(items) + 1))
    assert squeezed("".join(text for _, text in at)) == squeezed(text)


async def test_a_one_word_greeting_is_released_by_the_sentence_after_it() -> None:
    # It might be a token, of `Hello...` or `smallest.ai`; later one-word sentences are known for what they are.
    source = Items(await chunked("Hello! How can I help you? Sure. Bye."))
    at = [(source.taken, segment.text) async for segment in segments(source)]
    assert at == [(2, "Hello!"), (2, "How can I help you?"), (3, "Sure."), (4, "Bye.")]


async def test_nothing_is_taken_before_it_is_asked_for() -> None:
    source = Items(["One is here. Two is here.", "Three is here."])
    stream = segments(source)
    assert source.taken == 0
    assert [(await anext(stream)).text, source.taken] == ["One is here.", 1]
    assert [(await anext(stream)).text, source.taken] == ["Two is here.", 1]
    assert [(await anext(stream)).text, source.taken] == ["Three is here.", 2]
    await stream.aclose()


async def test_a_listener_who_leaves_early_closes_nothing_of_the_callers() -> None:
    source = Items(["One is here.", "Two is here."])
    stream = segments(source)
    await anext(stream)
    await stream.aclose()
    assert not source.closed
    assert [item async for item in source] == ["Two is here."]


async def test_a_callers_error_reaches_the_reply() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "One is here."
        raise LookupError("no more")

    stream = segments(broken())
    assert (await anext(stream)).text == "One is here."
    with pytest.raises(LookupError, match="no more"):
        await anext(stream)


# --- lengths ---------------------------------------------------------------------------------------------------

LONG = " ".join(["word"] * 60) + ". "  # 300 characters


def test_a_text_that_fits_is_one_request() -> None:
    assert split("  Hello. How\nare you?  ") == [Segment("Hello. How\nare you?")]
    assert split("a" * MAX_SEGMENT) == [Segment("a" * MAX_SEGMENT)]
    assert split(" ... ") == []
    assert split("") == []


def test_a_sentence_of_just_the_longest_length_is_one_request() -> None:
    words = ("abcdefghijklmnopqrstuvwxy " * 10)[:249]  # ten words
    assert heard(f"{words}. Next.") == [f"{words}.", "Next."]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a" * 99 + ". " + "b" * 99 + ". " + "c " * 40, "a" * 99 + ". " + "b" * 99 + "."),
        ("a" * 149 + ", " + "b " * 90, "a" * 149 + ","),
        ("word " * 60, ("word " * 50).strip()),
        ("字" * 60 + "。" + "字" * 300, "字" * 60 + "。"),
        ("x" * 242 + " 1 000 000 " + "y" * 20, "x" * 242),
        ("x" * 244 + " Dr. Smith " + "y" * 20, "x" * 244),
        ("a" + "x" * 248 + "e\u0301" + "z" * 9, "a" + "x" * 248),
        ("/".join(["https:", *["x" * 20] * 15]), "/".join(["https:", *["x" * 20] * 11]) + "/"),
    ],
)
def test_a_long_text_is_cut_where_it_harms_least(text: str, first: str) -> None:
    found = split(text)
    assert found[0].text == first
    assert squeezed("".join(segment.text for segment in found)) == squeezed(text)


def test_a_long_stream_is_cut_at_white_space_and_not_in_a_number_or_a_name() -> None:
    text = "so " * 22 + "1 000 000 people and then Dr. Smith and " + "so " * 20
    found = heard(text)
    assert " ".join(found) == text.strip()
    assert any("1 000 000" in segment for segment in found)
    assert any("Dr. Smith" in segment for segment in found)
    assert all(len(segment) <= MAX_SEGMENT for segment in found)


def test_a_long_word_is_cut_between_characters_as_people_see_them() -> None:
    for piece in heard(["e\u0301" * 1000]) + heard(["👩\u200d💻a" * 300]):
        assert piece[0] in "e👩a"
        assert piece[-1] in "\u0301💻a"


HOSTILE = {
    "no space": "x" * 100_000,
    "emoji": "😀" * 100_000,
    "words": "a " * 50_000,
    "Han": "字" * 100_000,
    "accents": "a\u0301" * 50_000,
    "only accents": "a" + "\u0301" * 100_000,
    "dots": ". " * 50_000,
    "one domain": "a." * 50_000,
    "numbers": "1 " * 50_000,
    "lone surrogates": "\ud800" * 100_000,
    "spaces": "x" + " " * 100_000 + "y",
    "control": "a\x00\x1b" * 30_000,
    "right to left": "\u202eשלום " * 15_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_of_100_000_characters_is_cut_in_reasonable_time(name: str) -> None:
    text = HOSTILE[name]
    began = time.perf_counter()
    streamed, whole = heard([text]), [segment.text for segment in split(text)]
    assert time.perf_counter() - began < 30  # 0.5 s on an idle machine; a quadratic cut takes minutes
    for found in (streamed, whole):
        assert all(0 < len(piece) <= MAX_SEGMENT and is_speakable(piece) for piece in found)
        if is_speakable(text) and name != "only accents":
            assert squeezed("".join(found)) == squeezed(text)


def test_lone_surrogates_are_replaced_so_that_the_rest_is_heard() -> None:
    assert heard(["Hi \ud83d there."]) == ["Hi \ufffd there."]
    assert split("Hi \udc00") == [Segment("Hi \ufffd")]


@pytest.mark.parametrize("mark", ["|", "a", "\ufdd0", "\ue000", "\uf8ff", "\x00"])
def test_no_character_of_the_users_is_taken_for_a_marker(mark: str) -> None:
    assert heard(f"One {mark} two{mark}three. {mark}four") == [f"One {mark} two{mark}three.", f"{mark}four"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("ß", True), ("5", True), ("५", True), ("①", True), ("字", True), ("ก", True)]
    + [(text, False) for text in ("", " ", "...", "🎉", "$%&", "\u0301", "\u093f", "—")],
)
def test_speakable_is_what_has_a_letter_or_digit(text: str, expected: bool) -> None:
    assert is_speakable(text) is expected


# --- what stood between ----------------------------------------------------------------------------------------


def test_the_white_space_between_segments_is_told_once() -> None:
    assert [s.lead for _, s in released(" Hello there.  How are you?\nFine.")] == ["", " ", " "]
    assert [s.lead for _, s in released("你好。我是。 他")] == ["", "", " "]
    assert [s.lead for _, s in released(["Go to gate 3.", "5 wait."])] == ["", " "]
    assert [s.lead for s in split("字" * 300 + " " + "字" * 300)] == ["", "", " ", ""]


def test_each_item_is_one_request_where_that_is_asked_for() -> None:
    items: list[Item] = [" Hello. How are you? ", FLUSH, "", "...", "un", "believ", " able", "x " * 200, "end"]
    found = heard_as_items(items)
    assert [s.text for s in found[:4]] == ["Hello. How are you?", "un", "believ", "able"]
    assert [s.lead for s in found[:4]] == ["", " ", "", " "]
    assert [len(s.text) for s in found[4:]] == [249, 149, 3]
    assert [s.lead for s in found[4:]] == ["", " ", " "]


# --- any text --------------------------------------------------------------------------------------------------

ALPHABET = "ab AB1२.,:;?!…\n\"')(“”«»-/@$😀\u0301\u00a0\u200d।॥。，、」「字か؟،۔مDr|\ufdd0\ud800"
texts = st.text(st.sampled_from(ALPHABET), max_size=400) | st.text(max_size=300)
sentences = st.lists(
    st.sampled_from(
        [
            "Hello",
            "Dr.",
            "e.g.",
            "3.14",
            "1,299",
            "10:30",
            "...",
            "Wait.",
            "U.S.",
            "x.com",
            "字。",
            "हूँ।",
            "?!",
            "J.",
            "1.",
        ]
    ),
    max_size=80,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(texts | sentences, st.lists(st.integers(1, 8), max_size=400))
def test_tokens_of_every_size_are_heard_alike(text: str, sizes: list[int]) -> None:
    one_by_one = [segment for _, segment in released(text)]
    assert [segment for _, segment in released(tokens(text, sizes))] == one_by_one


@settings(max_examples=200, deadline=None)
@given(st.lists(texts | sentences | st.just(FLUSH) | st.text(st.sampled_from(ALPHABET), max_size=5), max_size=8))
def test_nothing_is_lost_or_doubled_and_everything_fits(items: list[Item]) -> None:
    found = [segment for _, segment in released(items)]
    for segment in found:
        assert segment.text == segment.text.strip()
        assert is_speakable(segment.text)
        assert len(segment.text) <= MAX_SEGMENT
        assert segment.lead in ("", " ")
        segment.text.encode()
    assert only_unspeakable_is_missing(found, "".join(item for item in items if isinstance(item, str)))


@settings(max_examples=150, deadline=None)
@given(texts | sentences)
def test_a_whole_text_is_cut_without_loss(text: str) -> None:
    found = split(text)
    assert all(is_speakable(s.text) and len(s.text) <= MAX_SEGMENT and s.text == s.text.strip() for s in found)
    assert only_unspeakable_is_missing(found, text)


@settings(max_examples=150, deadline=None)
@example("1  ")
@given(st.text(st.sampled_from(ALPHABET.replace("\n", "").replace("\u00a0", "")), max_size=40))
def test_no_segment_waits_for_more_than_one_character(text: str) -> None:
    text, end = SURROGATE.sub("\ufffd", text), 0
    for taken, segment in released(text):
        end = text.index(segment.text, end) + len(segment.text)
        # White space may be followed by more of a sentence: only the end of the text tells that it is not.
        assert taken <= end + 1 or not text[end:].strip()
