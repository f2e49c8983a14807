"""Lightning v4: one session for a whole call. What a listener hears of it, and what the service is told."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import random
import wave
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
from agent_session import agent_session, in_virtual_call
from aiohttp import web
from leaks import KEY, assert_has_no_key
from listening import SEVEN, RecordingTrack, assert_same, items, tokens
from staging import MakeStage, Stage
from transport.servers import SmallServer, small_server
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import (
    APITimeoutError,
    AuthenticationError,
    InvalidRequestError,
    ServerError,
    SmallestAIError,
    SmallestAITTS,
)
from videosdk_plugins_smallestai.emulator import (
    Break,
    ChunkBytes,
    Connection,
    Live,
    Mute,
    NoAudio,
    Refuse,
    SpeechRequest,
    Stall,
    tone,
)
from videosdk_plugins_smallestai.resampler import Resampler
from videosdk_plugins_smallestai.timing import Timing

V4: dict[str, Any] = {"model": "lightning_v4"}

SHORT = "Yes. No. Well, perhaps. It may be so. Or it may not. We shall see."
"""Sentences so short that several are spoken while an interruption is on its way."""

NO_HANDSHAKE = 0.3
"""Seconds to the first audio of a reply that waits for no session: the emulator's 0.2, and its chunk."""

USER_PCM = bytes(range(250)) * 64
"""Half a second of a caller, at 16 kHz."""


def now() -> float:
    return asyncio.get_running_loop().time()


def turns_of(connection: Connection) -> list[str]:
    """The texts that were asked for in a session."""
    return [message["text"] for message in connection.messages if message["event"] == "speak"]


def events(connection: Connection) -> list[str]:
    return [message["event"] for message in connection.messages]


async def say(s: Stage, text: str, **call: Any) -> float:
    """Speak a reply on a new track, and hear it whole. Returns the seconds to its first audio."""
    s.track = s.tts.audio_track = RecordingTrack()
    began = now()
    await s.tts.synthesize(tokens(text), **call)
    assert_same(s.track.speech, tone(text, speed=call.get("speed", s.tts.speed)))
    assert len(s.track.heard) % s.track.chunk_size == 0
    assert s.errors == []
    return s.track.first_at - began


async def barge_in(s: Stage, text: str, heard: float = 0.5) -> None:
    """Speak a reply, and interrupt it when so much was heard. Nothing of it is heard later."""
    s.track = s.tts.audio_track = RecordingTrack()
    speaking = asyncio.ensure_future(s.tts.synthesize(tokens(text)))
    await s.track.hears(heard)
    await s.tts.interrupt()
    s.interrupted.append((s.track, len(s.track.heard)))  # type: ignore[attr-defined]
    await speaking
    assert_same(s.track.speech, tone(text)[: len(s.track.speech)])


def assert_silent_since(s: Stage) -> None:
    """Nothing came of the replies that were interrupted."""
    for track, size in s.interrupted:  # type: ignore[attr-defined]
        assert len(track.heard) == size


# One session for a whole call


@pytest.mark.parametrize(
    ("text", "live"),
    [
        (SEVEN, Live()),
        (SEVEN, Live(interrupt_after=0.4, interrupted_after=1.5, late_chunks=3, turn_end_after=0.7)),
        (SHORT, Live(interrupt_after=0.4)),
        (SHORT, Live(interrupted_after=1.5, late_chunks=3)),
        (SHORT, Live(late_chunks=3, turn_end_after=0.7)),
    ],
    ids=["at once", "all late", "obeyed late", "told late", "ends late"],
)
@in_virtual_time
async def test_ten_turns_with_ten_barge_ins_are_one_handshake(stage: MakeStage, text: str, live: Live) -> None:
    async with stage(V4, live=live) as s:
        s.interrupted = []  # type: ignore[attr-defined]
        await s.tts.prewarm()
        for turn in range(10):
            await barge_in(s, text, heard=0.1 + 0.15 * turn)
            assert await say(s, f"And now something else, number {turn}.") < NO_HANDSHAKE + live.interrupt_after
        assert_silent_since(s)
        [connection] = s.waves.connections
        assert events(connection).count("interrupt") == 10
        assert connection.closed is None
        assert len({message["turn_id"] for message in connection.messages if "turn_id" in message}) == len(
            turns_of(connection)
        )


@in_virtual_time
async def test_turns_are_sent_one_ahead_and_in_order(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, SEVEN)
        [connection] = s.waves.connections
        assert "".join("".join(turns_of(connection)).split()) == "".join(SEVEN.split())
        requests = s.waves.requests
        for before, request in pairwise(requests):
            assert request.received < before.completed, "it was there when its turn came"
        for before, request in zip(requests, requests[2:], strict=False):
            assert request.received > before.completed, "no more than one ahead"
        assert s.track.gaps == []


