"""A reply sounds like one breath: no gap of our making, no lost word, an end that is told or guessed late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from listening import SEVEN, RecordingTrack, assert_same, tokens
from routes import ROUTES, every_route, every_untold_websocket, every_websocket
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.emulator import Break, ChunkBytes, Stall, tone

HEARD_AS_NONE = 0.15
"""Seconds of gaps, in all, that a busy machine may add to a test's reply. One handshake, or one request that is
sent too late, costs 0.2 s at each of six joints. That there is no gap at all is shown in virtual time."""

LONG = (
    "A long sentence goes on and on without a single mark that could end it because somebody wanted to say "
    "everything at once and never found a place to stop for breath."
)


async def speak(s: Stage, text: str = SEVEN, pace: float = 0.03) -> float:
    """Speak as a language model has it spoken. Returns how long before the listener's end it returned."""
    await s.tts.prewarm()
    await s.tts.synthesize(tokens(text, pace))
    return s.track.ends_at - asyncio.get_running_loop().time()


def assert_whole(s: Stage, text: str = SEVEN) -> None:
    assert_same(s.track.speech, tone(text))
    assert len(s.track.heard) % s.track.chunk_size == 0
    assert s.errors == []


@every_untold_websocket
@pytest.mark.parametrize("serving", ["serial", "interleaved"])
@pytest.mark.parametrize("complete", [0.0, 4.0, None], ids=["at once", "late", "never"])
@in_virtual_time
async def test_seven_segments_are_one_breath(
    stage: MakeStage, route: str, serving: str, complete: float | None
) -> None:
    async with stage(ROUTES[route], serving=serving, complete=complete) as s:
        early = await speak(s)
        assert_whole(s)
        assert sum(s.track.gaps) < HEARD_AS_NONE
        assert early > -0.1 - HEARD_AS_NONE


@pytest.mark.parametrize("route", ["http", "live"])
@in_virtual_time
async def test_seven_segments_are_one_breath_where_each_end_is_told(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        early = await speak(s)
        assert_whole(s)
        assert sum(s.track.gaps) < HEARD_AS_NONE
        assert early > 0


@every_route
@in_virtual_time
async def test_stalls_at_each_fifth_chunk_lose_nothing(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], fault=lambda request: Stall(0.4, every=5)) as s:
        await speak(s)
        assert_whole(s)


@every_route
@in_virtual_time
async def test_a_stall_that_is_shorter_than_what_is_buffered_is_not_heard(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], complete=None, fault=lambda request: Stall(2.0, after=4.2)) as s:
        await speak(s, LONG)
        assert_whole(s, LONG)
        # Requests of their own connections that nobody ends: the next one waits for as long as such a stall.
        assert sum(s.track.gaps) < (1.0 if route == "unified" else HEARD_AS_NONE)


@every_route
@pytest.mark.parametrize("complete", [0.0, None], ids=["at once", "never"])
@pytest.mark.parametrize("after", [0.3, pytest.param(3.0, marks=pytest.mark.slow)])
@in_virtual_time
async def test_a_stall_of_three_seconds_is_a_gap_and_loses_nothing(
    stage: MakeStage, route: str, after: float, complete: float | None
) -> None:
    async with stage(
        ROUTES[route],
        complete=complete,
        fault=lambda request: Stall(3.0, after=after) if request.number == 0 else None,
    ) as s:
        await speak(s, LONG)
        await s.track.hears(len(tone(LONG)) / 48_000)
        assert_same(s.track.speech.replace(b"\0\0", b""), tone(LONG).replace(b"\0\0", b""))
        assert s.errors == []


@every_route
@in_virtual_time
async def test_chunks_of_odd_sizes_lose_nothing(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], fault=lambda request: ChunkBytes((1, 333, 4801, 2))) as s:
        await speak(s)
        assert_whole(s)


@every_untold_websocket
@pytest.mark.parametrize(
    "complete",
    [*(late for late in (0.0, 4.0)), None],
    ids=["at once", "late", "never"],
)
@in_virtual_time
async def test_a_server_that_does_not_echo_ids_is_heard_whole(
    stage: MakeStage, route: str, complete: float | None
) -> None:
    async with stage(ROUTES[route], complete=complete, echo_ids=False) as s:
        await speak(s)
        assert_whole(s)


@every_untold_websocket
@pytest.mark.parametrize("habit", ["complete_shared", "close_after_complete"])
@in_virtual_time
async def test_a_server_with_odd_habits_is_heard_whole(stage: MakeStage, route: str, habit: str) -> None:
    async with stage(ROUTES[route], **{habit: True}) as s:
        await speak(s)
        assert_whole(s)


@pytest.mark.parametrize("merge_within", [0.05, 0.3, 3.0])
@in_virtual_time
async def test_a_server_that_merges_fragments_is_heard_whole(stage: MakeStage, merge_within: float) -> None:
    async with stage(ROUTES["continuations"], merge_within=merge_within) as s:
        await speak(s)
        assert_whole(s)


@every_untold_websocket
@pytest.mark.parametrize("complete", ["asked", 4.0], ids=["at once", "late"])
@in_virtual_time
async def test_a_server_that_refuses_a_request_beside_another_is_heard_whole(
    stage: MakeStage, route: str, complete: Any
) -> None:
    async with stage(ROUTES[route], serving="refused", complete=complete) as s:
        await speak(s)
        assert_whole(s)


