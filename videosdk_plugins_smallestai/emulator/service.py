"""What all transports share: the requests and connections so far, and who may have how many at once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from . import refusals
from .faults import Plan
from .orders import Order, Reading
from .records import Connection, Outcome, SpeechRequest, Transport
from .refusals import Refusal
from .settings import Settings
from .speech import Speech
from .voices import speak


class Pulse:
    """Wakes everyone who waits for a condition on the emulator's state."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        """Let all waiters look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        while not condition():
            await self._event.wait()


class Job:
    """One speech request being served. It writes the request's record.

    Args:
        service: What all requests share.
        request: The record.
        owner: Requests of the same owner take one slot together.
        order: What is asked for; ``None`` where that was refused.
        speech: What is spoken.
        refusal: Why it is not served, as far as the body tells.
    """

    def __init__(
        self,
        service: Service,
        request: SpeechRequest,
        owner: object,
        order: Order | None,
        speech: Speech,
        refusal: Refusal | None,
    ) -> None:
        self._service = service
        self._account = request.headers.get("authorization", "")
        self._owner = owner
        self._holds_slot = False
        self._cut_short = False
        self._plan = Plan()
        self._refusal = refusal
        self.request = request
        self.order = order or Order(request.text, "")
        self.speech = speech

    @property
    def owner(self) -> object:
        """Whose it is: the continuation, or the request itself."""
        return self._owner

    @property
    def is_cut_short(self) -> bool:
        """Whether no more of its audio is sent."""
        return self._cut_short

    def cut_short(self) -> None:
        """Send no more of its audio."""
        self._cut_short = True

    @property
    def plan(self) -> Plan:
        """Its faults."""
        return self._plan

    @property
    def refusal(self) -> Refusal | None:
        """Why it is not served; ``None`` if it is."""
        return self._refusal

    def admit(self, plan: Plan) -> None:
        """Begin to be served with these faults, or be refused."""
        self._plan = plan
        if plan.refuse is not None:
            self._refusal = refusals.of_fault(plan.refuse)
        if self._refusal is None:
            self._holds_slot = self._service.slots.take(
                self._account, self._owner, self._service.settings.concurrency
            )
            self._refusal = None if self._holds_slot else refusals.busy()
        if self._refusal is not None:
            self.finish("refused")

    def count(self, size: int) -> None:
        """Note that so many bytes of audio have been sent."""
        now = asyncio.get_running_loop().time()
        self.request.sent += size
        self.request.last_sent = now
        if self.request.first_sent is None:
            self.request.first_sent = now

    def complete(self) -> None:
        """Note that ``complete`` has been sent, or that the HTTP body has ended."""
        self.request.completed = asyncio.get_running_loop().time()

    def free_slot(self) -> None:
        """Stop counting as in progress."""
        if self._holds_slot:
            self._holds_slot = False
            self._service.slots.free(self._account, self._owner)

    def abandon(self) -> None:
        """Stop being served, without an outcome as yet: it will never be answered."""
        self._service.open_jobs.discard(self)
        self._service.changed.fire()

    def finish(self, outcome: Outcome) -> None:
        """Note the outcome. The first one stands."""
        if self.request.outcome is None:
            self.request.outcome = outcome
        self.free_slot()
        self.abandon()


class Slots:
    """Requests in progress, by account. Those of one owner (a continuation) count as one."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, Counter[object]] = defaultdict(Counter)

    def take(self, account: str, owner: object, limit: int | None) -> bool:
        """Take a slot; ``False`` if the account has ``limit`` already."""
        owners = self._taken[account]
        if limit is not None and owner not in owners and len(owners) >= limit:
            return False
        owners[owner] += 1
        return True

    def free(self, account: str, owner: object) -> None:
        """Give a slot back."""
        owners = self._taken[account]
        owners[owner] -= 1
        if not owners[owner]:
            del owners[owner]


class Service:
    """The emulated service's state.

    Attributes:
        settings: How it behaves.
        requests: All speech requests, in order of arrival.
        connections: All WebSocket connections, in order.
        slots: Who has requests in progress.
        open_jobs: Requests being served.
        changed: Fires when any of these change.
        stopping: Whether the server is being stopped.
        mistake: What the ``fault`` callback raised first, or was wrong with what it returned.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.requests: list[SpeechRequest] = []
        self.connections: list[Connection] = []
        self.slots = Slots()
        self.open_jobs: set[Job] = set()
        self.changed = Pulse()
        self.stopping = False
        self.mistake: Exception | None = None
        self._ids = 0

    @property
    def reading(self) -> Reading:
        """How the protocol is read, by the settings."""
        return Reading(
            zero_is_absent=self.settings.zero_is_absent,
            refuses_other_pools=self.settings.mismatched_voices == "refused",
            lenient=self.settings.lenient,
            rates=self.settings.rates,
        )

    def next_id(self, prefix: str) -> str:
        """Return a new server id, such as ``task_3``."""
        self._ids += 1
        return f"{prefix}_{self._ids}"

    async def accept(
        self,
        *,
        transport: Transport,
        path: str,
        headers: Mapping[str, str],
        body: dict[str, Any],
        text: str | None = None,
        connection: int | None = None,
        check: Callable[[], Order],
        owner: object = None,
    ) -> Job:
        """Take a speech request in: check it, make its speech, write it down, ask for its faults.

        Args:
            transport: What it came by.
            path: URL path.
            headers: Request headers, names in lower case.
            body: As received.
            text: What to speak, where it is not the body's.
            connection: Number of its WebSocket connection.
            check: Makes the order of the body, or raises :class:`Refusal`.
            owner: Requests of the same owner take one slot together; ``None``: of no other's.

        Returns:
            The job; it has a ``refusal`` if it will not be served.
        """
        received = asyncio.get_running_loop().time()
        refusal: Refusal | None = None
        order: Order | None = None
        speech = Speech()
        try:
            order = check()
            # Before the request is written down, so that whoever sees it can know its audio.
            speech = await speak(order, self.settings.voice)
        except Refusal as caught:
            refusal = caught
        request = SpeechRequest(
            number=len(self.requests),
            transport=transport,
            path=path,
            headers=dict(headers),
            body=body,
            text=str(body.get("text", "")) if text is None else text,
            connection=connection,
            received=received,
            audio=speech.audio,
        )
        job = Job(self, request, owner or request, order, speech, refusal)
        self.requests.append(request)
        self.open_jobs.add(job)
        self.changed.fire()
        job.admit(self._plan(request))
        return job

    def _plan(self, request: SpeechRequest) -> Plan:
        try:
            return Plan.of(self.settings.fault and self.settings.fault(request))
        except Exception as mistake:  # raised where the user sees it: when the emulator is stopped
            self.mistake = self.mistake or mistake
            return Plan()
