"""Speech over HTTP, per model and unified, and the list of voices."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import aiohttp
import pytest
from clients import message

from videosdk_plugins_smallestai.emulator import espeak, tone
from videosdk_plugins_smallestai.emulator.speech import Speech

TTS, EVENTS = "/tts", "/tts/live"


def model_path(model: str) -> str:
    return f"/{model}/get_speech"


@pytest.mark.parametrize(
    ("path", "voice"),
    [
        ("/lightning-v3.1/get_speech", "magnus"),
        ("/lightning-v2/get_speech", "emily"),
        ("/lightning-large/get_speech", "emily"),
        ("/lightning/get_speech", "emily"),
        (TTS, "magnus"),
    ],
)
async def test_the_body_is_the_speech(serve: Any, path: str, voice: str) -> None:
    async with serve() as client:
        url = client.waves.base_url + path
        async with client.session.post(url, json=message("Hello.", voice_id=voice, speed=2.0)) as response:
            assert await response.read() == tone("Hello.", speed=2.0)
            assert (response.status, response.content_type) == (200, "audio/wav")
            assert response.headers["X-Request-Id"]
            assert response.headers["X-Session-Id"]
        request = client.waves.requests[0]
        assert (request.transport, request.connection, request.outcome) == ("http", None, "served")
        assert request.path == f"/waves/v1{path}"
        assert request.headers["authorization"] == "Bearer sk_test"
        assert request.completed >= request.last_sent


async def test_the_body_comes_in_chunks_at_the_service_s_pace(serve: Any) -> None:
    async with serve(first_audio=0.2, real_time_factor=3.3) as client:
        await client.post("Twenty characters ..!")
        request = client.waves.requests[0]
        seconds = len(request.audio) / 48000
        assert request.first_sent - request.received == pytest.approx(0.2, abs=0.1)
        assert request.last_sent - request.first_sent == pytest.approx((seconds - 0.1) / 3.3, abs=0.12)


async def test_a_wav_has_a_header(serve: Any) -> None:
    async with serve() as client:
        _, body = await client.post("Hello.", output_format="wav")
        riff, size, wave, rate = struct.unpack("<4sI4s12xI", body[:28])
        assert (riff, size, wave, rate) == (b"RIFF", len(body) - 8, b"WAVE", 24000)
        assert body[44:] == tone("Hello.")


@pytest.mark.parametrize(("model", "rate"), [("lightning-v3.1", 44100), ("lightning-v2", 24000)])
async def test_without_a_rate_it_is_the_server_s(serve: Any, model: str, rate: int) -> None:
    async with serve() as client:
        voice = "magnus" if rate == 44100 else "emily"
        _, body = await client.post("Hi", model_path(model), sample_rate=None, voice_id=voice)
        assert body == tone("Hi", rate)


async def test_events_carry_the_speech(serve: Any) -> None:
    async with serve() as client:
        async with client.session.post(client.waves.base_url + EVENTS, json=message("Hello.")) as response:
            assert response.content_type == "text/event-stream"
            text = await response.text()
        events = [event.split("\n") for event in text.strip().split("\n\n")]
        frames = [json.loads(event[-1].removeprefix("data: ")) for event in events]
        assert all(event[0] == "event: audio" for event in events[:-1])
        assert [frame["done"] for frame in frames] == [False] * (len(frames) - 1) + [True]
        assert frames[-1] == {"status": "200", "done": True}
        assert {frame["status"] for frame in frames[:-1]} == {"206"}
        assert client.waves.requests[0].transport == "sse"


@pytest.mark.parametrize("model", ["lightning_v3.1_pro", "lightning_v3.1_pro_07_26"])
async def test_pro_speaks_with_its_own_voice(serve: Any, model: str) -> None:
    async with serve() as client:
        assert (await client.post("Hi", TTS, model=model, voice_id="meher", language="ja"))[0] == 200
        assert (await client.post("Hi", TTS, language="ja"))[0] == 400


@pytest.mark.parametrize(("setting", "status"), [({}, 200), ({"mismatched_voices": "refused"}, 400)], ids=str)
async def test_a_voice_of_another_pool_is_spoken_unless_that_is_set_to_be_refused(
    serve: Any, setting: dict[str, Any], status: int
) -> None:
    async with serve(**setting) as client:
        pro = "lightning_v3.1_pro"
        assert (await client.post("Hi", TTS, voice_id="meher"))[0] == status
        assert (await client.post("Hi", TTS, model=pro, voice_id="magnus"))[0] == status
        assert (await client.post("Hi", TTS, model=pro, voice_id="voice_mine"))[0] == 200


@pytest.mark.parametrize(
    ("fields", "language"),
    [
        ({"model": "lightning_v3.1_pro", "voice_id": "meher"}, "en-hi"),
        ({"model": "lightning_v3.1", "voice_id": "magnus"}, "en"),
        ({"model": "lightning_v3.1", "voice_id": "magnus", "number_pronunciation_language": "hi"}, "hi"),
        ({"model": "lightning_v3.1_pro", "voice_id": "meher", "number_pronunciation_language": "hi"}, "hi"),
    ],
    ids=str,
)
async def test_without_a_language_it_is_that_of_numbers_or_english_with_hindi_on_pro_and_english_elsewhere(
    serve: Any, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], language: str
) -> None:
    spoken: list[str] = []
    monkeypatch.setattr(espeak, "speak", lambda order: spoken.append(order.language) or Speech(b"\1\0"))
    async with serve(voice="speech") as client:
        spoken.clear()
        assert (await client.post("Hi", TTS, language=None, **fields))[0] == 200
    assert spoken == [language]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "text is required"),
    ({"text": None}, "text is required"),
    ({"text": "x" * 251}, "exceeds the limit of 250"),
    ({"voice_id": None}, "voice_id is required"),
    ({"voice_id": "nobody"}, "Invalid Voice ID"),
    ({"sample_rate": 22050}, "Invalid input data"),
    ({"language": "xx"}, "Invalid input data"),
    ({"speed": 2.1}, "Invalid input data"),
    ({"speed": "1"}, "Invalid input data"),
    ({"consistency": 0.5}, "Invalid input data"),
    ({"output_format": "ogg"}, "Invalid input data"),
    ({"request_id": "with spaces"}, "Invalid input data"),
    ({"complete_backoff_ms": 10001}, "Invalid input data"),
    ({"word_timestamps": "yes"}, "Invalid input data"),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=str)
async def test_a_mistake_is_told(serve: Any, fields: dict[str, Any], expected: str) -> None:
    async with serve() as client:
        status, body = await client.post(**({"text": "Hi"} | fields))
        assert status == 400
        assert expected in body.decode()
        assert json.loads(body)
        assert client.waves.requests[0].outcome == "refused"
        line = await client.open()
        if fields.get("text") != "":
            await line.say(**({"text": "Hi", "request_id": "mine"} | fields))
            error = await line.hear()
            assert error["status"] == "error"
            assert expected in json.dumps(error)
            assert "request_id" in fields or error["external_request_id"] == "mine"
        await line.say("Hi")
        await line.hear_until("complete")


async def test_v2_takes_its_three_and_limits_its_rate(serve: Any) -> None:
    async with serve() as client:
        path = model_path("lightning-v2")
        fields = {"voice_id": "emily", "consistency": 0.5, "similarity": 0, "enhancement": 1}
        assert (await client.post("Hi", path, **fields))[0] == 200
        assert (await client.post("Hi", path, **{**fields, "enhancement": 3}))[0] == 400
        assert (await client.post("Hi", path, **{**fields, "sample_rate": 44100}))[0] == 400


async def test_what_is_not_json_is_refused(serve: Any) -> None:
    async with serve() as client:
        url = client.waves.base_url + "/lightning-v3.1/get_speech"
        for body in (b"{", b"[]", b"\xff"):
            async with client.session.post(url, data=body) as response:
                assert response.status == 400
                assert "error" in (await response.json())["data"]
        line = await client.open()
        await line.ws.send_str("{")
        assert "error" in (await line.hear())["data"]


@pytest.mark.parametrize("path", ["/lightning-v9/get_speech", "/nothing", "/lightning-v2/get_speech/stream"])
async def test_there_is_no_other_route(serve: Any, path: str) -> None:
    async with serve() as client:
        assert (await client.post("Hi", path))[0] in (404, 405)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.open(path)


@pytest.mark.parametrize("how", [404, 405, 410, "MODEL_DEPRECATED"])
async def test_a_retired_model_says_so(serve: Any, how: Any) -> None:
    async with serve(retired={"lightning-v3.1": how, "lightning_v3.1_pro": how}) as client:
        for path, fields in (("/lightning-v3.1/get_speech", {}), (TTS, {"model": "lightning_v3.1_pro"})):
            status, body = await client.post("Hi", path, **fields)
            assert status == (400 if how == "MODEL_DEPRECATED" else how)
            assert (b"MODEL_DEPRECATED" in body) is (how == "MODEL_DEPRECATED")
        assert (await client.post("Hi", TTS))[0] == 200
        line = await client.open("/tts/live")
        await line.say("Hi", model="lightning_v3.1_pro")
        assert (await line.hear())["error_code"] == "MODEL_DEPRECATED"
        if how == "MODEL_DEPRECATED":
            line = await client.open()
            await line.say("Hi")
            assert "lightning_v3.1" in (await line.hear())["message"]
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.open()
            assert refused.value.status == how


async def test_the_content_filter_blocks_or_lets_pass(serve: Any) -> None:
    async with serve() as client:
        reject, flag = ({"enabled": True, "action": action} for action in ("reject", "flag"))
        status, body = await client.post("Oh, damn it.", TTS, content_filter=reject)
        assert (status, b"CONTENT_FILTER_BLOCKED" in body) == (400, True)
        assert (await client.post("Oh, damn it.", TTS, content_filter=flag))[0] == 200
        assert (await client.post("Oh, dear.", TTS, content_filter=reject))[0] == 200
        assert (await client.post("Oh, damn it.", TTS))[0] == 200


async def test_an_unknown_pronunciation_dictionary_is_refused(serve: Any) -> None:
    async with serve() as client:
        assert (await client.post("Hi", TTS, pronunciation_dicts=["dict_names"]))[0] == 200
        status, body = await client.post("Hi", TTS, pronunciation_dicts=["mine"])
        assert (status, b"Invalid input data" in body) == (400, True)


async def test_the_voices_are_listed(serve: Any) -> None:
    async with serve() as client:
        url = client.waves.base_url + "/lightning-v3.1/get_voices"
        async with client.session.get(url) as response:
            voices = {voice["voiceId"]: voice for voice in (await response.json())["voices"]}
        assert "meher" not in voices
        async with client.session.get(url.replace("v3.1", "v3.1-pro")) as response:
            pro = {voice["voiceId"]: voice for voice in (await response.json())["voices"]}
        assert {"meher", "blake", "sophie"} <= set(pro)
        assert not set(pro) & set(voices)
        assert pro["meher"]["tags"]["accent"] == "indian"
        async with client.session.get(url.replace("v3.1", "v9")) as response:
            assert response.status == 404
        assert voices["magnus"]["tags"]["language"] == ["english"]
        assert voices["avery"] == {"voiceId": "avery", "displayName": "Avery", "tags": {}}
        async with client.session.get(url, headers={"Authorization": "sk_test"}) as response:
            assert response.status == 401


async def test_a_client_that_leaves_cancels_its_request(serve: Any) -> None:
    async with serve(real_time_factor=1.0, concurrency=1) as client:
        posting = asyncio.create_task(client.post("Hello there"))
        request = await client.waves.request(0)
        posting.cancel()
        await asyncio.wait([posting])
        await client.waves.idle()
        assert request.outcome == "cancelled"
        assert (await client.post("x"))[0] == 200


async def test_the_clients_ids_are_echoed_in_the_headers_of_the_unified_routes(serve: Any) -> None:
    async with serve() as client:
        echoed = []
        for path in (TTS, "/lightning-v3.1/get_speech"):
            body = message("Hi", request_id="mine", session_id="call-7")
            async with client.session.post(client.waves.base_url + path, json=body) as response:
                echoed.append([response.headers.get(f"X-External-{name}-Id") for name in ("Request", "Session")])
        assert echoed == [["mine", "call-7"], [None, None]]
