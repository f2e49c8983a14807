"""Lightning v4's session on the emulator: its two `ready`, its turns, what stops them, and what goes wrong."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from clients import Client
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.emulator import Break, Live, Mute, NoAudio, Refuse, Stall, tone

LIVE = "/lightning-v4/live"
TEXT = "A whole utterance."


class Session:
    """A bare client's session: what the server says, in order. Binary frames are `bytes`."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def hear(self) -> dict[str, Any] | bytes | None:
        """The next frame; ``None``: the connection has ended."""
        message = await self.ws.receive(timeout=30)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else None

    async def hear_until(self, holds: Callable[[Any], bool]) -> list[Any]:
        """The frames up to the first for which something holds."""
        frames = []
        while not frames or not holds(frames[-1]):
            frames.append(await self.hear())
            assert frames[-1] is not None, frames
        return frames

    async def say(self, turn: str, text: str = TEXT) -> None:
        await self.ws.send_json({"event": "speak", "turn_id": turn, "text": text})

    async def ended(self, turn: str) -> list[Any]:
        """The frames up to a turn's end."""
        return await self.hear_until(lambda frame: is_event(frame, "turn_end", turn))


def is_event(frame: Any, event: str, turn: str | None = None) -> bool:
    return isinstance(frame, dict) and frame.get("event") == event and turn in (None, frame.get("turn_id"))


def audio(frames: list[Any]) -> bytes:
    return b"".join(frame for frame in frames if isinstance(frame, bytes))


def told(frames: list[Any]) -> list[tuple[Any, Any]]:
    return [(frame["event"], frame.get("turn_id")) for frame in frames if isinstance(frame, dict)]


def wav(samples: int = 160, channels: int = 1) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * channels * samples))
    return base64.b64encode(file.getvalue()).decode()


async def connect(client: Client, query: str = "?sample_rate=24000") -> Session:
    return Session((await client.open(LIVE + query)).ws)


async def opened(client: Client, query: str = "?sample_rate=24000") -> Session:
    """A session to which a voice is attached."""
    session = await connect(client, query)
    await session.hear_until(lambda frame: "sample_rate" in frame)
    return session


@in_virtual_time
async def test_two_readys_come_before_a_turn_and_the_second_tells_the_rate(serve: Any) -> None:
    async with serve(live=Live(admitted=1.0, attached=2.0)) as client:
        session = await connect(client)
        first, second = await session.hear(), await session.hear()
        assert first == {"event": "ready", "session_id": first["session_id"]}
        assert second == {"event": "ready", "sample_rate": 24000}
        await session.say("t1")
        frames = await session.ended("t1")
        assert told(frames) == [("turn_start", "t1"), ("turn_end", "t1")]
        assert audio(frames) == tone(TEXT)
        assert frames[-1]["chunks"] == len(frames) - 2
        [request] = client.waves.requests
        assert (request.text, request.outcome, request.sent) == (TEXT, "served", len(tone(TEXT)))


@pytest.mark.parametrize(
    ("asked", "live", "rate"), [("", None, 48000), ("8000", None, 8000), ("24000", 16000, 16000)]
)
@in_virtual_time
async def test_the_rate_is_the_asked_one_or_what_the_session_gets(
    serve: Any, asked: str, live: int | None, rate: int
) -> None:
    async with serve(live=Live(sample_rate=live)) as client:
        session = await connect(client, f"?sample_rate={asked}" if asked else "")
        assert (await session.hear_until(lambda frame: "sample_rate" in frame))[-1]["sample_rate"] == rate
        await session.say("t1")
        assert audio(await session.ended("t1")) == tone(TEXT, rate)


@in_virtual_time
async def test_turns_that_are_sent_ahead_are_spoken_in_turn(serve: Any) -> None:
    async with serve() as client:
        session = await opened(client)
        for turn in ("a", "b"):
            await session.say(turn, f"This is {turn}.")
        frames = await session.ended("b")
        assert told(frames) == [("turn_start", "a"), ("turn_end", "a"), ("turn_start", "b"), ("turn_end", "b")]
        assert audio(frames) == tone("This is a. This is b.")


