"""Runs one reply: feeds the machine its events one at a time, and carries its effects out.

Nothing else calls the machine.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import SmallestAIError
from ..log import Log
from ..playback.player import Player
from ..playback.sinks import FRAME_SECONDS
from ..text.segmenter import ReplyText
from ..timing import Timing
from ..transport.base import Audio, Complete, Failed, Opened, ReplyTransport, Route
from ..words.reply_words import ReplyWords
from . import effects as fx
from .feeds import Inbox, Reader
from .machine import ReplyMachine
from .metrics import ReplyMeter, ReplyMetrics, log_reply

__all__ = ["ReplyDriver"]

SAMPLE_WIDTH = 2
"""Bytes of a sample: the service sends 16-bit PCM."""

_FILL = object()
"""The event, for the driver itself, that late audio may have left a frame unfinished."""


class _Callbacks(NamedTuple):
    """What the reply's caller is told; see `ReplyDriver`."""

    on_failure: Callable[[SmallestAIError], None]
    on_refused: Callable[[float], None]
    on_end: Callable[[ReplyMetrics], None]


def _ignore(told: Any) -> None:
    """Nobody wants to be told."""


class ReplyDriver:
    """Speaks one reply. To be made in a running event loop.

    Args:
        text: The reply's text.
        connect: Makes the reply's transport, which is to post its events to the given callback.
        player: Where the audio goes.
        rate: Sample rate of the service's audio, in Hz.
        speed: How fast the voice speaks.
        timing: The waits.
        route: The one that the settings ask for.
        log: That of the reply.
        words: Tells the reply's words as they are heard; ``None`` where nobody wants them.
        on_failure: Called at once with the error, before it is raised.
        run_alone_until: Until then, by the loop's clock, the account allows no request beside another.
        on_refused: Called when the account refuses a request for being too many, with such a time.
        on_end: Called once with the figures of the reply, however it ends.
    """

    def __init__(
        self,
        text: ReplyText,
        connect: Callable[[Callable[[Any], None]], ReplyTransport],
        player: Player,
        *,
        rate: int,
        speed: float,
        timing: Timing,
        route: Route,
        log: Log | None = None,
        words: ReplyWords | None = None,
        on_failure: Callable[[SmallestAIError], None] | None = None,
        run_alone_until: float = -math.inf,
        on_refused: Callable[[float], None] | None = None,
        on_end: Callable[[ReplyMetrics], None] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._loop)
        self._transport = connect(self._inbox.put)
        self._player = player
        self._words = words
        self._timing = timing
        self._bytes_per_second = rate * SAMPLE_WIDTH
        self._callbacks = _Callbacks(on_failure or _ignore, on_refused or _ignore, on_end or _ignore)
        self._machine = ReplyMachine(
            units_per_second=self._bytes_per_second, speed=speed, timing=timing, run_alone_until=run_alone_until
        )
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None
        self._reader = Reader(text, self._inbox.put)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._stopped = False
        self._lingers = False
        self._meter = ReplyMeter(route, self._loop.time())
        self._log = log or Log()

    async def run(self) -> None:
        """Speak. Returns when all audio has gone to the player's sink, or at once after `stop`.

        Raises:
            SmallestAIError: Speech could not be produced. What was heard until then is an exact beginning.
            BaseException: What the caller's text raised.
        """
        if self._stopped:
            return
        if self._words is not None:
            self._words.start()
        self._inbox.put(fx.Started())
        self._work = asyncio.create_task(self._drive())
        try:
            await asyncio.wait({self._work, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not self._lingers and not self._stopped:
                await asyncio.wait({self._work})
        except asyncio.CancelledError:
            self.stop()
            raise
        if self._work.done() and not self._work.cancelled():
            self._work.result()
        if not self._stopped:
            self._ended.result()

    def stop(self) -> None:
        """End the reply at once. When this returns, no further byte of it reaches the sink.

        `run` returns without waiting until the caller's text has let go: the next reply does not wait for that.
        `wait_closed` does.
        """
        if self._stopped:
            return
        self._stopped = True
        self._lingers = False
        self._player.close()
        if self._words is not None:
            self._words.stop()
        if not self._ended.done():
            self._ended.set_result(None)
            self._tell_figures(None, cancelled=True)
        if self._work is not None and not self._work.done():
            for effect in self._machine.handle(fx.Interrupted(), now=self._loop.time(), buffered=0.0):
                if isinstance(effect, fx.Abandon):
                    self._transport.abandon()
            self._work.cancel()

    def give_up(self, error: SmallestAIError) -> None:
        """Have it fail with this error, and tell what of its text was not heard, if it is being spoken."""
        if self._work is not None:
            self._inbox.put(fx.GivenUp(error))

    async def supersede(self) -> None:
        """End late audio, and fill the last frame: the next reply's first byte is about to be played."""
        if not self._lingers or self._stopped:
            return
        self._lingers = False  # what comes now is counted
        self._inbox.put(fx.Superseded())
        await self._player.finish()
        self._player.close()

    def give_up_late_audio(self) -> None:
        """Give the connection up on which late audio may come."""
        if self._lingers and not self._stopped:
            self._lingers = False
            self._inbox.put(fx.Superseded())
            self._inbox.put(fx.Wake())

    def pause(self) -> None:
        """The listener hears nothing for a while."""
        self._player.pause()
        if self._words is not None:
            self._words.pause()

    def resume(self) -> None:
        """The listener hears the reply again."""
        self._player.resume()
        if self._words is not None:
            self._words.resume()

    async def wait_closed(self) -> None:
        """After `stop`: wait until nothing of it runs any more."""
        if self._work is not None and self._work is not asyncio.current_task():
            await asyncio.wait({self._work})
        if self._words is not None:
            await self._words.aclose()

    @property
    def lingers(self) -> bool:
        """Whether something of it may still come after its end: late audio, or words not yet heard."""
        runs = self._work is not None and not self._work.done()
        return runs or (self._words is not None and self._words.pending)

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stopped

    async def _drive(self) -> None:
        try:
            while not self._machine.over or self._inbox.waiting:
                event = await self._inbox.get()
                if event is _FILL:
                    await self._player.finish()
                    continue
                now = self._loop.time()
                self._count(event, now)
                effects = self._machine.handle(event, now=now, buffered=self._player.remaining)
                for effect in effects:
                    if type(effect) is fx.Play:  # nearly all are
                        await self._play(effect)
                    else:
                        await self._carry_out(effect)
        except Exception as error:
            if not self._ended.done():  # such as a track that fails
                if self._words is not None:
                    self._words.stop()
                self._ended.set_result(None)
                self._tell_figures(error)
                raise
            self._log.exception("late audio could not be played")
        finally:
            self._set_timer(None)
            self._inbox.close()
            await self._transport.aclose()
            await self._reader.aclose()
            self._lingers = False
            if self._machine.dropped:
                self._log.warning(
                    "%.2f s of audio came too late to be played: the server had neither said that the "
                    "segment goes on nor that it was complete, and the next one had begun",
                    self._machine.dropped / self._bytes_per_second,
                )
            self._machine.forget()

    def _count(self, event: Any, now: float) -> None:
        if isinstance(event, Audio):
            self._meter.heard(event.stream, event.server_id, now)
        elif isinstance(event, Opened):
            self._meter.opened(event)
        elif isinstance(event, Complete):
            self._meter.ended(event.stream, event.server_id)
        elif isinstance(event, Failed):
            for stream in event.streams:
                self._meter.failed(stream, event.error.request_id)

    async def _carry_out(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.WakeAt):
            self._set_timer(effect.at)
        elif isinstance(effect, fx.TakeText):
            self._reader.ask()
        elif isinstance(effect, fx.StopText):
            self._reader.stop()
        elif isinstance(effect, fx.Refused):
            self._callbacks.on_refused(effect.alone_until)
        elif isinstance(effect, fx.Emit):
            self._name(effect.error)
            self._callbacks.on_failure(effect.error)
        elif isinstance(effect, fx.SendsAgain):
            self._log.info("asking again after a fault: %s", effect.reason)
        elif isinstance(effect, fx.Begin | fx.End | fx.Restart | fx.PlaceWord | fx.FillFrame):
            await self._tell_playback(effect)
        elif isinstance(effect, fx.Done | fx.Fail):
            await self._end(effect)
        else:
            self._call_transport(effect)

    async def _play(self, effect: fx.Play) -> None:
        gaps = len(self._player.gaps)
        if self._words is not None:
            self._words.add_audio(effect.segment, self._seconds(len(effect.audio)))
        await self._player.write(bytes(effect.audio))
        if len(self._player.gaps) > gaps:
            self._meter.silence(effect.segment, self._player.gaps[-1], self._loop.time())
        if self._ended.done():
            self._set_timer(self._loop.time() + self._timing.silence, _FILL)

    async def _tell_playback(self, effect: fx.Effect) -> None:
        words = self._words
        if isinstance(effect, fx.FillFrame):
            if (self._player.remaining or 0.0) <= FRAME_SECONDS:
                await self._player.fill_frame()
        elif isinstance(effect, fx.End):
            if words is not None:
                words.end(effect.segment)
        elif isinstance(effect, fx.Begin):
            if effect.new_sample:
                self._player.end_segment()
            if words is not None:
                words.begin(effect.segment, effect.text, effect.lead, self._seconds(effect.at))
        elif isinstance(effect, fx.Restart):
            self._meter.resumed()
            if words is not None:
                words.restart(effect.segment)
        elif isinstance(effect, fx.PlaceWord) and words is not None:
            words.place(
                effect.segment,
                effect.word,
                effect.start,
                server_id=effect.server_id,
                heard=self._seconds(effect.heard),
                stream_began=effect.stream_began + self._seconds(effect.before),
            )

    def _call_transport(self, effect: fx.Effect) -> None:
        transport = self._transport
        if isinstance(effect, fx.Send):
            request_id = transport.send(effect.stream, effect.text, joined=effect.joined)
            self._meter.sent(effect.stream, effect.segment, effect.text, request_id, self._loop.time())
        elif isinstance(effect, fx.Open):
            transport.open()
        elif isinstance(effect, fx.CloseStream):
            transport.close_stream(effect.stream)
        elif isinstance(effect, fx.Drop):
            transport.drop(effect.stream)
        elif isinstance(effect, fx.Abandon):
            transport.abandon(broken=effect.broken)
        elif isinstance(effect, fx.Ping):
            transport.ping(effect.stream)
        elif isinstance(effect, fx.MoveOn):
            transport.move_on()
        elif isinstance(effect, fx.Release):
            transport.release()

    async def _end(self, effect: fx.Done | fx.Fail) -> None:
        await self._player.finish()
        if self._words is not None:
            self._words.finish()
        if self._ended.done():
            return
        if isinstance(effect, fx.Done):
            self._lingers = effect.lingers
            if effect.lingers:
                self._transport.linger()
            self._ended.set_result(None)
            self._tell_figures(None)
        else:
            if isinstance(effect.error, SmallestAIError):
                effect.error.unspoken = effect.unspoken
            self._ended.set_exception(effect.error)
            self._ended.exception()  # retrieved, so that asyncio does not warn where `run` was cancelled
            self._tell_figures(effect.error)

    def _name(self, error: SmallestAIError) -> None:
        """Say of an error that was found here, and not by the transport, what was asked."""
        if error.model is None:
            error.model, error.voice_id = self._meter.route.model, self._meter.route.voice_id
            error.request_id = error.request_id or next(reversed(self._meter.request_ids), None)

    def _tell_figures(self, error: BaseException | None, *, cancelled: bool = False) -> None:
        player = self._player
        told = self._meter.metrics(player.first_audio_at, player.seconds, cancelled=cancelled, error=error)
        log_reply(self._log, self._meter.route, told)
        self._callbacks.on_end(told)

    def _seconds(self, size: int) -> float:
        return size / self._bytes_per_second

    def _set_timer(self, at: float | None, event: Any = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at is None else self._loop.call_at(at, self._wake, at, event or fx.Wake())

    def _wake(self, due: float, event: Any) -> None:
        now = self._loop.time()
        if now - due > self._timing.stood_still:
            # What came meanwhile is still in the sockets, and no silence.
            self._set_timer(now + self._timing.catch_up, event)
        else:
            self._timer = None
            self._inbox.put(event)
