"""The emulator: a local server that speaks the Waves protocol."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from . import http, refusals
from .assumptions import settings_for
from .catalogue import LIVE_MODEL, ROUTE_MODELS, VOICE_LISTS, Model, voice_list
from .faults import CloseAfter
from .records import Connection, SpeechRequest
from .refusals import Refusal
from .replay import Recording
from .service import Service
from .settings import WRONG_KEY, Settings
from .sockets import reset
from .voices import prepare
from .websocket import Socket

PREFIX = "/waves/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True, eq=False, repr=False)
class WavesEmulator(Settings):
    """A local Waves server with a voice of its own and faults on demand.

    ::

        async with WavesEmulator(voice="tone", complete=None) as waves:
            tts = SmallestAITTS(api_key="sk_anything", base_url=waves.base_url)

    Its arguments are the attributes of :class:`~.Settings`, all of which may be changed while it runs, and these:

    Attributes:
        assume: Name to reading, as ``python -m videosdk_plugins_smallestai check`` prints them, such as
            ``{"closed_after_complete": "kept open"}``: the settings with which the service is like that.
        replay: A file that ``check --record`` has written: what was recorded is replayed, and nothing else served.

    Raises:
        OSError: ``replay`` cannot be read.
        ValueError: There is no such assumption or reading, or ``replay`` is no recording.
    """

    assume: Mapping[str, str] = field(default_factory=dict)
    replay: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        for name, value in settings_for(self.assume).items():
            setattr(self, name, value)
        self._recording = None if self.replay is None else Recording.load(self.replay)
        self._service = Service(self)
        self._sockets: set[Socket] = set()
        self._handlers: dict[asyncio.Task[object], asyncio.Transport | None] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """What to give a client as its base URL."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{PREFIX}"

    @property
    def requests(self) -> list[SpeechRequest]:
        """All speech requests, in order of arrival."""
        return self._service.requests

    @property
    def connections(self) -> list[Connection]:
        """All WebSocket handshakes and what came of them, in order."""
        return self._service.connections

    async def request(self, number: int) -> SpeechRequest:
        """Wait until a speech request has arrived.

        Args:
            number: Its place among all requests, 0-based.
        """
        await self._service.changed.wait_until(lambda: len(self.requests) > number)
        return self.requests[number]

    async def idle(self) -> None:
        """Wait until no request is being served; those that will never be answered do not count."""
        await self._service.changed.wait_until(lambda: not self._service.open_jobs)

    async def start(self) -> None:
        """Start to listen, on the same port as before if there was one.

        Raises:
            OSError: If the port is in use.
            RuntimeError: If it runs already.
            VoiceUnavailable: If the voice is not installed.
        """
        if self._runner is not None:
            raise RuntimeError("the emulator is running already")
        if self._recording is None:
            await prepare(self.voice)
        self._service.stopping = False
        # A client that goes away cancels what is being done for it.
        runner = web.AppRunner(self._app(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port, ssl_context=self.tls)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop to listen and drop every connection at once.

        Raises:
            Exception: What the ``fault`` callback has raised; a request of which it did so was served without a
                fault. `TypeError` where it has returned no fault.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._service.stopping = True
        for site in list(runner.sites):
            await site.stop()
        handlers = dict(self._handlers)
        for transport in handlers.values():
            # A handler that loses its connection is cancelled.
            reset(transport)
        await asyncio.gather(*handlers, return_exceptions=True)
        await runner.cleanup()
        mistake, self._service.mistake = self._service.mistake, None
        if mistake is not None:
            raise mistake

    async def close_connections(self, how: Literal["close", "reset", "idle"] = "close") -> None:
        """Close all WebSocket connections that are open now, and wait until they are.

        Args:
            how: ``"close"``: a clean close; ``"reset"``: a TCP reset; ``"idle"``: the error frame of the
                idle timeout, then a clean close. A connection that a fault has silenced is reset.
        """
        sockets = list(self._sockets)
        for socket in sockets:
            socket.end(how)
        for socket in sockets:
            await socket.record.wait_closed()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        if self._recording is not None:
            app.router.add_route("*", "/{path:.*}", self._replay)
            return app
        app.router.add_post(PREFIX + "/{model}/get_speech", self._post)
        app.router.add_get(PREFIX + "/{model}/get_speech/stream", self._stream, allow_head=False)
        app.router.add_get(PREFIX + "/{model}/get_voices", self._voices)
        app.router.add_post(PREFIX + "/tts", self._post_unified)
        app.router.add_post(PREFIX + "/tts/live", self._post_events)
        app.router.add_get(PREFIX + "/tts/live", self._stream_unified, allow_head=False)
        app.router.add_get(PREFIX + "/lightning-v4/live", self._stream_live, allow_head=False)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep account of the handlers that run, and answer refusals and unknown routes as the API does."""
        task = asyncio.current_task()
        assert task is not None
        self._handlers[task] = request.transport
        try:
            return await handler(request)
        except Refusal as refusal:
            return http.refuse(refusal)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            return http.refuse(Refusal(error.status))
        finally:
            del self._handlers[task]

    def _authorize(self, request: web.Request) -> None:
        if not self._knows_key(request):
            raise Refusal(401 if self.refused_key == "frame" else self.refused_key)

    def _knows_key(self, request: web.Request) -> bool:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        known = key.strip() not in ("", WRONG_KEY) if self.api_keys is None else key in self.api_keys
        return scheme == "Bearer" and known

    def _model(self, request: web.Request) -> Model:
        name = request.match_info["model"]
        if name not in ROUTE_MODELS:
            raise Refusal(404)
        return ROUTE_MODELS[name]

    async def _post(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        model = self._model(request)
        if model.name in self.retired:
            raise refusals.retired(model.name, self.retired[model.name])
        return await http.speak(self._service, request, model, events=False)

    async def _post_unified(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        return await http.speak(self._service, request, None, events=False)

    async def _post_events(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        return await http.speak(self._service, request, None, events=True)

    async def _voices(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request)
        model = VOICE_LISTS.get(request.match_info["model"])
        if model is None:
            raise Refusal(404)
        return web.json_response(voice_list(model))

    async def _replay(self, request: web.Request) -> web.StreamResponse:
        assert self._recording is not None, "there is this route only where one is replayed"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._open(request, None, known=True)
        return await self._recording.answer(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await self._open(request, ROUTE_MODELS.get(request.match_info["model"]))

    async def _stream_unified(self, request: web.Request) -> web.StreamResponse:
        return await self._open(request, None, known=True)

    async def _stream_live(self, request: web.Request) -> web.StreamResponse:
        return await self._open(request, LIVE_MODEL, known=True)

    async def _open(self, request: web.Request, model: Model | None, *, known: bool = False) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        record = Connection(
            number=len(self.connections),
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            opened=loop.time(),
        )
        self.connections.append(record)
        try:
            if self._recording is not None:
                return await self._recording.converse(request, record)
            if not known and (model is None or not model.streams):
                raise Refusal(404)
            close_after = await self._admit(request, record, model)
            return await self._serve(Socket(self._service, record, model, request, close_after))
        except Refusal as refusal:
            record.status = refusal.status
            raise
        except ConnectionError:
            return web.Response()  # to nobody: the client went away during the handshake
        finally:
            given_up = record.status is None and not self._service.stopping
            record._end(loop.time(), by_client=given_up)

    async def _admit(self, request: web.Request, record: Connection, model: Model | None) -> CloseAfter | None:
        if self.refused_key == "frame" and not self._knows_key(request):
            return CloseAfter(0, frame=refusals.default_body(401))
        self._authorize(request)
        how = self.retired.get(model.name) if model is not None else None
        if isinstance(how, int):
            raise refusals.retired(record.path, how)
        answer = self.handshake(record) if self.handshake is not None else None
        if answer == "hang":
            await asyncio.get_running_loop().create_future()
        if isinstance(answer, int):
            raise Refusal(answer)
        return answer if isinstance(answer, CloseAfter) else None

    async def _serve(self, socket: Socket) -> web.StreamResponse:
        self._sockets.add(socket)
        try:
            return await socket.run()
        finally:
            self._sockets.discard(socket)
