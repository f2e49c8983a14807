"""With the framework's own classes: its tracks, speech generation, fallback, cache and tts hook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from agent_session import PROMPT, without_silence
from listening import RecordingTrack, assert_same, items
from routes import ROUTES, every_route, every_websocket, quick_on
from staging import MakeStage, Stage
from videosdk.agents import TTS, FallbackTTS, FlushMarker, JobContext, Pipeline, RoomOptions, run_tts
from videosdk.agents import job as framework_job
from videosdk.agents.audio_cache import TTSAudioCache
from videosdk.agents.room.output_stream import (
    CustomAudioStreamTrack,
    MixingCustomAudioStreamTrack,
    TeeCustomAudioStreamTrack,
    TeeMixingCustomAudioStreamTrack,
)
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk_plugins_smallestai import SmallestAIError
from videosdk_plugins_smallestai.emulator import Break, Mute, SpeechRequest, Stall, tone
from videosdk_plugins_smallestai.timing import Timing

QUICK: dict[str, Any] = {"first_audio": 0.05, "real_time_factor": 20.0}
"""The server's pace where pace is not the subject."""

FADE = 0.4
"""Seconds of an interrupted reply that the framework's tracks let fade away."""

SPEED = 1.03
"""At this speed no reply below is a whole number of frames."""

TRACKS = {
    "plain": CustomAudioStreamTrack,
    "mixing": MixingCustomAudioStreamTrack,
    "tee": TeeCustomAudioStreamTrack,
    "tee mixing": TeeMixingCustomAudioStreamTrack,
}

both_transports = quick_on("websocket", slow=["http"])


@dataclass
class Listener:
    """Somebody in the room: hears a track of the framework in real time, frame by frame."""

    track: Any
    speech: SpeechGeneration
    frames: list[bytes] = field(default_factory=list)
    ends: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.speech.on("last_audio_byte", lambda _: self.ends.put_nowait(None))
        self._frame = asyncio.Condition()

    async def listen(self) -> None:
        while True:
            frame = await self.track.recv()
            async with self._frame:
                self.frames.append(frame.to_ndarray().tobytes())
                self._frame.notify_all()

    async def hears(self, seconds: float) -> None:
        """Wait until so much speech has been heard since the last `forget`."""
        async with asyncio.timeout(2 * PROMPT), self._frame:
            await self._frame.wait_for(lambda: len(self.heard) >= seconds * 48000)

    async def hears_silence(self, seconds: float) -> None:
        """Wait until nothing has been heard for so long."""
        frames = round(seconds / 0.02)
        async with asyncio.timeout(2 * PROMPT), self._frame:
            await self._frame.wait_for(lambda: not any(any(frame) for frame in self.frames[-frames:]))

    async def end_of_speech(self) -> None:
        """Wait until the track reports that it has played everything."""
        async with asyncio.timeout(2 * PROMPT):
            await self.ends.get()

    def forget(self) -> None:
        """Listen to what comes now. (The framework reports the end of an interrupted reply too.)"""
        self.frames.clear()
        while not self.ends.empty():
            self.ends.get_nowait()

    @property
    def heard(self) -> bytes:
        """From the first frame that is not silent to the last sample that is not."""
        start = next((i for i, frame in enumerate(self.frames) if any(frame)), len(self.frames))
        return without_silence(b"".join(self.frames[start:]))


@asynccontextmanager
async def room(tts: TTS, track: Any = None, **speech: Any) -> AsyncIterator[Listener]:
    """The framework's speech generation on one of its tracks, and a listener."""
    track = track or CustomAudioStreamTrack(asyncio.get_running_loop())
    generation = SpeechGeneration(tts=tts, audio_track=track, **speech)
    generation.set_audio_track(track)
    tts.loop = asyncio.get_running_loop()
    listener = Listener(track, generation)
    listening = asyncio.ensure_future(listener.listen())
    try:
        yield listener
    finally:
        listening.cancel()
        await asyncio.wait({listening})


# The framework's tracks


