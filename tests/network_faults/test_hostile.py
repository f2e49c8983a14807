"""A server that sends nonsense: nothing but a `SmallestAIError` escapes, soon, and memory stays bounded."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from audio_checks import hears_whole, is_beginning, watched
from listening import RecordingTrack, assert_same
from routes import ROUTES, UNTOLD, WEBSOCKETS
from staging import MakeStage, Stage

from videosdk_plugins_smallestai import InvalidRequestError, ServerError, SmallestAIError
from videosdk_plugins_smallestai.emulator import ChunkBytes, Frames, SpeechRequest, tone
from videosdk_plugins_smallestai.timing import Timing

FAST: dict[str, Any] = {"first_audio": 0.01, "real_time_factor": 50.0}
TEXT = "This is what was asked for."
AGAIN = "It speaks again."

BOUND = 30.0
"""Seconds for one reply, on a machine that is busy with others."""

Make = Callable[[SpeechRequest], Any]


class Flood(Sequence[str]):
    """So many frames, made as they are sent."""

    def __init__(self, count: int, make: Callable[[int], str]) -> None:
        self.count = count
        self.make = make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        return self.make(index)

    def __iter__(self) -> Iterator[str]:
        return map(self.make, range(self.count))


def frame(request: SpeechRequest | None = None, status: str = "chunk", **more: Any) -> str:
    """A frame, for a request of ours or for nobody's."""
    own = {"external_request_id": request.body["request_id"]} if request is not None else {}
    return json.dumps(own | {"status": status} | more)


def chunk(request: SpeechRequest | None, pcm: bytes, **more: Any) -> str:
    return frame(request, data={"audio": base64.b64encode(pcm).decode()}, **more)


def word(request: SpeechRequest | None, **data: Any) -> str:
    return frame(request, "word_timestamp", data=data)


def memory() -> int:
    """Bytes that the process holds in memory."""
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * 4096


async def reply(s: Stage, text: Any = TEXT) -> SmallestAIError | None:
    """Speak; the error, if it is one that a caller expects."""
    try:
        async with asyncio.timeout(BOUND):
            await s.tts.synthesize(text)
    except SmallestAIError as error:
        return error
    return None


async def assert_usable(s: Stage) -> None:
    """The server is sane again, and so is what is heard."""
    s.waves.fault = None
    s.errors.clear()
    s.tts.audio_track = RecordingTrack()
    await s.tts.synthesize(AGAIN)
    assert await hears_whole(s.tts.audio_track, tone(AGAIN))


LATE = b"\7\7" * 5000

NOBODY = {"external_request_id": "nobody", "request_id": "task_nobody"}

HARMLESS: dict[str, Make] = {
    "an empty object": lambda r: Frames(before=["{}"]),
    "a chunk without data": lambda r: Frames(before=[frame(r), frame()]),
    "data of the wrong type": lambda r: Frames(before=[frame(r, data=d) for d in (None, [], [1], "x", 7, True)]),
    "no audio in a chunk": lambda r: Frames(before=[frame(r, data={}), frame(r, data={"audio": None})]),
    "an unknown status": lambda r: Frames(before=[frame(r, "singing"), frame(r, ""), '{"status": {"a": []}}']),
    "a warning of 5 MB": lambda r: Frames(before=[frame(r, "warning", message="x" * 5_000_000)]),
    "a flood for nobody": lambda r: Frames(before=Flood(5000, lambda i: chunk(None, b"\1\2" * 500, **NOBODY))),
    "complete for nobody": lambda r: Frames(before=[frame(None, "complete", **NOBODY)] * 3),
    "an error for nobody": lambda r: Frames(before=[frame(None, "error", message="no", **NOBODY)]),
    "complete twice": lambda r: Frames(after=[frame(r, "complete")]),
    "audio after complete": lambda r: Frames(after=[chunk(r, LATE)]),
    "error after complete": lambda r: Frames(after=[frame(r, "error", message="too late")]),
    "chunks of odd sizes": lambda r: ChunkBytes([1, 3, 5, 7, 11, 1301]),
    "words without times": lambda r: Frames(before=[frame(r, "word_timestamp"), word(r), word(r, word="This")]),
    "words of wrong types": lambda r: Frames(before=[word(r, word=w, start=w, end=w) for w in (None, 1, [], {})]),
    "words out of this world": lambda r: Frames(
        before=[
            *(word(r, word="This", start=s, end=s) for s in (-1e308, 1e308, float("nan"), float("inf"), 10**400)),
            word(r, word="\ud800", start=0, end=1),
            word(r, word="x" * 1_000_000, start=0, end=1),
        ]
    ),
    "a flood of words": lambda r: Frames(before=Flood(5000, lambda i: word(r, word="is", start=i, end=i + 1))),
    "words for nobody": lambda r: Frames(before=[word(None, word="is", start=0, end=1)] * 100),
}  # fmt: skip
"""Nonsense that says nothing about the reply: it is heard whole."""

