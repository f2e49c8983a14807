"""Gets the speech of one segment, however many attempts it takes. Transports raise; here it is decided."""

from __future__ import annotations

import asyncio

from .account import Account
from .errors import RateLimitError, SmallestAIError
from .passage import Link, Passage
from .retry import NoAudioError, RetryPolicy
from .signals import Signal

__all__ = ["Fetcher"]


class Fetcher:
    """Fetches the segments of one reply.

    Args:
        link: How the service is reached.
        account: The requests of this instance.
        changed: Told of whatever the reply's player may wait for.
    """

    def __init__(self, link: Link, account: Account, changed: Signal) -> None:
        self._link = link
        self._account = account
        self._changed = changed
        self._clock = asyncio.get_running_loop().time

    async def open(self) -> None:
        """Find out that the service is there, before any text is taken.

        Raises:
            SmallestAIError: It is not, and one more try did not help.
        """
        policy = RetryPolicy()
        while True:
            error = await self._try_open()
            if error is None:
                return
            delay = policy.delay(error, new_audio=False)
            if delay is None:
                raise policy.first or error
            await asyncio.sleep(delay)

    async def fetch(self, passage: Passage, previous: Passage | None) -> None:
        """Fetch one segment into its passage; never raises, but notes the failure there.

        Args:
            passage: The segment.
            previous: The one before, which is always sent first: a server may serve in the order of arrival.
        """
        policy = RetryPolicy()
        while not passage.over:
            while previous is not None and self._must_follow(previous):
                await self._changed.wait()
            error = await self._attempt(passage)
            if error is None:
                passage.complete = True
            else:
                passage.sent_at = None
                await self._decide(passage, error, policy)
            self._changed.notify()

    def _must_follow(self, previous: Passage) -> bool:
        return not previous.over and (previous.sent_at is None or not self._link.runs_ahead)

    async def _decide(self, passage: Passage, error: SmallestAIError, policy: RetryPolicy) -> None:
        if isinstance(error, RateLimitError) and await self._account.wait_for_own():
            return
        delay = policy.delay(error, new_audio=passage.new_audio)
        if delay is None:
            passage.error = policy.first or error
        elif delay:
            self._changed.notify()
            await asyncio.sleep(delay)

    async def _try_open(self) -> SmallestAIError | None:
        try:
            await self._link.open()
        except SmallestAIError as error:
            return error
        return None

    async def _attempt(self, passage: Passage) -> SmallestAIError | None:
        passage.begin_attempt()
        slot = passage.slot = self._account.begin()
        try:
            try:
                passage.request = await self._link.send(passage.text, passage.hear, slot.free)
            except BaseException:
                slot.free()
                raise
            passage.sent_at = self._clock()
            self._changed.notify()
            await passage.request.wait()
        except SmallestAIError as error:
            return error
        if not passage.attempt_bytes:
            return NoAudioError("The service said that the speech is complete, and sent no audio. Check voice_id")
        return None