@every_untold_websocket
@in_virtual_time
async def test_audio_that_comes_after_the_guessed_end_is_still_heard(stage: MakeStage, route: str) -> None:
    text = "Sixty letters or so are spoken here and most of them come in time."
    async with stage(ROUTES[route], complete=None, fault=lambda request: Stall(4.0, after=2.0)) as s:
        await speak(s, text)
        assert s.track.speech != tone(text), "the end was not guessed: this test tests nothing"
        await s.track.hears(len(tone(text)) / 48_000)
        assert_same(bytes(s.track.heard).replace(b"\0\0", b""), tone(text).replace(b"\0\0", b""))


@every_untold_websocket
@in_virtual_time
async def test_late_audio_is_dropped_once_the_next_reply_speaks(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = "Sixty letters or so are spoken here and most of them come in time."
    stall = Stall(4.0, after=2.0)
    async with stage(
        ROUTES[route],
        complete=None,
        serving="interleaved",
        fault=lambda request: stall if request.number == 0 else None,
    ) as s:
        await speak(s, text)
        first, s.tts.audio_track = s.track, RecordingTrack()
        before = bytes(first.heard)
        await s.tts.synthesize("And on we go.")
        assert_same(s.tts.audio_track.speech, tone("And on we go."))
        await s.waves.idle()
        await s.tts.aclose()
        assert_same(bytes(first.heard), before)
        assert [r.getMessage() for r in caplog.records if "came too late" in r.getMessage()]


@in_virtual_time
async def test_text_is_taken_only_when_there_is_room(stage: MakeStage) -> None:
    taken: list[str] = []

    async def text():  # type: ignore[no-untyped-def]
        for sentence in ("One is here now.", "Two comes next.", "Three is third.", "Four is last."):
            taken.append(sentence)
            yield sentence

    async with stage(fault=lambda request: Break(9, "silence")) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(text()))
        await s.waves.request(1)
        await s.track.hears(0.1)
        assert len(taken) == 2
        speaking.cancel()


@in_virtual_time
async def test_over_http_the_second_text_is_taken_when_the_first_was_answered(stage: MakeStage) -> None:
    taken: list[str] = []

    async def text():  # type: ignore[no-untyped-def]
        for sentence in ("One is here now.", "Two comes next.", "Three is third."):
            taken.append(sentence)
            yield sentence

    async with stage(ROUTES["http"], first_audio=0.5) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(text()))
        await s.waves.request(0)
        assert len(taken) == 1
        await speaking
        assert_same(s.track.speech, tone("One is here now. Two comes next. Three is third."))


@every_websocket
@pytest.mark.parametrize("last", ["All done.", "Your order ships tomorrow."])
@in_virtual_time
async def test_a_sentence_that_comes_after_a_long_thought_is_heard(stage: MakeStage, route: str, last: str) -> None:
    """The language model calls a tool in mid-reply, and what it says then is the end of the text."""
    first = "Let me check that for you, please."

    async def text() -> AsyncIterator[str]:
        yield first
        await asyncio.sleep(3.5)
        yield last

    async with stage(ROUTES[route]) as s:
        await s.tts.synthesize(text())
        heard = bytes(s.track.speech)  # all of it is there when the call returns
        assert "".join("".join(r.text.split()) for r in s.waves.requests) == "".join(f"{first}{last}".split())
        assert_same(heard, b"".join(tone(request.text) for request in s.waves.requests))
        assert s.errors == []


@in_virtual_time
async def test_a_last_sentence_that_the_server_holds_until_the_text_ends_is_heard(stage: MakeStage) -> None:
    """White space would tell the server where it ends; for text in every script that is not sent."""
    text = ["Nous sommes allés au restaurant du coin. ", "Bonne nuit à tous."]

    async def slowly() -> AsyncIterator[str]:
        for part in text:
            yield part
            await asyncio.sleep(2.0)

    async with stage(ROUTES["continuations"]) as s:
        await s.tts.synthesize(slowly())
        assert_same(s.track.speech, tone("".join(text)))


@pytest.mark.parametrize("closes", [False, True], ids=["open", "closed"])
@in_virtual_time
async def test_a_text_that_ends_when_all_was_long_heard_ends_the_reply(stage: MakeStage, closes: bool) -> None:
    """Also where the server has closed the connection meanwhile, and nothing is left to be said on a new one."""

    async def thoughtfully() -> AsyncIterator[str]:
        yield "Here is the first one."
        yield " And that was the last."
        await asyncio.sleep(3.0)
        nonlocal ended
        ended = asyncio.get_running_loop().time()

    ended = 0.0
    async with stage(ROUTES["continuations"], close_after_complete=closes) as s:
        await s.tts.synthesize(thoughtfully())
        assert asyncio.get_running_loop().time() - ended < 5.0, "not the patience for a first audio, ten seconds"
        assert_same(s.track.speech, tone("Here is the first one. And that was the last."))
        assert s.errors == []


@in_virtual_time
async def test_a_thought_that_outlasts_the_connection_and_any_patience_for_audio_is_no_failure(
    stage: MakeStage,
) -> None:
    async def thoughtfully() -> AsyncIterator[str]:
        yield "I will look that up for you."
        await asyncio.sleep(12.0)
        yield " Your order ships tomorrow."

    async with stage(ROUTES["continuations"], close_after_complete=True) as s:
        await s.tts.synthesize(thoughtfully())
        assert_same(s.track.speech, tone("I will look that up for you. Your order ships tomorrow."))
        assert s.errors == []