@pytest.mark.parametrize(("route", "kind"), [*(("websocket", kind) for kind in TRACKS), ("http", "plain")])
async def test_every_reply_is_heard_whole_its_end_is_reported_and_the_next_starts_clean(
    stage: MakeStage, route: str, kind: str
) -> None:
    async with stage(ROUTES[route] | {"speed": SPEED}, **QUICK) as s:
        async with room(s.tts, TRACKS[kind](asyncio.get_running_loop())) as listener:
            for text in ("Are you well?", "Good."):
                listener.forget()
                await listener.speech.synthesize(items(text.split()))
                await listener.end_of_speech()
                assert_same(listener.heard, tone(text, speed=SPEED))
            assert listener.ends.empty()
        assert s.errors == []


@pytest.mark.parametrize(
    ("route", "complete"),
    [("websocket", 0.0), ("websocket", 4.0), ("websocket", None), ("continuations", 4.0)],
    ids=["at once", "late", "never", "late, of a continuation"],
)
async def test_the_end_of_speech_is_reported_whenever_the_server_tells_the_end(
    stage: MakeStage, route: str, complete: float | None
) -> None:
    track = MixingCustomAudioStreamTrack(asyncio.get_running_loop())
    async with stage(ROUTES[route] | {"speed": SPEED}, complete=complete, **QUICK) as s:
        async with room(s.tts, track) as listener:
            for text in ("Hello there.", "Are you well?"):
                listener.forget()
                await listener.speech.synthesize(text)
                await listener.end_of_speech()
                assert_same(listener.heard, tone(text, speed=SPEED))
        assert s.errors == []


async def test_a_reply_right_after_late_audio_of_the_last_starts_clean(stage: MakeStage) -> None:
    """Half a frame of it, left in the track, would be heard first, and the end of speech never reported."""
    first, second = "Nobody said it goes on.", "Are you well?"
    late = Stall(1.5, after=0.85)

    def fault(request: SpeechRequest) -> Stall | None:
        return late if request.text == first else None

    track = MixingCustomAudioStreamTrack(asyncio.get_running_loop())
    server = {"complete": None, "chunk": 0.033, "fault": fault, "first_audio": 0.05}
    async with stage({"speed": SPEED}, **server) as s, room(s.tts, track) as listener:
        await listener.speech.synthesize(first)
        await listener.end_of_speech()
        waiting = s.waves.requests[0]
        assert waiting.sent < len(waiting.audio), "the end was guessed, and more is to come"
        await listener.hears_silence(0.1)
        listener.forget()
        await listener.hears(0.001)  # the late audio begins
        await listener.speech.synthesize(second)
        await listener.end_of_speech()
        assert listener.heard.endswith(tone(second, speed=SPEED))
        listener.forget()
        await listener.speech.synthesize(second)
        await listener.end_of_speech()
        assert_same(listener.heard, tone(second, speed=SPEED))


@pytest.mark.parametrize("route", ["websocket", "continuations"])
async def test_a_short_reply_is_heard_without_a_gap_before_its_last_samples(stage: MakeStage, route: str) -> None:
    plugin = ROUTES[route] | {"speed": SPEED}
    async with stage(plugin, complete=None, first_audio=0.05) as s, room(s.tts) as listener:
        await listener.speech.synthesize("Good.")
        await listener.end_of_speech()
        assert_same(listener.heard, tone("Good.", speed=SPEED))


@pytest.mark.parametrize("kind", ["tee", "tee mixing"])
async def test_an_avatar_gets_the_very_bytes_of_the_reply(stage: MakeStage, kind: str) -> None:
    avatar = bytearray()
    async with stage({"speed": SPEED}, **QUICK) as s:
        track = TRACKS[kind](asyncio.get_running_loop(), sinks=[avatar.extend])
        async with room(s.tts, track) as listener:
            for text in ("Hello there.", "Good."):
                before = len(avatar)
                await listener.speech.synthesize(text)
                await listener.end_of_speech()
                assert_same(without_silence(bytes(avatar[before:])), tone(text, speed=SPEED))
                assert (len(avatar) - before) % track.chunk_size == 0


