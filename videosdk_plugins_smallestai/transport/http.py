"""Speech over HTTP: a POST for each stream, its audio as a binary body or as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from ..errors import APIConnectionError, APITimeoutError, ServerError, SmallestAIError
from ..models import resolve
from ..protocol.error_mapping import json_error
from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame, parse_sse
from ..protocol.http_bodies import PcmBody, SseBody
from ..protocol.redaction import conceal
from ..protocol.requests import http_body
from ..settings import Settings
from ..timing import Timing
from .base import Accepted, Audio, Complete, Failed, Opened, OpenFailed, Pong, Route, Traits, TransportEvent
from .events import Events
from .session import Session, retry_after
from .succession import ModelChoice

__all__ = ["HttpTransport"]

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes that are read of a refusal's body."""


class HttpTransport:
    """A `ReplyTransport` over HTTP. Each stream is a task with a POST of its own.

    Args:
        session: Where to post.
        choice: The model that speaks.
        timing: How long connecting and a body's silence may take.
        post: Called with each event.
    """

    def __init__(
        self,
        session: Session,
        choice: ModelChoice,
        timing: Timing,
        post: Callable[[TransportEvent], None],
    ) -> None:
        self._session = session
        self._choice = choice
        self._timing = timing
        self._log = session.log
        self._events = Events(post)
        self._reaching: asyncio.Task[None] | None = None
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._texts: list[str] = []

    def open(self) -> None:
        """See `ReplyTransport.open`."""
        if self._session.warm:
            self._events.post_soon(self._opened(reused=True))
        else:
            self._reaching = self._spawn(self._reach())

    async def _reach(self) -> None:
        try:
            error = await self._session.reach()
        except Exception as mistake:
            self._log.exception("reaching the service failed")
            error = ServerError(f"The service could not be looked for ({type(mistake).__name__})")
        self._events.post(self._opened(reused=False) if error is None else OpenFailed(self._choice.explain(error)))

    def _opened(self, *, reused: bool) -> Opened:
        settings = self._choice.settings
        route = Route("http", self._choice.model.http or "", settings.model, settings.voice_id)
        return Opened(Traits(ends_told=True), route=route, reused=reused)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def send(self, stream: int, text: str, *, joined: bool) -> None:
        """See `ReplyTransport.send`."""
        self._texts.append(text)
        self._asking[stream] = self._spawn(self._ask(stream, text))

    def close_stream(self, stream: int) -> None:
        """See `ReplyTransport.close_stream`. There are no contexts here."""

    def drop(self, stream: int) -> None:
        """See `ReplyTransport.drop`."""
        task = self._asking.pop(stream, None)
        if task is not None:
            task.cancel()

    def abandon(self, *, broken: bool = False) -> None:
        """See `ReplyTransport.abandon`."""
        self._events.clear()
        if self._reaching is not None:
            self._reaching.cancel()
        for stream in list(self._asking):
            self.drop(stream)

    def ping(self, stream: int) -> None:
        """See `ReplyTransport.ping`. There is no connection to ask."""
        self._events.post_soon(Pong())

    def move_on(self) -> None:
        """See `ReplyTransport.move_on`. What has been asked for goes on."""
        self._choice.move_on()

    def linger(self) -> None:
        """See `ReplyTransport.linger`. Nothing comes after the end of a body."""

    def release(self) -> None:
        """See `ReplyTransport.release`."""
        self.abandon()

    async def aclose(self) -> None:
        """See `ReplyTransport.aclose`."""
        self.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, stream: int, text: str) -> None:
        model = self._choice.model
        post = _Post(self._session, self._choice.settings, self._timing, lambda event: self._hear(stream, event))
        try:
            error = await post.ask(stream, text)
        except Exception as mistake:
            self._log.exception("receiving an answer failed")
            error = ServerError(f"An answer could not be processed ({type(mistake).__name__})")
        if self._asking.get(stream) is not asyncio.current_task():
            return  # dropped while it ended
        del self._asking[stream]
        if error is None:
            self._events.post(Complete(stream, post.server_id))
        else:
            error.session_id = post.session_id
            error = self._choice.explain(error, model)
            conceal(error, self._texts)
            self._events.post(Failed((stream,), error))

    def _hear(self, stream: int, event: TransportEvent) -> None:
        if stream in self._asking:
            if isinstance(event, Audio):
                self._choice.spoke()
            self._events.post(event)


