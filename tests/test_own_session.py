"""A session that the caller owns is used, and never closed."""

from __future__ import annotations

import aiohttp
import pytest
from listening import assert_same
from routes import ROUTES, every_route
from staging import MakeStage

from videosdk_plugins_smallestai import APIConnectionError
from videosdk_plugins_smallestai.emulator import tone


@every_route
async def test_the_callers_session_speaks_and_stays_open(stage: MakeStage, route: str) -> None:
    headers = {"X-Callers-Own": "yes"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with stage(ROUTES[route] | {"http_session": session}) as s:
            await s.tts.synthesize("Hello there.")
            assert_same(s.ear.speech, tone("Hello there."))
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