@pytest.mark.parametrize(("route", "kind"), [("websocket", "mixing"), ("http", "plain")])
async def test_a_barge_in_leaves_only_the_fading_tail_and_the_next_reply_is_whole(
    stage: MakeStage, route: str, kind: str
) -> None:
    text = "This goes on until somebody has had enough."
    async with stage(ROUTES[route] | {"speed": SPEED}) as s:
        async with room(s.tts, TRACKS[kind](asyncio.get_running_loop())) as listener:
            speaking = asyncio.ensure_future(listener.speech.synthesize(text))
            await listener.hears(0.3)
            await listener.speech.interrupt()
            heard = listener.heard
            async with asyncio.timeout(PROMPT):
                await speaking
            await listener.hears_silence(0.1)
            assert listener.heard.startswith(heard)
            assert tone(text, speed=SPEED).startswith(heard)
            tail = np.frombuffer(listener.heard[len(heard) :], "<i2").astype(int)
            voice = np.frombuffer(tone(text, speed=SPEED)[len(heard) :], "<i2").astype(int)[: len(tail)]
            assert len(tail) <= (FADE + 0.04) * 24000
            assert np.all(np.abs(tail) <= np.abs(voice)), "no sample is louder than it was, nor of anything else"
            assert np.abs(tail[len(tail) // 2 :]).max() < 1000
            listener.forget()
            await listener.speech.synthesize("Yes, what is it?")
            await listener.end_of_speech()
            assert_same(listener.heard, tone("Yes, what is it?", speed=SPEED))
        assert s.errors == []


@both_transports
async def test_replies_interrupted_in_a_row_leave_nothing_for_the_last(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], first_audio=0.05) as s, room(s.tts) as listener:
        for number in range(3):
            speaking = asyncio.ensure_future(
                listener.speech.synthesize(f"This is attempt number {number} to speak.")
            )
            await listener.hears(0.1)
            await listener.speech.interrupt()
            await speaking
            await listener.hears_silence(0.1)
            listener.forget()
        await listener.speech.synthesize("At last.")
        await listener.end_of_speech()
        assert_same(listener.heard, tone("At last."))
        assert s.errors == []


@pytest.mark.parametrize("rate", [8000, *(pytest.param(rate, marks=pytest.mark.slow) for rate in (16000, 44100))])
async def test_a_voice_of_another_rate_lasts_as_long_as_it_should(stage: MakeStage, rate: int) -> None:
    async with stage({"sample_rate": rate}, **QUICK) as s, room(s.tts) as listener:
        for text in ("Hello there.", "Good."):
            listener.forget()
            await listener.speech.synthesize(text)
            await listener.end_of_speech()
            seconds = len(listener.heard) / 48000
            assert seconds == pytest.approx(len(tone(text)) / 48000, abs=0.02)


async def test_a_reply_that_is_only_a_tool_call_ends_in_silence_and_without_an_error(stage: MakeStage) -> None:
    async with stage() as s, room(s.tts) as listener:
        began = asyncio.get_running_loop().time()
        await listener.speech.synthesize(items([]))
        await listener.end_of_speech()
        assert asyncio.get_running_loop().time() - began < 2.0
        assert not listener.heard
        assert s.errors == []
        assert not s.waves.requests


# FallbackTTS


class Backup(TTS):  # type: ignore[misc]
    """Another provider: writes down what it is given, and says it in its own way."""

    def __init__(self) -> None:
        super().__init__(sample_rate=24000, num_channels=1)
        self.loop: Any = None
        self.texts: list[str] = []
        self.began_at: float | None = None

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    async def synthesize(self, text: Any, voice_id: str | None = None, **kwargs: Any) -> None:
        async for item in items([text]) if isinstance(text, str) else text:
            if isinstance(item, FlushMarker):
                continue
            if self.began_at is None:
                self.began_at = asyncio.get_running_loop().time()
                await self._first_audio_callback()
            self.texts.append(item)
            await self.audio_track.add_new_bytes(self.voice(item))

    @staticmethod
    def voice(text: str) -> bytes:
        return b"\x01\x10" * 480 * len(text.split())

    async def interrupt(self) -> None:
        pass


PARTS = ["This is the first.", "The second comes.", "Here is the third.", "And the fourth.", "Five ends it."]


@dataclass
class Safety:
    """A plugin with a backup behind it, in a room."""

    stage: Stage
    fallback: FallbackTTS
    backup: Backup
    listener: Listener

    async def speak(self, text: Any) -> None:
        async with asyncio.timeout(2 * PROMPT):
            await self.listener.speech.synthesize(text)
            await self.listener.end_of_speech()


@asynccontextmanager
async def with_a_backup(s: Stage) -> AsyncIterator[Safety]:
    backup = Backup()
    fallback = FallbackTTS([s.tts, backup])
    async with room(fallback) as listener:
        yield Safety(s, fallback, backup, listener)
    await fallback.aclose()


@every_websocket
@pytest.mark.parametrize("warm", [True, False], ids=["after prewarm", "from the start"])
async def test_the_backup_speaks_the_whole_text_when_the_service_is_down(
    stage: MakeStage, route: str, warm: bool
) -> None:
    async with stage(ROUTES[route]) as s, with_a_backup(s) as safety:
        if warm:
            await s.tts.prewarm()
        await s.waves.stop()
        began = asyncio.get_running_loop().time()
        await safety.speak(items(PARTS))
        assert safety.backup.texts == PARTS
        assert safety.backup.began_at is not None
        assert safety.backup.began_at - began < 4.0, "2 s, and a busy machine"
        assert_same(safety.listener.heard, Backup.voice(" ".join(PARTS)))
        assert len(s.errors) == 1


@pytest.mark.parametrize("route", ["http", "sse"])
async def test_over_http_the_backup_speaks_all_of_the_reply_when_the_service_is_down(
    stage: MakeStage, route: str
) -> None:
    async with stage(ROUTES[route]) as s, with_a_backup(s) as safety:
        await s.waves.stop()
        began = asyncio.get_running_loop().time()
        await safety.speak(items(PARTS))
        assert safety.backup.texts == PARTS
        assert safety.backup.began_at is not None
        assert safety.backup.began_at - began < 4.0, "2 s, and a busy machine"


@every_route
async def test_the_backup_speaks_all_that_was_not_yet_taken_when_the_service_never_answers(
    stage: MakeStage, route: str
) -> None:
    plugin = ROUTES[route] | {"timeout": 0.7}
    async with (
        stage(plugin, timing=Timing(first_audio=0.7), fault=lambda request: Mute()) as s,
        with_a_backup(s) as safety,
    ):
        async with asyncio.timeout(3.0):
            await safety.speak(items(PARTS))
        taken = len(PARTS) - len(safety.backup.texts)
        assert taken <= (2 if s.tts.enable_streaming else 1)
        assert safety.backup.texts == PARTS[taken:]
        assert_same(safety.listener.heard, Backup.voice(safety.backup.text))
        assert len(s.errors) == 1


@every_route
async def test_a_failure_while_the_next_text_is_pending_leaves_the_backup_all_that_comes_after(
    stage: MakeStage, route: str
) -> None:
    release = asyncio.Event()

    async def text() -> AsyncIterator[str]:
        yield PARTS[0]
        await release.wait()
        for part in PARTS[1:]:
            yield part

    async with stage(ROUTES[route], fault=lambda request: Break(0.3)) as s, with_a_backup(s) as safety:
        speaking = asyncio.ensure_future(safety.speak(text()))
        await s.waves.request(2)
        await s.waves.idle()
        release.set()
        await speaking
        assert safety.backup.texts == PARTS[2:], "the first was being spoken, the second had been asked for"
        heard = safety.listener.heard
        spoken = heard.index(Backup.voice(PARTS[2]))
        assert tone(PARTS[0]).startswith(without_silence(heard[:spoken])), "no word of the plugin but a beginning"
        assert len(s.errors) == 1


@every_route
async def test_the_error_names_what_the_backup_does_not_get(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], fault=lambda request: Break(0.3)) as s:
        source = items(PARTS)
        with pytest.raises(SmallestAIError) as caught:
            await s.tts.synthesize(source)
        left = [part async for part in source]
        assert left
        assert " ".join([caught.value.unspoken, *left]) == " ".join(PARTS)


