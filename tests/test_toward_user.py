"""What a user sets is what is spoken with, and an error says what to set right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from listening import RecordingTrack, assert_same, items
from routes import ROUTES, every_route
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import ModelRetiredError, SmallestAIError
from videosdk_plugins_smallestai.emulator import tone

TEXT = "This voice was asked for."

PRO: dict[str, dict[str, Any]] = {
    "continuations": {"model": "lightning_v3.1_pro"},
    "unified": {"model": "lightning_v3.1_pro", "continuations": False},
    "sse": {"model": "lightning_v3.1_pro", "enable_streaming": False},
}

every_pro_route = pytest.mark.parametrize("route", PRO)


async def voice_of(s: Stage, **call: Any) -> str:
    """Speak a reply, hear it whole, and return the voice that the service was asked for."""
    s.track = s.tts.audio_track = RecordingTrack()
    await s.tts.synthesize(items([TEXT]), **call)
    assert_same(s.track.speech, tone(TEXT))
    assert s.errors == []
    request = s.waves.requests[-1]
    asked = request.body if "voice_id" in request.body else s.waves.connections[request.connection or 0].query
    return str(asked["voice_id"])


@every_pro_route
@in_virtual_time
async def test_a_voice_that_is_named_speaks_on_pro_too(stage: MakeStage, route: str) -> None:
    async with stage(PRO[route] | {"voice_id": "magnus"}, mismatched_voices="spoken") as s:
        assert s.tts.voice_id == "magnus"
        assert await voice_of(s) == "magnus"
        assert s.tts.voice_id == "magnus", "the user's attribute never changes"


@every_pro_route
@in_virtual_time
async def test_without_a_voice_pro_speaks_with_one_of_its_own(stage: MakeStage, route: str) -> None:
    async with stage(PRO[route], mismatched_voices="refused") as s:
        assert s.tts.voice_id == "meher"
        assert await voice_of(s) == "meher"


@every_route
@in_virtual_time
async def test_another_model_speaks_with_its_own_voice_where_none_was_named(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], mismatched_voices="refused") as s:
        model, voice = s.tts.model, "brannock" if route == "live" else "magnus"
        assert await voice_of(s) == voice
        s.tts.model = "lightning_v3.1_pro"
        assert await voice_of(s) == "meher"
        s.tts.model = model
        assert await voice_of(s) == voice


@every_route
@in_virtual_time
async def test_another_model_speaks_with_the_voice_that_was_named(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"voice_id": "magnus"}, mismatched_voices="spoken") as s:
        s.tts.model = "lightning_v3.1_pro"
        assert await voice_of(s) == "magnus"
        assert await voice_of(s, voice_id="rhea") == "rhea"
        s.tts.voice_id = "sophie"
        assert await voice_of(s) == "sophie"
        s.tts.model = "lightning_v3.1"
        assert await voice_of(s) == "sophie"


NOT_FOUND = {
    "the service's": ("application/json", '{"message":"Not found","status":404}'),
    "plain": ("text/plain", "404: Not Found"),
    "a page": ("text/html", "<html><h1>404 Not Found</h1></html>"),
    "empty": ("text/plain", ""),
}


@asynccontextmanager
async def nothing_there(answer: str) -> AsyncIterator[str]:
    """A host that answers 404 to everything; gives its base URL."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        kind, text = NOT_FOUND[answer]
        return web.Response(status=404, text=text, content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v2"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("answer", NOT_FOUND)
@pytest.mark.parametrize("route", [*ROUTES, "pro"])
@in_virtual_time
async def test_a_base_url_at_which_nothing_is_found_is_named(stage: MakeStage, route: str, answer: str) -> None:
    plugin = ROUTES.get(route, PRO["continuations"])
    async with nothing_there(answer) as base_url, stage(plugin | {"base_url": base_url}) as s:
        with pytest.raises(SmallestAIError) as caught:
            await s.tts.synthesize(items([TEXT]))
        assert "base_url" in str(caught.value)
        assert base_url in str(caught.value)
        assert "retired" not in str(caught.value)
        assert "model=" not in str(caught.value)
        assert not isinstance(caught.value, ModelRetiredError)
        assert caught.value.status == 404
        assert s.errors == [str(caught.value)]


@in_virtual_time
async def test_a_retired_model_is_still_called_so_where_others_are_served(stage: MakeStage) -> None:
    retired = {"lightning_v3.1": "MODEL_DEPRECATED", "lightning_v3.1_pro": "MODEL_DEPRECATED"}
    async with stage(ROUTES["continuations"], retired=retired) as s:
        with pytest.raises(ModelRetiredError) as caught:
            await s.tts.synthesize(items([TEXT]))
        assert "retired" in str(caught.value)
        assert "base_url" not in str(caught.value)
