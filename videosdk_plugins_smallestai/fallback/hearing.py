"""What the listener still hears of the replies, by which voices, and whose the words are that a voice tells."""

from __future__ import annotations

import asyncio
from typing import Any

from videosdk.agents import TTS

from ..playback.playhead import Playhead
from .attempt import Attempt, Reply

__all__ = ["Hearing"]


class Hearing:
    """The replies of which the listener may still hear something, or be told words.

    Attributes:
        playhead: What is still to be heard of them all.
        replies: In order; the newest has begun last.
    """

    def __init__(self) -> None:
        self.playhead = Playhead(_now)
        self._paused = False
        self.replies: list[Reply] = []
        self._paused_voices: list[TTS] = []

    async def begin(self, attempt: Attempt) -> None:
        """An attempt begins. During a pause it is paused."""
        reply = attempt.reply
        if reply not in self.replies[-1:]:
            self.replies = [*(each for each in self.replies if each.lingers and each is not reply), reply]
        if self._paused:
            attempt.pause()
            await self._pause_voice(attempt.voice)

    async def pause(self, active: TTS) -> None:
        """The listener hears nothing until `resume`, of the active voice either."""
        self._paused = True
        self.playhead.pause()
        for reply in self.replies:
            reply.pause()
        for voice in self._voices(active):
            await self._pause_voice(voice)

    async def resume(self, active: TTS) -> None:
        """The listener hears again."""
        self.playhead.resume()
        voices = self._end_pause(active)
        for reply in self.replies:
            reply.resume()
        for voice in voices:
            await voice.resume()

    def interrupt(self, active: TTS) -> list[TTS]:
        """The listener hears nothing more of them; a pause is over. Returns the voices that are to be told."""
        self.playhead.drop()
        return self._end_pause(active)

    def whose(self, index: int, event: dict[str, Any]) -> Attempt | None:
        """Whose word a voice tells: that of the first attempt with whose text it goes on, else of its last."""
        going_on = (attempt for attempt in self._attempts(index) if attempt.goes_on_with(event))
        return next(going_on, self.last(index))

    def last(self, index: int) -> Attempt | None:
        """The last attempt of a voice."""
        return next(reversed(self._attempts(index)), None)

    def _attempts(self, index: int) -> list[Attempt]:
        return [attempt for reply in self.replies for attempt in reply.attempts if attempt.index == index]

    async def _pause_voice(self, voice: TTS) -> None:
        """Pause a voice. It is resumed with the others, also if it fails before anything of it was heard."""
        self._paused_voices.append(voice)
        await voice.pause()

    def _end_pause(self, active: TTS) -> list[TTS]:
        self._paused = False
        voices = self._voices(active)
        self._paused_voices.clear()
        return voices

    def _voices(self, active: TTS) -> list[TTS]:
        """Those of which something may still be heard, the active one, and those that are paused."""
        attempts = (attempt for reply in self.replies for attempt in reply.attempts)
        heard = [attempt.voice for attempt in attempts if attempt.heard or attempt.running]
        return list(dict.fromkeys([*heard, active, *self._paused_voices]))


def _now() -> float:
    return asyncio.get_running_loop().time()