@pytest.mark.parametrize("live", [Live(), Live(late_chunks=2)], ids=["at once", "late chunks"])
@in_virtual_time
async def test_an_interrupt_stops_what_is_spoken_and_queued_and_the_session_goes_on(serve: Any, live: Live) -> None:
    async with serve(real_time_factor=1.0, live=live) as client:
        session = await opened(client)
        await session.say("a")
        await session.say("b")
        await session.hear_until(lambda frame: isinstance(frame, bytes))
        await session.ws.send_json({"event": "interrupt"})
        await session.say("c", "And on.")
        frames = await session.ended("c")
        events = told(frames)
        assert events == [("interrupted", "a"), ("interrupted", "b"), ("turn_start", "c"), ("turn_end", "c")]
        start = next(i for i, frame in enumerate(frames) if is_event(frame, "turn_start", "c"))
        assert sum(isinstance(frame, bytes) for frame in frames[:start]) == live.late_chunks
        assert audio(frames[start:]) == tone("And on.")
        assert [request.outcome for request in client.waves.requests] == ["cancelled", "cancelled", "served"]


@in_virtual_time
async def test_an_interrupt_may_be_obeyed_late_and_told_later(serve: Any) -> None:
    async with serve(real_time_factor=1.0, live=Live(interrupt_after=0.3, interrupted_after=1.0)) as client:
        session = await opened(client)
        await session.say("a")
        await session.hear_until(lambda frame: isinstance(frame, bytes))
        await session.ws.send_json({"event": "interrupt"})
        await session.say("b", "And on it goes, for a while.")
        frames = await session.ended("b")
        assert told(frames) == [("turn_start", "b"), ("interrupted", "a"), ("turn_end", "b")]
        late = frames[: frames.index({"event": "turn_start", "turn_id": "b"})]
        assert tone(TEXT).find(audio(late)) > 0


@in_virtual_time
async def test_a_turn_end_may_come_when_the_next_turn_has_begun(serve: Any) -> None:
    async with serve(live=Live(turn_end_after=0.5)) as client:
        session = await opened(client)
        await session.say("a")
        await session.say("b")
        events = told(await session.ended("b"))
        assert events == [("turn_start", "a"), ("turn_start", "b"), ("turn_end", "a"), ("turn_end", "b")]


@pytest.mark.parametrize(
    ("query", "live", "code"),
    [
        ("", Live(access=False), "model_access_denied"),
        ("?voice_id=nobody", Live(), "invalid_voice"),
        ("?language=hi", Live(), "invalid_query"),
        ("?speed=3", Live(), "invalid_query"),
        ("?content_filter=maybe", Live(), "invalid_query"),
    ],
)
@in_virtual_time
async def test_a_session_that_there_is_not_is_refused_and_closed(
    serve: Any, query: str, live: Live, code: str
) -> None:
    async with serve(live=live) as client:
        session = await connect(client, query)
        frame = await session.hear()
        assert (frame["status"], frame["error"]["code"]) == ("error", code)
        assert await session.hear() is None


@in_virtual_time
async def test_a_rate_that_there_is_not_closes_with_1008(serve: Any) -> None:
    async with serve() as client:
        session = await connect(client, "?sample_rate=22050")
        assert await session.hear() is None
        assert session.ws.close_code == 1008


@pytest.mark.parametrize("which", ["admitted", "attached"])
@in_virtual_time
async def test_a_ready_may_never_come(serve: Any, which: str) -> None:
    async with serve(live=Live(**{which: None})) as client:
        session = await connect(client)
        if which == "attached":
            assert "session_id" in await session.hear()
        with pytest.raises(TimeoutError):
            await session.hear()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"event": "sing"}, "bad_frame"),
        ({"event": "speak", "text": TEXT}, "bad_frame"),
        ({"event": "speak", "turn_id": "t", "text": " "}, "bad_frame"),
        ({"event": "user_audio", "text": "Hi", "audio": "AAAA"}, "bad_user_audio"),
        ({"event": "user_audio", "text": "Hi"}, "bad_user_audio"),
        ({"event": "user_audio", "text": "Hi", "audio": wav(channels=2)}, "bad_user_audio"),
        ({"event": "user_audio", "audio": wav()}, "bad_user_audio"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value))[:40],
)
@in_virtual_time
async def test_what_it_cannot_read_is_an_error_and_the_session_goes_on(
    serve: Any, message: dict[str, Any], code: str
) -> None:
    async with serve() as client:
        session = await opened(client)
        await session.ws.send_json(message)
        frame = await session.hear()
        assert (frame["event"], frame["code"]) == ("error", code)
        assert frame.get("turn_id") == message.get("turn_id")
        await session.say("t1")
        assert audio(await session.ended("t1")) == tone(TEXT)