@pytest.mark.slow
@pytest.mark.parametrize("route", ["websocket", "continuations"])
async def test_idle_closes_do_not_make_it_switch(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], **QUICK) as s, with_a_backup(s) as safety:
        await s.tts.prewarm()
        await safety.speak("Hello there.")
        for count in (2, 3, 4):
            await s.waves.close_connections("idle")
            while len(s.waves.connections) < count:  # noqa: ASYNC110 - the server has no event for this
                await asyncio.sleep(0.01)
        safety.listener.forget()
        await safety.speak("And we go on.")
        assert_same(safety.listener.heard, tone("And we go on."))
        assert safety.fallback.active_provider is s.tts
        assert safety.backup.texts == []


@both_transports
async def test_an_interrupt_and_a_cached_phrase_do_not_make_it_switch(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route]) as s, with_a_backup(s) as safety:
        speaking = asyncio.ensure_future(safety.listener.speech.synthesize(items(PARTS)))
        await safety.listener.hears(0.2)
        await safety.listener.speech.interrupt()
        await speaking
        assert await TTSAudioCache(s.tts).fetch("One moment.")
        await safety.listener.hears_silence(0.1)
        safety.listener.forget()
        await safety.speak("And we go on.")
        assert_same(safety.listener.heard, tone("And we go on."))
        assert safety.backup.texts == []


