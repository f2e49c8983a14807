"""The silence watchdog: what to do about a segment when nothing comes and nothing says that it is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ..errors import APITimeoutError
from .connection import LOOK_EVERY
from .ending import COMPLETE_WAIT, SILENCE, SILENCE_LIMIT, Facts, Ruling, is_plausible, judge, likely_end
from .passage import Link, Passage
from .playback import Playback

__all__ = ["SilenceWatchdog"]

logger = logging.getLogger(__name__)

FIRST_AUDIO_TIMEOUT = 10.0
"""Seconds without audio for the request that is first in line, on a WebSocket. The service takes 0.1 to 0.8."""

AMPLE = 1.0
"""Seconds left to hear with which no ruling is due as long as chunks come: the earliest is due with 0.5."""

CALM = 0.5
"""Seconds for which nothing can become due while there is that much to hear, and chunks come: before the earliest
ruling, and before anything is asked of the network. Longer than audio is collected, so that it seldom runs out."""

PROOF_AFTER = 1.0
"""Seconds of silence after which it is found out whether the network is dead. First audio takes less."""

PROOF_LIMIT = 2.0
"""Seconds in which a ping comes back on any network that can carry a call."""


class SilenceWatchdog:
    """Rules on the segments of one reply whose audio has all been played.

    Args:
        link: How the service is reached.
        playback: Where the audio goes.
        speed: How fast the voice speaks.
        passages: The reply's segments so far; grows with it.

    Attributes:
        first_audio_seconds: How long the reply's first request took to bring audio; 0.0 before it did.
    """

    def __init__(self, link: Link, playback: Playback, speed: float, passages: Sequence[Passage]) -> None:
        self.first_audio_seconds = 0.0
        self._link = link
        self._playback = playback
        self._speed = speed
        self._passages = passages
        self._clock = asyncio.get_running_loop().time

    async def rule(self, index: int, *, awaits_text: bool) -> tuple[Ruling, float | None]:
        """Rule on one segment.

        Args:
            index: Its place in the reply.
            awaits_text: Whether the text of a next one is being waited for.

        Returns:
            The ruling, and for `Ruling.WAIT` the seconds after which to ask for another one; ``None`` when only an
            event can change it.
        """
        passage, following = self._passages[index], self._following(index)
        if self._link.ends_are_told:
            return Ruling.WAIT, None
        if self._is_calm(passage):
            return Ruling.WAIT, CALM
        ruling, seconds = self._judge(passage, following, awaits_text)
        if ruling is not Ruling.ASK_AGAIN and not (following and following.waiting):
            ruling, seconds = await self._doubt(passage, ruling, seconds)
        if ruling is Ruling.END_SHORT:
            logger.warning(
                "Smallest AI: only %.2f s of audio for %d characters, and no more when asked again",
                passage.audio_seconds,
                len(passage.text),
            )
        return ruling, seconds

    def silence(self, passage: Passage) -> float:
        """Seconds for which nothing has come, and could have."""
        since = passage.last_chunk_at or 0.0
        if self._link.joins and passage.sent_at is not None and self._playback.first_audio_at is not None:
            # A part that was sent a moment ago has its own time to first audio.
            since = max(since, passage.sent_at + self.first_audio_seconds)
        return max(0.0, self._clock() - since)

    def _is_calm(self, passage: Passage) -> bool:
        """Whether there is nothing to rule on: audio has just come, and there is much to hear. So it mostly is."""
        remaining = self._playback.remaining
        if remaining is None or remaining < AMPLE or passage.last_chunk_at is None or passage.sent_at is None:
            return False
        return self._clock() - passage.last_chunk_at < SILENCE

    def _following(self, index: int) -> Passage | None:
        return self._passages[index + 1] if len(self._passages) > index + 1 else None

    def _judge(self, passage: Passage, following: Passage | None, awaits_text: bool) -> tuple[Ruling, float | None]:
        if passage.sent_at is None or passage.request is None or (self._link.joins and passage.untold):
            return Ruling.WAIT, None  # what is not sent cannot be heard: nothing can be said of the silence
        if self._link.joins and passage.awaits_nothing:  # all had come when the connection was lost
            return (Ruling.END if passage.delivered else Ruling.WAIT), None
        now = self._clock()
        if not passage.attempt_bytes:
            return self._wait_for_first_audio(passage, max(passage.sent_at, passage.in_line_at or now))
        silence = self.silence(passage)
        longest_pause = max(p.longest_pause for p in self._passages)
        if passage.resumes and (patience := _repetition_patience(passage, longest_pause)) > silence:
            return Ruling.WAIT, patience - silence
        if passage.resumes and not passage.caught_up:
            return Ruling.ASK_AGAIN, None
        requested = following is not None and following.sent_at is not None and not following.over
        failed = following is not None and following.error is not None
        ruling, seconds = judge(
            Facts(
                silence=silence,
                longest_pause=longest_pause,
                plausible=not passage.closed or is_plausible(passage.audio_seconds, passage.text, self._speed),
                asked_again=passage.asked_again,
                prompt=passage.request.prompt,
                interleaved=passage.request.interleaved,
                next_waiting=following is not None and following.waiting,
                next_requested=(requested or awaits_text or not passage.closed) and not failed,
                remaining=self._playback.remaining,
            )
        )
        if ruling is Ruling.WAIT and seconds is None and requested and following is not None:
            # This one has probably ended, so the next is first in line.
            return self._wait_for_first_audio(following, now - silence + likely_end(longest_pause))
        return ruling, seconds

    async def _doubt(self, passage: Passage, ruling: Ruling, seconds: float | None) -> tuple[Ruling, float | None]:
        """Believe in an end, and wait long, only on a network that carries: a dead one is as silent as a server."""
        if passage.request is None or passage.sent_at is None:
            return ruling, seconds
        since = max(passage.sent_at, passage.last_chunk_at or 0.0)
        silent = self._clock() - since
        if ruling is Ruling.WAIT and silent < PROOF_AFTER:
            return ruling, _sooner(seconds, PROOF_AFTER - silent)
        unanswered = await passage.request.prove(since)
        if unanswered is None:
            return ruling, seconds
        if unanswered < PROOF_LIMIT:
            return Ruling.WAIT, _sooner(seconds, LOOK_EVERY)
        return Ruling.ASK_AGAIN, None

    def _wait_for_first_audio(self, passage: Passage, since: float) -> tuple[Ruling, float | None]:
        left = max(since, passage.sent_at or since) + FIRST_AUDIO_TIMEOUT - self._clock()
        if left <= 0 and passage.request is not None:
            passage.request.abort(
                APITimeoutError(
                    f"No audio within {FIRST_AUDIO_TIMEOUT:g} s of the request. The service may be overloaded"
                )
            )
            return Ruling.WAIT, None
        return Ruling.WAIT, left


def _repetition_patience(passage: Passage, longest_pause: float) -> float:
    """Seconds of silence after which a repetition, which is known to have had more to say, is ruled upon."""
    if passage.repeated:
        return likely_end(longest_pause)
    return SILENCE_LIMIT if passage.caught_up else COMPLETE_WAIT


def _sooner(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
