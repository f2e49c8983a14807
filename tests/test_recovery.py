"""A failure is not heard; or it is an error, once, after an exact beginning, and in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
from listening import SEVEN, assert_same, tokens
from routes import ROUTES, every_route, every_untold_websocket, every_websocket, quick_on
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APIConnectionError,
    APITimeoutError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from videosdk_plugins_smallestai.emulator import Break, Mute, NoAudio, Refuse, SpeechRequest, Stall, tone
from videosdk_plugins_smallestai.timing import Timing


def at_first(fault: object, requests: set[int]) -> Callable[[SpeechRequest], object]:
    """The fault for the first request of some texts, by the order in which the texts come."""
    seen: list[str] = []

    def choose(request: SpeechRequest) -> object:
        if request.text in seen:
            return None
        seen.append(request.text)
        return fault if len(seen) - 1 in requests else None

    return choose


async def speak(s: Stage, text: str = SEVEN) -> None:
    await s.tts.prewarm()
    await s.tts.synthesize(tokens(text))


def assert_whole(s: Stage, text: str = SEVEN) -> None:
    assert_same(s.track.speech, tone(text))
    assert s.errors == []


def now() -> float:
    return asyncio.get_running_loop().time()


@every_route
@pytest.mark.parametrize(
    "requests", [{0}, pytest.param({1, 3}, marks=pytest.mark.slow)], ids=["once", "in two segments"]
)
@pytest.mark.parametrize("how", ["close", "reset", "silence"])
@in_virtual_time
async def test_a_broken_connection_is_not_heard(stage: MakeStage, route: str, how: str, requests: set[int]) -> None:
    async with stage(ROUTES[route], fault=at_first(Break(0.3, how), requests)) as s:
        await speak(s)
        assert_whole(s)


@every_route
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("after", [0.0, 9.0], ids=["before the first chunk", "after the last"])
@in_virtual_time
async def test_a_connection_that_breaks_at_the_edge_of_a_segment_is_not_heard(
    stage: MakeStage, route: str, how: str, after: float
) -> None:
    async with stage(ROUTES[route], fault=at_first(Break(after, how), {1})) as s:
        await speak(s)
        assert_whole(s)


@every_route
@pytest.mark.parametrize("how", ["close", "reset"])
@in_virtual_time
async def test_a_connection_that_always_breaks_at_the_same_place_is_an_error_soon(
    stage: MakeStage, route: str, how: str
) -> None:
    async with stage(ROUTES[route], fault=lambda request: Break(0.3, how)) as s:
        with pytest.raises(APIConnectionError) as caught:
            await speak(s)
        assert now() - s.track.arrivals[-1][0] < 3.0
        assert tone(SEVEN).startswith(s.track.speech)
        assert len(s.errors) == 1
        assert caught.value.unspoken.startswith("This is the first of seven.")


@every_route
@pytest.mark.parametrize("status", [429, 503, *(s for s in (500, 502, 504))])
@in_virtual_time
async def test_a_passing_refusal_is_not_an_error(stage: MakeStage, route: str, status: int) -> None:
    async with stage(ROUTES[route], fault=at_first(Refuse(status), {0, 2})) as s:
        await speak(s)
        assert_whole(s)


@in_virtual_time
async def test_retry_after_is_obeyed(stage: MakeStage) -> None:
    refusal = Refuse(429, headers={"Retry-After": "1"})
    async with stage(ROUTES["http"], fault=at_first(refusal, {0})) as s:
        await speak(s, "Just this.")
        assert_whole(s, "Just this.")
        first, second = s.waves.requests
        assert second.received - first.received > 0.95


@in_virtual_time
async def test_a_retry_after_that_no_listener_can_wait_for_is_an_error_at_once(stage: MakeStage) -> None:
    async with stage(ROUTES["http"], fault=lambda request: Refuse(429, headers={"Retry-After": "30"})) as s:
        began = now()
        with pytest.raises(RateLimitError) as caught:
            await speak(s)
        assert caught.value.status == 429
        assert caught.value.retry_after == 30
        assert now() - began < 2.0
        assert len(s.waves.requests) == 1


@every_route
@pytest.mark.parametrize(("status", "error"), [(429, RateLimitError), (503, ServerError)])
@in_virtual_time
async def test_a_lasting_refusal_is_an_error_within_seconds(
    stage: MakeStage, route: str, status: int, error: type[SmallestAIError]
) -> None:
    async with stage(ROUTES[route], fault=lambda request: Refuse(status)) as s:
        began = now()
        with pytest.raises(error):
            await speak(s)
        assert now() - began < 4.0
        assert len(s.errors) == 1
        assert not s.track.heard


@every_route
@in_virtual_time
async def test_the_first_failure_is_what_is_raised(stage: MakeStage, route: str) -> None:
    faults = iter([Refuse(500), Refuse(400), Refuse(400)])
    async with stage(ROUTES[route], fault=lambda request: next(faults)) as s:
        with pytest.raises(ServerError):
            await speak(s, "Just this.")


@every_route
@in_virtual_time
async def test_complete_without_audio_is_asked_once_more_then_an_error(stage: MakeStage, route: str) -> None:
    if route != "continuations":  # which part of a joined text it is that had no audio, the service does not tell
        async with stage(ROUTES[route], fault=at_first(NoAudio(), {1})) as s:
            await speak(s)
            assert_whole(s)
    async with stage(ROUTES[route], fault=lambda request: NoAudio()) as s:
        with pytest.raises(ServerError, match="no audio"):
            await speak(s, "Just this.")
        assert len(s.waves.requests) == 2


@every_route
@in_virtual_time
async def test_a_server_that_never_answers_is_an_error_at_the_first_audio_timeout(
    stage: MakeStage, route: str
) -> None:
    plugin = ROUTES[route] | {"timeout": 0.7}
    async with stage(plugin, timing=Timing(first_audio=0.7), fault=lambda request: Mute()) as s:
        began = now()
        with pytest.raises(APITimeoutError):
            await speak(s)
        assert 0.6 < now() - began < 3.0
        assert len(s.errors) == 1


@every_websocket
@in_virtual_time
async def test_a_handshake_that_never_ends_is_an_error_before_any_text_is_taken(
    stage: MakeStage, route: str
) -> None:
    taken: list[str] = []

    async def text() -> AsyncIterator[str]:
        taken.append("Hello there.")
        yield "Hello there."

    async with stage(ROUTES[route], timing=Timing(connect=0.5), handshake=lambda connection: "hang") as s:
        with pytest.raises(APITimeoutError):
            await s.tts.synthesize(text())
        assert not taken
        assert len(s.errors) == 1


@every_websocket
@in_virtual_time
async def test_a_service_that_is_down_is_noticed_before_any_text_is_taken(stage: MakeStage, route: str) -> None:
    taken: list[str] = []

    async def text() -> AsyncIterator[str]:
        taken.append("Hello there.")
        yield "Hello there."

    async with stage(ROUTES[route]) as s:
        await s.waves.stop()
        began = now()
        with pytest.raises(APIConnectionError):
            await s.tts.synthesize(text())
        assert not taken
        assert now() - began < 2.0
        assert len(s.errors) == 1


@every_route
@in_virtual_time
async def test_a_host_that_accepts_and_says_nothing_is_an_error_after_five_seconds(
    stage: MakeStage, route: str
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    base_url = f"https://127.0.0.1:{host.sockets[0].getsockname()[1]}/waves/v1"
    async with host, stage(ROUTES[route] | {"base_url": base_url}) as s:
        began = now()
        with pytest.raises(APITimeoutError):
            await s.tts.synthesize("Hello there.")
        assert 4.9 < now() - began < 5.2
        assert len(s.errors) == 1


def sent_ahead(requests: list[SpeechRequest]) -> int:
    """How many of them came before the one in front of them had been sent whole."""
    return sum(after.received < (before.last_sent or 0.0) for before, after in pairwise(requests))


@quick_on("websocket", "http", slow=("unified", "sse"))
@in_virtual_time
async def test_once_the_account_has_refused_one_none_is_sent_ahead_for_a_minute(
    stage: MakeStage, route: str
) -> None:
    async with stage(ROUTES[route], concurrency=1) as s:
        await speak(s)
        assert_whole(s)
        s.waves.concurrency = None
        ahead = []
        for wait in (40.0, 30.0):
            await asyncio.sleep(wait)
            before = len(s.waves.requests)
            await s.tts.synthesize(tokens(SEVEN))
            ahead.append(sent_ahead(s.waves.requests[before:]))
        assert ahead == [0, 6]
        assert s.errors == []


@every_route
@pytest.mark.parametrize("slot_freed", ["last_chunk", "complete"])
@in_virtual_time
async def test_an_account_with_one_request_at_a_time_is_heard_whole(
    stage: MakeStage, route: str, slot_freed: str
) -> None:
    async with stage(ROUTES[route], concurrency=1, slot_freed=slot_freed) as s:
        await speak(s)
        assert_whole(s)
        refused = [request for request in s.waves.requests if request.outcome == "refused"]
        assert len(refused) <= 1, "requests are not sent ahead once the account has refused one"


@in_virtual_time
async def test_an_account_whose_slots_are_freed_by_a_late_complete_is_heard_whole(stage: MakeStage) -> None:
    text = "One is spoken now. Two comes after it."
    async with stage(concurrency=1, slot_freed="complete", complete=4.0) as s:
        await speak(s, text)
        assert_whole(s, text)


@every_websocket
@in_virtual_time
async def test_audio_that_is_implausibly_short_is_asked_for_once_more_and_then_an_error(
    stage: MakeStage, route: str
) -> None:
    text = "This sentence is far too long for three chunks of audio."
    async with stage(ROUTES[route], complete=None, fault=at_first(Stall(60.0, after=0.3), {0})) as s:
        await speak(s, text)
        assert_whole(s, text)
    async with stage(ROUTES[route], complete=None, fault=lambda request: Stall(60.0, after=0.3)) as s:
        with pytest.raises(ServerError, match="stopped in the middle") as caught:
            await speak(s, text)
        assert caught.value.unspoken == text
        assert tone(text).startswith(s.track.speech)


@pytest.mark.parametrize("marks", ["release", None])
@in_virtual_time
async def test_after_a_break_a_continuation_is_not_held_back_from_who_has_nothing_left_to_hear(
    stage: MakeStage, marks: str | None
) -> None:
    text = (
        "Good morning! Your flight to Lisbon leaves from gate 3 at 10:30. "
        "The fare is $1,299.50, and 5 people wait ahead of you. Shall I book a seat by the window?"
    )
    broken = at_first(Break(0.3, "reset"), {0})
    async with stage(ROUTES["continuations"], context_complete=marks, fault=broken) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(tokens(text, 0.06))
        assert_whole(s, text)
        assert len(s.track.gaps) <= 2  # where it broke, and while the second sentence is being written


TWO_RELEASES = [
    ["Hello there, dear caller. How can I help you today"],
    ["Das Café ist heute offen. Kommen Sie doch einfach herein."],
    ["I met Dr. Smith in the long corridor yesterday,", " and then we both left the building."],
    pytest.param(
        ["It opens at 9 a.m. and closes at 5 p.m. every day,", " but on Sundays we are closed. "],
        marks=pytest.mark.slow,
    ),
    pytest.param(
        ["Nous sommes allés à Paris, M. Martin et moi,", " puis au restaurant du coin. ", "Bonne nuit à tous."],
        marks=pytest.mark.slow,
    ),
]
"""Texts of which the service releases a segment in two parts."""


@pytest.mark.parametrize("after", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("parts", TWO_RELEASES)
@in_virtual_time
async def test_a_break_in_the_second_release_of_a_segment_of_a_continuation_is_not_heard(
    stage: MakeStage, parts: list[str], after: float
) -> None:
    async def slowly() -> AsyncIterator[str]:
        for part in parts:
            yield part
            await asyncio.sleep(1.2 if len(parts) > 1 else 0.0)

    async with stage(ROUTES["continuations"], fault=lambda r: Break(after) if r.number == 1 else None) as s:
        await s.tts.synthesize(slowly())
        assert_whole(s, "".join(parts))


@pytest.mark.parametrize("pause", [3.1, 3.4])
@in_virtual_time
async def test_a_break_before_the_rest_of_a_sentence_that_the_service_began_early_is_not_heard(
    stage: MakeStage, pause: float
) -> None:
    """It speaks a clause that has waited for three seconds; the rest comes as that begins, or while it plays."""
    parts = ["It opens at nine every morning of the week,", " and closes at noon on Sundays."]

    async def slowly() -> AsyncIterator[str]:
        yield parts[0]
        await asyncio.sleep(pause)
        yield parts[1]

    async with stage(ROUTES["continuations"], fault=lambda r: Break(0.0) if r.number == 1 else None) as s:
        await s.tts.synthesize(slowly())
        assert_whole(s, "".join(parts))


@every_websocket
@in_virtual_time
async def test_a_network_that_dies_again_and_again_is_an_error(stage: MakeStage, route: str) -> None:
    """It is as silent as a server that has finished, but it answers no ping."""
    text = "This sentence is long enough for three chunks."
    async with stage(ROUTES[route], complete=None, fault=lambda request: Break(1.5, "silence")) as s:
        with pytest.raises(APIConnectionError, match="does not answer"):
            await speak(s, text)
        assert tone(text).startswith(s.track.speech)
        assert len(s.errors) == 1


@pytest.mark.parametrize("complete", [None, 4.0])
@every_untold_websocket
@in_virtual_time
async def test_a_network_that_dies_between_two_sentences_is_noticed_where_no_end_is_told(
    stage: MakeStage, route: str, complete: float | None
) -> None:
    """The first one's silence was seen to be that of a server which is alive; then its connection dies."""
    async with stage(ROUTES[route], complete=complete, fault=at_first(Break(0.0, "silence"), {1})) as s:
        await speak(s)
        assert_whole(s)
        assert sum(s.track.gaps) < 4.0