# TTSAudioCache


@both_transports
async def test_phrases_are_preloaded_whole_during_a_live_reply_that_is_heard_whole(
    stage: MakeStage, route: str
) -> None:
    text = "This is live, and heard to its end."
    async with stage(ROUTES[route]) as s, room(s.tts) as listener:
        await s.tts.prewarm()
        cache = TTSAudioCache(s.tts)
        speaking = asyncio.ensure_future(listener.speech.synthesize(text))
        await listener.hears(0.1)
        await cache.preload(["One moment.", "Let me see."])
        await speaking
        await listener.end_of_speech()
        assert_same(listener.heard, tone(text))
        for phrase in ("One moment.", "Let me see."):
            assert_same(without_silence(await cache.fetch(phrase)), tone(phrase))
        assert s.errors == []


@every_route
async def test_a_barge_in_stops_the_live_reply_and_not_the_phrase_for_the_cache(
    stage: MakeStage, route: str
) -> None:
    text, phrase = "This reply is live, until somebody has had enough.", "One moment, please."
    async with stage(ROUTES[route], real_time_factor=1.5) as s, room(s.tts) as listener:
        cache = TTSAudioCache(s.tts)
        speaking = asyncio.ensure_future(listener.speech.synthesize(text))
        await listener.hears(0.1)
        fetching = asyncio.ensure_future(cache.fetch(phrase))
        await s.waves.request(1)
        await listener.speech.interrupt()
        async with asyncio.timeout(PROMPT):
            await speaking
        assert not fetching.done()
        cached = await fetching
        assert_same(without_silence(cached), tone(phrase))
        assert await cache.fetch(phrase) is cached
        await listener.hears_silence(0.1)
        assert len(listener.heard) < len(tone(text))
        listener.forget()
        await listener.speech.synthesize("Yes?")
        await listener.end_of_speech()
        assert_same(listener.heard, tone("Yes?"))
        assert s.errors == []
        dropped = [connection for connection in s.waves.connections if connection.client_closed]
        own = s.tts.enable_streaming and route != "live"  # a session stops without being dropped
        assert len(dropped) == own, "the reply's own, and no other"


@every_route
async def test_a_phrase_that_fails_is_not_stored_and_can_be_fetched_again(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route], **QUICK) as s:
        cache = TTSAudioCache(s.tts)
        s.waves.fault = lambda request: Break(0.1)
        with pytest.raises(SmallestAIError):
            await cache.fetch("One moment.")
        s.waves.fault = None
        assert_same(without_silence(await cache.fetch("One moment.")), tone("One moment."))
        assert s.errors == [], "no reply has failed"
        assert not s.track.heard


@pytest.mark.parametrize("rate", [16000, 24000])
async def test_a_cached_phrase_is_in_the_format_of_the_track(stage: MakeStage, rate: int) -> None:
    """The framework adds it to the track as it is."""
    async with stage({"sample_rate": rate, "speed": SPEED}, **QUICK) as s, room(s.tts) as listener:
        cached = await TTSAudioCache(s.tts).fetch("One moment.")
        await listener.speech.synthesize_audio_bytes(cached, "One moment.")
        await listener.end_of_speech()
        seconds = len(listener.heard) / 48000
        assert seconds == pytest.approx(len(tone("One moment.", speed=SPEED)) / 48000, abs=0.02)
        listener.forget()
        s.tts.speed = 1.0
        await listener.speech.synthesize("Good.")
        await listener.end_of_speech()
        if rate == 24000:
            assert_same(listener.heard, tone("Good."))


