"""Failures of HTTP that no server on this machine can bring about: aiohttp's exceptions, put in its place."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from leaks import KEY, assert_has_no_key
from listening import RecordingTrack, items
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from videosdk_plugins_smallestai import APIConnectionError, APITimeoutError, SmallestAIError, SmallestAITTS

if tuple(map(int, aiohttp.__version__.split(".")[:2])) >= (3, 14):
    pytest.skip("aioresponses 0.7.9 does not work with aiohttp 3.14", allow_module_level=True)
aioresponses = pytest.importorskip("aioresponses")

BASE = "https://api.smallest.ai/waves/v1"
ROUTES = {"lightning-v3.1": "/lightning-v3.1/get_speech", "lightning_v3.1": "/tts/live"}

HEADERS = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {KEY}"}))
REQUEST = aiohttp.RequestInfo(URL(BASE), "POST", HEADERS, URL(BASE))
"""What aiohttp's exceptions carry: the request, and with it the key."""


def connector_error(kind: type[Any], cause: Exception) -> Exception:
    key: Any = aiohttp.client_reqrep.ConnectionKey("api.smallest.ai", 443, True, True, None, None, None)
    error: Exception = kind(key, cause)
    return error


FAILURES: dict[str, tuple[Exception, type[SmallestAIError], bool | None]] = {
    "a connection that does not come about": (aiohttp.ConnectionTimeoutError(f"{KEY}"), APITimeoutError, None),
    "a socket that says nothing": (aiohttp.SocketTimeoutError("Timeout on reading"), APITimeoutError, None),
    "no answer in time": (TimeoutError(), APITimeoutError, None),
    "a certificate that is not trusted": (
        connector_error(aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError(1, "self-signed")),
        APIConnectionError,
        True,
    ),
    "a network that is down": (
        connector_error(aiohttp.ClientConnectorError, OSError(101, "Network is unreachable")),
        APIConnectionError,
        True,
    ),
    "a proxy that refuses": (
        aiohttp.ClientHttpProxyError(REQUEST, (), status=407, message=f"Bearer {KEY}", headers=HEADERS),
        APIConnectionError,
        True,
    ),
    "a reset while the request is being written": (
        aiohttp.ClientOSError(104, "Cannot write"),
        APIConnectionError,
        False,
    ),
    "a connection that was closed before it was used again": (
        aiohttp.ServerDisconnectedError(),
        APIConnectionError,
        False,
    ),
    "something else of aiohttp's": (
        aiohttp.ClientResponseError(REQUEST, (), status=400, message="Bad headers", headers=HEADERS),
        APIConnectionError,
        False,
    ),
}


@pytest.fixture
def service() -> Iterator[Any]:
    with aioresponses.aioresponses() as mocked:
        yield mocked


@pytest.mark.parametrize("model", ROUTES)
@pytest.mark.parametrize(("failure", "kind", "opening"), FAILURES.values(), ids=FAILURES)
async def test_it_is_one_error_of_ours_and_nothing_of_aiohttps_hangs_on_it(
    service: Any, model: str, failure: Exception, kind: type[SmallestAIError], opening: bool | None
) -> None:
    service.post(BASE + ROUTES[model], exception=failure, repeat=True)
    tts = SmallestAITTS(api_key=KEY, model=model, enable_streaming=False)
    tts.audio_track, tts.loop = RecordingTrack(), asyncio.get_running_loop()
    errors: list[str] = []
    tts.on("error", lambda message: errors.append(message))
    with pytest.raises(SmallestAIError) as caught:
        await tts.synthesize(items(["Hello there."]))
    await tts.aclose()
    assert type(caught.value) is kind
    assert errors == [str(caught.value)]
    assert getattr(caught.value, "opening", None) is opening
    assert_has_no_key(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_passing_failure_is_not_an_error(service: Any) -> None:
    pcm = b"\1\2" * 480
    service.post(BASE + ROUTES["lightning-v3.1"], exception=aiohttp.ServerDisconnectedError())
    service.post(BASE + ROUTES["lightning-v3.1"], body=pcm)
    tts = SmallestAITTS(api_key=KEY, enable_streaming=False)
    tts.audio_track, tts.loop = RecordingTrack(), asyncio.get_running_loop()
    await tts.synthesize("Hello.")
    await tts.aclose()
    assert tts.audio_track.speech == pcm
