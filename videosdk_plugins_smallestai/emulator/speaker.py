"""What one WebSocket connection is asked to speak: its messages, taken and served."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from . import catalogue, refusals
from .catalogue import Model
from .channel import Channel, JobSink, Lane
from .continuations import Context, continues, flushes
from .delivery import deliver, sleep_until
from .faults import Break
from .orders import Order, check, fragment, unified_model
from .records import Connection, Outcome
from .refusals import Refusal
from .service import Job, Service

Ending: TypeAlias = Literal["client", "close", "reset", "idle"]
"""How a connection ends: ``"client"``: it has gone; ``"idle"``: it is timed out; else as a Break."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Speaker:
    """Takes the messages of one connection and serves them.

    Args:
        service: What all connections share.
        record: The connection's entry in the log.
        model: The route's model; ``None`` on the unified route, where each message names its own.
        channel: Where frames go.
        spawn: Starts a task that ends with the connection.
        end: Ends the connection.
    """

    def __init__(
        self,
        service: Service,
        record: Connection,
        model: Model | None,
        channel: Channel,
        spawn: Spawn,
        end: Callable[[Ending], None],
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._record = record
        self._model = model
        self._channel = channel
        self._spawn = spawn
        self._end = end
        self._lane = Lane()
        self._jobs: list[Job] = []
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._contexts: dict[str | None, Context] = {}

    async def take(self, body: dict[str, Any]) -> None:
        """Take a message from the client."""
        context = self._contexts.get(body.get("context_id"))
        if continues(body, context):
            await self._take_fragment(body, context)
        elif body.get("text") != "":
            await self._take_request(body, lambda: self._check(body))

    def let_go(self, outcome: Outcome) -> None:
        """Give every open request its outcome: the connection has ended."""
        for job in list(self._jobs):
            self._finish(job, outcome)

    async def _take_request(
        self,
        body: dict[str, Any],
        check: Callable[[], Order],
        *,
        text: str | None = None,
        context: Context | None = None,
    ) -> bool:
        job = await self._service.accept(
            transport="websocket",
            path=self._record.path,
            headers=self._record.headers,
            body=body,
            text=text,
            connection=self._record.number,
            check=check,
            owner=context,
        )
        if job.refusal is not None:
            if not self._channel.silent:
                await self._channel.refuse(job.refusal, body)
            return False
        self._jobs.append(job)
        if self._channel.silent or job.plan.mute:
            job.abandon()
        else:
            self._tasks[job] = self._spawn(self._serve(job, context))
        return True

    def _check(self, body: dict[str, Any], text: str | None = None) -> Order:
        model = self._model or unified_model(body)
        name = model.name if self._model else str(body.get("model", catalogue.UNIFIED_DEFAULT))
        if name in self._settings.retired:
            # A unified route's handshake could not know the model: whatever is set is told by a frame.
            raise refusals.retired(name, "MODEL_DEPRECATED")
        return check(body, model, unified=self._model is None, text=text)

    async def _take_fragment(self, body: dict[str, Any], context: Context | None) -> None:
        text = body.get("text") or ""

        def check() -> Order:
            return self._check(body, fragment(text))

        try:
            order = check()
        except Refusal:
            # Taken for a request, so that it is refused and written down as one.
            await self._take_request(body, check, text=str(text))
            return
        if body.get("cancel_request"):
            self._cancel(context)
            return
        if context is None or context.closed:
            name = body.get("context_id")
            context = self._contexts[name] = Context(older=name is None)
        context.add(body, order)
        await self._release(context, everything=flushes(body))
        if context.has_text and context.due < math.inf and (context.timer is None or context.timer.done()):
            context.timer = self._spawn(self._release_late(context))
        if context.over and context.spoken and self._policy(context) == "context":
            self._spawn(self._complete_context(context))

    async def _release(self, context: Context, *, everything: bool) -> None:
        async with context.turn:
            text = context.take(everything=everything)
            body = context.body
            if not text.strip():
                return
            context.spoken = True
            context.pending += 1
            if not await self._take_request(body, lambda: self._check(body, text), text=text, context=context):
                context.pending -= 1

    async def _release_late(self, context: Context) -> None:
        while context.has_text:
            await sleep_until(context.due)
            if asyncio.get_running_loop().time() >= context.due:
                await self._release(context, everything=True)

    def _cancel(self, context: Context | None) -> None:
        if context is None:
            return
        # What it still buffers is dropped with it.
        self._contexts = {key: other for key, other in self._contexts.items() if other is not context}
        if context.timer is not None:
            context.timer.cancel()
        for job in [job for job in self._jobs if job.owner is context]:
            if job in self._tasks:
                self._tasks[job].cancel()
            self._finish(job, "cancelled")

    async def _serve(self, job: Job, context: Context | None) -> None:
        request_id = self._service.next_id("task")
        lane = self._lane
        if self._settings.serving == "interleaved":
            lane = Lane() if context is None else context.lane
        try:
            async with lane.turn(job.request.received) as turn:
                if job.plan.frames.instead is not None:
                    await self._send_instead(job, turn)
                    return
                absolute = self._settings.words == "absolute"
                sink = JobSink(self._channel, job, request_id, absolute=absolute)
                broken = await deliver(job, self._settings, sink, turn)
            if context is not None:
                context.pending -= 1
            if broken is not None:
                self._break_off(job, broken)
            else:
                await self._end_request(job, context, request_id)
        except ConnectionError:
            self._end("client")

    async def _send_instead(self, job: Job, turn: float) -> None:
        instead = job.plan.frames.instead
        await sleep_until(turn + self._settings.first_audio)
        for frame in [instead] if isinstance(instead, str | bytes) else instead or ():
            await self._channel.send(frame)
        self._finish(job, "served")

    def _break_off(self, job: Job, broken: Break) -> None:
        self._finish(job, "broken")
        if broken.how != "silence":
            self._end(broken.how)
            return
        self._channel.silent = True
        for other in self._jobs:
            other.abandon()

    async def _end_request(self, job: Job, context: Context | None, request_id: str) -> None:
        if self._settings.slot_freed == "last_chunk":
            job.free_slot()
        # Asked again after the wait: a request that came meanwhile may share the complete.
        if (
            self._completes(job, context)
            and await self._wait_to_complete(job.order)
            and self._completes(job, context)
        ):
            await self._channel.send_status("complete", request_id, job.request.body)
            job.request.completed = asyncio.get_running_loop().time()
        for frame in job.plan.frames.after:
            await self._channel.send(frame)
        self._finish(job, "served")
        if self._settings.close_after_complete and job.request.completed is not None:
            self._end("close")

    async def _wait_to_complete(self, order: Order) -> bool:
        """Wait until ``complete`` is due; ``False`` if it never is."""
        delay = self._settings.complete
        if delay is None:
            return False
        await asyncio.sleep(order.complete_backoff if delay == "asked" else delay)
        return True

    def _completes(self, job: Job, context: Context | None) -> bool:
        if context is None:
            return not self._settings.complete_shared or self._jobs[-1] is job
        policy = self._policy(context)
        return policy == "release" or (policy == "context" and context.over)

    def _policy(self, context: Context) -> Literal["release", "context"] | None:
        policy = self._settings.context_complete
        return "context" if policy == "release" and context.older else policy

    async def _complete_context(self, context: Context) -> None:
        """Complete a continuation that was closed after its last release had been sent."""
        if not await self._wait_to_complete(context.order):
            return
        try:
            await self._channel.send_status("complete", self._service.next_id("task"), context.body)
        except ConnectionError:
            self._end("client")

    def _finish(self, job: Job, outcome: Outcome) -> None:
        job.finish(outcome)
        self._jobs.remove(job)
        self._tasks.pop(job, None)
