"""Rare servers and rare moments: what is heard is the same."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Literal

import aiohttp
import pytest
from listening import SEVEN, RecordingTrack, assert_same, items, tokens
from routes import ROUTES, every_route
from staging import MakeStage, Stage, open_sessions
from videosdk.agents import TTS
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import APIConnectionError, FallbackTTS, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Connection, Stall, WavesEmulator, tone

NAMELESS = {"echo_ids": False, "complete": 0.0}


async def streamed(s: Stage, text: str) -> bytes:
    """What comes of a text beside the live reply."""
    return b"".join([pcm async for pcm in s.tts.stream_synthesize(tokens(text))])


async def test_a_stream_beside_a_reply_on_a_server_without_ids_is_whole_as_is_the_reply(stage: MakeStage) -> None:
    phrase, reply = "A phrase is made meanwhile.", "This reply is heard. It has two parts."
    async with stage(**NAMELESS) as s:
        await s.tts.synthesize("It shows that it echoes nothing.")
        s.tts.audio_track = track = RecordingTrack()
        speaking = asyncio.ensure_future(s.tts.synthesize(tokens(reply)))
        await track.hears(0.2)
        pcm = await streamed(s, phrase)
        await speaking
        assert_same(pcm.rstrip(b"\0"), tone(phrase))
        assert_same(track.speech, tone(reply))
        assert s.errors == []


@every_route
@in_virtual_time
async def test_a_stream_leaves_the_track_and_the_first_audio_of_the_live_reply_alone(
    stage: MakeStage, route: str
) -> None:
    told: list[bool] = []

    async def first_audio() -> None:
        told.append(True)

    async with stage(ROUTES[route]) as s:
        s.tts.on_first_audio_byte(first_audio)
        s.tts.reset_first_audio_tracking()
        async for _ in s.tts.stream_synthesize(items(["A phrase is made.", "And kept."])):
            assert s.tts.audio_track is s.track
        assert told == []
        assert not s.track.heard
        await s.tts.synthesize("Hello there.")
        assert told == [True]


async def test_two_at_once_on_a_server_that_turns_out_to_echo_nothing_are_both_whole(stage: MakeStage) -> None:
    phrase, reply = "A phrase is made meanwhile.", "This reply is heard. It has two parts."
    async with stage(**NAMELESS) as s:
        pcm, _ = await asyncio.gather(streamed(s, phrase), s.tts.synthesize(tokens(reply)))
        assert_same(pcm.rstrip(b"\0"), tone(phrase))
        assert_same(s.track.speech, tone(reply))
        assert s.errors == []


@pytest.mark.slow
async def test_late_completes_of_parts_long_over_change_nothing(stage: MakeStage) -> None:
    async with stage(complete=2.0) as s:
        await s.tts.synthesize(tokens(SEVEN))
        assert_same(s.track.speech, tone(SEVEN))


@in_virtual_time
async def test_a_part_of_the_longest_length_is_not_too_long_with_the_space_before_it(stage: MakeStage) -> None:
    text = "a" * 199 + ". " + ("b" * 9 + " ") * 24 + "b" * 10
    async with stage(ROUTES["continuations"]) as s:
        await s.tts.synthesize(text)
        assert [len(request.text) for request in s.waves.requests] == [200, 240, 11]
        assert_same(s.track.speech, tone(text))


async def test_the_longest_delay_of_a_continuation_is_told_to_the_service(stage: MakeStage) -> None:
    async with stage({"model": "lightning_v3.1", "max_buffer_delay_ms": 700}) as s:
        await s.tts.synthesize("Hello there.")
        assert s.waves.requests[0].body["max_buffer_delay_ms"] == 700
        assert_same(s.track.speech, tone("Hello there."))


async def test_an_interrupt_before_the_text_is_taken_takes_none(stage: MakeStage) -> None:
    taken: list[str] = []

    async def text() -> AsyncIterator[str]:
        async for token in tokens(SEVEN):
            taken.append(token)
            yield token

    async with stage() as s:
        speaking = asyncio.ensure_future(s.tts.synthesize("This is spoken. And it goes on for a while."))
        await s.track.hears(0.1)
        waiting = asyncio.ensure_future(s.tts.synthesize(text()))
        await asyncio.sleep(0)
        await s.tts.interrupt()
        await asyncio.gather(speaking, waiting)
        assert taken == []


async def test_a_connection_that_dies_as_a_request_is_sent_is_opened_anew(stage: MakeStage) -> None:
    async with stage() as s:
        await s.tts.prewarm()
        for _ in range(5):  # some find the connection dead, some while they send, some while they wait
            s.tts.audio_track = track = RecordingTrack()
            speaking = asyncio.ensure_future(s.tts.synthesize("It comes back."))
            await asyncio.sleep(0)
            await s.waves.close_connections("reset")
            await speaking
            assert_same(track.speech, tone("It comes back."))


async def test_a_handshake_that_is_given_up_is_an_error_of_the_connection() -> None:
    arrived = asyncio.Event()

    def hang(connection: Connection) -> Literal["hang"]:
        arrived.set()
        return "hang"

    async with WavesEmulator(voice="tone", handshake=hang) as waves:
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url)
        tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
        speaking = asyncio.ensure_future(tts.synthesize("Hello."))
        await arrived.wait()
        await tts.aclose()
        with contextlib.suppress(APIConnectionError):
            await speaking
        assert not track.heard


async def test_who_warms_up_as_it_is_closed_is_not_kept_waiting() -> None:
    arrived = asyncio.Event()

    def hang(connection: Connection) -> Literal["hang"]:
        arrived.set()
        return "hang"

    async with WavesEmulator(voice="tone", handshake=hang) as waves:
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url)
        warming = asyncio.ensure_future(tts.prewarm())
        await arrived.wait()
        await tts.aclose()
        async with asyncio.timeout(5):
            await warming
        assert len(waves.connections) == 1


async def test_a_connection_that_is_ready_the_moment_all_is_closed_is_closed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closing: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()
    sockets: list[aiohttp.ClientWebSocketResponse] = []
    connect = aiohttp.ClientSession.ws_connect

    async def connect_and_close(session: aiohttp.ClientSession, url: str, **options: Any) -> Any:
        sockets.append(socket := await connect(session, url, **options))
        if len(waves.connections) == 2:  # opened to have one ready, while nobody speaks
            closing.set_result(asyncio.ensure_future(tts.aclose()))
        return socket

    monkeypatch.setattr(aiohttp.ClientSession, "ws_connect", connect_and_close)
    async with WavesEmulator(voice="tone") as waves, asyncio.timeout(5):
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url)
        await tts.prewarm()
        await waves.close_connections("idle")
        await (await closing)
        assert [socket.closed for socket in sockets] == [True, True]


@pytest.mark.parametrize("wrapped", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alone", "fallback"])
@pytest.mark.parametrize("heard", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
@every_route
@in_virtual_time
async def test_what_is_called_for_while_all_is_closed_opens_nothing_that_stays_open(
    route: str, heard: float, wrapped: bool
) -> None:
    """As by an agent that has more to say: its next `synthesize` follows the one that `aclose` has ended."""
    errors: list[str] = []
    others = open_sessions()
    async with WavesEmulator(voice="tone") as waves:
        voice = SmallestAITTS(api_key="sk_test", base_url=waves.base_url, **ROUTES[route])
        tts = FallbackTTS([voice]) if wrapped else voice
        tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
        tts.on("error", lambda message: errors.append(message))

        async def talk() -> None:
            await tts.synthesize(tokens(SEVEN))
            await asyncio.gather(tts.synthesize("There is more."), streamed_to_nobody(tts), tts.prewarm())

        talking = asyncio.ensure_future(talk())
        await track.hears(heard)
        await tts.aclose()
        async with asyncio.timeout(5):
            await talking
        assert open_sessions() == others
        assert not [request for request in waves.requests if "more" in request.text]
        assert errors == []
        await tts.synthesize("It can be used again.")
        assert track.speech.endswith(tone("It can be used again."))
        await tts.aclose()
        assert open_sessions() == others


async def streamed_to_nobody(tts: TTS) -> None:
    assert not [pcm async for pcm in tts.stream_synthesize(tokens("There is more for a cache."))]


@pytest.mark.slow
@every_route
async def test_a_reply_leaves_nothing_for_the_garbage_collector(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await s.tts.synthesize("This one loads what is loaded once.")
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await s.tts.synthesize(tokens("It is heard. And that is all."))
            await asyncio.sleep(0)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [o for o in gc.garbage if type(o).__module__.startswith("videosdk_plugins_smallestai")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        ours = Counter(type(o).__name__ for o in left if ".emulator" not in type(o).__module__)
        assert not ours


@pytest.mark.slow
@every_route
@pytest.mark.parametrize("before", [[], ["This was taken before."]], ids=["at once", "after a sentence"])
async def test_a_text_whose_source_is_cancelled_ends_there_as_its_caller_would_see(
    stage: MakeStage, route: str, before: list[str]
) -> None:
    async def text() -> AsyncIterator[str]:
        for sentence in before:
            yield sentence
        model = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(model.cancel)
        await model

    async with stage(ROUTES[route]) as s, asyncio.timeout(20):
        with pytest.raises(asyncio.CancelledError):
            await s.tts.synthesize(text())
        assert_same(s.track.speech, tone("".join(before)))
        s.tts.audio_track = track = RecordingTrack()
        await s.tts.synthesize("The next reply.")
        assert_same(track.speech, tone("The next reply."))
        assert s.errors == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # who leaves without closing leaves sockets
@pytest.mark.parametrize("closed", [True, False], ids=["closed between", "left behind"])
@pytest.mark.parametrize("route", ["websocket", "http", "continuations"])
def test_an_object_speaks_in_one_event_loop_after_another(route: str, closed: bool, unused_tcp_port: int) -> None:
    waves = WavesEmulator(voice="tone", first_audio=0.05, port=unused_tcp_port)
    tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url, **ROUTES[route])

    async def use() -> None:
        async with waves:
            tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
            await asyncio.gather(tts.prewarm(), tts.synthesize("Hello."), tts.synthesize("And again."))
            heard = bytes(track.heard)
            for text in ("Hello.", "And again."):  # each waits for the other, in an order of their own
                assert tone(text) in heard
            if closed:
                await tts.aclose()

    asyncio.run(use())
    asyncio.run(use())
    asyncio.run(tts.aclose())
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "fallback"])
def test_an_object_whose_event_loop_ends_while_it_is_closed_speaks_in_the_next_one(
    wrapped: bool, unused_tcp_port: int
) -> None:
    waves = WavesEmulator(voice="tone", port=unused_tcp_port)
    voice = SmallestAITTS(api_key="sk_test", base_url=waves.base_url)
    tts = FallbackTTS([voice]) if wrapped else voice

    async def begin_to_close() -> None:
        left = [asyncio.ensure_future(tts.prewarm())]
        await asyncio.sleep(0)
        left.append(asyncio.ensure_future(tts.aclose()))
        await asyncio.sleep(0)
        assert not any(task.done() for task in left)

    async def use() -> None:
        async with waves:
            tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
            await tts.prewarm()
            gc.collect()  # what the other loop has left unfinished ends now
            await tts.synthesize("Hello.")
            assert_same(track.speech, tone("Hello."))
            await tts.aclose()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin_to_close())
    loop.close()
    asyncio.run(use())


async def test_what_comes_after_the_end_of_a_stream_is_counted(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videosdk_plugins_smallestai.framework.speaks_through_tts_hook", lambda: True)
    text = "The quick brown fox jumps over the lazy dog."
    late = Stall(2.6, after=len(tone(text)) / 48000 - 0.4)
    async with stage(complete=None, fault=lambda request: late) as s:
        heard = await streamed(s, text)
        assert len(heard) < len(tone(text))
        await s.waves.idle()
    assert "of audio came too late to be played" in caplog.text


@every_route
@pytest.mark.parametrize("text", ["", "...", " \n"])
async def test_nothing_to_say_is_no_failure_of_a_service_that_is_down(
    stage: MakeStage, route: str, text: str
) -> None:
    async with stage(ROUTES[route]) as s:
        await s.waves.stop()
        await s.tts.synthesize(text)
        assert s.errors == []


UNSPEAKABLE = {"": False, " \n": True, "...": True, "👍": True}
"""Texts without a letter, and whether the framework waits for the first audio of such a reply: it does for any."""


@pytest.mark.parametrize("stream", [False, True], ids=["str", "stream"])
@pytest.mark.parametrize(("text", "told"), UNSPEAKABLE.items())
async def test_who_waits_for_the_first_audio_of_a_text_without_a_letter_is_told_and_hears_nothing(
    stage: MakeStage, text: str, told: bool, stream: bool
) -> None:
    async def first_audio() -> None:
        nonlocal called
        called += 1

    called = 0
    async with stage() as s:
        s.tts.on_first_audio_byte(first_audio)
        await s.tts.synthesize(items([text]) if stream else text)
        assert called == told
        assert s.errors == []
        s.tts.reset_first_audio_tracking()
        await s.tts.synthesize("Hello there.")
        assert called == told + 1
        assert_same(s.track.speech, tone("Hello there."))


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("stream", [False, True], ids=["str", "stream"])
@in_virtual_time
async def test_a_text_without_a_letter_waits_for_the_replies_before_it(
    stage: MakeStage, stream: bool, interrupted: bool
) -> None:
    async def first_audio() -> None:
        heard.append(len(s.track.heard))
        s.tts.reset_first_audio_tracking()

    heard: list[int] = []
    async with stage() as s:
        s.tts.on_first_audio_byte(first_audio)
        replies = [
            asyncio.ensure_future(s.tts.synthesize(text))
            for text in (tokens(SEVEN), items(["..."]) if stream else "...")
        ]
        await s.track.hears(0.5)
        if interrupted:
            await s.tts.interrupt()
        await asyncio.gather(*replies)
        assert heard == ([0] if interrupted else [0, len(s.track.heard)])


@every_route
@in_virtual_time
async def test_the_first_audio_is_told_once_and_before_it_is_heard_until_it_is_asked_for_again(
    stage: MakeStage, route: str
) -> None:
    heard_before: list[int] = []

    async def first_audio() -> None:
        heard_before.append(len(s.track.heard))

    async with stage(ROUTES[route]) as s:
        s.tts.on_first_audio_byte(first_audio)
        await s.tts.synthesize(tokens(SEVEN))
        await s.tts.synthesize("And one reply more.")
        assert heard_before == [0]
        s.tts.reset_first_audio_tracking()
        before = len(s.track.heard)
        await s.tts.synthesize("And another.")
        assert heard_before == [0, before]


@pytest.mark.parametrize("raised", [LookupError, asyncio.CancelledError])
async def test_a_first_audio_callback_that_fails_for_a_text_without_a_letter_is_logged(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    async def fail() -> None:
        raise raised("the metrics gave up")

    async with stage() as s:
        s.tts.on_first_audio_byte(fail)
        await s.tts.synthesize(items(["..."]))
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], raised)