async def test_a_phrase_preloaded_before_there_is_a_track_leaves_the_next_reply_clean(stage: MakeStage) -> None:
    async with stage({"speed": SPEED}, **QUICK) as s:
        s.tts.audio_track = None
        cached = await TTSAudioCache(s.tts).fetch("One moment.")
        assert_same(without_silence(cached), tone("One moment.", speed=SPEED))
        async with room(s.tts, MixingCustomAudioStreamTrack(asyncio.get_running_loop())) as listener:
            await listener.speech.synthesize_audio_bytes(cached, "One moment.")
            await listener.end_of_speech()
            listener.forget()
            await listener.speech.synthesize("Good.")
            await listener.end_of_speech()
            assert_same(listener.heard, tone("Good.", speed=SPEED))


# The tts hook


@asynccontextmanager
async def hooked_room(s: Stage, track: Any = None) -> AsyncIterator[Listener]:
    """A room whose pipeline speaks through a tts hook, in the context of a job."""
    job = JobContext(room_options=RoomOptions(), loop=asyncio.get_running_loop())
    token = framework_job._set_current_job_context(job)
    scope = framework_job._enter_session_scope()
    try:
        pipeline = Pipeline(tts=s.tts)

        @pipeline.on("tts")
        async def hook(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for pcm in run_tts(text):
                yield pcm

        async with room(s.tts, track, hooks=pipeline.hooks) as listener:
            yield listener
    finally:
        framework_job._exit_session_scope(scope)
        framework_job._reset_current_job_context(token)


@pytest.mark.parametrize(
    ("route", "kind"), [("websocket", "plain"), ("http", "mixing"), ("continuations", "mixing")]
)
async def test_replies_through_a_tts_hook_are_heard_whole(stage: MakeStage, route: str, kind: str) -> None:
    async with stage(ROUTES[route] | {"speed": SPEED}, **QUICK) as s:
        async with hooked_room(s, TRACKS[kind](asyncio.get_running_loop())) as listener:
            for text in ("Hello there.", "Are you well?"):
                listener.forget()
                await listener.speech.synthesize(items(text.split()))
                await listener.end_of_speech()
                await listener.hears(len(tone(text, speed=SPEED)) / 48000)
                await listener.hears_silence(0.06)
                assert_same(listener.heard, tone(text, speed=SPEED))
        assert s.errors == []


@quick_on("continuations", slow=["websocket", "http"])
async def test_an_interrupt_ends_a_reply_through_a_tts_hook(stage: MakeStage, route: str) -> None:
    text = "This goes on until somebody has had enough."
    async with stage(ROUTES[route], real_time_factor=1.2) as s, hooked_room(s) as listener:
        speaking = asyncio.ensure_future(listener.speech.synthesize(text))
        await listener.hears(0.2)
        await listener.speech.interrupt()
        async with asyncio.timeout(PROMPT):
            await speaking
            await s.waves.idle()
        assert s.waves.requests[0].sent < len(s.waves.requests[0].audio)
        await listener.hears_silence(0.1)
        assert len(listener.heard) < len(tone(text)) / 2
        listener.forget()
        await listener.speech.synthesize("Yes?")
        await listener.hears(len(tone("Yes?")) / 48000)
        await listener.hears_silence(0.06)
        assert_same(listener.heard, tone("Yes?"))
        assert s.errors == []


async def test_a_plain_fake_in_the_place_of_a_track_hears_a_reply_of_the_speech_generation(
    stage: MakeStage,
) -> None:
    async with stage(**QUICK) as s:
        speech = SpeechGeneration(tts=s.tts, audio_track=s.track)
        speech.set_audio_track(s.track)
        await speech.synthesize("Hello there.")
        assert isinstance(s.tts.audio_track, RecordingTrack)
        assert_same(without_silence(bytes(s.track.heard)), tone("Hello there."))