SENSELESS: dict[str, Make] = {
    "no JSON": lambda r: Frames(before=["This is not JSON."]),
    "an empty message": lambda r: Frames(before=[""]),
    "a list": lambda r: Frames(before=["[1, 2]"]),
    "a number": lambda r: Frames(before=["42"]),
    "null": lambda r: Frames(before=["null"]),
    "half of a frame": lambda r: Frames(before=[chunk(r, b"\1\2" * 100)[:-40]]),
    "brackets": lambda r: Frames(before=["[" * 100_000]),
    "a number of 100,000 digits": lambda r: Frames(before=["7" * 100_000]),
    "bad base64": lambda r: Frames(before=[frame(r, data={"audio": "%%%"})]),
    "base64 in need of padding": lambda r: Frames(before=[frame(r, data={"audio": "abcde"})]),
    "base64 beyond ASCII": lambda r: Frames(before=[frame(r, data={"audio": "ä\ud800"})]),
    "audio that is a number": lambda r: Frames(before=[frame(r, data={"audio": 5})]),
    "audio that is a list": lambda r: Frames(before=[frame(r, data={"audio": [1, 2]})]),
    "a binary frame": lambda r: Frames(before=[b"\0\1\2\3"]),
    "5 MB of nonsense": lambda r: Frames(before=["x" * 5_000_000]),
    "20 MB": lambda r: Frames(before=[frame(r, "warning", message="x" * 20_000_000)]),
    "errors of every type": lambda r: Frames(
        before=[frame(r, "error", error=e) for e in (None, 1, [], [[]], [None], {"a": {}}, {"code": []}, True)]
    ),
    "complete before audio": lambda r: Frames(before=[frame(r, "complete")]),
}
"""Nonsense in the place of audio, each time anew: an error, after an exact beginning."""


@pytest.mark.parametrize("route", UNTOLD)
async def test_harmless_nonsense_is_not_heard(stage: MakeStage, route: str) -> None:
    async def play(name: str, make: Make) -> None:
        async with stage(ROUTES[route] | {"word_timestamps": "word" in name}, fault=make, **FAST) as s:
            error = await reply(s)
            if name == "error after complete" and route == "continuations":
                assert is_beginning(s.track, tone(TEXT))  # it may be the error of a release that is still to come
                return
            assert error is None, name
            if name == "audio after complete" and route == "continuations":
                assert is_beginning(s.track, tone(TEXT) + LATE)  # there it only says that a release is over
            else:
                assert await hears_whole(s.track, tone(TEXT)), name
            await assert_usable(s)

    await asyncio.gather(*(play(name, make) for name, make in HARMLESS.items()))


@pytest.mark.parametrize("route", UNTOLD)
async def test_nonsense_in_the_place_of_audio_is_an_error(stage: MakeStage, route: str) -> None:
    async def play(name: str, make: Make) -> None:
        async with stage(ROUTES[route], fault=make, **FAST) as s:
            error = await reply(s)
            assert tone(TEXT).startswith(s.track.speech), name
            if name == "complete before audio" and route == "continuations":
                # There it only says that a release is over.
                assert error is not None or await hears_whole(s.track, tone(TEXT)), name
            else:
                assert isinstance(error, SmallestAIError), name
            await assert_usable(s)

    await asyncio.gather(*(play(name, make) for name, make in SENSELESS.items()))


@pytest.mark.parametrize("route", UNTOLD)
async def test_passing_nonsense_is_not_heard(stage: MakeStage, route: str) -> None:
    """What is asked again is whole."""

    async def play(name: str, make: Make) -> None:
        def first(request: SpeechRequest) -> Any:
            return make(request) if request.number == 0 else None

        async with stage(ROUTES[route], fault=first, **FAST) as s:
            error = await reply(s)
            assert error is None, f"{name}: {error}"
            assert await hears_whole(s.track, tone(TEXT)), name

    await asyncio.gather(*(play(name, make) for name, make in SENSELESS.items()))


