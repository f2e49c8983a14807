"""Speech over HTTP: one POST, the audio as a chunked body or as server-sent events."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

from aiohttp import web

from . import catalogue, refusals
from .catalogue import Model
from .delivery import SAMPLE_BYTES, deliver, sleep_until
from .faults import Break
from .orders import Order, check, is_id, unified_model
from .refusals import Refusal
from .service import Job, Service
from .sockets import reset
from .speech import Word


class BodySink:
    """Takes a request's audio to a response, as the bytes it is."""

    def __init__(self, response: web.StreamResponse, http: web.Request, job: Job) -> None:
        self._response = response
        self._http = http
        self._job = job

    async def start(self) -> None:
        """Send the headers; a RIFF header where a wav is asked for."""
        await self._response.prepare(self._http)
        if self._job.order.output_format == "wav":
            await self._response.write(riff_header(len(self._job.request.audio), self._job.order.sample_rate))

    async def raw(self, frame: str | bytes) -> None:
        """Send bytes as they are."""
        await self._response.write(frame.encode() if isinstance(frame, str) else frame)

    async def word(self, word: Word) -> None:
        """There is no place for words in a body of audio."""

    async def chunk(self, pcm: bytes) -> None:
        """Send a chunk of audio."""
        await self._response.write(pcm)

    async def end(self) -> None:
        """Nothing follows the last chunk."""


class EventSink(BodySink):
    """Takes a request's audio to a response, as server-sent events."""

    async def start(self) -> None:
        """Send the headers."""
        await self._response.prepare(self._http)

    async def chunk(self, pcm: bytes) -> None:
        """Send a chunk of audio."""
        data = {"audio": base64.b64encode(pcm).decode(), "done": False, "status": "206"}
        await self.raw(f"event: audio\ndata: {json.dumps(data)}\n\n")

    async def end(self) -> None:
        """Tell that it is done."""
        data = {"status": "200", "done": True}
        await self.raw(f"data: {json.dumps(data)}\n\n")


async def speak(service: Service, http: web.Request, model: Model | None, *, events: bool) -> web.StreamResponse:
    """Answer a POST for speech.

    Args:
        service: What all requests share.
        http: The POST.
        model: The route's model; ``None`` on a unified route, where the body names its own.
        events: Whether to answer with server-sent events.
    """
    headers = {"X-Request-Id": service.next_id("req"), "X-Session-Id": service.next_id("session")}
    if http.headers.get("x-expire-content") == "true":
        headers["x-content-expiry"] = service.settings.content_expiry
    try:
        body = json.loads(await http.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return refuse(refusals.not_json(), headers)
    headers |= _echoed(service, body) if model is None else {}
    job = await service.accept(
        transport="sse" if events else "http",
        path=http.path,
        headers={name.lower(): value for name, value in http.headers.items()},
        body=body,
        check=lambda: _check(service, body, model),
    )
    try:
        return await _answer(service, http, job, headers, events=events)
    finally:
        # Only a handler that was cut off gets here without an outcome.
        job.finish("broken" if service.stopping else "cancelled")


def refuse(refusal: Refusal, headers: dict[str, str] | None = None) -> web.Response:
    """Return the response that tells a refusal."""
    return web.json_response(refusal.body, status=refusal.status, headers={**(headers or {}), **refusal.headers})


def riff_header(audio_bytes: int, sample_rate: int) -> bytes:
    """Return the header of a mono, 16-bit wav file."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, sample_rate * SAMPLE_BYTES, SAMPLE_BYTES, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + audio_bytes, b"WAVE") + form + struct.pack("<4sI", b"data", audio_bytes)
    )


def _echoed(service: Service, body: dict[str, Any]) -> dict[str, str]:
    """Return the headers that repeat the client's own ids; only the unified routes know them."""
    if not service.settings.echo_ids:
        return {}
    names = {"request_id": "X-External-Request-Id", "session_id": "X-External-Session-Id"}
    return {header: body[name] for name, header in names.items() if is_id(body.get(name))}


def _check(service: Service, body: dict[str, Any], model: Model | None) -> Order:
    if model is not None:
        return check(body, model, service.reading, unified=False)
    model = unified_model(body, service.reading)
    name = str(body.get("model", catalogue.UNIFIED_DEFAULT))
    if name in service.settings.retired:
        raise refusals.retired(name, service.settings.retired[name])
    return check(body, model, service.reading, unified=True)


async def _answer(
    service: Service, http: web.Request, job: Job, headers: dict[str, str], *, events: bool
) -> web.StreamResponse:
    plan = job.plan
    if job.refusal is not None:
        return refuse(job.refusal, headers)
    if plan.hangup is not None:
        await _break_off(http, job, Break(how=plan.hangup.how))
        return web.Response()  # to nobody
    if plan.mute:
        await _hang(job)
    if plan.frames.instead is not None:
        await sleep_until(job.request.received + service.settings.first_audio)
        job.finish("served")
        headers["Content-Type"] = plan.frames.content_type
        return web.Response(body=_joined(plan.frames.instead), headers=headers)
    # The real service says audio/wav for bare PCM, too.
    headers["Content-Type"] = "text/event-stream" if events else "audio/wav"
    response = web.StreamResponse(headers=headers)
    sink = (EventSink if events else BodySink)(response, http, job)
    try:
        broken = await deliver(job, service.settings, sink, job.request.received)
        if broken is not None:
            await _break_off(http, job, broken)
        else:
            await _finish(response, job, sink)
    except ConnectionError:
        job.finish("cancelled")
    return response


async def _finish(response: web.StreamResponse, job: Job, sink: BodySink) -> None:
    await sink.end()
    for frame in job.plan.frames.after:
        await sink.raw(frame)
    await response.write_eof()
    job.complete()
    job.finish("served")


async def _break_off(http: web.Request, job: Job, broken: Break) -> None:
    if broken.how == "silence":
        job.finish("broken")
        await _hang(job)
    elif broken.how == "reset":
        reset(http.transport)
    elif http.transport is not None:
        # Without the terminator of the chunked body.
        http.transport.close()
    job.finish("broken")


async def _hang(job: Job) -> None:
    job.abandon()
    # Until the client goes away, which cancels the handler.
    await asyncio.get_running_loop().create_future()


def _joined(frames: Any) -> bytes:
    parts = [frames] if isinstance(frames, str | bytes) else frames
    return b"".join(part.encode() if isinstance(part, str) else part for part in parts)
