"""What a user sees of the warm connection: prewarm is a promise kept, or a warning, and never an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from listening import SEVEN, assert_same, tokens
from routes import ROUTES, every_http, every_websocket
from staging import MakeStage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import APIConnectionError
from videosdk_plugins_smallestai.emulator import tone


def handshakes(route: str) -> int:
    """Of one request: with a connection for each, the next one is opened ahead."""
    return 2 if route == "unified" else 1


@every_websocket
@in_virtual_time
async def test_the_first_reply_after_prewarm_pays_no_handshake(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await asyncio.gather(s.tts.prewarm(), s.tts.prewarm())
        await s.tts.prewarm()
        await s.tts.synthesize("Hello there.")
        assert len(s.waves.connections) == handshakes(route)
        assert_same(s.track.speech, tone("Hello there."))


@every_websocket
@in_virtual_time
async def test_prewarm_during_a_reply_shares_its_connection(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await asyncio.gather(s.tts.synthesize("Hello there."), s.tts.prewarm())
        assert len(s.waves.connections) == handshakes(route)


@every_http
@in_virtual_time
async def test_over_http_the_first_reply_after_prewarm_finds_its_connection(stage: MakeStage, route: str) -> None:
    made: list[int] = []
    trace = aiohttp.TraceConfig()

    async def count(*_: object) -> None:
        made.append(1)

    trace.on_connection_create_end.append(count)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        stage(ROUTES[route] | {"http_session": session}) as s,
    ):
        await s.tts.prewarm()
        assert len(made) == 1
        assert not s.waves.requests, "nothing that is billed"
        await s.tts.synthesize("Hello there.")
        assert_same(s.track.speech, tone("Hello there."))
        assert len(made) == 1


@every_http
@in_virtual_time
async def test_a_dead_service_is_known_before_any_text_is_taken(stage: MakeStage, route: str) -> None:
    taken: list[str] = []

    async def text() -> AsyncIterator[str]:
        taken.append("Hello there.")
        yield "Hello there."

    async with stage(ROUTES[route]) as s:
        await s.waves.stop()
        with pytest.raises(APIConnectionError):
            await s.tts.synthesize(text())
        assert taken == []
        assert len(s.errors) == 1


@in_virtual_time
async def test_a_gateway_that_answers_no_head_costs_no_reply(
    monkeypatch: pytest.MonkeyPatch, stage: MakeStage
) -> None:
    async def never(*_: object, **__: object) -> None:
        raise aiohttp.SocketTimeoutError("no answer")

    async with (
        aiohttp.ClientSession() as session,
        stage(ROUTES["http"] | {"http_session": session}) as s,
    ):
        monkeypatch.setattr(session, "_request", _unless_head(session._request, never))
        await s.tts.synthesize("Hello there.")
        assert_same(s.track.speech, tone("Hello there."))
        assert s.errors == []


@every_http
@in_virtual_time
async def test_a_failed_prewarm_over_http_is_a_warning(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route]) as s:
        await s.waves.stop()
        await s.tts.prewarm()
        assert "prewarm failed" in caplog.text
        assert s.errors == []


@every_websocket
@in_virtual_time
async def test_a_failed_prewarm_is_a_warning_and_the_reply_tries_again(
    stage: MakeStage, route: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(ROUTES[route], handshake=lambda connection: 403 if connection.number == 0 else None) as s:
        await s.tts.prewarm()
        assert "prewarm failed" in caplog.text
        assert s.errors == []
        await s.tts.synthesize("Hello there.")
        assert_same(s.track.speech, tone("Hello there."))
        assert s.errors == []


@pytest.mark.slow
@every_websocket
@in_virtual_time
async def test_a_connection_that_grows_old_in_a_reply_serves_it_to_its_end(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"max_connection_age_sec": 0.3}, complete=0.0) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(tokens(SEVEN))
        assert_same(s.track.speech, tone(SEVEN))
        assert s.errors == []


@every_websocket
@in_virtual_time
async def test_a_connection_that_has_grown_old_is_replaced_before_the_next_reply(
    stage: MakeStage, route: str
) -> None:
    async with stage(ROUTES[route] | {"max_connection_age_sec": 50.0}, complete=0.0) as s:
        await s.tts.prewarm()
        await asyncio.sleep(55.0)
        [first, *others] = s.waves.connections
        if route == "live":  # it remembers the conversation
            assert first.closed is None
        else:
            assert first.client_closed
            assert others
        ready = len(s.waves.connections)
        await s.tts.synthesize("Hello there.")
        [request] = s.waves.requests
        assert request.connection in range(ready)
        assert s.errors == []


@in_virtual_time
async def test_a_reply_is_one_line_at_debug_and_none_above(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="videosdk_plugins_smallestai")
    async with stage() as s:
        await s.tts.synthesize(tokens(SEVEN))
    [ours] = [record for record in caplog.records if "7 segments" in record.getMessage()]
    assert ours.levelname == "DEBUG"
    assert not [r for r in caplog.records if r.name.startswith("videosdk_plugins") and r.levelno > 10]


def _unless_head(request: Any, other: Any) -> Any:
    async def choose(method: str, *args: Any, **kwargs: Any) -> Any:
        return await (other if method == "HEAD" else request)(method, *args, **kwargs)

    return choose
