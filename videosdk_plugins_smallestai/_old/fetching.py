"""Gets the speech of one segment, however many attempts it takes. Transports raise; here it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

from ..errors import APIConnectionError, ModelRetiredError, RateLimitError, SmallestAIError
from .account import Account, Slot
from .passage import JoinedRequest, Link, Passage
from .retry import NoAudioError, RetryPolicy
from .signals import Signal

__all__ = ["Fetcher"]


HELD_BACK_CHECK = 0.1
"""Seconds between looks at whether a part counts as spoken."""

NEEDED_SOON = 1.0
"""Seconds left to hear at which a part is not held back: its first audio may take most of that."""


class Fetcher:
    """Fetches the segments of one reply.

    Args:
        link: How the service is reached.
        account: The requests of this instance.
        changed: Told of whatever the reply's player may wait for.
        remaining: Tells the seconds that the listener still has to hear; ``None`` where nobody listens.
    """

    def __init__(
        self,
        link: Link,
        account: Account,
        changed: Signal,
        remaining: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._link = link
        self._account = account
        self._changed = changed
        self._remaining = remaining
        self._clock = asyncio.get_running_loop().time
        self._passages: list[Passage] = []

    async def open(self) -> None:
        """Find out that the service is there, before any text is taken.

        Raises:
            SmallestAIError: It is not, and one more try did not help.
        """
        policy = RetryPolicy()
        while True:
            moves = self._link.route.moves
            error = await self._try_open()
            if error is None:
                return
            if isinstance(error, ModelRetiredError) and self._link.route.move_on(moves):
                continue
            delay = policy.delay(error, new_audio=False)
            if delay is None:
                self._link.route.failed()
                raise policy.first or error
            await asyncio.sleep(delay)

    async def fetch(self, passage: Passage, previous: Passage | None) -> None:
        """Fetch one segment into its passage; never raises, but notes the failure there.

        Args:
            passage: The segment.
            previous: The one before, which is always sent first: a server may serve in the order of arrival.
        """
        self._passages.append(passage)
        policy = RetryPolicy()
        while not passage.over:
            while previous is not None and self._must_follow(previous):
                await self._changed.wait()
            moves = self._link.route.moves
            error = await self._attempt(passage)
            if passage.attempt_bytes:
                self._link.route.spoke()
            if error is None or passage.delivered:  # what fails after all was heard is no failure
                passage.complete = True
            else:
                passage.sent_at = None
                await self._decide(passage, error, policy, moves)
            self._changed.notify()

    def close(self) -> None:
        """All has been fetched, or given up."""
        self._passages.clear()

    def _was_bystander(self, passage: Passage, error: SmallestAIError) -> bool:
        """Whether the connection broke while it was another segment's turn on it, whose failure it is."""
        return (
            not self._link.ends_are_told
            and isinstance(error, APIConnectionError)
            and not error.opening
            and passage.in_line_at is None
            and not passage.new_audio
        )

    def _make_way(self, passage: Passage) -> bool:
        """Stop what was sent ahead, should it be in the way of a segment that must be heard before it.

        It cannot be waited for: where ends are guessed, it ends only when it has been heard.
        """
        if self._link.ends_are_told:
            return False
        ahead = self._passages[self._passages.index(passage) + 1 :]
        in_the_way = [p for p in ahead if p.request is not None and p.sent_at is not None and not p.over]
        for later in in_the_way:
            if later.request is not None:
                later.sent_at = None
                later.request.abort()
        return bool(in_the_way)

    def _must_follow(self, previous: Passage) -> bool:
        if previous.over:
            return False
        if previous.refused and not previous.new_audio:
            return True  # sent together, it might be this one that is in its way
        if self._link.ends_are_told and not previous.answered:
            return True  # each has a connection of its own, on which it could overtake
        return previous.sent_at is None or not self._link.runs_ahead

    async def _decide(self, passage: Passage, error: SmallestAIError, policy: RetryPolicy, moves: int) -> None:
        if isinstance(error, ModelRetiredError) and self._link.route.move_on(moves):
            return
        passage.refused = isinstance(error, RateLimitError)
        if passage.refused and (self._make_way(passage) or await self._account.wait_for_own()):
            return
        if self._was_bystander(passage, error):
            return
        delay = policy.delay(error, new_audio=passage.new_audio)
        if delay is None:
            passage.error = policy.first or error
            self._link.route.failed()
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
                on_end = partial(self._over, slot) if self._link.joins else slot.free
                passage.request = await self._link.send(passage.text, passage.hear, on_end)
            except BaseException:
                slot.free()
                raise
            passage.sent_at = self._clock()
            self._changed.notify()
            if self._link.joins:
                await self._send_parts(passage, cast(JoinedRequest, passage.request))
            await passage.request.wait()
        except SmallestAIError as error:
            return error
        if not passage.attempt_bytes:
            return NoAudioError("The service said that the speech is complete, and sent no audio. Check voice_id")
        return None

    async def _send_parts(self, passage: Passage, request: JoinedRequest) -> None:
        """Send the segments of a joined reply as they come. The request may fail meanwhile."""
        while not request.ended:
            remaining = self._remaining()
            urgent = remaining is not None and remaining < NEEDED_SOON
            part = passage.next_part(urgent=urgent)
            if part is not None:
                await request.add(part)
                passage.sent_at = self._clock()
                self._changed.notify()
            elif passage.unsent:  # held back
                await self._changed.wait(HELD_BACK_CHECK)
            elif passage.closed:
                await request.close()
                passage.end_sent = True
                if not passage.delivered:  # else there is nothing that the server was waiting to release
                    passage.sent_at = self._clock()
                self._changed.notify()
                return
            else:
                await self._changed.wait()

    def _over(self, slot: Slot) -> None:
        """A request whose text comes in parts is over: who waits to send the next one must know."""
        slot.free()
        self._changed.notify()
