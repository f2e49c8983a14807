"""Where the audio of one voice goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from videosdk.agents import TTS

from .. import framework
from .attempt import Attempt
from .gate import Gate, QueueTrack

__all__ = ["Outlet"]


class Outlet:
    """Where the audio of one voice goes: through its gate to the track or, of some streams, into a queue.

    A voice that inherits the framework's `stream_synthesize` speaks its streams too into its one audio track, and
    their errors are lost. For a stream such a voice is given a queue in the place of the track; so it speaks one
    text at a time.

    Args:
        voice: The voice.
        gate: As the attribute.

    Attributes:
        gate: Stands between the voice and the track.
        attempt: What such a voice speaks now. ``None`` while it speaks nothing, and always for other voices.
    """

    def __init__(self, voice: TTS, gate: Gate) -> None:
        self.gate = gate
        self.attempt: Attempt | None = None
        self._voice = voice
        self._queue: QueueTrack | None = None
        self._one_at_a_time = getattr(type(voice), "stream_synthesize", None) is TTS.stream_synthesize
        self._turn = asyncio.Lock()

    def renewed(self) -> Outlet:
        """The same for another event loop."""
        return Outlet(self._voice, self.gate)

    @property
    def bytes_per_second(self) -> int:
        """Of its audio."""
        rate, channels, _ = framework.track_format(self.gate.track)
        return (rate or int(self._voice.sample_rate)) * channels * framework.SAMPLE_WIDTH

    def set_track(self, track: Any) -> None:
        """Have the voice speak into this track; what it speaks into a queue still goes there."""
        self.gate.track = track
        self._give_track()

    async def speak(self, attempt: Attempt, overrides: dict[str, Any]) -> None:
        """Let the voice speak into the track."""
        async with self._turn_of(attempt):
            if not attempt.reply.stopped:
                self.gate.open(attempt)
                await self._voice.synthesize(attempt.text, **overrides)

    async def stream(self, attempt: Attempt, overrides: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """Let the voice speak into an iterator.

        Raises:
            BaseException: What it has failed with.
        """
        if not self._one_at_a_time:
            audio = self._voice.stream_synthesize(attempt.text, **overrides)
            try:
                async for pcm in audio:
                    yield pcm
            finally:
                if hasattr(audio, "aclose"):  # an iterator that is no generator has none
                    await audio.aclose()
            return
        queue = QueueTrack(self.gate.track)
        speaking = asyncio.ensure_future(self._speak_into(queue, attempt, overrides))
        speaking.add_done_callback(lambda _: queue.audio.put_nowait(None))
        try:
            while (pcm := await queue.audio.get()) is not None:
                yield pcm
            if (error := speaking.result()) is not None:
                raise error
        finally:
            speaking.cancel()
            await asyncio.wait({speaking})

    async def _speak_into(
        self, queue: QueueTrack, attempt: Attempt, overrides: dict[str, Any]
    ) -> BaseException | None:
        """Let the voice speak into a queue. Returns what it has failed with."""
        async with self._turn_of(attempt):
            self._queue = queue
            self._give_track()
            if getattr(self._voice, "loop", None) is None:  # outside a pipeline, which sets it
                self._voice.loop = asyncio.get_running_loop()
            try:
                return await attempt.run(self._voice.synthesize(attempt.text, **overrides))
            finally:
                self._queue = None
                self._give_track()

    @asynccontextmanager
    async def _turn_of(self, attempt: Attempt) -> AsyncIterator[None]:
        async with self._turn if self._one_at_a_time else nullcontext():
            self._voice.on_first_audio_byte(attempt.first_byte)
            self._voice.reset_first_audio_tracking()
            self.attempt = attempt if self._one_at_a_time else None
            try:
                yield
            finally:
                self.attempt = None

    def _give_track(self) -> None:
        self._voice.audio_track = self._queue or (None if self.gate.track is None else self.gate)
