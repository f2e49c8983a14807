"""Bodies of HTTP answers in any pieces: the listener gets every sample, no header, and no JSON as noise."""

from __future__ import annotations

import itertools
import json
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from videosdk_plugins_smallestai.emulator import tone
from videosdk_plugins_smallestai.protocol.http_bodies import JSON_LIMIT, PcmBody, SseBody

PCM = tone("Hello.")[:400]


def wav(pcm: bytes, *chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    """A WAV file; ``chunks`` stand between the format and the samples."""
    form = struct.pack("<HHIIHH", 1, 1, 24000, 48000, 2, 16)
    head = b"WAVE"
    for name, content in ((b"fmt ", form), *chunks):
        head += name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    data_size = len(pcm) if size is None else size
    riff_size = min(len(head) + 8 + data_size, 0xFFFFFFFF)
    return b"RIFF" + struct.pack("<I", riff_size) + head + b"data" + struct.pack("<I", data_size) + pcm


def cut(body: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, *(place % (len(body) + 1) for place in at), len(body)})
    return [body[a:b] for a, b in itertools.pairwise(places)]


def heard(pieces: list[bytes]) -> tuple[bytes, str | None]:
    body = PcmBody()
    pcm = b"".join(body.feed(piece) for piece in pieces)
    rest, told = body.finish()
    assert body.finish() == (b"", None), "all is out"
    return pcm + rest, told


def events(pieces: list[bytes]) -> list[str]:
    body = SseBody()
    return [event for piece in pieces for event in body.feed(piece)] + body.finish()


places = st.lists(st.integers(0, 10_000), max_size=6)

# Binary bodies

WAVS = {
    "plain": wav(PCM),
    "a chunk before data": wav(PCM, (b"LIST", b"INFOISFT\x04\0\0\0Lavf")),
    "an odd chunk before data": wav(PCM, (b"LIST", b"odd")),
    "two chunks before data": wav(PCM, (b"LIST", b"abc"), (b"fact", b"1234")),
    "a chunk that speaks of data": wav(PCM, (b"note", b"data\x04\0\0\0nope")),
    "a size of 0, as a stream has it": wav(PCM, size=0),
    "the greatest size, as a stream has it": wav(PCM, size=0xFFFFFFFF),
}


@pytest.mark.parametrize("file", WAVS.values(), ids=WAVS)
def test_a_riff_header_is_not_heard_wherever_the_body_is_split(file: bytes) -> None:
    for at in range(len(file) + 1):
        assert heard([file[:at], file[at:]]) == (PCM, None)
    assert heard([file[at : at + 1] for at in range(len(file))]) == (PCM, None)


def test_the_samples_behind_a_header_are_heard_as_soon_as_they_come() -> None:
    body = PcmBody()
    file = wav(PCM)
    assert body.feed(file[:50]) == file[44:50]
    assert body.feed(file[50:60]) == file[50:60]


def test_a_header_without_samples_is_silence_and_not_noise() -> None:
    for size in range(4, 45):
        assert heard([wav(PCM)[:size]]) == (b"", None)


@given(st.binary(max_size=300), places)
def test_pcm_is_heard_as_it_came_whatever_its_bytes_and_pieces(pcm: bytes, at: list[int]) -> None:
    assume(not pcm.lstrip().startswith((b"RIFF", b"{", b"[")))
    assert heard(cut(pcm, at)) == (pcm, None)


@given(st.binary(min_size=1, max_size=300), places)
def test_pcm_that_begins_like_json_or_a_header_is_heard_whole(pcm: bytes, at: list[int]) -> None:
    for start in (b"{", b"[", b" {", b"\n[", b"R", b"RI", b"RIF", b'{"a":'):
        body = start + b"\0\xff" + pcm
        assert heard(cut(body, at)) == (body, None)


@pytest.mark.parametrize("start", [b"{", b"[", b" ", b"\n", b"\r\n{"])
def test_pcm_that_begins_like_json_is_not_held_back_for_long(start: bytes) -> None:
    """Held until its end, or for 64 KiB, it would be silence of half a second."""
    body = PcmBody()
    assert body.feed(start) == b""
    assert body.feed(PCM) == start + PCM


