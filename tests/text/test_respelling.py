"""What is said for a text: which words are respelled, what each character's share is, and where it is cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import virtual_time
from hypothesis import example, given
from hypothesis import strategies as st
from listening import items

from videosdk_plugins_smallestai.pronunciations import LONGEST, Pronunciations
from videosdk_plugins_smallestai.sentences import is_speakable
from videosdk_plugins_smallestai.text.cutting import MAX_SEGMENT, Segment, fitted
from videosdk_plugins_smallestai.text.segmenter import ReplyText
from videosdk_plugins_smallestai.timing import Timing
from videosdk_plugins_smallestai.words.estimate import units

SQL = {"SQL": "sequel"}
YORK = {"York": "yawk", "New York": "noo york", "New York City": "N Y C"}

RESPELLED: list[tuple[dict[str, str], str, str]] = [
    # A whole word, with the case that it has.
    (SQL, "SQL", "sequel"),
    (SQL, "Use SQL, not NoSQL, SQLite or sql.", "Use sequel, not NoSQL, SQLite or sql."),
    (SQL, "(SQL) “SQL” *SQL* SQL/HTTP SQL?", "(sequel) “sequel” *sequel* sequel/HTTP sequel?"),
    (SQL, "MY_SQL SQL_2 SQL2 2SQL", "MY_SQL SQL_2 SQL2 2SQL"),
    (SQL, "SQL's SQL’s SQL'll L'SQL", "sequel's sequel’s sequel'll L'sequel"),
    (SQL, "SQL-based, non-SQL", "sequel-based, non-sequel"),
    ({"Jean": "zhahn", "Jean-Luc": "zhahn look"}, "Jean-Luc, Jean-Paul", "zhahn look, zhahn-Paul"),
    ({"Don": "dawn", "t": "tea"}, "Don's Don. Don't DON'T don’t", "dawn's dawn. Don't DON'T don’t"),
    ({"TBMM": "te be me me"}, "TBMM'nin", "te be me me'nin"),
    # A number is one word, whatever its marks.
    ({"GPT-4": "G P T four", "5": "five"}, "GPT-4, GPT-4.5, 3.5 and 5.", "G P T four, GPT-4.5, 3.5 and five."),
    ({"30": "thirty"}, "10:30 1,30 30: 30", "10:30 1,30 thirty: thirty"),
    # A key may begin or end with a sign.
    ({"C++": "see pp"}, "C++, C++. C++'s C++11 用C++写", "see pp, see pp. see pp's C++11 用see pp写"),
    ({"C": "see", "C++": "see plus plus", "C#": "see sharp"}, "C C++ C#", "see see plus plus see sharp"),
    ({".NET": "dot net"}, ".NET and ASP.NET", "dot net and ASP.NET"),
    ({"Node.js": "node jay", "St. Louis": "saint lewis"}, "Node.js in St. Louis", "node jay in saint lewis"),
    # The longest first, in one pass.
    (YORK, "York, New York, New York City.", "yawk, noo york, N Y C."),
    (YORK, "New Yorker New York Cityscape", "New Yorker noo york Cityscape"),
    (YORK, "New\nYork new York", "noo york new yawk"),
    ({"a": "b", "b": "a"}, "a b", "b a"),
    ({"AI": "A I", "A": "eh"}, "AI A", "A I eh"),
    ({"Jean-Luc": "Jean-Luc", "Luc": "luke"}, "Jean-Luc Luc", "Jean-Luc luke"),
    # Scripts: a combining mark and a joiner are parts of a word.
    ({"Cafe": "caffay"}, "Cafe Cafe\u0301", "caffay Cafe\u0301"),
    ({"कम": "kum"}, "कम कमी कमल (कम)। कम।", "kum कमी कमल (kum)। kum।"),
    ({"क्": "k"}, "क्ष क्\u200dष क्", "क्ष क्\u200dष k"),
    ({"می": "mi"}, "می\u200cروم می", "می\u200cروم mi"),
    ({"Łódź": "woodge"}, "Łódź, Łódźa", "woodge, Łódźa"),
    ({"서울": "soul"}, "서울 서울에서", "soul 서울에서"),
    # Without spaces between words.
    ({"東京": "とうきょう"}, "私は東京都に住む。", "私はとうきょう都に住む。"),
    ({"パン": "ぱん"}, "パンとパンダ", "ぱんとパンダ"),
    ({"iPhone": "アイフォン"}, "新しいiPhoneを買う", "新しいアイフォンを買う"),
    ({"กา": "ka"}, "กาดำ ก่า กา่", "kaดำ ก่า กา่"),
    # White space around either is nothing of theirs.
    ({" SQL\n": "  sequel\tdatabase "}, "SQL!", "sequel database!"),
    ({}, "As it is.", "As it is."),
]  # fmt: skip


def respelled_text(pronunciations: Pronunciations, text: str) -> str:
    return "".join(pronunciations.spell(text))


@pytest.mark.parametrize(("spellings", "text", "spoken"), RESPELLED)
def test_which_words_are_respelled(spellings: dict[str, str], text: str, spoken: str) -> None:
    assert respelled_text(Pronunciations(spellings), text) == spoken


SHARES: list[tuple[dict[str, str], str, list[str]]] = [
    (SQL, "I use SQL's best.", ["I", "use", "sequel's", "best."]),
    ({"Nguyen": "noo win"}, "(Nguyen) is", ["(noo win)", "is"]),
    ({"New York": "noo york"}, "In New York's", ["In", "noo", "york's"]),
    ({"New York": "nuyork"}, "In New York.", ["In", "", "nuyork."]),
    ({"New York": "big apple town"}, "New York!", ["big", "apple town!"]),
    ({"a b c": "x y"}, "a b c", ["", "x", "y"]),
    ({"東京": "とうきょう"}, "東京だ", ["とう", "きょう", "だ"]),
]


@pytest.mark.parametrize(("spellings", "text", "shares"), SHARES)
def test_what_is_said_for_each_of_the_callers_words(
    spellings: dict[str, str], text: str, shares: list[str]
) -> None:
    found = units(text, Pronunciations(spellings).spell)
    assert [unit.spoken for unit in found] == shares
    assert [unit.text for unit in found] == [unit.text for unit in units(text)]


MISTAKES: list[tuple[Any, type[Exception], str]] = [
    ([("SQL", "sequel")], TypeError, "must be a mapping from str to str, such as .*; got list"),
    ("SQL", TypeError, "must be a mapping from str to str, such as .*; got str"),
    ({"SQL": 5}, TypeError, "must be a mapping from str to str, such as .*; got 'SQL': 5"),
    ({"SQL": None}, TypeError, "got 'SQL': None"),
    ({"SQL": ["sequel"]}, TypeError, "got 'SQL': "),
    ({7: "seven"}, TypeError, "got 7: 'seven'"),
    ({"": "nothing"}, ValueError, "a word or phrase must have a letter or digit.*; got ''"),
    ({" \n": "nothing"}, ValueError, "a word or phrase must have a letter or digit"),
    ({"&": "and"}, ValueError, "a word or phrase must have a letter or digit.*; got '&'"),
    ({"Hello. World": "hi"}, ValueError, "no mark inside that ends a sentence or a clause.*; got 'Hello. World'"),
    ({"Yahoo! Mail": "yahoo mail"}, ValueError, "no mark inside that ends"),
    ({"東京。大阪": "x"}, ValueError, "no mark inside that ends"),
    ({"Portland, Oregon": "x"}, ValueError, "no mark inside that ends"),
    ({"SQL": ""}, ValueError, "what is said for 'SQL' must have a letter or digit.*; got ''"),
    ({"SQL": "..."}, ValueError, "what is said for 'SQL' must have a letter or digit"),
    ({"SQL": "x" * (LONGEST + 1)}, ValueError, "what is said for 'SQL' must have .* at most 200 characters"),
]


@pytest.mark.parametrize(("wrong", "kind", "message"), MISTAKES)
def test_a_mistake_is_told(wrong: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^pronunciations.* {message}"):
        Pronunciations.of(wrong)


@pytest.mark.parametrize("fine", [None, {}, {"SQL": "x" * LONGEST}, {"St. Louis": "x"}, {"e.g.": "for example"}])
def test_what_is_accepted(fine: Any) -> None:
    Pronunciations.of(fine)


# Where a segment that has grown is cut


def cut(text: str, spellings: dict[str, str], lead: str = "") -> list[tuple[str, str]]:
    return [(piece.text, piece.lead) for piece in fitted(Segment(text, lead), Pronunciations(spellings))]


LONG = {"New York": "a city that is called New York by all who live there"}


def test_what_fits_is_one_request_however_long_the_callers_text_is() -> None:
    text = "He lives in New York."
    [only] = fitted(Segment(text, " "), Pronunciations(LONG))
    assert only == Segment(text, " ", f"He lives in {LONG['New York']}.")
    assert cut("x" * MAX_SEGMENT, LONG) == [("x" * MAX_SEGMENT, "")]


def test_what_has_grown_is_cut_at_a_sentence_a_clause_or_a_space_and_not_inside_a_phrase() -> None:
    many = "I see New York " * 3
    assert cut(f"{many}today. I go to New York and New York now.", LONG) == [
        (f"{many}today.", ""),
        ("I go to New York and New York now.", " "),
    ]
    assert cut(f"{many}today, and go to New York and New York now.", LONG) == [
        (f"{many}today,", ""),
        ("and go to New York and New York now.", " "),
    ]
    assert cut("New York " * 9, LONG, " ") == [
        ("New York New York New York New York", " "),
        ("New York New York New York New York", " "),
        ("New York", " "),
    ]


def test_a_run_without_spaces_is_cut_between_what_is_respelled() -> None:
    [first, second] = cut("東京" * 40, {"東京": "とうきょう と"})
    assert first == ("東京" * 35, "")
    assert second == ("東京" * 5, "")


def test_with_the_space_before_it_a_request_is_not_too_long_either() -> None:
    """A continuation gets both."""
    text = "x" * 200 + " " + "y" * 49
    assert cut(text, {}) == [(text, "")]
    assert cut(text, {}, " ") == [("x" * 200, " "), ("y" * 49, " ")]


# Whatever the text

WORDS = st.sampled_from(
    ["SQL", "SQLite", "New", "York", "Cafe\u0301", "कमी", "कम", "東京", "都", "C++", "4", "4.5"]
)
BETWEEN = st.sampled_from([" ", " ", " ", "", "-", ". ", ", ", "\n", "'s ", "...", "\u0301", "\u200d", "। "])
TEXTS = st.lists(st.tuples(WORDS, BETWEEN), min_size=1, max_size=50).map(
    lambda parts: "".join(word + between for word, between in parts)[:MAX_SEGMENT].strip()
)
KEYS = st.sampled_from(["SQL", "New", "York", "New York", "Cafe", "कम", "東京", "東", "C++", "C", "4", "SQL New"])
SAID = st.sampled_from(
    ["x", "a b", "a b c d", "sequel", "word " * 30, "y" * LONGEST, "SQL", "New York", "とうきょう"]
)
SPELLINGS = st.dictionaries(KEYS, SAID, max_size=6)


@given(TEXTS, SPELLINGS)
def test_each_word_of_what_is_said_is_the_share_of_one_of_the_callers_words_in_order(
    text: str, spellings: dict[str, str]
) -> None:
    pronunciations = Pronunciations(spellings)
    spelled = pronunciations.spell(text)
    assert len(spelled) == len(text)
    assert "".join(spelled) == respelled_text(pronunciations, text)
    found = units(text, pronunciations.spell)
    assert "".join("".join(unit.spoken.split()) for unit in found) == "".join(
        respelled_text(pronunciations, text).split()
    )
    places = list(pronunciations.places(text))
    assert all(end <= start for (_, end, _), (start, _, _) in pairwise(places))
    untouched = [
        text[end:start] for end, start in pairwise([0, *(x for a, b, _ in places for x in (a, b)), len(text)])
    ][::2]
    assert respelled_text(pronunciations, text) == "".join(
        part + said for part, said in zip(untouched, [*(said for _, _, said in places), ""], strict=True)
    )


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@given(TEXTS.filter(is_speakable), SPELLINGS, st.sampled_from(["", " "]))
@example("....... SQL" * 20, {"SQL": "y" * LONGEST}, " ")
@example("." * 245 + "SQL", {"SQL": "y" * LONGEST}, "")
def test_no_request_is_too_long_and_no_word_is_lost(text: str, spellings: dict[str, str], lead: str) -> None:
    pronunciations = Pronunciations(spellings)
    found = list(fitted(Segment(text, lead), pronunciations))
    assert found[0].lead in ("", lead)
    assert letters("".join(piece.text for piece in found)) == letters(text)
    at = 0
    for piece in found:
        assert len(piece.lead + piece.spoken) <= MAX_SEGMENT
        assert piece.spoken == respelled_text(pronunciations, piece.text)
        assert piece.text == piece.text.strip()
        assert is_speakable(piece.text)
        start = text.index(piece.text, at)
        at = start + len(piece.text)
        inside = {place for a, b, _ in pronunciations.places(text) for place in range(a + 1, b)}
        assert not {start, at} & inside


@given(st.lists(TEXTS, max_size=6), SPELLINGS, st.booleans())
def test_streamed_text_is_respelled_segment_by_segment(
    parts: list[str], spellings: dict[str, str], streaming: bool
) -> None:
    pronunciations = Pronunciations(spellings)

    async def read(**options: Any) -> list[Segment]:
        text = ReplyText(items(parts), sentence_streaming=streaming, timing=Timing(), **options)
        return [segment async for segment in text.segments()]

    plain = virtual_time.run(read())
    respelled = virtual_time.run(read(pronunciations=pronunciations))
    assert letters("".join(s.text for s in respelled)) == letters("".join(s.text for s in plain))
    assert all(s.spoken == s.text for s in plain)
    assert all(s.spoken == respelled_text(pronunciations, s.text) for s in respelled)
    assert all(len(s.lead + s.spoken) <= MAX_SEGMENT for s in [*plain, *respelled])


def test_large_dictionaries_cost_little() -> None:
    spellings = {f"Word{number}": f"w {number}" for number in range(2000)}
    pronunciations = Pronunciations.of(spellings)
    assert Pronunciations.of(dict(spellings)) is pronunciations
    assert respelled_text(pronunciations, "Word1999 and Word19999") == "w 1999 and Word19999"
