"""A server that exists only in virtual time: every interleaving, timing and loss that a test can think of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from videosdk_plugins_smallestai._old.protocol import Audio, Event
from videosdk_plugins_smallestai._old.route import Route, Succession
from videosdk_plugins_smallestai.emulator import tone
from videosdk_plugins_smallestai.errors import APIConnectionError, DroppedError, SmallestAIError
from videosdk_plugins_smallestai.settings import Settings

RATE = 8000


@dataclass
class Answer:
    """How one request is answered.

    Attributes:
        chunks: Sizes in bytes, each with the seconds that it takes; the last one repeats.
        cut: Bytes after which `broken` happens; ``None``: never.
        broken: What happens then.
        complete: Seconds from the last chunk to `complete`; ``None``: never.
    """

    chunks: list[tuple[int, float]]
    cut: int | None = None
    broken: SmallestAIError | None = None
    complete: float | None = 0.0


class ImaginedRequest:
    stream_bytes = 0

    def __init__(self, link: ImaginedLink, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        self._link = link
        self._on_event = on_event
        self._on_end = [on_end]
        self._ended: asyncio.Future[SmallestAIError | None] = asyncio.get_running_loop().create_future()
        self.last_sent: asyncio.Event = asyncio.Event()
        self.serving: asyncio.Task[None] | None = None

    @property
    def prompt(self) -> bool:
        return self._link.prompt

    @property
    def ended(self) -> bool:
        return self._ended.done()

    @property
    def interleaved(self) -> bool:
        return self._link.mixes

    async def prove(self, since: float) -> float | None:
        return None

    async def wait(self) -> None:
        error = await asyncio.shield(self._ended)
        if error is not None:
            raise error

    def release(self, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        self._on_event = on_event
        self._on_end.append(on_end)

    def abort(self, error: SmallestAIError | None = None) -> None:
        if not self._ended.done():
            self.end(error or DroppedError("stopped"))
            self._link.drop(DroppedError("another request was stopped"))

    def end(self, error: SmallestAIError | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)
            for callback in self._on_end:
                callback()
        self.last_sent.set()

    def hear(self, pcm: bytes) -> None:
        if not self._ended.done():
            self._on_event(Audio(pcm))


class ImaginedLink:
    """Serves requests by their text and attempt number."""

    ends_are_told = False
    runs_ahead = True
    joins = False

    def __init__(self, answer: Callable[[str, int], Answer], settings: Settings, *, serial: bool) -> None:
        self.route = Route(settings, Succession())
        self._answer = answer
        self._serial = serial
        self._attempts: dict[str, int] = {}
        self._requests: list[ImaginedRequest] = []
        self._newest_heard = -1
        self.prompt = False
        self.mixes = False

    async def open(self) -> None:
        await asyncio.sleep(0)

    async def send(
        self, text: str, on_event: Callable[[Event], None], on_end: Callable[[], None]
    ) -> ImaginedRequest:
        await asyncio.sleep(0.001)
        request = ImaginedRequest(self, on_event, on_end)
        before = list(self._requests)
        self._requests.append(request)
        attempt = self._attempts[text] = self._attempts.get(text, -1) + 1
        request.serving = asyncio.ensure_future(self._serve(request, before, text, self._answer(text, attempt)))
        return request

    def drop(self, error: SmallestAIError) -> None:
        for request in self._requests:
            request.end(error)
            if request.serving is not None:
                request.serving.cancel()
        self._requests.clear()
        self.prompt = self.mixes = False
        self._newest_heard = -1

    async def _serve(
        self, request: ImaginedRequest, before: list[ImaginedRequest], text: str, answer: Answer
    ) -> None:
        if self._serial:
            for earlier in before:
                await earlier.last_sent.wait()
        await asyncio.sleep(0.2)
        audio, sent = tone(text, RATE), 0
        sizes = iter(answer.chunks)
        size, delay = next(sizes)
        while sent < len(audio):
            await asyncio.sleep(delay)
            end = min(sent + size, len(audio))
            if answer.cut is not None and end >= answer.cut:
                break
            self._note_order(request)
            request.hear(audio[sent:end])
            sent = end
            size, delay = next(sizes, (size, delay))
        if answer.cut is not None and answer.broken is not None:
            if isinstance(answer.broken, APIConnectionError):
                self.drop(answer.broken)
            request.end(answer.broken)
            return
        request.last_sent.set()
        if answer.complete is not None and answer.cut is None:
            await asyncio.sleep(answer.complete)
            self.prompt = answer.complete < 0.5
            request.end(None)

    def _note_order(self, request: ImaginedRequest) -> None:
        place = self._requests.index(request)
        self.mixes |= place < self._newest_heard
        self._newest_heard = max(self._newest_heard, place)

    async def aclose(self) -> None:
        tasks = [r.serving for r in self._requests if r.serving is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
