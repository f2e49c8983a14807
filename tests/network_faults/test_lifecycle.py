"""Whatever a caller does, at any moment of a reply: nothing hangs, leaks or is lost, and the next reply is whole.

The moment is picked by the event loop: the action comes right behind the N-th callback that is scheduled. Time is
virtual, since a reply has hundreds of moments; the sockets are real, and loopback is as quick as the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from audio_checks import is_beginning, is_whole
from listening import RecordingTrack, items
from routes import ROUTES
from virtual_time import VirtualTimeLoop

from videosdk_plugins_smallestai import InvalidRequestError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse, WavesEmulator, tone

PARTS = ("One is spoken now. ", "Two comes after it.")
TEXT = "".join(PARTS)
AGAIN = "And now this."

BOUND = 60.0
"""Seconds of virtual time for anything to end."""

PROMPT = 0.02
"""Seconds of virtual time, in which nothing is slow, for a reply to end that was stopped."""

MOMENTS = 25
"""Of a reply, evenly spread, in the short form. The long form takes each one."""


class PickyLoop(VirtualTimeLoop):
    """Does something behind the N-th callback that is scheduled from a mark on."""

    def __init__(self) -> None:
        self.scheduled = 0
        self.moment: int | None = None
        self.action: Callable[[], None] = lambda: None
        self.complaints: list[dict[str, Any]] = []
        super().__init__()
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = super().call_soon(callback, *args, context=context)
        self.scheduled += 1
        if self.moment is not None and self.scheduled >= self.moment:
            self.moment = None
            super().call_soon(self.action)
        return handle


@dataclass
class Scene:
    """A reply, and what is done to it."""

    loop: PickyLoop
    tts: SmallestAITTS
    waves: WavesEmulator
    track: RecordingTrack = field(default_factory=RecordingTrack)
    speaking: asyncio.Task[None] | None = None
    acting: list[asyncio.Task[None]] = field(default_factory=list)
    silent_from: int | None = None
    acted_at: float = math.inf
    ended_at: float = 0.0

    def begin(self, deed: Deed) -> Callable[[], None]:
        """What the loop calls at the moment."""

        def act() -> None:
            self.acted_at = self.loop.time()
            self.acting.append(asyncio.ensure_future(deed.act(self)))

        return act

    def end(self) -> None:
        """The reply has ended."""
        self.ended_at = self.loop.time()

    async def speak(self) -> None:
        await self.tts.synthesize(items(PARTS))

    async def stream(self) -> None:
        async with contextlib.aclosing(self.tts.stream_synthesize(items(PARTS))) as stream:
            async for pcm in stream:
                self.track.heard += pcm

    async def interrupt(self) -> None:
        await self.tts.interrupt()
        self.silent_from = len(self.track.heard)

    async def close(self) -> None:
        await self.tts.aclose()
        self.silent_from = len(self.track.heard)

    async def interrupt_and_speak(self) -> None:
        await self.interrupt()
        self.tts.audio_track = track = RecordingTrack()
        await self.tts.synthesize(AGAIN)
        assert is_whole(track, tone(AGAIN))

    async def cancel(self) -> None:
        assert self.speaking is not None
        self.speaking.cancel()

    async def cancel_and_close(self) -> None:
        await self.cancel()
        await self.close()

    async def close_twice(self) -> None:
        await asyncio.gather(self.close(), self.tts.aclose())

    async def lose_the_server(self) -> None:
        await self.waves.close_connections("reset")


@dataclass(frozen=True)
class Deed:
    """What a caller does, and what it may mean to the reply.

    Attributes:
        act: Does it.
        speak: How the reply is asked for.
        whole: Whether the reply is heard whole all the same.
        cancels: Whether the reply may end as cancelled.
        refused: Whether the server refuses the reply.
    """

    act: Callable[[Scene], Awaitable[None]]
    speak: Callable[[Scene], Awaitable[None]] = Scene.speak
    whole: bool = False
    cancels: bool = False
    refused: bool = False


DEEDS: dict[str, Deed] = {
    "prewarm": Deed(lambda scene: scene.tts.prewarm(), whole=True),
    "interrupt": Deed(Scene.interrupt),
    "interrupt and speak": Deed(Scene.interrupt_and_speak),
    "aclose": Deed(Scene.close),
    "aclose twice": Deed(Scene.close_twice),
    "cancel": Deed(Scene.cancel, cancels=True),
    "cancel and aclose": Deed(Scene.cancel_and_close, cancels=True),
    "connection lost": Deed(Scene.lose_the_server, whole=True),
    "interrupt as it fails": Deed(Scene.interrupt, refused=True),
    "cancel as it fails": Deed(Scene.cancel, cancels=True, refused=True),
    "leave a stream as it fails": Deed(Scene.cancel, Scene.stream, cancels=True, refused=True),
    "aclose as it fails": Deed(Scene.close, refused=True),
    "leave a stream": Deed(Scene.cancel, Scene.stream, cancels=True),
    "aclose in a stream": Deed(Scene.close, Scene.stream),
}


async def play(deed: Deed, route: str, moment: int | None) -> int:
    """Do something at a moment of a reply. Returns how many moments the reply had."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PickyLoop)
    async with WavesEmulator(voice="tone", idle_timeout=None) as waves:
        tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url, word_timestamps=True, **ROUTES[route])
        scene = Scene(loop, tts, waves)
        errors: list[str] = []
        tts.on("error", lambda message: errors.append(message))
        tts.loop = loop
        tts.audio_track = scene.track
        waves.fault = (lambda request: Refuse(400)) if deed.refused else None
        loop.scheduled, loop.moment = 0, moment
        loop.action = scene.begin(deed)
        async with asyncio.timeout(BOUND):
            scene.speaking = asyncio.ensure_future(deed.speak(scene))
            scene.speaking.add_done_callback(lambda _: scene.end())
            (outcome,) = await asyncio.gather(scene.speaking, return_exceptions=True)
        moments, loop.moment = loop.scheduled, None
        loop.action = lambda: None  # aiohttp's server remembers the loop: nothing may hang on it
        await asyncio.sleep(0)  # an action of the last moment begins
        async with asyncio.timeout(BOUND):
            await asyncio.gather(*scene.acting)
        failed = deed.refused and isinstance(outcome, InvalidRequestError)
        cancelled = deed.cancels and isinstance(outcome, asyncio.CancelledError)
        assert outcome is None or failed or cancelled, repr(outcome)
        if failed or not deed.refused:
            assert len(errors) == (failed and deed.speak is Scene.speak)
        else:  # a failure is told at once, and raised a little later: in between the reply may have been ended
            assert len(errors) <= 1
        errors.clear()
        waves.fault = None
        assert deed.whole or failed or scene.ended_at - scene.acted_at < PROMPT
        assert is_beginning(scene.track, tone(TEXT))
        assert is_whole(scene.track, tone(TEXT)) or not deed.whole
        tts.audio_track = again = RecordingTrack()
        async with asyncio.timeout(BOUND):
            await tts.synthesize(AGAIN)
        assert is_whole(again, tone(AGAIN))
        assert scene.silent_from in (None, len(scene.track.heard)), "a byte more after an interrupt or a close"
        assert errors == []
        async with asyncio.timeout(BOUND):
            await tts.aclose()
    await asyncio.sleep(0.01)  # sockets close a turn later
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return moments


def run(deed: Deed, route: str, moment: int | None, complaints: list[Any]) -> int:
    with asyncio.Runner(loop_factory=PickyLoop) as runner:
        loop = runner.get_loop()
        loop.complaints = complaints  # type: ignore[attr-defined]
        return runner.run(play(deed, route, moment))


@pytest.mark.parametrize("step", [None, pytest.param(1, marks=pytest.mark.soak)], ids=["some", "each"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", DEEDS)
def test_nothing_hangs_leaks_or_is_lost_at_any_moment(name: str, route: str, step: int | None) -> None:
    gc.freeze()  # the framework collects garbage in every `aclose`; what is here by now need not be looked at
    deed = DEEDS[name]
    complaints: list[dict[str, Any]] = []
    moments = run(replace(deed, whole=not deed.refused), route, None, complaints)
    for moment in range(1, moments + 1, step or max(1, moments // MOMENTS)):
        try:
            run(deed, route, moment, complaints)
        except BaseException as error:
            error.add_note(f"{name}, {route}, moment {moment} of {moments}")
            raise
    gc.collect()  # tasks and sessions that nobody looked after complain when they are collected
    assert complaints == []
