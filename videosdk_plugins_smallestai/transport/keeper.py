"""Keeps one idle WebSocket ready for the next reply."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import aiohttp

from ..errors import APIConnectionError, DroppedError, RateLimitError, SmallestAIError
from ..log import Log
from ..timing import Timing
from .base import Habits
from .connection import Connection
from .session import Session
from .wire import Wire

__all__ = ["Backoff", "Keeper", "WireKeeper"]

W = TypeVar("W", bound=Wire)


class WireKeeper(ABC, Generic[W]):
    """Opens connections, lends each to one reply at a time, and keeps at most one idle one ready.

    `_arrange` decides what is to be done in the background. It runs after whatever has changed, and when the timer
    that it sets says so. To be used in one event loop.

    Args:
        session: Where to connect.
        timing: How long a connection is kept ready, and how soon a failed attempt is repeated.
        max_age: Seconds after which an idle connection is replaced; infinite: none is for its age.

    Attributes:
        max_age: As given.
    """

    def __init__(self, session: Session, timing: Timing, max_age: float) -> None:
        self.max_age = max_age
        self._session = session
        self._log = session.log
        self._timing = timing
        self._path = ""  # of the newest reply
        self._idle: W | None = None
        self._lent: dict[W, bool] = {}  # to whether the next reply can have it, so that no other need be opened
        self._opening: dict[asyncio.Task[W], str] = {}
        self._claimed: set[asyncio.Task[W]] = set()  # of them, those whose connection a reply waits for
        self._serving: dict[asyncio.Task[None], W] = {}
        self._unready: set[W] = set()
        self._backoff = Backoff(timing, session.log)
        self._warm_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take_idle(self, path: str, *, ahead: bool = False) -> W | None:
        """Lend the idle connection, if there is one on that route.

        Args:
            path: The route.
            ahead: Whether another one is to be opened now already, since this one serves a single request.
        """
        self._want(path)
        idle = self._idle
        if idle is None or idle.path != path or not idle.usable:
            self._arrange()
            return None
        self._idle = None
        self._lend(idle, ahead=ahead)
        return idle

    async def take(self, path: str, *, ahead: bool = False) -> W:
        """Lend a connection, which is opened if there is none. Arguments as those of `take_idle`.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        idle = self.take_idle(path, ahead=ahead)
        if idle is not None:
            return idle
        unclaimed = (task for task, p in self._opening.items() if p == path and task not in self._claimed)
        opening = next(unclaimed, None) or self._open(path)
        self._claimed.add(opening)
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            left_to_us = opening not in self._opening and not opening.cancelled()
            if left_to_us and opening.exception() is None:
                self._keep(opening.result())
            raise
        finally:
            self._claimed.discard(opening)
        connection = self._outcome(opening)
        if not connection.usable:  # the service has closed it at once, and perhaps said why
            raise connection.reason or APIConnectionError(
                "The service closed the connection as soon as it was open"
            )
        self._lend(connection, ahead=ahead)
        return connection

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return any(connection.usable for connection in self._serving.values())

    def linger(self, connection: W) -> None:
        """Have another connection ready: the next reply may come before this one is given back."""
        if connection in self._lent:
            self._stay_warm()
            self._lend(connection, ahead=True)

    def give_back(self, connection: W) -> None:
        """Take a connection back from a reply: for the next one, or to close it in the middle of something."""
        if connection not in self._lent:
            return  # it has ended meanwhile
        self._stay_warm()
        if not connection.clean:
            connection.drop()
            return
        del self._lent[connection]
        connection.let_go()
        self._keep(connection)

    async def prepare(self, path: str) -> None:
        """Have a connection ready on a route. One that is in use or being opened will do.

        Raises:
            SmallestAIError: It cannot be opened.
        """
        self._want(path)
        opening = self._opening_on(path)
        if opening is None and self._lacks_spare():
            opening = self._open(path)
        if opening is None:
            self._arrange()
            return
        await asyncio.wait({opening})  # not cancelled with one of its callers: a reply may wait for it too
        self._outcome(opening)

    async def aclose(self) -> None:
        """End every connection and task. The keeper can be used again afterwards."""
        self._warm_until = 0.0
        self._arrange()
        tasks = [*self._opening, *self._serving]
        for opening in self._opening:
            opening.cancel()
        for connection in list(self._serving.values()):
            connection.drop()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _arrange(self) -> None:
        """Do what is due in the background, and set the timer for what is due later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        if loop.time() >= self._warm_until:
            idle, self._idle = self._idle, None
            if idle is not None:
                idle.drop()
            return
        due = self._next_attempt()
        if due is not None and due <= loop.time():
            self._open(self._path)
            due = None
        self._timer = loop.call_at(self._warm_until if due is None else min(due, self._warm_until), self._arrange)

    def _next_attempt(self) -> float | None:
        """When a connection is to be opened in the background; ``None``: not as things are."""
        if self._opening_on(self._path) is not None or self._backoff.hopeless:
            return None
        if self._lacks_spare():
            return self._backoff.not_before
        if self._idle is not None:
            return max(self._idle.opened_at + self.max_age, self._backoff.not_before)
        return None

    def _lacks_spare(self) -> bool:
        """Whether the next reply would find no connection."""
        idle = self._idle
        lent = any(reusable and wire.path == self._path for wire, reusable in self._lent.items())
        return (idle is None or not idle.usable or idle.path != self._path) and not lent

    def _opening_on(self, path: str) -> asyncio.Task[W] | None:
        return next((task for task, p in self._opening.items() if p == path), None)

    def _want(self, path: str) -> None:
        """Keep a connection ready on a route, from now on for `Timing.warm_for`."""
        self._path = path
        self._stay_warm()

    def _stay_warm(self) -> None:
        self._warm_until = _now() + self._timing.warm_for

    def _lend(self, connection: W, *, ahead: bool) -> None:
        self._lent[connection] = not ahead
        self._arrange()

    def _keep(self, connection: W) -> None:
        """Have a connection idle that no reply has. Of two the newer one is kept."""
        old = self._idle
        if not connection.usable or connection.path != self._path or _now() >= self._warm_until:
            connection.drop()
        elif old is None or old.path != connection.path or old.opened_at < connection.opened_at:
            self._idle = connection
            if old is not None:
                old.drop()
        else:
            connection.drop()
        self._arrange()

    def _open(self, path: str) -> asyncio.Task[W]:
        self._backoff.attempt()
        task = asyncio.ensure_future(self._connect(path))
        self._opening[task] = path
        task.add_done_callback(self._opened)
        return task

    async def _connect(self, path: str) -> W:
        """Open a connection on which requests may be sent."""
        connection = self._make(await self._session.connect(path), path)
        serving = asyncio.ensure_future(connection.run())
        self._serving[serving] = connection
        serving.add_done_callback(self._served)
        self._unready.add(connection)
        try:
            await connection.ready()
        except BaseException:
            connection.drop()
            raise
        finally:
            self._unready.discard(connection)
        return connection

    @abstractmethod
    def _make(self, socket: aiohttp.ClientWebSocketResponse, path: str) -> W:
        """What is kept, made of an open WebSocket."""

    def _opened(self, task: asyncio.Task[W]) -> None:
        path = self._opening.pop(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None and not isinstance(failure, SmallestAIError):
            self._log.error("opening a connection failed", exc_info=failure)
        try:
            connection = self._outcome(task)
        except SmallestAIError as error:
            self._log.debug("no connection on route %s: %s", path, error)
            self._backoff.fail(_now(), error)
            self._arrange()
            return
        self._log.debug("connected, route %s", path)
        if task not in self._claimed:
            self._keep(connection)

    @staticmethod
    def _outcome(opening: asyncio.Task[W]) -> W:
        """The connection that a task has opened.

        Raises:
            SmallestAIError: It has not.
        """
        if opening.cancelled():
            raise APIConnectionError("The connection was given up while it was being opened")
        error = opening.exception()
        if error is None or isinstance(error, SmallestAIError):
            return opening.result()
        raise APIConnectionError(f"The connection could not be opened ({type(error).__name__})")

    def _ended(self, connection: W) -> None:
        if connection in self._unready:
            return  # the attempt to open it tells why
        self._lent.pop(connection, None)
        if connection is self._idle:
            self._idle = None
            self._log.debug("the idle connection is gone: %s", connection.reason)
        self._backoff.lose(_now(), connection)
        if connection.cancelled:
            self._warm_until = 0.0  # the event loop ends: who opened another would be left in it
        self._arrange()

    def _served(self, task: asyncio.Task[None]) -> None:
        del self._serving[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("serving a connection failed", exc_info=error)


class Keeper(WireKeeper[Connection]):
    """Keeps the WebSocket of requests."""

    def __init__(self, session: Session, timing: Timing, max_age: float) -> None:
        super().__init__(session, timing, max_age)
        self._habits: dict[str, Habits] = {}

    def _make(self, socket: aiohttp.ClientWebSocketResponse, path: str) -> Connection:
        # A barge-in costs the connection: what is known of the server must outlast it.
        habits = self._habits.setdefault(path, Habits())
        return Connection(socket, path, self._session, self._timing, self._ended, habits)


class Backoff:
    """Decides when the next attempt to have a connection ready may be made.

    Attributes:
        not_before: By the loop's clock.
        hopeless: Whether it would be refused again: the service has refused the newest for good.
    """

    def __init__(self, timing: Timing, log: Log) -> None:
        self.not_before = 0.0
        self.hopeless = False
        self._timing = timing
        self._log = log
        self._failures = 0  # since a connection was of use
        self._told: str | None = None

    def attempt(self) -> None:
        """Note that a connection is being opened."""
        self.hopeless = False

    def fail(self, now: float, error: SmallestAIError) -> None:
        """Note that it could not be opened."""
        self.hopeless = not error.retryable
        asked = 0.0
        if isinstance(error, RateLimitError):
            asked = self._timing.rate_retry[0] if error.retry_after is None else error.retry_after
        self._put_off(now, max(asked, self._delay()))

    def lose(self, now: float, connection: Wire) -> None:
        """Note that a connection has ended."""
        steady = connection.brought_audio or now - connection.opened_at >= self._timing.steady_after
        if steady:
            self._failures = 0
            self.not_before = now
        if isinstance(connection.reason, DroppedError):
            return  # by ourselves
        if self._failures == 0 and connection.idle_told:
            delay = 0.0
        elif steady:
            # Of all instances at once, should it be the service that restarts: spread.
            delay = random.uniform(0.0, self._timing.reopen[0])
        else:
            delay = self._delay()
            self._warn(connection.reason)
        self._put_off(now, delay)

    def _delay(self) -> float:
        delays = self._timing.reopen
        return delays[min(self._failures, len(delays) - 1)] * random.uniform(0.75, 1.25)

    def _put_off(self, now: float, delay: float) -> None:
        self._failures += 1
        self.not_before = now + delay

    def _warn(self, reason: SmallestAIError | None) -> None:
        """Log once why the service does not keep a connection open: no reply's error may ever say so."""
        told = str(reason)
        if self._failures and told != self._told:
            self._told = told
            self._log.warning("the service closes each connection soon after it was opened: %s", told)


def _now() -> float:
    return asyncio.get_running_loop().time()