@pytest.mark.parametrize("route", UNTOLD)
@pytest.mark.parametrize("wanted", [True, False], ids=["asked for", "not asked for"])
@pytest.mark.parametrize(
    "count", [20_000, pytest.param(2_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(0)])]
)
async def test_words_without_end_do_not_fill_the_memory(
    stage: MakeStage, route: str, count: int, wanted: bool
) -> None:
    # The words come before the first audio, and two million take their time.
    timing = Timing(first_audio=BOUND + count / 2000, no_progress=BOUND + count / 1000)

    def words(request: SpeechRequest) -> Frames:
        return Frames(before=Flood(count, lambda i: word(request, word="what" * 5, start=i / 1e3, end=1.0)))

    async with stage(ROUTES[route] | {"word_timestamps": wanted}, timing=timing, **FAST) as s:
        await reply(s, AGAIN)
        s.tts.audio_track = s.track = RecordingTrack()
        before = memory()
        s.waves.fault = words
        async with asyncio.timeout(BOUND + count / 1000):
            await s.tts.synthesize(TEXT)
        assert await hears_whole(s.track, tone(TEXT))
        assert memory() - before < 40e6
        await assert_usable(s)


# HTTP


def body(*parts: str | bytes, content_type: str = "text/event-stream") -> Frames:
    return Frames(instead=parts, content_type=content_type)


def event(**data: Any) -> str:
    return f"data: {json.dumps(data)}\n\n"


SPOKEN = tone(TEXT)
AUDIO = event(audio=base64.b64encode(SPOKEN).decode(), done=False, status="206")
DONE = event(done=True, status="200")

HARMLESS_EVENTS: dict[str, Frames] = {
    "comments": body(": hello\n" * 1000, "\n\n", AUDIO, DONE),
    "fields": body("retry: 1\nid: \0\nevent\n:\nnonsense: 5\n\n", AUDIO, DONE),
    "empty events": body("data:\n\ndata: \n\n\n\n\n", AUDIO, DONE),
    "line ends": body(AUDIO, DONE.replace("\n", "\r\n")),
    "notices": body(event(), event(audio=None), event(audio=""), event(status=None), AUDIO, DONE),
    "done twice": body(AUDIO, DONE, DONE),
    "audio after done": body(AUDIO, DONE, AUDIO),
    "nonsense after done": body(AUDIO, DONE, "data: nonsense\n\n", b"\xff\xfe"),
    "no empty line at the end": body(AUDIO, DONE.rstrip()),
    "a byte order mark": body(b"\xef\xbb\xbf", "\n", AUDIO, DONE),
}

SENSELESS_EVENTS: dict[str, Frames] = {
    "no JSON": body("data: nonsense\n\n"),
    "a list": body("data: []\n\n"),
    "bad base64": body(event(audio="%%%", done=False)),
    "audio of wrong types": body(event(audio=5), event(audio=[1]), event(audio={"a": 1})),
    "done first": body(DONE, AUDIO),
    "nothing": body(""),
    "no end": body(AUDIO),
    "not UTF-8": body(b'data: {"audio": "\xff\xfe"}\n\n'),
    "brackets": body("data: " + "[" * 100_000 + "\n\n"),
    "a page": body("<html><body>502 Bad Gateway</body></html>", content_type="text/html"),
    "a line of 5 MB": body("data: " + "x" * 5_000_000),
    "a line of 40 MB": body("data: " + "x" * 40_000_000),
    "lines without end": body("data: x\n" * 2_000_000),
}

SENSELESS_BODIES: dict[str, Frames] = {
    "nothing": body(""),
    "JSON": body('{"error": "no"}'),
    "JSON without sense": body("[[[]]]"),
    "half of JSON": body('{"error": '),
    "brackets": body("[" * 100_000),
    "half of a header": body(b"RIFF\x10\0\0\0WAVEfmt "),
    "a header without end": body(b"RIFF\x10\0\0\0WAVEjunk\xff\xff\xff\x7f", b"x" * 5_000_000),
    "one byte": body(b"\1"),
}


@pytest.mark.parametrize("name", HARMLESS_EVENTS)
async def test_harmless_nonsense_among_events_is_not_heard(stage: MakeStage, name: str) -> None:
    async with stage(ROUTES["sse"], fault=lambda request: HARMLESS_EVENTS[name], **FAST) as s:
        assert await reply(s) is None
        assert_same(s.track.speech, SPOKEN)