class _Post:
    """One POST and its answer.

    Attributes:
        server_id: The server's id of the request, once it has told one.
        session_id: Likewise that of the session.
    """

    def __init__(
        self, session: Session, settings: Settings, timing: Timing, hear: Callable[[TransportEvent], None]
    ) -> None:
        self.server_id: str | None = None
        self.session_id: str | None = None
        self._session = session
        self._settings = settings
        self._timing = timing
        self._hear = hear
        self._stream = 0
        self._heard = False

    async def ask(self, stream: int, text: str) -> SmallestAIError | None:
        """Send the request and hand on its audio until the end of the body. Returns what went wrong."""
        self._stream = stream
        model = resolve(self._settings.model)
        assert model.http is not None, "settings have been checked"
        try:
            async with self._session.client().post(
                self._session.base_url + model.http,
                json=http_body(self._settings, text),
                headers=self._session.headers | {"Accept": "text/event-stream" if model.unified else "audio/wav"},
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=self._timing.connect),
                proxy=self._session.proxy(self._session.base_url),
                raise_for_status=False,  # a session of the caller's may have it on
                allow_redirects=False,  # the key goes to the service that the user named, and nowhere else
            ) as response:
                return await self._receive(response, sse=model.unified)
        except _SilentBodyError:
            return self._broken(f"The answer stopped for {self._timing.body_silence:g} s in the middle")
        except aiohttp.ConnectionTimeoutError:
            return APITimeoutError(f"Connecting took longer than {self._timing.connect:g} s. Check the network")
        except TimeoutError:
            return self._out_of_time()
        except SmallestAIError as error:
            return error
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
            return self._session.translate(failure, "request speech")

    async def _receive(self, response: aiohttp.ClientResponse, *, sse: bool) -> SmallestAIError | None:
        self._session.answered(response)
        self.server_id = self._session.request_id(response)
        self.session_id = self._session.session_id(response)
        if 300 <= response.status < 400:
            return self._session.redirected(response.status, response.headers.get("Location"), self.server_id)
        # What a gateway or captive portal answers with a good status would be noise if it were played.
        is_page = not sse and response.content_type.startswith("text/")
        if response.status != 200 or is_page:
            return await self._refusal(response)
        self._hear(Accepted(self._stream))
        return await (self._receive_events(response) if sse else self._receive_pcm(response))

    async def _receive_pcm(self, response: aiohttp.ClientResponse) -> SmallestAIError | None:
        body = PcmBody()
        while chunk := await self._read(response):
            self._take(body.feed(chunk))
        rest, told = body.finish()
        self._take(rest)
        return None if told is None else self._error(None, told, None)

    async def _receive_events(self, response: aiohttp.ClientResponse) -> SmallestAIError | None:
        body = SseBody()
        raw = b""
        ended = False
        while not ended:
            chunk = await self._read(response)
            ended = not chunk
            raw = raw if self._heard else (raw + chunk)[:ERROR_BODY_LIMIT]
            for data in body.feed(chunk) if chunk else body.finish():
                done, error = self._take_event(data)
                if done or error is not None:
                    return error
        if self._heard:
            # An event stream says when it is done; one that just ends was cut short.
            return self._broken("The event stream ended before its end")
        return self._error(None, raw.decode("utf-8", "replace"), None) if raw.strip() else None

    def _take_event(self, data: str) -> tuple[bool, SmallestAIError | None]:
        """Take one event. Returns whether it was the last, and the error that it told."""
        frame = parse_sse(data, secret=self._session.secret)
        if isinstance(frame, ErrorFrame):
            frame.error.request_id = frame.error.request_id or self.server_id
            return True, frame.error
        if isinstance(frame, AudioFrame):
            self._take(frame.pcm)
            return frame.last, None
        return isinstance(frame, CompleteFrame), None

    def _take(self, pcm: bytes) -> None:
        if pcm:
            self._heard = True
            self._hear(Audio(self._stream, pcm, self.server_id))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The next bytes of the body, empty at its end. Only a body that has begun to speak must go on."""
        try:
            async with asyncio.timeout(self._timing.body_silence if self._heard else None) as patience:
                return await response.content.readany()
        except TimeoutError:
            if not patience.expired():
                raise
        raise _SilentBodyError

    async def _refusal(self, response: aiohttp.ClientResponse) -> SmallestAIError:
        body = b""
        while len(body) < ERROR_BODY_LIMIT and (chunk := await response.content.readany()):
            body += chunk
        return self._error(response.status, body.decode("utf-8", "replace"), response.headers.get("Retry-After"))

    def _error(self, status: int | None, body: str, wait: str | None) -> SmallestAIError:
        return json_error(
            status, body, request_id=self.server_id, retry_after=retry_after(wait), secret=self._session.secret
        )

    def _broken(self, message: str) -> APIConnectionError:
        return APIConnectionError(message, request_id=self.server_id)

    def _out_of_time(self) -> SmallestAIError:
        timeout = self._settings.timeout
        if self._heard:
            return self._broken(f"The answer was not complete within timeout={timeout:g} s")
        return APITimeoutError(
            f"No audio within timeout={timeout:g} s. Check the service's state, or raise timeout",
            request_id=self.server_id,
        )


class _SilentBodyError(Exception):
    """A body that had begun to speak stopped."""
