"""While nobody speaks: a network that died is found out before the next reply, and one that lives is left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp.web
import pytest
from listening import RecordingTrack, assert_same
from proxy import Proxy
from routes import ROUTES, every_websocket
from staging import MakeStage, impatient

from videosdk_plugins_smallestai.emulator import WavesEmulator, tone
from videosdk_plugins_smallestai.timing import Timing

pytestmark = pytest.mark.slow

TEXT = "It is heard all the same."


QUICK_PINGS = Timing(heartbeat=0.1, pong_idle=0.3)

AHEAD = {"unified": 1}
"""Connections that a reply opens for what may follow: there each request has one of its own."""


@every_websocket
async def test_a_connection_that_died_in_silence_is_replaced_before_the_next_reply(route: str) -> None:
    async with WavesEmulator(voice="tone") as waves, Proxy(waves.port) as proxy:
        base_url = waves.base_url.replace(str(waves.port), str(proxy.port))
        async with impatient(QUICK_PINGS)(api_key="sk_test", base_url=base_url, **ROUTES[route]) as tts:
            tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
            await tts.prewarm()
            await asyncio.sleep(0.3)  # some heartbeats
            assert proxy.accepted == 1
            proxy.deafen("up", "down")
            while len(waves.connections) < 2:  # noqa: ASYNC110 - the server has no event for this
                await asyncio.sleep(0.01)
            await tts.synthesize(TEXT)
            assert_same(track.speech, tone(TEXT))
            assert proxy.accepted == 2 + AHEAD.get(route, 0)


@every_websocket
async def test_a_slow_line_on_which_answers_queue_behind_audio_is_no_dead_one(route: str) -> None:
    text = "A line that carries two seconds of audio in one. Its pongs come late. Nothing is asked twice."
    async with WavesEmulator(voice="tone", real_time_factor=100.0) as waves, Proxy(waves.port) as proxy:
        base_url = waves.base_url.replace(str(waves.port), str(proxy.port))
        async with impatient(QUICK_PINGS)(api_key="sk_test", base_url=base_url, **ROUTES[route]) as tts:
            tts.loop, tts.audio_track = asyncio.get_running_loop(), (track := RecordingTrack())
            await tts.prewarm()
            await asyncio.sleep(0.3)  # some heartbeats
            proxy.line.bandwidth = 2 * 48_000 * 4 / 3  # bytes of base64 a second
            await tts.synthesize(text)
            assert_same(track.speech, tone(text))
            assert proxy.accepted == 1 + AHEAD.get(route, 0)


@every_websocket
async def test_a_server_that_answers_no_pings_keeps_its_connection(
    stage: MakeStage, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_answer(*_: Any) -> None:
        pings.append(1)

    pings: list[int] = []
    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "pong", no_answer)
    async with stage(ROUTES[route], timing=QUICK_PINGS) as s:
        await s.tts.prewarm()
        while len(pings) < 10:  # noqa: ASYNC110 - pings are no event of the server's
            await asyncio.sleep(0.01)
        await s.tts.synthesize(TEXT)
        assert_same(s.track.speech, tone(TEXT))
        assert len(s.waves.connections) == 1 + AHEAD.get(route, 0)
        assert s.errors == []
