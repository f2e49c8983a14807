"""The listener interrupts: not a byte more, and the next reply does not wait behind the dead one."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from unittest.mock import AsyncMock

import pytest
from listening import SEVEN, RecordingTrack, assert_same, items, tokens
from routes import ROUTES, every_route
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import SmallestAIError
from videosdk_plugins_smallestai.emulator import Mute, Refuse, tone

PROMPT = 2.0
"""Seconds in which what must come promptly has to come on a busy machine."""


async def begin(s: Stage, text: str = SEVEN, heard: float = 0.5) -> asyncio.Task[None]:
    """Start a reply and listen to the first of it."""
    await s.tts.prewarm()
    speaking = asyncio.ensure_future(s.tts.synthesize(tokens(text)))
    await s.track.hears(heard)
    return speaking


@every_route
@pytest.mark.parametrize("concurrency", [None, 1], ids=["free account", "one at a time"])
@in_virtual_time
async def test_after_an_interrupt_no_byte_comes_and_the_next_reply_is_at_once(
    stage: MakeStage, route: str, concurrency: int | None
) -> None:
    async with stage(ROUTES[route], concurrency=concurrency) as s:
        speaking = await begin(s)
        await s.tts.interrupt()
        old, s.tts.audio_track = s.track, RecordingTrack()
        before = bytes(old.heard)
        began = asyncio.get_running_loop().time()
        await s.tts.synthesize("And now something else.")
        # The connection that is ready may be quicker than the end of the old one: then it is refused once.
        refused = 0.5 if concurrency == 1 and route == "unified" else 0.0
        assert s.tts.audio_track.first_at - began < 0.2 + 0.1 + 0.3 + refused, (
            "a fresh connection's, 100 ms, and a busy machine"
        )
        assert_same(s.tts.audio_track.speech, tone("And now something else."))
        async with asyncio.timeout(PROMPT):
            await speaking
        assert_same(bytes(old.heard), before)
        assert old.interrupted == 1
        assert s.errors == []


@every_route
@in_virtual_time
async def test_an_interrupt_on_the_same_track_lets_nothing_of_the_old_reply_through(
    stage: MakeStage, route: str
) -> None:
    async with stage(ROUTES[route]) as s:
        speaking = await begin(s)
        await s.tts.interrupt()
        heard = len(s.track.heard)
        await s.tts.synthesize("And now something else.")
        await speaking
        assert_same(bytes(s.track.heard[heard:]).rstrip(b"\0"), tone("And now something else."))


@every_route
@in_virtual_time
async def test_the_server_stops_speaking_what_nobody_hears(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], real_time_factor=1.0) as s:
        await begin(s)
        await s.tts.interrupt()
        async with asyncio.timeout(PROMPT):
            await s.waves.idle()
        assert {request.outcome for request in s.waves.requests} <= {"served", "cancelled"}
        assert s.waves.requests[-1].sent < len(s.waves.requests[-1].audio)


@every_route
@in_virtual_time
async def test_a_reply_that_waits_for_text_ends_at_once(stage: MakeStage, route: str) -> None:
    async def text() -> AsyncIterator[str]:
        yield "This much is known."
        await asyncio.Event().wait()

    async with stage(ROUTES[route]) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize(text()))
        await s.track.hears(0.5)
        await s.tts.interrupt()
        async with asyncio.timeout(PROMPT):
            await speaking


@every_route
@in_virtual_time
async def test_a_reply_that_waits_for_its_first_audio_ends_at_once(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], fault=lambda request: Mute()) as s:
        speaking = asyncio.ensure_future(s.tts.synthesize("Nobody answers this."))
        await s.waves.request(0)
        await s.tts.interrupt()
        async with asyncio.timeout(PROMPT):
            await speaking
        assert s.errors == []


@in_virtual_time
async def test_a_reply_that_waits_for_a_connection_ends_at_once(stage: MakeStage) -> None:
    async with stage(handshake=lambda connection: "hang") as s:
        speaking = asyncio.ensure_future(s.tts.synthesize("Nobody is there."))
        await asyncio.sleep(0)
        await s.tts.interrupt()
        async with asyncio.timeout(PROMPT):
            await speaking
        assert s.errors == []


@every_route
@in_virtual_time
async def test_a_cancelled_caller_leaves_the_plugin_ready(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        speaking = await begin(s)
        speaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        s.tts.audio_track = RecordingTrack()
        await s.tts.synthesize("And now something else.")
        assert_same(s.tts.audio_track.speech, tone("And now something else."))
        assert s.errors == []


@every_route
@in_virtual_time
async def test_interrupts_without_a_reply_or_twice_are_harmless(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        await s.tts.interrupt()
        speaking = await begin(s)
        await s.tts.interrupt()
        await s.tts.interrupt()
        await speaking
        s.tts.audio_track = None
        await s.tts.interrupt()
        assert s.errors == []


@in_virtual_time
async def test_a_mock_in_a_tracks_place_is_awaited(stage: MakeStage) -> None:
    async with stage() as s:
        s.tts.audio_track = track = AsyncMock()
        await s.tts.synthesize("Hello there.")
        assert_same(b"".join(call.args[0] for call in track.add_new_bytes.await_args_list), tone("Hello there."))
        await s.tts.pause()
        await s.tts.resume()
        track.pause.assert_awaited_once_with()
        track.resume.assert_awaited_once_with()
        await s.tts.interrupt()
        track.interrupt.assert_awaited_once_with()


@in_virtual_time
async def test_after_aclose_the_first_audio_is_not_told_to_who_asked_before(stage: MakeStage) -> None:
    async def first_audio() -> None:
        told.append(True)

    told: list[bool] = []
    async with stage() as s:
        s.tts.on_first_audio_byte(first_audio)
        await s.tts.aclose()
        await s.tts.synthesize("Hello there.")
        assert_same(s.track.speech, tone("Hello there."))
        assert told == [], "the framework's own `aclose` has forgotten it"


@every_route
@in_virtual_time
async def test_aclose_in_mid_reply_ends_it_and_leaves_the_track_alone(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        speaking = await begin(s)
        await s.tts.aclose()
        heard = len(s.track.heard)
        async with asyncio.timeout(PROMPT):
            await speaking
        await s.tts.aclose()
        assert len(s.track.heard) == heard
        assert s.track.interrupted == 0
        opened = len(s.waves.connections)
        await s.tts.synthesize("It can be used again.")
        assert_same(bytes(s.track.heard[heard:]).rstrip(b"\0"), tone("It can be used again."))
        assert len(s.waves.connections) > opened or not s.tts.enable_streaming


async def test_aclose_lets_the_frameworks_callback_go(stage: MakeStage) -> None:
    """As the framework's own `TTS.aclose` does, which it calls."""

    async def first_audio() -> None:
        nonlocal called
        called += 1

    called = 0
    async with stage() as s:
        s.tts.on_first_audio_byte(first_audio)
        await s.tts.aclose()
        await s.tts.synthesize("Nobody waits for this.")
        assert called == 0


