"""The replies of one object: on its track one speaks at a time, and each is heard to its last word."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator

from ..errors import APITimeoutError
from ..playback.sinks import QueueSink
from ..playhead import Playhead
from .driver import ReplyDriver

__all__ = ["Replies"]


class Replies:
    """Runs replies.

    Attributes:
        listener: What the listener still has to hear of them; another one after an interruption.
        run_alone_until: Until then, by the loop's clock, the account allows no request beside another.
    """

    def __init__(self) -> None:
        self.run_alone_until = -math.inf
        self.listener = Playhead(_now)
        self._turn = asyncio.Lock()
        self._on_track: set[ReplyDriver] = set()  # speaking, or waiting for their turn
        self._streaming: set[ReplyDriver] = set()
        self._lingering: set[ReplyDriver] = set()  # sent to the track, with late audio or words still to come
        self._paused = False
        self._stops = 0  # so often were all on the track stopped

    async def wait_turn(self) -> bool:
        """Wait for the replies on the track that were asked for before. Whether none of them was stopped."""
        stops = self._stops
        async with self._turn:
            return self._stops == stops

    async def speak(self, reply: ReplyDriver) -> None:
        """Run a reply on the track, after those that were asked for before. Returns when its audio has gone out.

        Raises:
            BaseException: As `ReplyDriver.run`.
        """
        self._enter(reply, self._on_track)
        try:
            async with self._turn:
                await reply.run()
        except asyncio.CancelledError:
            reply.stop()
            raise
        finally:
            self._on_track.discard(reply)
            self._keep(reply)

    async def stream(self, reply: ReplyDriver, sink: QueueSink, *, live: bool) -> AsyncGenerator[bytes, None]:
        """Run a reply for whoever iterates, beside those on the track.

        Args:
            reply: Is played into the sink.
            sink: Its own.
            live: Whether the caller hears it, so that late audio and words may follow.

        Raises:
            BaseException: As `ReplyDriver.run`.
        """
        self._enter(reply, self._streaming)
        running = asyncio.ensure_future(_run_into(sink, reply))
        try:
            while (pcm := await sink.queue.get()) is not None and not reply.stopped:
                yield pcm
            await running
        finally:
            self._streaming.discard(reply)
            if live and running.done():
                await reply.supersede()  # the consumer has stopped reading: late audio is only counted
                self._keep(reply)  # its words are still to be heard
            else:
                reply.stop()
                await asyncio.wait({running})
                await reply.wait_closed()
            if not running.cancelled():
                running.exception()  # retrieved, so that asyncio does not warn of it

    def give_up(self, reason: str) -> None:
        """Have those on the track fail, with the reason in the error."""
        for reply in self._on_track:
            reply.give_up(APITimeoutError(reason))

    def pause(self) -> None:
        """The listener hears nothing until `resume`."""
        self._paused = True
        self.listener.pause()
        for reply in self._all:
            reply.pause()

    def resume(self) -> None:
        """The listener hears the replies again."""
        self._paused = False
        self.listener.resume()
        for reply in self._all:
            reply.resume()

    def interrupt(self, *, streams: bool) -> None:
        """Stop the replies, those of `stream` only if told. The track is to be emptied and resumed with it."""
        self.listener = Playhead(_now)
        self._paused = False
        self._stops += 1
        for reply in self._all if streams else self._on_track | self._lingering:
            reply.stop()

    async def supersede(self) -> None:
        """End the late audio of earlier replies: a reply's first byte is about to be played."""
        for reply in self._lingering:
            await reply.supersede()

    def make_way(self, run_alone_until: float) -> None:
        """The account has refused a request: what has been played must not hold a place in it.

        Args:
            run_alone_until: Until then it allows no request beside another.
        """
        self.run_alone_until = max(self.run_alone_until, run_alone_until)
        for reply in self._lingering:
            reply.give_up_late_audio()

    def stop(self) -> None:
        """Stop all at once. `wait_closed` is to follow."""
        self._stops += 1
        for reply in self._all:
            reply.stop()

    async def wait_closed(self) -> None:
        """After `stop`: wait until nothing of them runs any more."""
        await asyncio.gather(*(reply.wait_closed() for reply in self._all))
        self._lingering = set()

    @property
    def _all(self) -> set[ReplyDriver]:
        return self._on_track | self._streaming | self._lingering

    def _enter(self, reply: ReplyDriver, replies: set[ReplyDriver]) -> None:
        replies.add(reply)
        if self._paused:
            reply.pause()

    def _keep(self, reply: ReplyDriver) -> None:
        """Let what comes of a reply after its end still be heard: late audio, and its last words."""
        self._lingering = {other for other in self._lingering if other.lingers}
        if reply.lingers:
            self._lingering.add(reply)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _run_into(sink: QueueSink, reply: ReplyDriver) -> None:
    try:
        await reply.run()
    finally:
        sink.queue.put_nowait(None)