@pytest.mark.parametrize("tiny", [b"", b"R", b"RI", b"RIF", b"{", b"[", b"\0", b"\x01\x02", b"{]", b" "])
def test_a_tiny_body_is_heard_as_it_is(tiny: bytes) -> None:
    assert heard([tiny]) == (tiny, None)
    assert heard([tiny[:1], tiny[1:]]) == (tiny, None)


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"Too many requests"}',
        '  \r\n\t{"error": {"code": 1}}\n',
        "[]",
        "{}",
        '[{"code":"too_big"}]',
        '{"message":"Stimme ungültig 🙂"}',
        json.dumps({"error": "x" * 5000}),
    ],
)
def test_json_instead_of_audio_is_told_and_not_heard_wherever_it_is_split(body: str) -> None:
    data = body.encode()
    for at in range(0, len(data) + 1, max(1, len(data) // 100)):
        assert heard([data[:at], data[at:]]) == (b"", body)


def test_what_goes_on_like_json_forever_is_audio_after_all() -> None:
    body = PcmBody()
    text = b"[" + b"1," * (JSON_LIMIT // 2)
    assert body.feed(text[:-10]) == b""
    assert body.feed(text[-10:]) == text
    assert body.feed(b"1") == b"1"


def test_json_that_breaks_the_parser_is_audio() -> None:
    for text in (b"[" * 60_000, b'{"a":' * 10_000, b'{"\xff\xfe"'):
        assert heard([text]) == (text, None)


# Server-sent events

STREAM = b'event: audio\ndata: {"audio": "AA=="}\n\ndata: {"done": true}\n\n'
TOLD = ['{"audio": "AA=="}', '{"done": true}']

STREAMS = {
    "as the service sends it": STREAM,
    "CRLF": STREAM.replace(b"\n", b"\r\n"),
    "no space after the colon": STREAM.replace(b": {", b":{"),
    "comments": b": hello\n\n" + STREAM.replace(b"\n\n", b"\n: ping\n\n:\n\n"),
    "other fields": b"retry: 100\n\nid: 7\nid\ndatabase: no\n" + STREAM,
    "events without data": b"event: ping\n\ndata:\n\ndata: \n\n\n\n" + STREAM,
    "more empty lines": STREAM.replace(b"\n\n", b"\n\n\n\n"),
    "no empty line at its end": STREAM[:-1],
    "no line end at its end": STREAM[:-2],
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_every_event_is_told_once_wherever_the_stream_is_split(stream: bytes) -> None:
    for at in range(len(stream) + 1):
        assert events([stream[:at], stream[at:]]) == TOLD
    assert events([stream[at : at + 1] for at in range(len(stream))]) == TOLD


def test_an_event_is_told_as_soon_as_it_is_finished() -> None:
    body = SseBody()
    assert body.feed(STREAM[:-1]) == TOLD[:1]
    assert body.feed(STREAM[-1:]) == TOLD[1:]
    assert body.finish() == []


def test_lines_of_one_event_are_joined() -> None:
    assert events([b'data: {"done":\nevent: x\ndata:  true}\r\n\r\n']) == ['{"done":\n true}']


def test_characters_of_several_bytes_survive_a_split() -> None:
    stream = 'data: {"message":"ungültig 🙂"}\n\n'.encode()
    for at in range(len(stream) + 1):
        assert events([stream[:at], stream[at:]]) == ['{"message":"ungültig 🙂"}']


line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.lists(line, min_size=1), max_size=5), st.sampled_from(["\n", "\r\n"]), places)
def test_what_was_put_into_events_comes_out(told: list[list[str]], end: str, at: list[int]) -> None:
    stream = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in told)
    assert events(cut(stream.encode(), at)) == ["\n".join(lines) for lines in told]


@given(st.binary(), places)
def test_any_bytes_can_be_taken_in_and_the_pieces_do_not_matter(stream: bytes, at: list[int]) -> None:
    assert events(cut(stream, at)) == events([stream])
