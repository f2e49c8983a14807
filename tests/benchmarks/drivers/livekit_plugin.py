"""LiveKit's plugin, streamed to as LiveKit's agents do, into a track that only cuts frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import aiohttp
from livekit.plugins.smallestai import TTS  # type: ignore[import-not-found]

from . import API_KEY, FRAME_BYTES, RATE, VOICE


class PlainTrack:
    """Frames of 20 ms, without the framework's, which is not in this environment: it costs next to nothing."""

    def __init__(self) -> None:
        self.frame_buffer: list[bytes] = []
        self.last_added = 0.0
        self._rest = b""
        self._clock = asyncio.get_running_loop().time

    def add(self, pcm: bytes) -> None:
        """Take audio."""
        self.last_added = self._clock()
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        self.frame_buffer += [pcm[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)]
        self._rest = pcm[whole:]

    def fill(self) -> None:
        """Fill the last frame."""
        if self._rest:
            self.frame_buffer.append(self._rest.ljust(FRAME_BYTES, b"\0"))
            self._rest = b""

    def clear(self) -> None:
        """Drop what waits."""
        self.frame_buffer.clear()
        self._rest = b""

    async def recv(self) -> bytes:
        """The next frame."""
        return self.frame_buffer.pop(0) if self.frame_buffer else bytes(FRAME_BYTES)


class LiveKitVoice:
    """With the plugin's default options, but for the model and the voice, which are everybody's."""

    def __init__(self, base_url: str) -> None:
        self.track = PlainTrack()
        self._session = aiohttp.ClientSession()
        self._tts = TTS(
            api_key=API_KEY,
            model="lightning_v3.1",
            voice_id=VOICE,
            sample_rate=RATE,
            base_url=base_url,
            ws_url=base_url.replace("http", "ws", 1) + "/tts/live",
            http_session=self._session,
        )
        self._speaking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. The plugin does it in the background and does not tell when it is done."""
        self._tts.prewarm()
        await asyncio.sleep(1.0)

    async def speak(self, sentences: Sequence[str]) -> None:
        """One stream; over when it has no more frames."""
        self._speaking = asyncio.current_task()
        async with self._tts.stream() as stream:
            for sentence in sentences:
                stream.push_text(sentence + " ")
            stream.end_input()
            async for event in stream:
                pcm = bytes(event.frame.data)
                # An end that has no audio of its own is marked by 10 ms of silence.
                if not (event.is_final and pcm == bytes(len(pcm))):
                    self.track.add(pcm)
        self.track.fill()

    async def interrupt(self) -> None:
        """Cancel the task that reads the stream, as LiveKit's agents do; the stream then closes itself."""
        self.track.clear()
        if self._speaking is not None:
            self._speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._speaking
        self.track.clear()

    async def close(self) -> None:
        """Let go."""
        await self._tts.aclose()
        await self._session.close()


def make(base_url: str) -> LiveKitVoice:
    """LiveKit's plugin."""
    return LiveKitVoice(base_url)
