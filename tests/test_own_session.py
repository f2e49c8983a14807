"""A session that the caller owns is used, and never closed."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from listening import assert_same
from routes import ROUTES, every_route
from staging import MakeStage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import APIConnectionError, AuthenticationError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse, tone


@every_route
async def test_the_callers_session_speaks_and_stays_open(stage: MakeStage, route: str) -> None:
    headers = {"X-Callers-Own": "yes"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with stage(ROUTES[route] | {"http_session": session}) as s:
            await s.tts.synthesize("Hello there.")
            assert_same(s.track.speech, tone("Hello there."))
            assert s.waves.requests[0].headers["x-callers-own"] == "yes"
        assert not session.closed


@every_route
async def test_a_callers_session_that_was_closed_is_an_error_that_says_so(stage: MakeStage, route: str) -> None:
    async with aiohttp.ClientSession() as session:
        pass
    async with stage(ROUTES[route] | {"http_session": session}) as s:
        with pytest.raises(APIConnectionError, match="http_session is closed"):
            await s.tts.synthesize("Hello there.")
        assert len(s.errors) == 1


@pytest.mark.slow
@every_route
async def test_a_session_that_raises_for_a_status_changes_no_error(stage: MakeStage, route: str) -> None:
    passing = [Refuse(503), Refuse(503)]
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        plugin = ROUTES[route] | {"http_session": session}
        async with stage(plugin, fault=lambda request: passing.pop() if passing else None) as s:
            await s.tts.synthesize("Hello there.")
            assert_same(s.track.speech, tone("Hello there."))
        async with stage(plugin, api_keys={"sk_other"}) as s:
            for asking in (s.tts.synthesize("Hello there."), s.tts.voices()):
                with pytest.raises(AuthenticationError) as caught:
                    await asking
                assert caught.value.status == 401


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a way that aiohttp still has
@pytest.mark.parametrize("route", ["http", "sse"])
async def test_a_session_that_cannot_be_used_is_a_typed_error(stage: MakeStage, route: str) -> None:
    async with (
        aiohttp.ClientSession(auth=aiohttp.BasicAuth("somebody", "else")) as session,
        stage(ROUTES[route] | {"http_session": session}) as s,
    ):
        with pytest.raises(APIConnectionError):
            await s.tts.synthesize("Hello there.")
        assert len(s.errors) == 1


@in_virtual_time
async def test_an_exception_of_the_callers_session_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("broken")

    monkeypatch.setattr(aiohttp.ClientSession, "ws_connect", broken)
    async with aiohttp.ClientSession() as session:
        tts = SmallestAITTS(api_key="sk_test", http_session=session)
        await tts.prewarm()
        await tts.aclose()
    assert sum("opening a connection failed" in record.getMessage() for record in caplog.records) == 1