@in_virtual_time
async def test_a_turn_before_the_second_ready_is_an_error(serve: Any) -> None:
    async with serve(live=Live(attached=1.0)) as client:
        session = await connect(client)
        await session.hear()
        await session.say("t1")
        assert (await session.hear())["code"] == "bad_frame"


@in_virtual_time
async def test_what_the_user_said_is_taken_in_silence(serve: Any) -> None:
    async with serve() as client:
        session = await opened(client)
        await session.ws.send_json({"event": "user_audio", "text": "What is it?", "audio": wav()})
        await session.say("t1")
        assert told(await session.ended("t1")) == [("turn_start", "t1"), ("turn_end", "t1")]
        assert client.waves.connections[0].messages[0]["text"] == "What is it?"


@in_virtual_time
async def test_the_client_may_end_it(serve: Any) -> None:
    async with serve() as client:
        session = await opened(client)
        await session.ws.send_json({"event": "end"})
        assert await session.hear() is None


@in_virtual_time
async def test_the_content_filter_rejects_a_turn(serve: Any) -> None:
    async with serve() as client:
        session = await opened(client, "?sample_rate=24000&content_filter=true")
        await session.say("t1", "Oh crap.")
        frame = await session.hear()
        assert (frame["event"], frame["turn_id"], frame["code"]) == ("error", "t1", "CONTENT_FILTER_BLOCKED")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Refuse(400, body={"error": {"code": "bad_frame", "message": "no"}}), "bad_frame"),
        (Refuse(429), "rate_limit_exceeded"),
        (Refuse(401), "401"),
        (Refuse(504), "504"),
    ],
)
@in_virtual_time
async def test_a_refused_turn_is_an_error_that_names_it(serve: Any, fault: Refuse, code: str) -> None:
    async with serve(fault=lambda request: fault) as client:
        session = await opened(client)
        await session.say("t1")
        frame = await session.hear()
        assert (frame["event"], frame["turn_id"], frame["code"]) == ("error", "t1", code)
        assert isinstance(frame["message"], str)


@in_virtual_time
async def test_the_faults_of_a_request_are_those_of_a_turn(serve: Any) -> None:
    faults = {"a": Mute(), "b": NoAudio(), "c": Stall(3.0, after=0.2), "d": Break(0.3)}
    async with serve(fault=lambda request: faults[request.body["turn_id"]]) as client:
        session = await opened(client)
        for turn in "abcd":
            await session.say(turn)
        frames = await session.ended("b")
        assert (told(frames), audio(frames)) == ([("turn_start", "b"), ("turn_end", "b")], b"")
        assert audio(await session.ended("c")) == tone(TEXT)
        rest = []
        while (frame := await session.hear()) is not None:
            rest.append(frame)
        assert len(audio(rest)) == pytest.approx(0.3 * 48000, abs=4800)
        assert [request.outcome for request in client.waves.requests[1:]] == ["served", "served", "broken"]


@in_virtual_time
async def test_its_voices_are_listed(serve: Any) -> None:
    async with serve() as client, client.session.get(client.waves.base_url + "/lightning-v4/get_voices") as answer:
        assert [voice["voiceId"] for voice in (await answer.json())["voices"]] == ["brannock", "rhodes"]


@in_virtual_time
async def test_a_model_that_is_gone_has_no_route(serve: Any) -> None:
    async with serve(retired={"lightning-v4": 404}) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await connect(client)
        assert caught.value.status == 404
