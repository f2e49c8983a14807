"""A listener of whichever `SmallestAITTS` is installed: the framework speaks on its own track, and this plays it.

Run by the comparison in the environment of each plugin; so it needs nothing but the framework. It takes what to do
as JSON on its command line, and prints what it heard as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from videosdk.agents import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration
from videosdk.plugins.smallestai import SmallestAITTS

QUIET = 3.0
"""Seconds without audio after which a reply that has returned is over."""

LIMIT = 60.0
"""Seconds after which a reply that has not ended counts as hung."""


@dataclass
class Reply:
    """What was heard of one reply.

    Attributes:
        pcm: Frames from the first with speech to the last, silence in between left out.
        first_audio: Seconds from the request to it.
        gaps: Seconds of each silence in between.
        error: The type of what was raised.
        frames: When each frame was heard, in seconds since the request.
        ended: Seconds from the request to the return of `synthesize`.
        end_told: Whether the framework learned that the speech is over: what waits for that waits for ever, else.
    """

    pcm: bytearray = field(default_factory=bytearray)
    first_audio: float | None = None
    gaps: list[float] = field(default_factory=list)
    error: str | None = None
    frames: list[float] = field(default_factory=list)
    ended: float = 0.0
    end_told: bool = False

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self) | {"pcm": base64.b64encode(self.pcm).decode()}


class Listener:
    """Plays the track in real time, as a room does."""

    def __init__(self, track: Any) -> None:
        self.reply = Reply()
        self.heard_at = 0.0
        self.asked_at = 0.0
        self._track = track
        self._silence = 0.0

    def begin(self) -> Reply:
        """A reply is asked for now."""
        self.reply = Reply()
        self._silence = 0.0
        self.asked_at = self.heard_at = asyncio.get_running_loop().time()
        return self.reply

    async def hears(self, seconds: float) -> None:
        """Wait until so much of the reply was heard."""
        while len(self.reply.pcm) / 2 / self._track.sample_rate < seconds:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def hears_no_more(self) -> None:
        """Wait until it has been quiet for a while."""
        clock = asyncio.get_running_loop().time
        while clock() - self.heard_at < QUIET and clock() - self.asked_at < LIMIT:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def listen(self) -> None:
        """Hear, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            before, _ = self._track.snapshot_playback()
            frame = await self._track.recv()
            after, _ = self._track.snapshot_playback()
            if after <= before:
                self._silence += frame.samples / self._track.sample_rate
                continue
            if self.reply.first_audio is None:
                self.reply.first_audio = clock() - self.asked_at
            elif self._silence:
                self.reply.gaps.append(self._silence)
            self._silence = 0.0
            self.reply.pcm += frame.to_ndarray().tobytes()
            self.reply.frames.append(clock() - self.asked_at)
            self.heard_at = clock()


async def tokens(text: str) -> AsyncIterator[str]:
    """As a language model gives it."""
    for token in re.findall(r"\s*\S+", text):
        yield token


async def converse(base_url: str, plugin: dict[str, Any], replies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have the replies, one after the other."""
    loop = asyncio.get_running_loop()
    track = CustomAudioStreamTrack(loop)
    tts = SmallestAITTS(api_key="sk_offline", base_url=base_url, **plugin)
    tts.loop = loop
    speech = SpeechGeneration(tts=tts, audio_track=track)
    speech.set_audio_track(track)
    await tts.prewarm()
    listener = Listener(track)
    speech.on("last_audio_byte", lambda _: setattr(listener.reply, "end_told", True))
    listening = asyncio.create_task(listener.listen())
    heard = []
    for wanted in replies:
        await asyncio.sleep(wanted.get("after", 0.0))
        heard.append(await _have(speech, track, listener, wanted))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await tts.aclose()
    return [reply.told() for reply in heard]


async def _have(speech: SpeechGeneration, track: Any, listener: Listener, wanted: dict[str, Any]) -> Reply:
    reply = listener.begin()
    speaking = asyncio.create_task(speech.synthesize(tokens(wanted["text"])))
    interrupt_after = wanted.get("interrupt_after")
    if interrupt_after is not None:
        await listener.hears(interrupt_after)
        await speech.interrupt()
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        return reply
    try:
        async with asyncio.timeout(LIMIT):
            await speaking
    except TimeoutError:
        reply.error = "hung"
    except Exception as error:
        reply.error = type(error).__name__
    reply.ended = asyncio.get_running_loop().time() - listener.asked_at
    await listener.hears_no_more()
    return reply


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asked = json.loads(sys.argv[1])
    told, sys.stdout = sys.stdout, sys.stderr  # the framework prints
    print(json.dumps(asyncio.run(converse(**asked))), file=told)
