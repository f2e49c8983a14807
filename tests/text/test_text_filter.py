"""`SpeechTextFilter` leaves of a language model's text what a person would say, however the text is divided."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videosdk.agents import FlushMarker, Pipeline

from videosdk_plugins_smallestai import SpeechTextFilter
from videosdk_plugins_smallestai.text.markdown import SpokenText

# What the model wrote, and what a person would say for it.
TEXTS = [
    (
        "The total is **$1,299.50**, due on *Friday*.",
        "The total is $1,299.50, due on Friday.",
    ),
    (
        "# Opening hours\n\nWe open at 9:30.",
        "Opening hours.\n\nWe open at 9:30.",
    ),
    (
        "You need:\n- eggs\n- two cups of milk\n\nThat is all.",
        "You need:\neggs.\ntwo cups of milk.\n\nThat is all.",
    ),
    (
        "1. Open the app.\n2. Tap **Settings**.\n   - Choose *Audio*\n   - Turn it on\n3. Done",
        "1. Open the app.\n2. Tap Settings.\nChoose Audio.\nTurn it on.\n3. Done",
    ),
    (
        "| Plan | Price |\n|------|-------|\n| Basic | $10 |\n| Pro | $25.99 |\n\nWhich one?",
        "Plan, Price.\nBasic, $10.\nPro, $25.99.\n\nWhich one?",
    ),
    (
        "See [our site](https://example.com/a?b=c#d) for more.",
        "See our site for more.",
    ),
    (
        "![A red bicycle](https://example.com/x.png) This is it.",
        "A red bicycle This is it.",
    ),
    (
        "Run:\n```bash\ngit push origin main\n```\nThen wait.",
        "Run:\ngit push origin main.\nThen wait.",
    ),
    (
        "Use `git push` now.",
        "Use git push now.",
    ),
    (
        "Great! 🎉 See you 👋🏽 soon 👨\u200d👩\u200d👧 🇮🇳.",
        "Great! See you soon.",
    ),
    (
        "It rose 5%[^1] last year.\n\n[^1]: Bureau of Statistics.",
        "It rose 5% last year.\n\nBureau of Statistics.",
    ),
    (
        "Press <b>OK</b> &amp; wait<br>please.",
        "Press OK & wait\nplease.",
    ),
    (
        "The area is $x^2$ and it costs $5 and $6.",
        "The area is x^2 and it costs $5 and $6.",
    ),
    (
        "It is $5. Or $6.50 at most.",
        "It is $5. Or $6.50 at most.",
    ),
    (
        "Your code is 482913, valid until 10:30.",
        "Your code is 482913, valid until 10:30.",
    ),
    (
        "Call +1 (555) 010-4477 or 0800 123 456.",
        "Call +1 (555) 010-4477 or 0800 123 456.",
    ),
    (
        "It costs £1500, ₹1299 or 12 500 €.",
        "It costs £1500, ₹1299 or 12 500 €.",
    ),
    (
        "Mail us at anna.b@example.com.",
        "Mail us at anna.b@example.com.",
    ),
    (
        "More at https://www.example.com/docs/page?x=1.",
        "More at example.com/docs/page.",
    ),
    (
        "The file is my_file_name.py and __init__ too.",
        "The file is my_file_name.py and init too.",
    ),
    (
        "2 * 3 = 6 and 5*3*2 = 30.",
        "2 * 3 = 6 and 5*3*2 = 30.",
    ),
    (
        "If 5 < 6 and x > y then stop.",
        "If 5 < 6 and x > y then stop.",
    ),
    (
        "**Note:** this is ~~old~~ new.",
        "Note: this is old new.",
    ),
    (
        "> Quoted line.\n> And more.",
        "Quoted line.\nAnd more.",
    ),
    (
        "One.\n\n---\n\nTwo.",
        "One.\n\n\nTwo.",
    ),
    (
        "C# and F# and #1 and #yolo.",
        "C# and F# and #1 and #yolo.",
    ),
    (
        "नमस्ते **राहुल**, आपका बिल ₹1299 है। धन्यवाद 🙏",
        "नमस्ते राहुल, आपका बिल ₹1299 है। धन्यवाद",
    ),
    (
        "مرحبا **أحمد**، الموعد الساعة 10:30.",
        "مرحبا أحمد، الموعد الساعة 10:30.",
    ),
    (
        "你好，**王先生**。价格是¥1299。\n- 苹果\n- 香蕉",
        "你好，王先生。价格是¥1299。\n苹果。\n香蕉",
    ),
    (
        "こんにちは。**重要**：3時に来てください。",
        "こんにちは。重要：3時に来てください。",
    ),
    (
        "***Both*** and __strong__ and _soft_.",
        "Both and strong and soft.",
    ),
    (
        "1) First\n2) Second",
        "1) First.\n2) Second",
    ),
    (
        "Step 1: Do it.\nStep 2: Stop.",
        "Step 1: Do it.\nStep 2: Stop.",
    ),
    (
        "Half is $\\frac{1}{2}$ and \\( a + b \\).",
        "Half is 1/2 and a + b.",
    ),
    (
        "I am f***ing sure * it is.",
        "I am fing sure * it is.",
    ),
    (
        "- [x] Buy milk\n- [ ] Call mom",
        "Buy milk.\nCall mom",
    ),
    (
        "A footnote[1] and [brackets] stay.",
        "A footnote[1] and [brackets] stay.",
    ),
    (
        "Wait... really?! Yes — of course…",
        "Wait... really?! Yes — of course…",
    ),
    (
        "Item A: `x = 1`; Item B: `y`.",
        "Item A: x = 1; Item B: y.",
    ),
    (
        "<think>no</think> Hello.",
        "<think>no</think> Hello.",
    ),
    (
        "Press 1️⃣ for sales.",
        "Press 1 for sales.",
    ),
    (
        "Temperatures: -5 °C to +3 °C.",
        "Temperatures: -5 °C to +3 °C.",
    ),
    (
        "Email **bold",
        "Email bold",
    ),
    (
        "Dates: 2026-11-25, 11/25/2026.",
        "Dates: 2026-11-25, 11/25/2026.",
    ),
    (
        "**Q:** Why?\n**A:** Because.",
        "Q: Why?\nA: Because.",
    ),
    (
        "Go to https://api.smallest.ai/waves/v1!",
        "Go to api.smallest.ai/waves/v1!",
    ),
    (
        "It is 3.5 × 4 = 14. Next.",
        "It is 3.5 × 4 = 14. Next.",
    ),
    (
        "a|b or c",
        "a|b or c",
    ),
    (
        "Use the `|` key.",
        "Use the | key.",
    ),
    (
        "Hello\nWorld",
        "Hello\nWorld",
    ),
]

UNTOUCHED = [
    "It costs £1500, ₹1299, $1,299.50 or 12 500 €.",
    "Your code is 482913, and it is valid until 10:30.",
    "Call +1 (555) 010-4477 or 0800 123 456.",
    "On 2026-11-25 or 11/25/2026, at -5 °C.",
    "Version 3.11.7 of C# and F#; see my_file_name.py.",
    "Mail anna.b@example.com about order #4471-B.",
    "5 < 6, x > y, 2 * 3 = 6, a|b, 50% & more.",
    "नमस्ते। आपका बिल ₹1299 है।",
    "你好。价格是¥1299。",
    "مرحبا. الموعد الساعة 10:30؟",
]


def say(parts: Iterable[str]) -> str:
    text = SpokenText()
    return "".join([text.feed(part) for part in parts]) + text.finish()


def divide(text: str, seed: int) -> list[str]:
    """Divide a text at random, some parts empty."""
    rng = random.Random(seed)
    cuts = sorted(rng.choices(range(len(text) + 1), k=rng.randrange(1, len(text) + 2)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


every_text = pytest.mark.parametrize(("written", "spoken"), TEXTS)


@every_text
def test_what_a_person_would_say_is_left_of_it(written: str, spoken: str) -> None:
    assert say([written]) == spoken


@every_text
def test_token_by_token_it_is_the_same(written: str, spoken: str) -> None:
    assert say(written) == spoken


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(0, 2**32))
def test_in_any_division_it_is_the_same(text: tuple[str, str], seed: int) -> None:
    written, spoken = text
    assert say(divide(written, seed)) == spoken


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=2, max_size=4), st.integers(0, 2**32))
def test_of_several_texts_each_is_read_as_it_is_alone(texts: list[tuple[str, str]], seed: int) -> None:
    written = "\n\n".join(text for text, _ in texts)
    assert say(divide(written, seed)) == say([written])


@pytest.mark.parametrize("text", UNTOUCHED)
def test_numbers_and_the_like_are_left_as_they_were_written(text: str) -> None:
    assert say([text]) == text
    assert say(text) == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abc xyz.?! 0123456789äßनक你", min_size=1, max_size=40), max_size=5))
def test_a_text_without_marks_passes_unchanged(parts: list[str]) -> None:
    text = "So: " + "".join(parts).strip()
    assert say(divide(text, len(text))) == text


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("**__``~~[](){}<>!#|-+$\\&;:/.\n ab1🎉é\ud800"), max_size=80), st.integers(0, 2**32))
def test_whatever_is_written_is_read_the_same_in_any_division(text: str, seed: int) -> None:
    assert say(divide(text, seed)) == say([text])


# Nothing waits for longer than it must


SENTENCES = [
    "I see. ",
    "It costs $5. ",
    "Use the *new* one. ",
    "Is `git push` right? ",
    "**Yes!** ",
    "Ask [us](http://a.b). ",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6))
def test_a_finished_sentence_is_never_held_back(sentences: list[str]) -> None:
    text, given_out, spoken = SpokenText(), "", ""
    for sentence in sentences:
        given_out += "".join(text.feed(char) for char in sentence)
        spoken += say([sentence]).strip() + " "
        assert given_out.strip() == spoken.strip()


@pytest.mark.parametrize("mark", ["**", "*", "__", "~~", "`", "[", "![", "<b ", "$", "> ", "- ", "# ", "1. "])
def test_inside_an_open_mark_one_sentence_is_held_back_at_most(mark: str) -> None:
    text = SpokenText()
    given_out = text.feed(f"{mark}This one is held back. And this one perhaps. And that")
    assert "This one is held back." in given_out


def test_what_is_no_mark_passes_in_the_same_item() -> None:
    text = SpokenText()
    items = ["Hello", " there", ",", " it", " costs", " 5", " euros", " and", " 3", " cents"]
    given_out = [text.feed(item) for item in items]
    assert "".join(given_out[:-1]).rstrip() == "".join(items[:-1])
    assert all(part.strip() == item.strip() for part, item in zip(given_out, items, strict=True))


# As the framework uses it


async def parts_of(text: str, size: int = 3) -> AsyncIterator[str]:
    for start in range(0, len(text), size):
        await asyncio.sleep(0)
        yield text[start : start + size]


async def test_the_filter_yields_the_spoken_text_and_no_empty_item() -> None:
    items = [item async for item in SpeechTextFilter().filter(parts_of("**Hello** there 🎉. `Bye`."))]
    assert "".join(items) == "Hello there. Bye."
    assert all(items)


async def test_replies_that_overlap_do_not_mix() -> None:
    one_filter = SpeechTextFilter()

    async def read(text: str) -> str:
        return "".join([item async for item in one_filter.filter(parts_of(text))])

    assert await asyncio.gather(read("**One** `two`."), read("*Three* [four](http://a.b).")) == [
        "One two.",
        "Three four.",
    ]


async def test_the_source_is_read_to_its_end_although_nobody_reads_the_result() -> None:
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=50)

    async def source() -> AsyncIterator[str]:
        while (item := await queue.get()) is not None:
            yield item

    async def fill() -> None:
        for number in range(300):
            await queue.put(f"Word {number}. ")
        await queue.put(None)

    filtered = SpeechTextFilter().filter(source())
    async with asyncio.timeout(5):
        await fill()  # before anybody has read
    assert (await anext(aiter(filtered))).startswith("Word 0.")


async def test_what_is_no_text_passes_and_ends_what_was_open() -> None:
    async def source() -> AsyncIterator[object]:
        yield "Ask [us"
        yield FlushMarker()
        yield "**Now**"

    items = [item async for item in SpeechTextFilter().filter(source())]  # type: ignore[arg-type]
    assert [item if isinstance(item, str) else "flush" for item in items] == ["Ask", " [us", "flush", "Now"]


async def test_the_model_s_error_comes_after_what_was_written_before_it() -> None:
    async def source() -> AsyncIterator[str]:
        yield "Hello `there"
        raise ConnectionError("the model's own")

    filtered = aiter(SpeechTextFilter().filter(source()))
    assert [await anext(filtered), await anext(filtered)] == ["Hello", " there"]
    with pytest.raises(ConnectionError):
        await anext(filtered)


async def test_a_pipeline_takes_it() -> None:
    text_filter = SpeechTextFilter()
    assert Pipeline(text_filter=text_filter, text_chunking=False).text_filter is text_filter