@every_route
@in_virtual_time
async def test_an_error_of_the_callers_text_is_raised_when_what_came_before_was_spoken(
    stage: MakeStage, route: str
) -> None:
    async def text() -> AsyncIterator[str]:
        yield "This much was written."
        raise LookupError("the language model failed")

    async with stage(ROUTES[route]) as s:
        with pytest.raises(LookupError):
            await s.tts.synthesize(text())
        assert_whole(s, "This much was written.")


@quick_on("websocket", "continuations", slow=["unified"])
@pytest.mark.parametrize("idle_close", ["told", "silent", "default"])
@in_virtual_time
async def test_an_idle_close_while_the_text_pauses_is_not_heard(
    stage: MakeStage, route: str, idle_close: str
) -> None:
    async def text() -> AsyncIterator[str]:
        for sentence in ("Let me look that up.", "I have found it.", "It is on Friday."):
            yield sentence
            await asyncio.sleep(70.0)

    async with stage(ROUTES[route], idle_close=idle_close) as s:
        await s.tts.synthesize(text())
        assert_same(s.track.speech, tone("Let me look that up.I have found it.It is on Friday."))
        assert [gap > 60 for gap in s.track.gaps] == [True, True]
        assert len(s.waves.requests) == 3
        assert s.errors == []


