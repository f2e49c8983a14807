"""What can be heard now is not kept waiting: for a token, a buffer, a slot or a connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing

import pytest
from listening import SEVEN, RecordingTrack, assert_same, items, tokens
from routes import ROUTES, every_route, every_websocket
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import AuthenticationError
from videosdk_plugins_smallestai.emulator import NoIds, Refuse, SpeechRequest, tone

FIRST_AUDIO = 0.2
"""Of the emulator, in seconds."""

MARGIN = 0.25
"""Seconds that a reply may take for itself: a handshake, and some turns of the event loop."""

RELEASED_AFTER = 0.2
"""Seconds without a token after which a finished sentence is released."""

NUMBER_RELEASED_AFTER = 1.0
"""The same after a digit and a full stop."""

CHECK = "I will check that for you."


def now() -> float:
    return asyncio.get_running_loop().time()


class Tokens:
    """A language model's tokens with pauses: numbers are seconds.

    Attributes:
        before_pause: When the last token before each pause was taken.
    """

    def __init__(self, *parts: str | float) -> None:
        self.before_pause: list[float] = []
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[str]:
        for part in self._parts:
            if isinstance(part, str):
                yield part
            else:
                self.before_pause.append(now())
                await asyncio.sleep(part)

    @property
    def text(self) -> str:
        return "".join(part for part in self._parts if isinstance(part, str))


@every_route
@in_virtual_time
async def test_a_finished_sentence_is_heard_while_the_model_calls_a_tool(stage: MakeStage, route: str) -> None:
    text = Tokens(
        "I", " will", " check", " that", " for you", ".", 5.0, " Your", " order", " ships", " tomorrow", "."
    )
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(aiter(text))
        assert s.track.first_at - text.before_pause[0] < RELEASED_AFTER + FIRST_AUDIO + MARGIN
        assert s.waves.requests[0].text.strip() == CHECK
        assert_same(s.track.speech, tone(text.text))
        assert s.errors == []


@every_route
@in_virtual_time
async def test_a_sentence_that_ends_in_a_number_is_heard_a_second_later(stage: MakeStage, route: str) -> None:
    text = Tokens("It", " will", " cost", " you", " just", " 3", ".", 5.0, " Shall", " I", " book", " it", "?")
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(aiter(text))
        waited = s.track.first_at - text.before_pause[0]
        assert waited < NUMBER_RELEASED_AFTER + FIRST_AUDIO + MARGIN
        assert_same(s.track.speech, tone(text.text))


@every_route
@in_virtual_time
async def test_a_price_whose_tokens_come_half_a_second_apart_is_spoken_in_one(stage: MakeStage, route: str) -> None:
    text = Tokens(
        "It", " will", " cost", " you", " just", " $3", ".", 0.5, "50", " today", ".", 5.0, " Shall", " I?"
    )
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(aiter(text))
        assert s.waves.requests[0].text.strip() == "It will cost you just $3.50 today."
        assert s.track.first_at - text.before_pause[1] < RELEASED_AFTER + FIRST_AUDIO + MARGIN
        assert_same(s.track.speech, tone(text.text))


@pytest.mark.parametrize(
    "sentence",
    [
        "I’ll check that for you.",
        "मैं आपके लिए यह देखता हूँ।",
        "Je vérifie ça pour vous tout de suite.",
        "¿Quiere que lo mire ahora?",
        "“One moment, please.”",
    ],
    ids=["typographic apostrophe", "Hindi", "French", "Spanish", "typographic quotes"],
)
@every_websocket
@in_virtual_time
async def test_a_sentence_in_any_script_is_heard_at_once(stage: MakeStage, route: str, sentence: str) -> None:
    text = Tokens(sentence, 5.0, " And on.")
    async with stage(ROUTES[route]) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(aiter(text))
        assert s.track.first_at - text.before_pause[0] < RELEASED_AFTER + FIRST_AUDIO + MARGIN
        assert_same(s.track.speech, tone(text.text))
        assert s.errors == []


@every_route
@in_virtual_time
async def test_a_refused_key_is_told_while_the_text_still_waits(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    rest, told = asyncio.Event(), asyncio.Event()
    when: list[float] = []

    async def text() -> AsyncIterator[str]:
        yield CHECK
        await rest.wait()
        yield "Nobody says this."

    def note(message: str) -> None:
        when.append(now())
        told.set()

    source = text()
    async with stage(ROUTES[route], fault=lambda request: Refuse(401)) as s, aclosing(source):
        s.tts.on("error", note)
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(s.tts.synthesize(source))
        request = await s.waves.request(0)
        async with asyncio.timeout(8.0):
            await told.wait()
        assert when[0] - request.received < 1.0
        logged = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        assert [line for line in logged if "Invalid API key" in line], "told in the log as well"
        assert not speaking.done(), "raised, it would take the text from a backup provider"
        rest.set()
        with pytest.raises(AuthenticationError) as caught:
            await speaking
        assert caught.value.unspoken.startswith(CHECK)
        assert len(s.errors) == 1


@pytest.mark.parametrize("marks", ["release", "context"])
@in_virtual_time
async def test_a_busy_account_costs_half_a_second_after_a_reply_that_has_ended(
    stage: MakeStage, marks: str
) -> None:
    async with stage(ROUTES["continuations"], complete=0.0, context_complete=marks) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(items([CHECK, "Your order ships tomorrow."]))
        await asyncio.sleep(s.track.ends_at - now())
        spoken = len(s.waves.requests)
        s.waves.fault = lambda request: Refuse(429) if request.number == spoken else None
        s.track = s.tts.audio_track = RecordingTrack()
        began = now()
        await s.tts.synthesize(items([CHECK]))
        assert s.track.first_at - began < 0.5 + FIRST_AUDIO + MARGIN
        assert_same(s.track.speech, tone(CHECK))
        assert s.errors == []


@asynccontextmanager
async def dead_connections(s: Stage, dead: set[int]) -> AsyncIterator[str]:
    """A way to the emulator on which some connections are accepted and closed in one breath; gives the base URL."""
    connections = itertools.count()

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with closing(sink):
            while data := await source.read(65536):
                sink.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(connections)
        if number not in dead:
            there = await asyncio.open_connection("127.0.0.1", s.waves.port)
            await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))
            return
        head = await reader.readuntil(b"\r\n\r\n")
        lines = (line.split(b": ") for line in head.splitlines())
        key = next(line[1] for line in lines if line[0].lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x88\x02\x03\xe8"
        )
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/waves/v1"


@every_websocket
@in_virtual_time
async def test_a_busy_account_costs_half_a_second_after_a_connection_that_was_dead_when_it_was_used(
    stage: MakeStage, route: str
) -> None:
    begin = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        await begin.wait()
        yield CHECK

    async with (
        stage() as server,
        dead_connections(server, {1}) as base_url,
        stage(ROUTES[route] | {"base_url": base_url}) as s,
    ):
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(s.tts.synthesize(text()))
        await asyncio.sleep(0.1)
        await server.waves.close_connections()
        await asyncio.sleep(0.1)
        begin.set()
        await speaking
        assert_same(s.track.speech, tone(CHECK))
        await asyncio.sleep(10.0)  # longer than the service may still count the request as in progress
        spoken = len(server.waves.requests)
        server.waves.fault = lambda request: Refuse(429) if request.number == spoken else None
        s.track = s.tts.audio_track = RecordingTrack()
        began = now()
        async with asyncio.timeout(30.0):
            await s.tts.synthesize(items([CHECK]))
        assert s.track.first_at - began < 0.5 + FIRST_AUDIO + MARGIN
        assert_same(s.track.speech, tone(CHECK))
        assert s.errors == []


@pytest.mark.parametrize("complete", [4.0, None], ids=["late", "never"])
@every_websocket
@in_virtual_time
async def test_a_stream_that_is_cancelled_is_not_heard_in_the_live_reply(
    stage: MakeStage, route: str, complete: float | None
) -> None:
    async with stage(ROUTES[route], complete=complete, serving="interleaved") as s:
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(s.tts.synthesize(tokens(SEVEN, 0.03)))
        await s.track.hears(1.0)
        stream = s.tts.stream_synthesize(items(["This phrase is meant for the cache, and nobody waits for it."]))
        assert await anext(stream)
        await stream.aclose()
        await speaking
        assert_same(s.track.speech, tone(SEVEN))
        assert sum(s.track.gaps) < 0.1
        assert s.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("nameless", [NoIds(chunks=(0,)), NoIds(complete=True)], ids=["chunk", "complete"])
@pytest.mark.parametrize("complete", [0.0, 4.0, None], ids=["at once", "late", "never"])
@every_websocket
@in_virtual_time
async def test_one_frame_without_an_id_costs_the_next_reply_nothing(
    stage: MakeStage, route: str, complete: float | None, nameless: NoIds
) -> None:
    def fault(request: SpeechRequest) -> NoIds | None:
        return nameless if request.number == 1 else None

    async with stage(ROUTES[route], complete=complete, fault=fault) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(items([CHECK, "Your order ships tomorrow.", "It comes on Friday."]))
        assert_same(s.track.speech, tone(CHECK + "Your order ships tomorrow. It comes on Friday."))
        await asyncio.sleep(s.track.ends_at - now())
        s.track = s.tts.audio_track = RecordingTrack()
        await s.tts.synthesize(tokens(SEVEN, 0.03))
        assert_same(s.track.speech, tone(SEVEN))
        assert sum(s.track.gaps) < 0.1
        assert s.errors == []