@in_virtual_time
async def test_prewarm_opens_the_session_to_its_second_ready(stage: MakeStage) -> None:
    plugin = V4 | {"voice_id": "rhodes", "language": "hi", "speed": 1.5, "content_filter": "flag"}
    async with stage(plugin, live=Live(admitted=1.0, attached=2.0)) as s:
        began = now()
        await s.tts.prewarm()
        assert now() - began == pytest.approx(3.0, abs=0.1)
        assert await say(s, "Hello there.") < NO_HANDSHAKE
        [connection] = s.waves.connections
        assert connection.path.endswith("/lightning-v4/live")
        assert connection.headers["authorization"] == "Bearer sk_test"
        assert connection.query == {
            "voice_id": "rhodes",
            "language": "auto",
            "sample_rate": "24000",
            "output_format": "pcm",
            "speed": "1.5",
            "content_filter": "true",
            "content_filter_action": "flag",
        }


@in_virtual_time
async def test_the_session_of_a_call_is_not_replaced_for_its_age(stage: MakeStage) -> None:
    async with stage(V4 | {"max_connection_age_sec": 1.0}) as s:
        await say(s, "Hello there.")
        for _ in range(2):
            await asyncio.sleep(250.0)
            assert await say(s, "Are you still there?") < NO_HANDSHAKE
        [connection] = s.waves.connections
        assert connection.closed is None


@in_virtual_time
async def test_the_session_ends_when_nobody_has_spoken_for_long(stage: MakeStage) -> None:
    async with stage(V4, timing=Timing(warm_for=60.0)) as s:
        await say(s, "Hello there.")
        [connection] = s.waves.connections
        await asyncio.sleep(50.0)
        await s.tts.add_user_turn("Wait a moment.", USER_PCM, 16000)
        await asyncio.sleep(50.0)
        assert connection.closed is None
        await asyncio.sleep(15.0)
        assert events(connection)[-1] == "end"
        await say(s, "Hello again.")


@in_virtual_time
async def test_a_reply_whose_audio_was_sent_is_interrupted_without_a_word_to_the_server(stage: MakeStage) -> None:
    """Nothing is in progress there: it would stop what comes next."""
    async with stage(V4, real_time_factor=50.0) as s:
        await say(s, SEVEN)
        await s.tts.interrupt()
        await say(s, "And on.")
        [connection] = s.waves.connections
        assert "interrupt" not in events(connection)


@in_virtual_time
async def test_the_server_is_told_that_the_session_ends(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, "Goodbye.")
        await s.tts.aclose()
        [connection] = s.waves.connections
        async with asyncio.timeout(5):
            await connection.wait_closed()
        assert events(connection) == ["speak", "end"]
        assert await say(s, "It can be used again.") < NO_HANDSHAKE + 0.2


# The session is lost


@pytest.mark.parametrize("how", ["close", "reset", "silence"])
@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("after", [0.0, 0.6, 9.0], ids=["before the audio", "in mid-turn", "before the end"])
@in_virtual_time
async def test_a_session_that_is_lost_in_a_turn_is_not_heard(
    stage: MakeStage, how: Any, number: int, after: float
) -> None:
    broken = Break(after, how)
    async with stage(V4, fault=lambda request: broken if request.number == number else None) as s:
        await s.tts.prewarm()
        await say(s, SEVEN)
        assert await say(s, "And on.") < NO_HANDSHAKE
        assert len(s.waves.connections) == 2
        assert turns_of(s.waves.connections[1])[-1] == "And on."