@every_route
@in_virtual_time
async def test_a_failure_waits_for_the_text_that_is_being_awaited(stage: MakeStage, route: str) -> None:
    """Cancelling the caller's iterator, or leaving it running, would leave a backup provider with nothing."""
    release = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield "This breaks and breaks."
        await release.wait()
        yield "This was taken and not spoken."
        yield "This is left for the backup."

    source = text()
    async with stage(ROUTES[route], fault=lambda request: Break(0.3, "close")) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(source))
        await s.waves.request(2)
        await s.waves.idle()
        assert not speaking.done()
        release.set()
        with pytest.raises(SmallestAIError) as caught:
            await speaking
        assert caught.value.unspoken == "This breaks and breaks. This was taken and not spoken."
        assert [item async for item in source] == ["This is left for the backup."]


@every_websocket
@in_virtual_time
async def test_a_reply_is_not_refused_for_the_one_before_it_which_was_heard(stage: MakeStage, route: str) -> None:
    """Its place in the account is freed only by a late `complete`, or with its connection."""
    server = {"concurrency": 1, "slot_freed": "complete", "complete": 4.0, "context_slot": "served"}
    async with stage(ROUTES[route], **server) as s:
        await s.tts.synthesize("This one was heard.")
        await s.tts.synthesize("And this one is too.")
        assert s.track.speech.endswith(tone("And this one is too."))
        assert s.errors == []


