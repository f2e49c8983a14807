"""How many requests this instance has in progress: the account may allow only so many at a time."""

from __future__ import annotations

import asyncio

from .signals import Signal

__all__ = ["Account", "Slot"]

SINGLE_FOR = 60.0
"""Seconds for which no request is sent ahead after the account refused one for being too many."""

HOLD = 5.0
"""Seconds for which a request that was taken for ended may still hold its slot: a `complete` may be four late."""


class Account:
    """The requests of one instance, over all its connections and replies."""

    def __init__(self) -> None:
        self._slots: set[Slot] = set()
        self._single_until = 0.0
        self.changed = Signal()

    @property
    def runs_ahead(self) -> bool:
        """Whether a request may be sent while another is in progress."""
        return asyncio.get_running_loop().time() >= self._single_until

    def begin(self) -> Slot:
        """Note that a request is being sent."""
        slot = Slot(self)
        self._slots.add(slot)
        return slot

    def forget(self, slot: Slot) -> None:
        """A request is over."""
        if slot in self._slots:
            self._slots.remove(slot)
            self.changed.notify()

    async def wait_for_own(self) -> bool:
        """After a refusal: wait for a request of our own that is in the way.

        Returns:
            Whether there was one. If not, somebody else uses the account up.
        """
        busy = [slot for slot in self._slots if slot.released_at is None]
        holding = [slot for slot in self._slots if slot.released_at is not None and slot.hold_left > 0]
        if not busy and not holding:
            return False
        self._single_until = asyncio.get_running_loop().time() + SINGLE_FOR
        if busy:
            while any(slot in self._slots and slot.released_at is None for slot in busy):
                await self.changed.wait()
        else:
            while left := max((slot.hold_left for slot in holding if slot in self._slots), default=0.0):
                await self.changed.wait(left)
        return True


class Slot:
    """One request's place in the account.

    Attributes:
        released_at: When its speaker took it for ended, without the server having said so.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.released_at: float | None = None

    @property
    def hold_left(self) -> float:
        """Seconds for which the server may still count the request as in progress, after its release."""
        return max(0.0, (self.released_at or 0.0) + HOLD - asyncio.get_running_loop().time())

    def release(self) -> None:
        """The request is taken for ended."""
        self.released_at = asyncio.get_running_loop().time()
        self._account.changed.notify()

    def free(self) -> None:
        """The request is over."""
        self._account.forget(self)
