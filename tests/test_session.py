"""A whole agent session of the framework: a real websocket client hears what the server produced, and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agent_session import PROMPT, agent_session, only_loopback
from listening import assert_same
from routes import ROUTES, every_route, quick_on
from staging import MakeStage
from videosdk.agents import Pipeline, run_tts
from videosdk.agents.audio_cache import TTSAudioCache

from videosdk_plugins_smallestai.emulator import tone

both_transports = quick_on("websocket", slow=["http", "live"])

QUICK: dict[str, Any] = {"first_audio": 0.05, "real_time_factor": 20.0}
"""The server's pace where pace is not the subject."""

GREETING = "This is gate 3. Five people wait. It is your turn."


@every_route
async def test_the_caller_hears_what_the_server_produced_sample_for_sample(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], **QUICK) as s, agent_session(s.tts) as call:
        reply = await call.say(GREETING)
        produced = b"".join(request.audio for request in s.waves.requests)
        assert_same(reply.heard, produced)
        assert_same(produced, tone(GREETING))
        assert len(call.heard) % call.pipeline.audio_track.chunk_size == 0
        assert s.errors == []


@both_transports
async def test_the_end_of_speech_is_reported_when_the_caller_has_heard_it_and_not_before(
    stage: MakeStage, route: str
) -> None:
    text = "It takes a while to say this."
    async with stage(ROUTES[route], **QUICK) as s, agent_session(s.tts) as call:
        began = asyncio.get_running_loop().time()
        saying = asyncio.ensure_future(call.session.say(text))
        await s.waves.request(0)
        await s.waves.idle()
        assert not saying.done(), "it has all been sent, and nobody can have heard it"
        handle = await saying
        took = asyncio.get_running_loop().time() - began
        assert handle.done()
        assert not handle.interrupted
        assert took >= len(tone(text)) / 48000
        assert call.states[-2:] == ["speaking", "idle"]


@both_transports
async def test_every_reply_of_a_call_is_heard_whole_and_its_end_is_reported(stage: MakeStage, route: str) -> None:
    """At this speed no reply's audio is a whole number of frames."""
    async with stage(ROUTES[route] | {"speed": 1.03}, **QUICK) as s, agent_session(s.tts) as call:
        for text in ("Hello there.", "Are you well?", "Good."):
            assert_same((await call.say(text)).heard, tone(text, speed=1.03))
        assert s.errors == []


@both_transports
async def test_the_caller_barges_in_and_hears_nothing_more_of_it(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s, agent_session(s.tts) as call:
        greeting = call.say(GREETING)
        await greeting.hears(0.3)
        await call.interrupt()
        assert (await greeting).interrupted
        assert tone(GREETING).startswith(greeting.heard)
        assert len(greeting.heard) < len(tone(GREETING))
        assert_same((await call.say("Yes, what is it?")).heard, tone("Yes, what is it?"))
        assert s.errors == []


@both_transports
async def test_a_cached_phrase_and_a_live_one_are_both_heard_whole(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"speed": 1.03}, **QUICK) as s, agent_session(s.tts) as call:
        cache = TTSAudioCache(s.tts)
        await cache.preload(["One moment."])
        assert not call.heard
        cached = await call.say("One moment.", audio_data=await cache.fetch("One moment."))
        assert_same(cached.heard, tone("One moment.", speed=1.03))
        assert_same((await call.say("Here it is.")).heard, tone("Here it is.", speed=1.03))


def speak_through_a_hook(pipeline: Pipeline) -> None:
    @pipeline.on("tts")
    async def hook(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
        async for pcm in run_tts(text):
            yield pcm


@both_transports
async def test_a_reply_through_a_tts_hook_is_heard_whole(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], **QUICK) as s, agent_session(s.tts, prepare=speak_through_a_hook) as call:
        for text in ("Hello there.", "Good."):
            assert_same((await call.say(text)).heard, tone(text))
        assert s.errors == []


@both_transports
async def test_the_caller_barges_in_on_a_reply_through_a_tts_hook(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s, agent_session(s.tts, prepare=speak_through_a_hook) as call:
        greeting = call.say(GREETING)
        await greeting.hears(0.3)
        await call.interrupt()
        await greeting
        async with asyncio.timeout(PROMPT):
            await s.waves.idle()
        assert tone(GREETING).startswith(greeting.heard)
        assert len(greeting.heard) < len(tone(GREETING))
        assert_same((await call.say("Yes, what is it?")).heard, tone("Yes, what is it?"))
        assert s.errors == []


@both_transports
async def test_the_first_reply_of_a_call_pays_no_handshake(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], **QUICK) as s, agent_session(s.tts) as call:
        opened = len(s.waves.connections)
        assert opened == (1 if s.tts.enable_streaming else 0)
        await call.say("Hello there.")
        assert len(s.waves.connections) == opened


@every_route
async def test_a_caller_who_hangs_up_in_mid_sentence_leaves_nothing_behind(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s, agent_session(s.tts) as call:
        await call.say(GREETING).hears(0.3)
        await call.hang_up()
        async with asyncio.timeout(PROMPT):
            await s.waves.idle()
        assert all(connection.closed is not None for connection in s.waves.connections)
        assert s.errors == []


def test_reaching_beyond_this_machine_would_be_noticed() -> None:
    with (
        pytest.raises(AssertionError, match=r"192\.0\.2\.1"),
        only_loopback(),
        socket.socket() as outside,
        pytest.raises(PermissionError),
    ):
        outside.connect(("192.0.2.1", 9))
