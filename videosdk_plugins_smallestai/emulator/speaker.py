"""What one WebSocket connection is asked to speak: its messages, taken and served."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Literal

from . import catalogue, refusals
from .base_speaker import BaseSpeaker, Link
from .catalogue import Model
from .channel import JobSink, Lane
from .continuations import Context, continues, flushes
from .delivery import deliver, sleep_until
from .faults import Break
from .orders import Order, check, fragment, unified_model
from .records import Outcome
from .refusals import Refusal
from .service import Job


class Speaker(BaseSpeaker):
    """Serves requests, and the fragments of continuations.

    Args:
        link: The connection.
        model: The route's model; ``None`` on the unified route, where each message names its own.
    """

    def __init__(self, link: Link, model: Model | None) -> None:
        super().__init__(link)
        self._model = model
        self._jobs: list[Job] = []
        self._contexts: dict[str | None, Context] = {}
        self._holding: set[Context] = set()
        self._shared_id = link.service.next_id("task")

    async def take(self, body: dict[str, Any]) -> None:
        """Take a message from the client."""
        if self._model is not None and "context_id" in body:
            # The per-model routes know no contexts: the field is ignored.
            body = {name: value for name, value in body.items() if name != "context_id"}
        name = body.get("context_id")
        context = self._contexts.get(name) if isinstance(name, str | None) else None
        if body.get("context_close") is True:
            if context is not None:
                context.close()
                self._look_at_slot(context)
        elif continues(body, context):
            await self._take_fragment(body, context)
        elif body.get("text") != "":
            await self._take_request(body, lambda: self._check_plain(body))

    @property
    def _account(self) -> str:
        return self._record.headers.get("authorization", "")

    def let_go(self, outcome: Outcome) -> None:
        """Give every open request its outcome: the connection has ended, and every context on it."""
        for job in list(self._jobs):
            self._finish(job, outcome)
        for context in list(self._holding):
            self._free_slot(context)

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
        if context is not None:
            self._hold_slot(context)
        if job.plan.hangup is not None:
            self._finish(job, "broken")
            self._end(job.plan.hangup.how)
        elif self._channel.silent or job.plan.mute:
            job.abandon()
        else:
            self._spawn(self._serve(job, context))
        return True

    def _check_plain(self, body: dict[str, Any]) -> Order:
        if self._settings.serving == "refused" and self._jobs:
            raise refusals.busy()
        return self._check(body)

    def _check(self, body: dict[str, Any], text: str | None = None) -> Order:
        model = self._model or unified_model(body, self._service.reading)
        name = model.name if self._model else str(body.get("model", catalogue.UNIFIED_DEFAULT))
        if name in self._settings.retired:
            # A unified route's handshake could not know the model: whatever is set is told by a frame.
            raise refusals.retired(name, "MODEL_DEPRECATED")
        return check(body, model, self._service.reading, unified=self._model is None, text=text)

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
            if context is not None:
                context.discard()
                self._cut_short(context)
            return
        if context is None or context.closed:
            name = body.get("context_id")
            context = self._contexts[name] = Context(older=name is None)
        context.add(body, order)
        due = context.due(self._settings.merge_within)
        if flushes(body) or due <= asyncio.get_running_loop().time():
            await self._release(context)
        elif due < math.inf:
            self._spawn(self._release_at(context, due))
        self._look_at_slot(context)
        if context.closed and context.resting and context.releases and self._policy(context) == "context":
            self._spawn(self._complete_context(context))

    def _cut_short(self, context: Context) -> None:
        """Stop a cancelled context's audio, where the service does that."""
        if self._settings.cancel == "audio":
            for job in self._jobs:
                if job.owner is context:
                    job.cut_short()

    async def _release_at(self, context: Context, due: float) -> None:
        """Release what is buffered at a ``loop.time()``, unless that was done earlier and newer text is not due."""
        await sleep_until(due)
        try:
            if context.due(self._settings.merge_within) <= due:
                await self._release(context)
        except ConnectionError:
            self._end("client")

    async def _release(self, context: Context) -> None:
        async with context.turn:
            text, body = context.take(), context.body
            if not text:
                return
            if not await self._take_request(body, lambda: self._check(body, text), text=text, context=context):
                context.served()
                self._look_at_slot(context)

    def _hold_slot(self, context: Context) -> None:
        """Count a context as in progress, beyond its releases."""
        if self._settings.context_slot != "served" and context not in self._holding:
            self._service.slots.take(self._account, context, None)
            self._holding.add(context)

    def _free_slot(self, context: Context) -> None:
        if context in self._holding:
            self._holding.remove(context)
            self._service.slots.free(self._account, context)

    def _look_at_slot(self, context: Context) -> None:
        """Free a context's slot, or see to it that it will be, if its time has come."""
        freed = self._settings.context_slot
        if not context.resting or context not in self._holding:
            return
        if freed == "closed":
            if context.closed:
                self._free_slot(context)
        elif freed != "served":
            self._spawn(self._free_slot_later(context, freed))

    async def _free_slot_later(self, context: Context, seconds: float) -> None:
        releases = context.releases
        await asyncio.sleep(seconds)
        if releases == context.releases:
            self._free_slot(context)

    async def _serve(self, job: Job, context: Context | None) -> None:
        request_id = self._server_id(context)
        lane = self._lane
        if self._settings.serving == "interleaved":
            lane = Lane() if context is None else context.lane
        try:
            async with lane.turn(job.request.received) as turn:
                broken = await self._send_audio(job, turn, request_id)
            if context is not None:
                context.served()
                self._look_at_slot(context)
            if job.plan.frames.instead is not None:
                self._finish(job, "served")
            elif broken is not None:
                self._break_off(job, broken)
            else:
                await self._end_request(job, context, request_id)
        except ConnectionError:
            self._end("client")

    def _server_id(self, context: Context | None) -> str:
        """Return the server's own id of a request or a release."""
        if context is not None and self._settings.context_ids == "connection":
            return self._shared_id
        return self._service.next_id("task")

    async def _send_audio(self, job: Job, turn: float, request_id: str) -> Break | None:
        """Send a request's audio, or what a fault sends instead; return the break that has come due."""
        instead = job.plan.frames.instead
        if instead is None:
            absolute = self._settings.words == "absolute"
            sink = JobSink(self._channel, job, request_id, absolute=absolute)
            return await deliver(job, self._settings, sink, turn)
        await sleep_until(turn + self._settings.first_audio)
        for frame in [instead] if isinstance(instead, str | bytes) else instead:
            await self._channel.send(frame)
        return None

    def _break_off(self, job: Job, broken: Break) -> None:
        self._finish(job, "broken")
        if broken.how != "silence":
            self._end(broken.how)
            return
        self._channel.fall_silent()
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
            ids = not job.plan.no_ids.complete
            await self._channel.send_status("complete", request_id, job.request.body, ids=ids)
            job.complete()
        for frame in job.plan.frames.after:
            await self._channel.send(frame)
        self._finish(job, "served")
        if job.request.completed is not None and self._closes_after(context):
            self._end("close")

    def _closes_after(self, context: Context | None) -> bool:
        """Return whether the connection is closed after the ``complete`` of a request or of a context."""
        closes = self._settings.close_after_complete
        if closes != "unified":
            return closes
        plain = context is None or context.older
        contexts_open = any(not other.older and not other.closed for other in self._contexts.values())
        return self._model is None and plain and not contexts_open

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
        return policy == "release" or (policy == "context" and context.closed and context.resting)

    def _policy(self, context: Context) -> Literal["release", "context"] | None:
        policy = self._settings.context_complete
        return "context" if policy == "release" and context.older else policy

    async def _complete_context(self, context: Context) -> None:
        """Complete a continuation that was closed after its last release had been sent."""
        if not await self._wait_to_complete(context.order):
            return
        try:
            await self._channel.send_status("complete", self._server_id(context), context.body)
        except ConnectionError:
            self._end("client")

    def _finish(self, job: Job, outcome: Outcome) -> None:
        job.finish(outcome)
        self._jobs.remove(job)