@in_virtual_time
async def test_pause_and_resume_reach_the_track_and_one_that_cannot_pause_is_interrupted(stage: MakeStage) -> None:
    async def pause() -> None:
        told.append("pause")

    async def resume() -> None:
        told.append("resume")

    told: list[str] = []
    async with stage() as s:
        speaking = await begin(s)
        s.track.pause, s.track.resume = pause, resume  # type: ignore[attr-defined]
        await s.tts.pause()
        await s.tts.resume()
        await speaking
        assert told == ["pause", "resume"]
        assert s.track.interrupted == 0
        del s.track.pause, s.track.resume  # type: ignore[attr-defined]
        speaking = await begin(s)
        await s.tts.pause()
        await speaking
        assert s.track.interrupted == 1


@every_route
@in_virtual_time
async def test_a_stream_is_spared_by_an_interrupt_and_heard_whole(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        speaking = await begin(s)
        stream = s.tts.stream_synthesize(items(["This phrase is for the cache, and it is whole."]))
        first = await anext(stream)
        await s.tts.interrupt()
        heard = len(s.track.heard)
        cached = first + b"".join([pcm async for pcm in stream])
        await speaking
        assert_same(cached.rstrip(b"\0"), tone("This phrase is for the cache, and it is whole."))
        assert len(s.track.heard) == heard


@every_route
@in_virtual_time
async def test_a_stream_that_is_left_early_leaves_nothing_behind(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s:
        stream = s.tts.stream_synthesize(items([SEVEN]))
        assert await anext(stream)
        await stream.aclose()
        async with asyncio.timeout(PROMPT):
            await s.waves.idle()


@in_virtual_time
async def test_each_reply_leaves_one_line_in_the_log_however_it_ends(
    stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "videosdk_plugins_smallestai")
    async with stage(fault=lambda request: Refuse(400) if request.text == "No." else None) as s:
        speaking = await begin(s)
        await s.tts.interrupt()
        await s.tts.interrupt()
        await speaking
        heard = len(s.track.heard) / 48000
        await s.tts.synthesize("Yes.")
        with pytest.raises(SmallestAIError):
            await s.tts.synthesize("No.")
    lines = [record.getMessage() for record in caplog.records if " s of audio, " in record.getMessage()]
    assert [line.split("]: ")[1].split(":")[0] for line in lines] == [
        "reply, stopped",
        "reply",
        "reply, failed",
    ]
    seconds = [float(re.findall(r"([\d.]+) s of audio", line)[0]) for line in lines]
    assert seconds == pytest.approx([heard, len(tone("Yes.")) / 48000, 0.0], abs=0.021), "a frame may be filled"
