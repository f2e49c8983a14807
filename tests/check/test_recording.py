"""A recording holds all frames and no key, and is replayed as it was."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from asked import BY_NAME, ask, compared
from leaks import KEY
from listening import assert_same
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import emulator
from videosdk_plugins_smallestai.check.run import bench
from videosdk_plugins_smallestai.emulator import Frames, Refuse, SpeechRequest, WavesEmulator
from videosdk_plugins_smallestai.emulator.replay import Recording


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "audio", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["with audio", "without audio"]
)
@in_virtual_time
async def test_a_replay_gives_the_same_table(tmp_path: Path, audio: bool) -> None:
    file = tmp_path / "found.jsonl"
    assume = {"closed_after_complete": "kept open", "wrong_key": "error frame", "complete_at_1": "late"}
    async with WavesEmulator(voice="tone", concurrency=3, assume=assume) as waves:
        recorded = await ask(waves, record=file, audio=audio)
    assert {row.name for row in recorded if row.verdict == "copes"} == set(assume)
    async with WavesEmulator(replay=file) as waves:
        assert compared(await ask(waves, key="sk_another")) == compared(recorded)
        again = await ask(waves, [BY_NAME["closed_after_complete"], BY_NAME["word_times"]])
        assert compared(again) == compared(row for row in recorded if row.name in {one.name for one in again})


@in_virtual_time
async def test_a_replay_is_the_same_frames_at_the_same_times(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    async with WavesEmulator(voice="tone") as waves:
        await ask(waves, [BY_NAME["second_request"], BY_NAME["reply_http"]], record=first)
    async with WavesEmulator(replay=first) as waves:
        await ask(waves, [BY_NAME["second_request"], BY_NAME["reply_http"]], record=second)
    before, after = lines(first)[1:], lines(second)[1:]
    assert [without(line, "at", "sent") for line in before] == [without(line, "at", "sent") for line in after]
    assert [line["at"] for line in after] == pytest.approx([line["at"] for line in before], abs=0.01)
    assert sum("text" in line for line in before) > 40


def without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


@in_virtual_time
async def test_audio_that_is_not_kept_has_a_length_and_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    async with WavesEmulator(voice="tone") as waves:
        await ask(waves, [BY_NAME["ids_echoed"], BY_NAME["reply_http"]], record=file, audio=False)
        spoken = waves.requests[1].audio[:4800]
    text = file.read_text(encoding="utf-8")
    assert f"sha256:{hashlib.sha256(spoken).hexdigest()};bytes=4800" in text
    assert base64.b64encode(spoken).decode()[:100] not in text
    assert len(text) < 20_000


@in_virtual_time
async def test_the_key_is_nowhere(tmp_path: Path) -> None:
    encoded = base64.b64encode(b"ab" + KEY.encode() + b"ab").decode()

    def repeat(request: SpeechRequest) -> list[Any]:
        said = {"status": "error", "message": f"Your key {KEY}, Bearer {KEY[:14]}", "data": {"audio": KEY}}
        frames = [json.dumps({"status": "warning", "data": {"audio": encoded}}), json.dumps(said), KEY]
        return [Frames(before=frames)] if request.number else []

    file = tmp_path / "found.jsonl"
    async with WavesEmulator(voice="tone", fault=repeat) as waves:
        rows = await ask(
            waves, [BY_NAME["ids_echoed"], BY_NAME["reply"], BY_NAME["wrong_key"]], key=KEY, record=file
        )
        waves.fault = lambda request: Refuse(400, {"X-Request-Id": KEY}, {"message": KEY})
        rows += await ask(waves, key=KEY)
    assert [row.verdict for row in rows] == ["fails", "fails", "as assumed", "fails"]
    for shown in (file.read_text(encoding="utf-8"), repr(rows)):
        assert "***" in shown
        assert encoded not in shown
        assert KEY[:12] not in shown
        assert KEY[-12:] not in shown


@in_virtual_time
async def test_what_was_not_recorded_is_answered_with_an_error_that_says_so(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    async with WavesEmulator(voice="tone") as waves:
        await ask(waves, [BY_NAME["ids_echoed"], BY_NAME["reply_http"]], record=file)
    async with WavesEmulator(replay=file) as waves, aiohttp.ClientSession() as session:
        headers = {"Authorization": "Bearer sk_test"}
        async with session.ws_connect(waves.base_url + "/tts/live", headers=headers) as ws:
            await ws.send_json({"text": "Nobody said this.", "request_id": "mine"})
            frame = await ws.receive_json()
        assert (frame["status"], frame["external_request_id"]) == ("error", "mine")
        assert "Not in the recording" in frame["error"]["message"]
        assert "Nobody said this." in frame["error"]["message"]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await session.ws_connect(waves.base_url + "/elsewhere", headers=headers)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await session.ws_connect(waves.base_url + "/tts/live")  # without a key
        async with session.post(
            waves.base_url + "/tts/live", json={"text": "Nor this."}, headers=headers
        ) as answer:
            assert answer.status == 400
            assert "Nor this." in (await answer.json())["error"]["message"]


@in_virtual_time
async def test_a_clients_own_ids_are_echoed(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    async with WavesEmulator(voice="tone") as waves:
        await ask(waves, [BY_NAME["ids_echoed"]], record=file)
        audio = waves.requests[1].audio
    recorded = next(line["sent"] for line in lines(file) if line.get("sent", {}).get("request_id") == "check-my-id")
    async with (
        WavesEmulator(replay=file) as waves,
        bench(waves.base_url, "sk_test") as service,
        service.line() as line,
    ):
        await line.say(recorded | {"request_id": "another"})
        heard = await line.hear(1.0)
    assert heard is not None
    assert json.loads(heard.raw)["external_request_id"] == "another"
    assert_same(base64.b64decode(json.loads(heard.raw)["data"]["audio"]), audio[:4800])


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"recording": 2}', '{"recording": 1}\n{"text": ""}', "no JSON"):
        file = tmp_path / "file"
        file.write_text(content)
        with pytest.raises(ValueError, match="is no recording of version 1"):
            WavesEmulator(replay=file)
    with pytest.raises(FileNotFoundError):
        WavesEmulator(replay=tmp_path / "missing")


def test_an_interrupted_recording_is_read(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    file.write_text('{"recording": 1}\n{"exchange": 1, "at": 0.0, "handshake": "/tts/live", "key": "given"}\n')
    assert Recording.load(file).find(("handshake", "/tts/live", "given"), []) is not None


@in_virtual_time
async def test_the_guides_way_to_read_a_recording_works(tmp_path: Path) -> None:
    guide = (Path(emulator.__file__).parent / "README.md").read_text(encoding="utf-8")
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "def found_in" in code)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    async with WavesEmulator(voice="tone", concurrency=3, assume={"v4": "closed"}) as waves:
        rows = await ask(waves, record=tmp_path / "found.jsonl", audio=False)
    assert await names["found_in"](tmp_path / "found.jsonl") == {row.name: row.verdict for row in rows}
