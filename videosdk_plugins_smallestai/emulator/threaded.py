"""An emulator that runs in a thread with an event loop of its own, for tests with or without asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from .records import SpeechRequest
from .server import WavesEmulator

T = TypeVar("T")


class ThreadedWavesEmulator(WavesEmulator):
    """A `WavesEmulator` whose methods may be awaited in any event loop, while `thread` is entered."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def thread(self) -> Iterator[None]:
        """Serve until the block ends.

        Raises:
            OSError: The port is in use.
            VoiceUnavailable: The voice is not installed.
            Exception: At the end, as `stop`.
        """
        loop = self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name="waves-emulator", daemon=True)
        thread.start()
        try:
            self._submit(super().start()).result()
            yield
        finally:
            try:
                self._submit(super().stop()).result()
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                self._loop = None

    async def request(self, number: int) -> SpeechRequest:
        """As in `WavesEmulator`."""
        return await asyncio.wrap_future(self._submit(super().request(number)))

    async def idle(self) -> None:
        """As in `WavesEmulator`."""
        await asyncio.wrap_future(self._submit(super().idle()))

    async def start(self) -> None:
        """As in `WavesEmulator`."""
        await asyncio.wrap_future(self._submit(super().start()))

    async def stop(self) -> None:
        """As in `WavesEmulator`."""
        await asyncio.wrap_future(self._submit(super().stop()))

    async def close_connections(self, how: Literal["close", "reset", "idle"] = "close") -> None:
        """As in `WavesEmulator`."""
        await asyncio.wrap_future(self._submit(super().close_connections(how)))

    def _submit(self, doing: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            doing.close()
            raise RuntimeError("the emulator's thread is over")
        return asyncio.run_coroutine_threadsafe(doing, self._loop)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