@pytest.mark.parametrize("how", ["close", "reset", "idle"])
@in_virtual_time
async def test_a_session_that_is_lost_between_replies_is_there_again_for_the_next(
    stage: MakeStage, how: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        await asyncio.sleep(20.0)
        await s.waves.close_connections(how)
        await asyncio.sleep(1.0)
        assert len(s.waves.connections) == 2
        assert await say(s, "And on.") < NO_HANDSHAKE
        assert len(s.waves.connections) == 2
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@in_virtual_time
async def test_a_turn_that_stops_is_asked_for_again_after_ten_seconds_in_a_new_session(stage: MakeStage) -> None:
    stall = Stall(3600.0, after=0.7)
    async with stage(V4, fault=lambda request: stall if request.number == 1 else None) as s:
        await s.tts.prewarm()
        await say(s, SEVEN)
        assert len(s.waves.connections) == 2
        assert sum(s.track.gaps) == pytest.approx(10.0, abs=1.5)
    async with stage(V4, fault=lambda request: Stall(9.0, after=0.7) if request.number == 1 else None) as s:
        await say(s, SEVEN)
        assert len(s.waves.connections) == 1, "it has gone on before"


@in_virtual_time
async def test_a_turn_that_always_stops_is_an_error_within_twenty_seconds(stage: MakeStage) -> None:
    async with stage(V4, fault=lambda request: Stall(3600.0, after=0.7)) as s:
        with pytest.raises(ServerError, match="stopped in the middle") as caught:
            await s.tts.synthesize(items([SEVEN]))
        assert now() - s.track.arrivals[-1][0] < 20.5
        assert tone(SEVEN).startswith(s.track.speech)
        assert caught.value.unspoken
        assert s.errors == [str(caught.value)]


@in_virtual_time
async def test_a_turn_that_never_begins_is_an_error_after_ten_seconds_and_the_next_reply_has_a_new_session(
    stage: MakeStage,
) -> None:
    async with stage(V4, fault=lambda request: Mute() if request.number == 0 else None) as s:
        await s.tts.prewarm()
        began = now()
        with pytest.raises(APITimeoutError, match="No audio within 10 s"):
            await s.tts.synthesize("Nobody hears this.")
        assert now() - began == pytest.approx(10.0, abs=0.5)
        assert len(s.errors) == 1
        s.errors.clear()
        await asyncio.sleep(0.5)
        assert await say(s, "And on.") < NO_HANDSHAKE
        assert len(s.waves.connections) == 2


# Another voice


@in_virtual_time
async def test_another_voice_has_a_session_opened_in_the_background(stage: MakeStage) -> None:
    async with stage(V4, live=Live(attached=3.0)) as s:
        await say(s, "Hello there.")
        s.tts.voice_id = "rhodes"
        s.tts.speed = 1.25
        await asyncio.sleep(5.0)
        assert [c.query["voice_id"] for c in s.waves.connections] == ["brannock", "rhodes"]
        assert [c.query["speed"] for c in s.waves.connections] == ["1.0", "1.25"]
        assert [c.closed is None for c in s.waves.connections] == [False, True]
        assert await say(s, "And now somebody else.") < NO_HANDSHAKE
        assert len(s.waves.connections) == 2


@in_virtual_time
async def test_a_voice_that_is_changed_in_a_reply_speaks_the_next(stage: MakeStage) -> None:
    async with stage(V4) as s:
        speaking = asyncio.ensure_future(say(s, SEVEN))
        await s.waves.request(2)
        s.tts.voice_id = "rhodes"
        await speaking
        assert await say(s, "And now somebody else.") < NO_HANDSHAKE
        first, second = s.waves.connections
        assert "".join("".join(turns_of(first)).split()) == "".join(SEVEN.split())
        assert (second.query["voice_id"], turns_of(second)) == ("rhodes", ["And now somebody else."])


@in_virtual_time
async def test_a_voice_that_is_changed_right_before_a_reply_speaks_it(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        s.tts.voice_id = "rhodes"
        await say(s, "And now somebody else.")
        assert [c.query["voice_id"] for c in s.waves.connections] == ["brannock", "rhodes"]


@in_virtual_time
async def test_a_voice_for_one_reply_has_a_session_of_its_own_and_the_conversation_goes_on(
    stage: MakeStage,
) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        await say(s, "And now somebody else.", voice_id="rhodes")
        assert await say(s, "Here I am again.") < NO_HANDSHAKE
        first, second = s.waves.connections
        assert turns_of(first) == ["Hello there.", "Here I am again."]
        assert turns_of(second) == ["And now somebody else."]
        await second.wait_closed()


@in_virtual_time
async def test_another_model_ends_the_session(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        s.tts.model = "lightning-v3.1"
        async with asyncio.timeout(5):
            await s.waves.connections[0].wait_closed()
        await say(s, "And now somebody else.")
        s.tts.model = "lightning-v4"
        await say(s, "Here I am again.")
        paths = [connection.path.removeprefix("/waves/v1") for connection in s.waves.connections]
        assert paths == ["/lightning-v4/live", "/lightning-v3.1/get_speech/stream", "/lightning-v4/live"]


@in_virtual_time
async def test_a_wrong_setting_does_no_harm_before_the_next_reply_which_is_refused(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        s.tts.speed = 7.0
        await asyncio.sleep(1.0)
        with pytest.raises(ValueError, match="speed must be"):
            await s.tts.synthesize("No.")
        s.tts.speed = 1.0
        assert await say(s, "And on.") < NO_HANDSHAKE
        assert len(s.waves.connections) == 1


# The rate that a session negotiates


def converted(pcm: bytes, rate: int, wanted: int = 24000) -> bytes:
    resampler = Resampler(rate, wanted, 1)
    return resampler.process(pcm) + resampler.flush()


@pytest.mark.parametrize("sizes", [None, (1, 333, 4801, 2)], ids=["whole chunks", "odd ones"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@in_virtual_time
async def test_another_rate_than_the_one_asked_for_is_obeyed(
    stage: MakeStage, rate: int, sizes: tuple[int, ...] | None
) -> None:
    text = ["The first sentence is here.", "And here is the second of them."]
    fault = (lambda request: ChunkBytes(sizes)) if sizes else None
    async with stage(V4, live=Live(sample_rate=rate), fault=fault) as s:
        await s.tts.synthesize(items(text))
        expected = b"".join(converted(tone(part, rate), rate) for part in text)
        assert_same(s.track.heard[: len(expected)], expected)
        assert not any(s.track.heard[len(expected) :])
        assert s.errors == []


@in_virtual_time
async def test_a_turn_at_another_rate_resumes_at_its_sample_after_a_break(stage: MakeStage) -> None:
    text, rate = "One sentence that breaks in the middle of it.", 16000
    broken = Break(0.7, "reset")
    async with stage(
        V4, live=Live(sample_rate=rate), fault=lambda request: broken if request.number == 0 else None
    ) as s:
        await s.tts.synthesize(text)
        expected = converted(tone(text, rate), rate)
        assert_same(s.track.heard[: len(expected)], expected)
        assert len(s.waves.connections) == 2


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
@in_virtual_time
async def test_each_rate_of_the_model_may_be_asked_for_and_is_heard_at_the_tracks(
    stage: MakeStage, rate: int
) -> None:
    async with stage(V4 | {"sample_rate": rate}) as s:
        await s.tts.synthesize("This is it.")
        assert s.waves.connections[0].query["sample_rate"] == str(rate)
        expected = tone("This is it.", rate)
        expected = expected if rate == 24000 else converted(expected, rate)
        assert_same(s.track.heard[: len(expected)], expected)
        s.tts.audio_track = None
        stream = b"".join([pcm async for pcm in s.tts.stream_synthesize(items(["This is it."]))])
        assert_same(stream.rstrip(b"\0"), tone("This is it.", rate))


# What goes wrong


async def error_of(s: Stage, text: str = "Hello there.") -> SmallestAIError:
    """The error of a reply, told once in each way."""
    with pytest.raises(SmallestAIError) as caught:
        await s.tts.synthesize(items([text]))
    assert s.errors == [str(caught.value)]
    assert_has_no_key(caught.value)
    assert not s.track.heard
    return caught.value


@pytest.mark.parametrize(
    ("plugin", "live", "kind", "says"),
    [
        ({}, Live(access=False), AuthenticationError, "beta, and gated"),
        ({"voice_id": "nobody"}, Live(), InvalidRequestError, "invalid_voice"),
    ],
    ids=["no access", "no such voice"],
)
@in_virtual_time
async def test_a_session_that_is_refused_is_an_error_at_once_and_not_asked_for_again(
    stage: MakeStage,
    plugin: dict[str, Any],
    live: Live,
    kind: type[SmallestAIError],
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with stage(V4 | {"api_key": KEY} | plugin, live=live) as s:
        await s.tts.prewarm()
        assert says in caplog.text
        assert s.errors == []
        began = now()
        error = await error_of(s)
        assert now() - began < 0.5
        assert type(error) is kind
        assert says in str(error)
        assert not error.retryable
        assert error.unspoken == "", "no text was taken"
        await asyncio.sleep(120.0)
        assert len(s.waves.connections) == 2


@in_virtual_time
async def test_a_bad_frame_is_sent_again_and_an_error_if_it_stays_one(stage: MakeStage) -> None:
    bad = Refuse(400, body={"error": {"code": "bad_frame", "message": "cannot read this"}})
    async with stage(V4, fault=lambda request: bad if request.number in (0, 2) else None) as s:
        await say(s, SEVEN)
        assert len(s.waves.connections) == 1, "the session goes on"
    async with stage(V4, fault=lambda request: bad) as s:
        error = await error_of(s)
        assert type(error) is ServerError
        assert "bad_frame cannot read this" in str(error)
        assert error.unspoken == "Hello there."
        assert len(s.waves.connections) == 1


@in_virtual_time
async def test_an_error_that_names_no_turn_costs_no_sample(stage: MakeStage) -> None:
    nameless = Refuse(500, frame={"event": "error", "code": "internal", "message": "something broke"})
    async with stage(V4, fault=lambda request: nameless if request.number in (1, 2) else None) as s:
        await say(s, SEVEN)
        [connection] = s.waves.connections
        assert events(connection).count("interrupt") == 2, "what the server may still say of it is not waited for"


@pytest.mark.parametrize("late", [{"admitted": 2.0, "attached": 8.0}, {"attached": 10.0}], ids=["both", "second"])
@in_virtual_time
async def test_a_session_that_is_ready_late_is_waited_for(stage: MakeStage, late: dict[str, float]) -> None:
    async with stage(V4, live=Live(**late)) as s:
        assert sum(late.values()) < await say(s, "Hello there.") < sum(late.values()) + NO_HANDSHAKE + 0.1


@pytest.mark.parametrize(
    ("live", "says"),
    [(Live(admitted=None), "it was not admitted"), (Live(attached=None), "no voice was attached")],
)
@in_virtual_time
async def test_a_session_that_is_never_ready_is_an_error_before_any_text_is_taken(
    stage: MakeStage, live: Live, says: str
) -> None:
    taken: list[str] = []

    async def text() -> AsyncIterator[str]:
        taken.append("Hello there.")
        yield "Hello there."

    async with stage(V4, live=live) as s:
        began = now()
        with pytest.raises(APITimeoutError, match=says):
            await s.tts.synthesize(text())
        assert 10.0 < now() - began < 13.0
        assert not taken
        assert len(s.errors) == 1


@in_virtual_time
async def test_a_barge_in_before_the_session_is_ready_costs_no_second_handshake(stage: MakeStage) -> None:
    async with stage(V4, live=Live(admitted=1.0, attached=2.0)) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize("Nobody hears this."))
        await asyncio.sleep(2.0)
        await s.tts.interrupt()
        await speaking
        assert await say(s, "And now something else.") < 1.0 + NO_HANDSHAKE + 0.2
        [connection] = s.waves.connections
        assert turns_of(connection) == ["And now something else."]
        assert "interrupt" not in events(connection)


@pytest.mark.parametrize("at", [0.0, 0.5, 1.5])
@in_virtual_time
async def test_aclose_while_the_session_is_opened_leaves_nothing_behind(stage: MakeStage, at: float) -> None:
    async with stage(V4, live=Live(admitted=1.0, attached=1.0)) as s:
        others = asyncio.all_tasks()
        tasks = [asyncio.ensure_future(s.tts.prewarm()), asyncio.ensure_future(s.tts.synthesize("Hello there."))]
        await asyncio.sleep(at)
        await s.tts.aclose()
        await asyncio.gather(*tasks)
        for connection in s.waves.connections:
            await connection.wait_closed()
        assert {task for task in asyncio.all_tasks() - others if not task.done()} <= set(s.waves._handlers)
        assert s.errors == []


@in_virtual_time
async def test_a_phrase_for_the_cache_is_none_of_the_conversation(stage: MakeStage) -> None:
    phrase = "This phrase is for the cache, and it is whole."
    async with stage(V4) as s:
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(say(s, SEVEN))
        await s.waves.request(0)
        cached = b"".join([pcm async for pcm in s.tts.stream_synthesize(items([phrase]))])
        assert_same(cached.rstrip(b"\0"), tone(phrase))
        await speaking
        assert await say(s, "And on.") < NO_HANDSHAKE
        first, second = s.waves.connections
        assert "cache" not in "".join(turns_of(first))
        assert " ".join(turns_of(second)) == phrase
        await second.wait_closed()


@in_virtual_time
async def test_an_interrupt_spares_the_phrase_for_the_cache(stage: MakeStage) -> None:
    phrase = "This phrase is for the cache, and it is whole."
    async with stage(V4) as s:
        s.interrupted = []  # type: ignore[attr-defined]
        stream = s.tts.stream_synthesize(items([phrase]))
        first = await anext(stream)
        await barge_in(s, SEVEN)
        cached = first + b"".join([pcm async for pcm in stream])
        assert_same(cached.rstrip(b"\0"), tone(phrase))
        await say(s, "And on.")
        assert_silent_since(s)


# Servers that the emulator is not


READY = ({"event": "ready", "session_id": "live_1"}, {"event": "ready", "sample_rate": 24000})


async def tell(socket: web.WebSocketResponse, *frames: dict[str, Any] | bytes) -> None:
    for frame in frames:
        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(json.dumps(frame)))


async def speak_turn(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
    turn = {"turn_id": message["turn_id"]}
    await tell(socket, {"event": "turn_start", **turn}, tone(message["text"]), {"event": "turn_end", **turn})


async def heard_from(serve: Callable[[SmallServer, web.WebSocketResponse], Any], *texts: str) -> RecordingTrack:
    """What is heard of some replies on a server; the last one's track."""
    async with small_server(serve) as server:
        async with SmallestAITTS(api_key="sk_test", base_url=server.base_url, **V4) as tts:
            tts.loop = asyncio.get_running_loop()
            for text in texts:
                tts.audio_track = track = RecordingTrack()
                await tts.synthesize(text)
        return track


@in_virtual_time
async def test_an_interrupt_that_stops_the_next_reply_too_is_not_heard() -> None:
    """A server that reads ahead of what it does may count the next turn to those that were queued."""
    stopped: list[str] = []

    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, *READY)
        while (message := await server.read(socket)) is not None:
            if message["event"] == "speak" and not stopped:
                stopped.append(message["turn_id"])
                await tell(socket, {"event": "interrupted", "turn_id": message["turn_id"], "chunks": 0})
            elif message["event"] == "speak":
                await speak_turn(socket, message)

    track = await heard_from(serve, "Hello there.")
    assert stopped
    assert_same(track.speech, tone("Hello there."))


@pytest.mark.parametrize(
    "late",
    [
        {"event": "turn_end", "turn_id": "of long ago", "chunks": 1},
        {"event": "interrupted", "turn_id": "of long ago", "chunks": 1},
        {"event": "error", "turn_id": "of long ago", "code": "bad_frame", "message": "no"},
        {"event": "turn_end"},
        {"event": "something new"},
        {"event": "ready", "sample_rate": 24000},
        tone("noise"),
    ],
    ids=["end", "interrupted", "error", "nameless end", "unknown", "ready again", "audio"],
)
@in_virtual_time
async def test_what_is_of_no_turn_of_ours_is_passed_over(late: dict[str, Any] | bytes) -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, *READY)
        while (message := await server.read(socket)) is not None:
            if message["event"] == "speak":
                await tell(socket, late)
                await speak_turn(socket, message)
                await tell(socket, late)

    track = await heard_from(serve, "Hello there.", "And on.")
    assert_same(track.speech, tone("And on."))


@pytest.mark.parametrize("nonsense", ["upstream connect error", "[1]", "", "[" * 1000, '{"status": false}'])
@in_virtual_time
async def test_what_is_no_frame_may_have_been_one_so_that_the_turn_is_asked_for_again(nonsense: str) -> None:
    sane = False

    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        nonlocal sane
        await tell(socket, *READY)
        while (message := await server.read(socket)) is not None:
            if message["event"] == "speak" and not sane:
                await socket.send_str(nonsense)
                sane = True
            elif message["event"] == "speak":
                await speak_turn(socket, message)
            elif message["event"] == "interrupt":
                assert sane

    track = await heard_from(serve, "Hello there.")
    assert_same(track.speech, tone("Hello there."))


@pytest.mark.parametrize(
    "readies",
    [
        ({"event": "ready", "session_id": "live_1", "sample_rate": 24000},),
        ({"event": "ready", "sample_rate": 24000},),
        ({"event": "ready", "session_id": "live_1"}, {"event": "ready"}),
        ({"event": "ready", "session_id": "live_1"}, {"event": "ready", "sample_rate": None}),
    ],
    ids=["both in one", "only the second", "no rate", "null"],
)
@in_virtual_time
async def test_a_session_is_ready_however_it_says_so(readies: tuple[dict[str, Any], ...]) -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, *readies)
        while (message := await server.read(socket)) is not None:
            if message["event"] == "speak":
                await speak_turn(socket, message)

    track = await heard_from(serve, "Hello there.")
    assert_same(track.speech, tone("Hello there."))


@pytest.mark.parametrize(
    ("frames", "code", "kind"),
    [
        ((), 1008, InvalidRequestError),
        (({"status": "error", "error": {"code": "invalid_query", "message": "speed"}},), 1000, InvalidRequestError),
        ((READY[0], {"event": "error", "code": "model_access_denied", "message": "no"}), 1000, AuthenticationError),
        (({"status": "error", "message": "Your subscription is inactive"},), 1000, AuthenticationError),
    ],
    ids=["1008", "invalid_query", "denied after the first ready", "no code"],
)
@in_virtual_time
async def test_a_session_that_is_closed_while_it_opens_is_a_typed_error(
    frames: tuple[dict[str, Any], ...], code: int, kind: type[SmallestAIError]
) -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, *frames)
        await socket.close(code=code)

    with pytest.raises(SmallestAIError) as caught:
        await heard_from(serve, "Hello there.")
    assert type(caught.value) is kind


@in_virtual_time
async def test_a_refusal_is_an_error_at_once_also_where_the_server_does_not_close_the_session() -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, {"status": "error", "error": {"code": "model_access_denied", "message": "no"}})
        await server.read(socket)

    began = now()
    with pytest.raises(AuthenticationError):
        await heard_from(serve, "Hello there.")
    assert now() - began < 0.5


@in_virtual_time
async def test_a_service_that_ends_its_sessions_before_they_are_ready_is_not_stormed() -> None:
    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, READY[0])
        if len(server.opened) > 4:
            await tell(socket, READY[1])
            await server.read(socket)

    async with small_server(serve) as server, SmallestAITTS(api_key=KEY, base_url=server.base_url, **V4) as tts:
        await tts.prewarm()
        await server.connected(5)
        await asyncio.sleep(60.0)
        assert len(server.opened) == 5
        pauses = [after - before for before, after in pairwise(server.opened)]
        for pause, expected in zip(pauses, tts.timing.reopen, strict=True):
            assert 0.74 * expected < pause < 1.26 * expected


