"""A model whose routes are gone is spoken by its successor: heard whole, told once, and for good if that speaks."""

from __future__ import annotations

import logging

import pytest
from listening import assert_same, items
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import ModelRetiredError, ServerError
from videosdk_plugins_smallestai.emulator import Refuse, tone

GONE = [404, 405, 410, "MODEL_DEPRECATED"]
WAYS = [True, False]
"""The WebSocket and HTTP."""


async def speak(s: Stage, text: str) -> None:
    s.track.heard.clear()
    await s.tts.synthesize(items([text]))
    assert_same(s.track.speech, tone(text))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("streaming", WAYS)
@pytest.mark.parametrize("how", GONE)
@in_virtual_time
async def test_the_successor_speaks_instead_and_is_told_once(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, how: int | str, streaming: bool
) -> None:
    async with stage({"enable_streaming": streaming}, retired={"lightning-v3.1": how}) as s:
        await speak(s, "Somebody else says this.")
        await speak(s, "And this.")
        assert [request.path.split("/v1/")[1].split("/")[0] for request in s.waves.requests][-1] == "tts"
        assert s.tts.model == "lightning-v3.1", "the user's attribute never changes"
        assert s.errors == []
        [warning] = warnings(caplog)
        assert "'lightning-v3.1' is retired" in warning
        assert "model='lightning_v3.1'" in warning, "says what to do"


@in_virtual_time
async def test_once_the_successor_has_spoken_the_old_routes_are_not_tried_again(stage: MakeStage) -> None:
    async with stage({"enable_streaming": False}, retired={"lightning-v3.1": 410}) as s:
        await speak(s, "Somebody else says this.")
        s.waves.retired = {}
        await speak(s, "And still somebody else.")
        assert {request.path for request in s.waves.requests} == {"/waves/v1/tts/live"}


@in_virtual_time
async def test_a_successor_that_fails_is_not_kept(stage: MakeStage) -> None:
    refusing = Refuse(500)
    async with stage(
        {"enable_streaming": False}, retired={"lightning-v3.1": 404}, fault=lambda request: refusing
    ) as s:
        with pytest.raises(ServerError):
            await s.tts.synthesize(items(["Nobody says this."]))
        s.waves.retired, s.waves.fault = {}, None
        await speak(s, "The old one is back.")
        assert s.waves.requests[-1].path == "/waves/v1/lightning-v3.1/get_speech"


@pytest.mark.parametrize("model", ["lightning_v3.1_pro", "lightning_v3.1"])
@pytest.mark.parametrize("streaming", WAYS)
@in_virtual_time
async def test_a_model_without_a_successor_is_an_error_that_names_another(
    stage: MakeStage, model: str, streaming: bool
) -> None:
    retired = dict.fromkeys(("lightning_v3.1", "lightning_v3.1_pro"), "MODEL_DEPRECATED")
    async with stage({"model": model, "enable_streaming": streaming}, retired=retired) as s:
        with pytest.raises(ModelRetiredError, match="model="):
            await s.tts.synthesize(items(["Nobody says this."]))


@pytest.mark.parametrize("streaming", WAYS)
@pytest.mark.parametrize(
    ("voice", "pro_voice"),
    [("magnus", "blake"), ("avery", "meher"), ("sophie", "sophie"), ("voice_mine", "voice_mine")],
)
@in_virtual_time
async def test_on_the_way_to_pro_a_voice_that_it_does_not_have_is_replaced_and_that_is_told(
    stage: MakeStage, caplog: pytest.LogCaptureFixture, voice: str, pro_voice: str, streaming: bool
) -> None:
    retired = dict.fromkeys(("lightning-v3.1", "lightning_v3.1"), 410)
    async with stage({"voice_id": voice, "enable_streaming": streaming}, retired=retired) as s:
        await speak(s, "Another voice says this.")
        await speak(s, "And this.")
        assert s.waves.requests[-1].body["model"] == "lightning_v3.1_pro"
        assert s.waves.requests[-1].body["voice_id"] == pro_voice
        assert s.tts.voice_id == voice, "the user's attribute never changes"
        of_the_voice = [text for text in warnings(caplog) if "no voice" in text]
        assert len(of_the_voice) == (pro_voice != voice)
        for text in of_the_voice:
            assert f"'{voice}'" in text
            assert f"'{pro_voice}'" in text
            assert "voice_id=" in text, "says what to do"