@pytest.mark.parametrize("name", SENSELESS_EVENTS)
async def test_nonsense_in_the_place_of_events_is_an_error(stage: MakeStage, name: str) -> None:
    before = memory()
    async with stage(ROUTES["sse"], fault=lambda request: SENSELESS_EVENTS[name], **FAST) as s:
        async with watched() as stalls:
            error = await reply(s)
        assert isinstance(error, SmallestAIError)
        assert len(str(error)) < 1000
        assert SPOKEN.startswith(s.track.speech)
        assert stalls.longest < 5.0, "other calls in this process are heard meanwhile"
        assert memory() - before < 200e6  # the server's own copies of 40 MB among it
        await assert_usable(s)


@pytest.mark.parametrize("name", SENSELESS_BODIES)
async def test_nonsense_in_the_place_of_a_body_is_no_exception_of_another_kind(stage: MakeStage, name: str) -> None:
    async with stage(ROUTES["http"], fault=lambda request: SENSELESS_BODIES[name], **FAST) as s:
        error = await reply(s)
        # Bytes that could be audio are.
        assert error is not None or name in ("half of JSON", "brackets", "one byte")
        await assert_usable(s)


# Below HTTP and WebSocket: the bytes themselves


UPGRADE = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {}\r\n\r\n"
)

RAW: dict[str, bytes] = {
    "nothing": b"",
    "noise": bytes(range(256)) * 40,
    "a greeting": b"220 mail.example.com ESMTP\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "a strange status": b"HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n",
    "a status of nothing": b"HTTP/1.1 000 \r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 Elsewhere\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "a long length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nhello",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nhello\r\n",
    "bad gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    "a header of 1 MB": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "a bad charset": b"HTTP/1.1 500 No\r\nContent-Type: text/x; charset=klingon\r\nContent-Length: 1\r\n\r\n\xff",
    "odd headers": b"HTTP/1.1 429 No\r\nRetry-After: \xff\xfe\r\nX-Request-Id: \xe2\r\nX-Session-Id: \xe2\r\n"
    b"Content-Length: 0\r\n\r\n",
    "switching for nothing": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "a wrong accept": UPGRADE.format("bm9wZQ==").encode(),
}  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
async def test_an_answer_that_is_no_http_is_an_error(stage: MakeStage, route: str) -> None:
    async def play(name: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(RAW[name])
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        plugin = ROUTES[route] | {"base_url": f"http://127.0.0.1:{port}/waves/v1", "timeout": 5.0}
        async with server, stage(plugin) as s:
            error = await reply(s)
            assert isinstance(error, SmallestAIError), name
            assert str(error).encode(), "it can be written to any log"
            assert not isinstance(error, InvalidRequestError), f"{name} is no fault of the request"
            assert not s.track.heard or name in ("a long length", "bad chunks"), name

    await asyncio.gather(*(play(name) for name in RAW))


TWO_BYTES = (b"\x88\x01\x03", b"\x88\x02\x00\x00", b"\x88\x02\xff\xff")
RAW_FRAMES: dict[str, bytes] = {
    "reserved bits": b"\xf1\x05hello",
    "an unknown kind": b"\x83\x05hello",
    "masked by the server": b"\x81\x85\0\0\0\0hello",
    "a continuation of nothing": b"\x80\x05hello",
    "text that is not UTF-8": b"\x81\x04\xff\xfe\xfd\xfc",
    "a fragmented ping": b"\x09\x05hello",
    "a ping of 126 bytes": b"\x89\x7e\x00\x7e" + b"x" * 126,
    "a frame of 2^63 bytes": b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    "a close of one byte": TWO_BYTES[0],
    "a close without sense": TWO_BYTES[1],
    "a close of another": TWO_BYTES[2],
    "a flood of pings": b"\x89\x00" * 5000,
    "noise": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("route", WEBSOCKETS)
async def test_frames_that_are_no_websocket_are_an_error(stage: MakeStage, route: str) -> None:
    async def play(name: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_upgrade(head) + RAW_FRAMES[name])
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        plugin = ROUTES[route] | {"base_url": f"http://127.0.0.1:{port}/waves/v1"}
        async with server, stage(plugin, timing=Timing(first_audio=3.0)) as s:
            assert isinstance(await reply(s), SmallestAIError), name
            assert not s.track.heard, name

    await asyncio.gather(*(play(name) for name in RAW_FRAMES))


def _upgrade(head: bytes) -> bytes:
    import hashlib

    key = next(
        line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return UPGRADE.format(accept.decode()).encode()


async def test_the_error_says_that_it_was_the_server(stage: MakeStage) -> None:
    async with stage(fault=SENSELESS["no JSON"], **FAST) as s:
        with pytest.raises(ServerError, match=r"no Waves frame: This is not JSON\."):
            await s.tts.synthesize(TEXT)
