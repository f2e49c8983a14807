"""Speaks with the vendor's own SDK (``smallestai``) and writes the PCM that it got to the standard output.

    python smallestai_client.py BASE_URL WAY TEXT

A way is a name in `WAYS`. It runs in the SDK's environment and knows nothing of this project. ``SmallestAI`` takes
its address by its own option, ``environment=``. ``WavesStreamingTTS`` has no option: the path of its constant
``WS_URL`` is kept, and only the scheme and the host are replaced here. That path is ``/tts/live`` in today's SDK;
in 5.0.0 it is ``/lightning-v3.1/get_speech/stream``, and the ways ``v31_*`` use that model's other routes.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from smallestai import AsyncSmallestAI, SmallestAI
from smallestai.environment import SmallestAIEnvironment
from smallestai.waves import TTSConfig, WavesStreamingTTS

KEY = "sk_peer"
VOICE: dict[str, Any] = {"voice_id": "avery", "sample_rate": 24000, "language": "en"}


def environment(base_url: str) -> SmallestAIEnvironment:
    """The SDK's option for another service."""
    host = urlsplit(base_url).netloc
    services = inspect.signature(SmallestAIEnvironment).parameters
    return SmallestAIEnvironment(
        **{name: f"{'ws' if name.endswith('ws') else 'http'}://{host}" for name in services}
    )


def client(base_url: str) -> SmallestAI:
    return SmallestAI(api_key=KEY, environment=environment(base_url))


def async_client(base_url: str) -> AsyncSmallestAI:
    return AsyncSmallestAI(api_key=KEY, environment=environment(base_url))


def streaming_class(base_url: str) -> WavesStreamingTTS:
    tts = WavesStreamingTTS(TTSConfig(api_key=KEY, **VOICE))
    tts.ws_url = f"ws://{urlsplit(base_url).netloc}{urlsplit(tts.WS_URL).path}"
    return tts


def streaming(base_url: str, text: str) -> Iterator[bytes]:
    """``WavesStreamingTTS.synthesize``: one request on a socket of its own."""
    return streaming_class(base_url).synthesize(text)


def streaming_text(base_url: str, text: str) -> Iterator[bytes]:
    """``WavesStreamingTTS.synthesize_streaming``: a message for each word, then a flush."""
    return streaming_class(base_url).synthesize_streaming(word + " " for word in text.split())


def socket(base_url: str, text: str) -> Iterable[bytes]:
    """``client.waves.tts.connect``: two requests on one socket, with all that the server may tell."""
    from smallestai.waves.tts.types import TtsRequestMessage

    def request(request_id: str) -> TtsRequestMessage:
        return TtsRequestMessage(**asked(text, request_id), model="lightning_v3.1_pro")

    tts = async_client(base_url).waves.tts
    return asyncio.run(speak_twice(tts.connect, "synthesize_streaming_tts", request, text.split()))


def v31_socket(base_url: str, text: str) -> Iterable[bytes]:
    """``client.waves.lightning_v31tts.connect``: the same on the socket of one model."""
    from smallestai.waves.lightning_v31tts import socket_client

    def request(request_id: str) -> Any:
        return socket_client.LightningV31TtsRequestMessage(**asked(text, request_id))

    tts = async_client(base_url).waves.lightning_v31tts
    return asyncio.run(speak_twice(tts.connect, "synthesize_streaming_lightning_v_3_1", request, text.split()))


def asked(text: str, request_id: str) -> dict[str, Any]:
    return {**VOICE, "text": text, "request_id": request_id, "complete_backoff_ms": 1, "word_timestamps": True}


async def speak_twice(
    connect: Callable[[], Any], send: str, request: Callable[[str], Any], words: list[str]
) -> list[bytes]:
    audio: list[bytes] = []
    async with connect() as line:
        for request_id in ("first", "second"):
            await getattr(line, send)(request(request_id))
            audio += await hear_out(line, request_id, words)
    return audio


async def hear_out(line: Any, request_id: str, words: list[str]) -> list[bytes]:
    """Everything up to ``complete``. Says so if it is not what was asked for."""
    audio, told = [], []
    while (message := await line.recv()).status != "complete":
        assert message.external_request_id == request_id, message
        if message.status == "word_timestamp":
            told.append(message.data.word)
            assert message.data.id == len(told) - 1, message
            assert message.data.start < message.data.end, message
        else:
            assert message.status == "chunk", message
            audio.append(base64.b64decode(message.data.audio))
    assert told == words, told
    return audio


def http(base_url: str, text: str) -> Iterator[bytes]:
    """``client.waves.synthesize_tts``: one POST."""
    return client(base_url).waves.synthesize_tts(text=text, output_format="pcm", **VOICE)


def v31_http(base_url: str, text: str) -> Iterator[bytes]:
    """``client.waves.synthesize_lightning_v31``: the same on the route of one model."""
    return client(base_url).waves.synthesize_lightning_v31(text=text, output_format="pcm", **VOICE)


def wav(base_url: str, text: str) -> Iterable[bytes]:
    """``synthesize_bytes`` as it is by default: a WAV file."""
    from smallestai.waves.helpers import synthesize_bytes

    return [synthesize_bytes(client(base_url), text, **VOICE)]


def sse(base_url: str, text: str) -> Iterator[bytes]:
    """``client.waves.synthesize_sse_tts``: one POST, answered with events, which the SDK's own parser reads.

    The method itself (5.14.0) drops every event that its documentation shows: it expects a ``str`` where
    there is an object. So the parser is given the response here.
    """
    from smallestai.core.http_sse import EventSource

    waves = client(base_url).waves.with_raw_response
    with waves.synthesize_sse_tts(text=text, output_format="pcm", **VOICE) as response:
        for event in EventSource(response._response).iter_sse():
            if event.json()["done"]:
                return
            yield base64.b64decode(event.json()["audio"])


def voices(base_url: str, text: str) -> Iterable[bytes]:
    """``client.waves.get_voices``: not speech, but the ids, one a line. The text is the model's name."""
    for voice in client(base_url).waves.get_voices(text).voices or []:
        yield f"{voice.voice_id}\n".encode()


WAYS: dict[str, Callable[[str, str], Iterable[bytes]]] = {
    way.__name__: way for way in (streaming, streaming_text, socket, v31_socket, http, v31_http, wav, sse, voices)
}


def main() -> None:
    base_url, way, text = sys.argv[1:]
    for chunk in WAYS[way](base_url, text):
        sys.stdout.buffer.write(chunk)


if __name__ == "__main__":
    main()
