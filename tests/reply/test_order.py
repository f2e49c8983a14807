"""The order of a reply's audio, without sockets and in virtual time, for whatever a server may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagined import RATE, Answer, ImaginedLink
from listening import Ear, assert_same, items
from virtual_time import run

from videosdk_plugins_smallestai._old.account import Account
from videosdk_plugins_smallestai._old.playback import Playback, TrackSink
from videosdk_plugins_smallestai._old.source import TextSource
from videosdk_plugins_smallestai._old.turn import Turn
from videosdk_plugins_smallestai.emulator import tone
from videosdk_plugins_smallestai.errors import (
    APIConnectionError,
    AuthenticationError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.settings import Settings

SETTINGS = Settings("lightning-v3.1", "magnus", "en", RATE, 1.0, 0.5, 0.0, 1.0, True, 30.0, True, 0, 0)

REAL = [(1600, 0.1 / 3.3)]
"""Chunks of 100 ms at 3.3 times real time."""

TEXTS = ["One is the first of them.", "Two comes after it.", "Three is in the middle.", "Four ends it."]


async def speak(
    link: ImaginedLink, parts: list[str], pace: float = 0.0, settings: Settings = SETTINGS
) -> tuple[Ear, SmallestAIError | None, float]:
    """Speak a reply and listen until well after its end, for what comes late."""
    ear = Ear(sample_rate=RATE, chunk_size=320)
    source = TextSource(_paced(parts, pace), sentence_streaming=True)
    turn = Turn(source, link, Playback(TrackSink(ear), RATE), settings, Account())
    error = None
    try:
        await turn.run()
    except SmallestAIError as failure:
        error = failure
    returned = asyncio.get_running_loop().time()
    await asyncio.sleep(30)
    turn.stop()
    await turn.wait_closed()
    await link.aclose()
    return ear, error, returned


async def _paced(parts: list[str], pace: float) -> AsyncIterator[str]:
    async for part in items(parts):
        await asyncio.sleep(pace)
        yield part


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "interleaved"])
@pytest.mark.parametrize("complete", [0.0, 4.0, None], ids=["at once", "late", "never"])
@pytest.mark.parametrize("pace", [0.0, 0.2], ids=["text at once", "text arriving"])
def test_a_healthy_server_is_heard_whole_without_a_gap(serial: bool, complete: float | None, pace: float) -> None:
    link = ImaginedLink(lambda text, attempt: Answer(REAL, complete=complete), SETTINGS, serial=serial)
    ear, error, returned = run(speak(link, TEXTS * 2, pace))
    assert error is None
    assert_same(ear.speech, tone("".join(TEXTS * 2), RATE))
    assert ear.gaps == []
    assert returned <= ear.ends_at + 0.1


sizes = st.integers(1, 4000)
jitter = st.tuples(sizes, st.floats(0.0, 0.1))
stall = st.tuples(sizes, st.floats(0.5, 4.0))
texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4, unique=True)
breaks = st.sampled_from([APIConnectionError("closed"), ServerError("HTTP 500"), RateLimitError("HTTP 429")])


@st.composite
def answers(draw: st.DrawFn, complete: st.SearchStrategy[float | None], stalled: bool = False) -> Answer:
    """Chunks of any size that come unevenly, one stall of seconds among them, and the rest as usual."""
    chunks = draw(st.lists(jitter, max_size=6))
    if stalled:
        chunks.insert(draw(st.integers(0, len(chunks))), draw(stall))
    return Answer(chunks + REAL, complete=draw(complete))


@st.composite
def broken_answers(draw: st.DrawFn) -> Answer:
    answer = draw(answers(st.sampled_from([0.0, 4.0, None])))
    if draw(st.booleans()):
        answer.cut, answer.broken = draw(st.integers(0, 30_000)), draw(breaks)
    return answer


def lookup(table: dict[str, list[Answer]]):  # type: ignore[no-untyped-def]
    return lambda text, attempt: table[text][min(attempt, len(table[text]) - 1)]


def samples(pcm: bytes) -> bytes:
    """Without silence, which fills frames before audio that comes late. The tone has none of its own."""
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 2) if pcm[at : at + 2] != b"\0\0")


@given(st.data(), texts)
def test_a_stall_of_seconds_loses_nothing(data: st.DataObject, parts: list[str]) -> None:
    told = data.draw(st.sampled_from([0.0, 4.0, None]))
    table = {part: [data.draw(answers(st.just(told), stalled=True)), Answer(REAL, complete=told)] for part in parts}
    ear, error, _ = run(speak(ImaginedLink(lookup(table), SETTINGS, serial=True), parts))
    assert error is None
    assert_same(samples(ear.heard), tone("".join(parts), RATE))


@given(st.data(), texts)
def test_mixed_requests_are_heard_in_order(data: st.DataObject, parts: list[str]) -> None:
    table = {part: [data.draw(answers(st.just(0.0)))] for part in parts}
    ear, error, _ = run(speak(ImaginedLink(lookup(table), SETTINGS, serial=False), parts))
    assert error is None
    assert_same(ear.speech, tone("".join(parts), RATE))


@given(st.data(), texts)
def test_whatever_breaks_the_reply_is_whole_or_an_error_follows_an_exact_beginning(
    data: st.DataObject, parts: list[str]
) -> None:
    table = {part: data.draw(st.lists(broken_answers(), min_size=1, max_size=4)) for part in parts}
    ear, error, _ = run(speak(ImaginedLink(lookup(table), SETTINGS, serial=True), parts))
    whole = tone("".join(parts), RATE)
    if error is None:
        assert_same(samples(ear.heard), whole)
    else:
        assert whole.startswith(samples(ear.heard))
        assert error.unspoken


def test_a_refusal_is_raised_at_once_and_names_what_was_not_spoken() -> None:
    refusal = AuthenticationError("HTTP 401")
    link = ImaginedLink(lambda text, attempt: Answer(REAL, cut=0, broken=refusal), SETTINGS, serial=True)
    ear, error, returned = run(speak(link, TEXTS))
    assert error is refusal
    assert error.unspoken.startswith(TEXTS[0])
    assert returned < 0.5
    assert not ear.heard