# What the caller said


def said(connection: Connection) -> list[tuple[str, bytes, int]]:
    """What a session was told of its user: text, PCM and rate."""
    turns = []
    for message in connection.messages:
        if message["event"] == "user_audio":
            with wave.open(io.BytesIO(base64.b64decode(message["audio"]))) as file:
                assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
                turns.append((message["text"], file.readframes(file.getnframes()), file.getframerate()))
    return turns


@in_virtual_time
async def test_what_the_caller_said_is_told_before_the_reply_to_it(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await say(s, "Hello there.")
        await s.tts.add_user_turn("What is it?", USER_PCM, 16000)
        await say(s, "Nothing much.")
        [connection] = s.waves.connections
        assert said(connection) == [("What is it?", USER_PCM, 16000)]
        assert events(connection) == ["speak", "user_audio", "speak"]


@in_virtual_time
async def test_what_the_caller_says_while_the_agent_speaks_is_told_at_once(stage: MakeStage) -> None:
    async with stage(V4) as s:
        s.interrupted = []  # type: ignore[attr-defined]
        await barge_in(s, SEVEN)
        await s.tts.add_user_turn("Wait!", USER_PCM, 48000)
        await say(s, "Yes?")
        speaking = asyncio.ensure_future(say(s, SEVEN))
        await s.waves.request(len(s.waves.requests))
        await s.tts.add_user_turn("Aha.", USER_PCM, 8000)
        await speaking
        [connection] = s.waves.connections
        assert said(connection) == [("Wait!", USER_PCM, 48000), ("Aha.", USER_PCM, 8000)]
        order = events(connection)
        assert order.index("interrupt") < order.index("user_audio")


@in_virtual_time
async def test_what_the_caller_says_before_there_is_a_session_is_the_first_thing_told_in_it(
    stage: MakeStage,
) -> None:
    async with stage(V4, live=Live(attached=2.0)) as s:
        await s.tts.add_user_turn("Anybody there?", USER_PCM, 16000)
        await asyncio.sleep(1.0)
        await say(s, "Hello there.")
        [connection] = s.waves.connections
        assert events(connection) == ["user_audio", "speak"]


@in_virtual_time
async def test_a_session_that_is_opened_after_a_break_is_told_what_the_caller_has_said(stage: MakeStage) -> None:
    broken = Break(0.6, "reset")
    async with stage(V4, fault=lambda request: broken if request.number == 2 else None) as s:
        await say(s, "Hello there.")
        await s.tts.add_user_turn("What is it?", USER_PCM, 16000)
        await say(s, SEVEN)
        first, second = s.waves.connections
        assert said(first) == said(second) == [("What is it?", USER_PCM, 16000)]
        assert events(second)[0] == "user_audio"
        await say(s, "And on.")
        await s.waves.close_connections()
        await say(s, "And on.")
        assert said(s.waves.connections[2]) == [], "the reply to it has long been spoken"


@in_virtual_time
async def test_what_the_caller_said_and_the_server_cannot_use_is_a_warning_without_the_words(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    words = "My card number is 4111 1111 1111 1111"
    refused: list[str] = []

    async def serve(server: SmallServer, socket: web.WebSocketResponse) -> None:
        await tell(socket, *READY)
        while (message := await server.read(socket)) is not None:
            if message["event"] == "user_audio":
                refused.append(message["text"])
                error = {"code": "bad_user_audio", "message": f"too short for {message['text']!r}"}
                await tell(socket, {"event": "error", **error})
            elif message["event"] == "speak":
                await speak_turn(socket, message)

    async with small_server(serve) as server, SmallestAITTS(api_key=KEY, base_url=server.base_url, **V4) as tts:
        tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
        await tts.prewarm()
        await tts.add_user_turn(words, USER_PCM, 16000)
        await tts.synthesize("Thank you.")
    assert refused == [words]
    assert_same(track.speech, tone("Thank you."))
    [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "bad_user_audio too short for" in warning.getMessage()
    assert "4111" not in caplog.text


@pytest.mark.parametrize("model", ["lightning-v3.1", "lightning_v3.1_pro"])
@in_virtual_time
async def test_other_models_have_no_use_for_what_the_caller_said(
    stage: MakeStage, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "videosdk_plugins_smallestai")
    async with stage({"model": model}) as s:
        await s.tts.add_user_turn("What is it?", USER_PCM, 16000)
        assert not s.waves.connections
        [line] = [r for r in caplog.records if "what the caller said is not sent" in r.getMessage()]
        assert line.levelno == logging.DEBUG
        assert "What is it?" not in line.getMessage()


@in_virtual_time
async def test_words_without_audio_are_not_sent(stage: MakeStage) -> None:
    async with stage(V4) as s:
        await s.tts.prewarm()
        await s.tts.add_user_turn("Typed, not spoken.", b"", 16000)
        await say(s, "I see.")
        assert events(s.waves.connections[0]) == ["speak"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((None, USER_PCM, 16000), TypeError, "text must be a str"),
        (("Hi", "pcm", 16000), TypeError, "pcm must be bytes"),
        (("Hi", USER_PCM[:3], 16000), ValueError, "pcm must be 16-bit samples"),
        (("Hi", USER_PCM, 16000.0), TypeError, "sample_rate must be an int"),
        (("Hi", USER_PCM, 0), ValueError, "sample_rate must be from 1 to 384000 Hz; got 0"),
        (("Hi", USER_PCM, 10**12), ValueError, "sample_rate must be from 1"),
    ],
)
@in_virtual_time
async def test_a_users_turn_of_the_wrong_kind_is_refused(
    stage: MakeStage, arguments: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    async with stage(V4) as s:
        with pytest.raises(error, match=says):
            await s.tts.add_user_turn(*arguments)


@in_virtual_time
async def test_the_voices_are_those_of_its_catalogue(stage: MakeStage) -> None:
    async with stage(V4) as s:
        assert [voice.id for voice in await s.tts.voices()] == ["brannock", "rhodes"]


# Whatever happens

TEXTS = ("Yes.", SHORT, SEVEN)


def any_fault(chance: random.Random) -> Callable[[SpeechRequest], Any]:
    """Something goes wrong with each fifth request."""

    def choose(request: SpeechRequest) -> Any:
        if chance.random() < 0.8:
            return None
        how = chance.choice(("close", "reset", "silence"))
        return chance.choice(
            (
                Break(chance.uniform(0.0, 1.5), how),  # type: ignore[arg-type]
                Stall(chance.choice((0.5, 3.0, 9.0, 3600.0)), after=chance.uniform(0.0, 1.0)),
                ChunkBytes((1, 333, 4801)),
                NoAudio(),
                Refuse(chance.choice((429, 503))),
                Refuse(400, body={"error": {"code": "bad_frame", "message": "no"}}),
                Refuse(500, frame={"event": "error", "code": "internal", "message": "no"}),
            )
        )

    return choose


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
@in_virtual_time
async def test_a_call_in_which_anything_happens_is_heard_exactly_or_an_error(stage: MakeStage, seed: int) -> None:
    chance = random.Random(seed)
    live = Live(
        attached=chance.choice((0.1, 2.0)),
        interrupt_after=chance.choice((0.0, 0.3)),
        interrupted_after=chance.choice((0.0, 1.5)),
        late_chunks=chance.choice((0, 2)),
        turn_end_after=chance.choice((0.0, 0.7)),
    )
    async with stage(V4, live=live, fault=any_fault(chance)) as s:
        cut: list[tuple[RecordingTrack, int]] = []
        for _ in range(6):
            text, track = chance.choice(TEXTS), RecordingTrack()
            s.tts.audio_track = track
            s.tts.voice_id = chance.choice(("brannock", "brannock", "rhodes"))
            await s.tts.add_user_turn("Go on.", USER_PCM, 16000)
            speaking = asyncio.ensure_future(s.tts.synthesize(tokens(text, chance.choice((0.0, 0.03)))))
            interrupted = chance.random() < 0.5
            if interrupted:
                await asyncio.sleep(chance.uniform(0.0, 3.0))
                await s.tts.interrupt()
                cut.append((track, len(track.heard)))
            [error] = await asyncio.gather(speaking, return_exceptions=True)
            assert error is None or isinstance(error, SmallestAIError)
            assert tone(text).startswith(track.speech)
            assert interrupted or error is not None or len(track.speech) == len(tone(text))
            if chance.random() < 0.2:
                await s.waves.close_connections(chance.choice(("close", "reset", "idle")))
            await asyncio.sleep(chance.choice((0.0, 0.0, 3.0)))
        assert [len(track.heard) for track, _ in cut] == [size for _, size in cut]


# A whole agent session


@in_virtual_call
async def test_a_call_of_ten_turns_with_ten_barge_ins_is_one_session(stage: MakeStage) -> None:
    greeting = "This is gate 3. Five people wait. It is your turn."
    live = Live(interrupt_after=0.2, late_chunks=2)
    async with stage(V4, live=live) as s, agent_session(s.tts) as call:
        for turn in range(10):
            reply = call.say(greeting)
            await reply.hears(0.2 + 0.1 * turn)
            await call.interrupt()
            assert (await reply).interrupted
            assert_same(reply.heard, tone(greeting)[: len(reply.heard)])
            assert_same((await call.say("Yes, what is it?")).heard, tone("Yes, what is it?"))
        assert len(s.waves.connections) == 1
        assert s.errors == []


@in_virtual_call
async def test_a_socket_that_is_lost_in_a_call_is_not_heard(stage: MakeStage) -> None:
    broken = Break(0.4, "reset")
    async with (
        stage(V4, fault=lambda request: broken if request.number == 1 else None) as s,
        agent_session(s.tts, ["Here is the answer. It has two sentences."]) as call,
    ):
        await call.say("Hello there.")
        reply = await call.ask("Is anybody there?")
        assert_same(reply.heard, tone("Here is the answer. It has two sentences."))
        assert len(s.waves.connections) == 2
        assert s.errors == []
