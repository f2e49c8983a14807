"""The framework's track, which the bare loop and both plugins for the framework speak into."""

from __future__ import annotations

import asyncio

from videosdk.agents import CustomAudioStreamTrack


class FrameworkTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """Notes when audio came last.

    It does not fade out at an interruption, for that would hide how soon the next reply is there: the framework
    plays 0.4 s of fading before it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self.interrupt_fade_duration = 0.0
        self.last_added = 0.0
        self._clock = loop.time

    async def add_new_bytes(self, audio_data: bytes) -> None:
        """As the framework's."""
        self.last_added = self._clock()
        await super().add_new_bytes(audio_data)