@pytest.mark.parametrize("serving", ["serial", "interleaved"])
@in_virtual_time
async def test_a_request_ahead_that_is_refused_without_its_name_does_not_cost_the_one_in_progress(
    stage: MakeStage, serving: str
) -> None:
    async with stage(concurrency=1, echo_ids=False, serving=serving, complete=0.05) as s:
        await s.tts.synthesize(tokens(SEVEN))
        assert_same(s.track.speech, tone(SEVEN))
        assert s.errors == []


@in_virtual_time
async def test_a_continuation_may_break_in_each_sentence_of_a_long_reply(stage: MakeStage) -> None:
    """Also on a server that never tells where a sentence ends, so that all of it is asked for again each time."""
    served: dict[int, int] = {}

    def fault(request: SpeechRequest) -> Break | None:
        served[request.connection] = served.get(request.connection, 0) + 1
        return Break(0.5, "reset") if served[request.connection] == len(served) + 1 else None

    server = {"complete": None, "context_complete": None, "context_ids": "connection", "real_time_factor": 50}
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    text = [f"This is sentence number {number} now." for number in numbers]

    async def sentences() -> AsyncIterator[str]:
        for sentence in text:
            yield sentence

    async with stage(ROUTES["continuations"], fault=fault, **server) as s:
        await s.tts.synthesize(sentences())
        # Without what fills the last frame of what may be the end.
        assert_same(s.track.speech.replace(b"\0\0", b""), tone("".join(text)).replace(b"\0\0", b""))
        assert s.errors == []
