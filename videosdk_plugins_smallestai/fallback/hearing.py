"""What the listener still hears of the replies, by which voices, and whose the words are that a voice tells."""

from __future__ import annotations

import asyncio
from typing import Any

from videosdk.agents import TTS

from ..playhead import Playhead
from .attempt import Attempt, Reply

__all__ = ["Hearing"]


class Hearing:
    """The replies of which the listener may still hear something, or be told words.

    Attributes:
        playhead: What is still to be heard of them all.
        paused: Whether the listener hears nothing at present.
        replies: In order; the newest has begun last.
    """

    def __init__(self) -> None:
        self.playhead = Playhead(_now)
        self.paused = False
        self.replies: list[Reply] = []

    def begin(self, attempt: Attempt) -> None:
        """An attempt begins."""
        reply = attempt.reply
        if reply not in self.replies[-1:]:
            self.replies = [*(each for each in self.replies if each.lingers and each is not reply), reply]
        if self.paused:
            attempt.pause()

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self.paused = True
        self.playhead.pause()
        for reply in self.replies:
            reply.pause()

    def resume(self) -> None:
        """The listener hears again."""
        self.paused = False
        self.playhead.resume()
        for reply in self.replies:
            reply.resume()

    def drop(self) -> None:
        """The listener hears nothing more of them, and a pause is over."""
        self.paused = False
        self.playhead.drop()

    @property
    def voices(self) -> list[TTS]:
        """Those of which something may still be heard."""
        attempts = (attempt for reply in self.replies for attempt in reply.attempts)
        return [attempt.voice for attempt in attempts if attempt.heard or attempt.running]

    def whose(self, index: int, event: dict[str, Any]) -> Attempt | None:
        """Whose word a voice tells: that of the first attempt with whose text it goes on, else of its last.

        After a barge-in the next reply may begin as the stopped one did: the word is then of the next.
        """
        attempts = sorted(self._attempts(index), key=lambda attempt: attempt.reply.stopped)
        going_on = (attempt for attempt in attempts if attempt.goes_on_with(event))
        return next(going_on, self.last(index))

    def last(self, index: int) -> Attempt | None:
        """The last attempt of a voice."""
        return next(reversed(self._attempts(index)), None)

    def _attempts(self, index: int) -> list[Attempt]:
        return [attempt for reply in self.replies for attempt in reply.attempts if attempt.index == index]


def _now() -> float:
    return asyncio.get_running_loop().time()
