"""Speech over HTTP: a POST for each segment, its audio as a binary body or as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from .. import models
from ..errors import APIConnectionError, APITimeoutError, SmallestAIError
from ..settings import Settings
from . import diagnosis, protocol
from .bodies import PcmBody, SseBody
from .protocol import Answered, Audio, Complete, Event, Failure
from .route import Route
from .service import CONNECT_TIMEOUT, Service, seconds

__all__ = ["HttpLink", "HttpRequest"]

BODY_SILENCE = 5.0
"""Seconds without a byte in the middle of a body after which it counts as broken: the service sends 3.3 times
faster than real time, and its longest stalls on record are under 3 s."""

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes that are read of a refusal's body."""


class HttpLink:
    """HTTP as one reply uses it.

    Args:
        service: Where to post.
        route: The way to the model.
    """

    ends_are_told = True
    """A body has an end."""

    runs_ahead = True
    """Each request has a connection of its own."""

    joins = False
    """Each segment is a request."""

    def __init__(self, service: Service, route: Route) -> None:
        self._service = service
        self.route = route

    async def open(self) -> None:
        """Nothing to do: a POST brings its own connection."""

    async def send(self, text: str, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> HttpRequest:
        """Make the request of a segment; `HttpRequest.wait` sends it."""
        return HttpRequest(self._service, self.route.settings, text, on_event, on_end)


class HttpRequest:
    """One POST and its answer. It lives in `wait`: who leaves that, drops the request's connection."""

    prompt = True
    interleaved = False
    ended = False
    stream_bytes = 0

    def __init__(
        self,
        service: Service,
        settings: Settings,
        text: str,
        on_event: Callable[[Event], None],
        on_end: Callable[[], None],
    ) -> None:
        self._service = service
        self._model = models.resolve(settings.model)
        self._timeout = settings.timeout
        self._body = protocol.http_body(settings, text)
        self._on_event = on_event
        self._on_end = on_end
        self._heard = False
        self._server_id: str | None = None

    async def prove(self, since: float) -> float | None:
        """Nothing to ask: ends are told."""
        return None

    async def wait(self) -> None:
        """Send the request and hand on its audio until the end of the body.

        Raises:
            SmallestAIError: It was refused, failed, or broke in the middle.
        """
        try:
            error = await self._ask()
        finally:
            self._on_end()
        if error is not None:
            raise error  # here, as in Service.connect

    async def _ask(self) -> SmallestAIError | None:
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=CONNECT_TIMEOUT)
        try:
            async with self._service.session().post(
                self._service.base_url + self._model.http,
                json=self._body,
                headers=self._service.headers | {"Accept": self._accept},
                timeout=timeout,
                proxy=self._service.proxy(self._service.base_url),
                raise_for_status=False,  # a session of the caller's may have it on
                allow_redirects=False,  # the key goes to the service that the user named, and nowhere else
            ) as response:
                return await self._receive(response)
        except _SilentBodyError:
            return APIConnectionError(
                f"The answer stopped for {BODY_SILENCE:g} s in the middle", request_id=self._server_id
            )
        except aiohttp.ConnectionTimeoutError:
            return APITimeoutError(f"Connecting took longer than {CONNECT_TIMEOUT:g} s. Check the network")
        except TimeoutError:
            return self._out_of_time()
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
            return self._service.translate(failure, "request speech")

    def release(self, on_event: Callable[[Event], None], on_end: Callable[[], None]) -> None:
        """Nothing to do: the end of a body is never guessed."""

    def abort(self, error: SmallestAIError | None = None) -> None:
        """Nothing to do: leaving `wait` drops the connection."""

    @property
    def _accept(self) -> str:
        return "text/event-stream" if self._model.sse else "audio/wav"

    async def _receive(self, response: aiohttp.ClientResponse) -> SmallestAIError | None:
        self._server_id = self._service.request_id(response)
        if 300 <= response.status < 400:
            return self._service.redirected(response.status, response.headers.get("Location"), self._server_id)
        if response.status != 200 or self._is_page(response):
            return await self._refusal(response)
        self._on_event(Answered())
        return await (self._receive_events(response) if self._model.sse else self._receive_pcm(response))

    def _is_page(self, response: aiohttp.ClientResponse) -> bool:
        """Whether it is what a gateway or captive portal answers with a good status. Played, it would be noise."""
        return not self._model.sse and response.content_type.startswith("text/")

    async def _receive_pcm(self, response: aiohttp.ClientResponse) -> SmallestAIError | None:
        body = PcmBody()
        while chunk := await self._read(response):
            self._hear(body.feed(chunk))
        rest, told = body.finish()
        self._hear(rest)
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
            return APIConnectionError("The event stream ended before its end", request_id=self._server_id)
        return self._error(None, raw.decode("utf-8", "replace"), None) if raw.strip() else None

    def _take_event(self, data: str) -> tuple[bool, SmallestAIError | None]:
        """Take one event. Returns whether it was the last, and the error that it told."""
        event = protocol.parse_sse(data, secret=self._service.secret)
        if isinstance(event, Failure):
            event.error.request_id = event.error.request_id or self._server_id
            return True, event.error
        if isinstance(event, Audio):
            self._hear(event.pcm)
            return event.last, None
        return isinstance(event, Complete), None

    def _hear(self, pcm: bytes) -> None:
        if pcm:
            self._heard = True
            self._on_event(Audio(pcm))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The next bytes of the body, empty at its end. Only a body that has begun to speak must go on."""
        try:
            async with asyncio.timeout(BODY_SILENCE if self._heard else None) as patience:
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

    def _error(self, status: int | None, body: str, retry_after: str | None) -> SmallestAIError:
        return diagnosis.json_error(
            status,
            body,
            request_id=self._server_id,
            retry_after=seconds(retry_after),
            secret=self._service.secret,
        )

    def _out_of_time(self) -> SmallestAIError:
        if self._heard:
            return APIConnectionError(
                f"The answer was not complete within timeout={self._timeout:g} s", request_id=self._server_id
            )
        return APITimeoutError(
            f"No audio within timeout={self._timeout:g} s. Check the service's state, or raise timeout",
            request_id=self._server_id,
        )


class _SilentBodyError(Exception):
    """A body that had begun to speak stopped."""
