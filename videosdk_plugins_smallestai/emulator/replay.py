"""Replays what ``python -m videosdk_plugins_smallestai check --record`` has recorded: the same frames, as fast.

A recording is a text file with a JSON object on each line. The first says what it is, ``{"recording": 1, ...}``.
Each other one has the number of its ``exchange`` (a WebSocket or a POST), the time ``at`` which it happened, in
seconds, and one of these:

- ``handshake`` (a path below the base URL) or ``post`` (the same, and the body in ``sent``): how the exchange
  began. ``key`` says with which key: ``"given"``, ``"wrong"`` or ``"none"``.
- ``status`` (with ``headers``): how the server answered. ``failed``: not at all.
- ``sent``: a message from the client.
- ``text`` or ``binary`` (base64): a frame from the server, or a part of a body. Audio that was not kept is
  ``sha256:<hash>;bytes=<length>``, and is replayed as silence.
- ``closed``: the server closed the connection with this code; ``null``: it broke off. ``ended``: a body's end.
- ``left``: the client closed the connection.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from .delivery import sleep_until
from .records import Connection
from .refusals import Refusal
from .settings import WRONG_KEY
from .sockets import reset

VERSION = 1

_IDS = ("request_id", "session_id", "context_id")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64};bytes=(\d+)")
_ECHOED = re.compile(r'"external_(request_id|session_id)"(\s*:\s*)"([^"]*)"')
_EVENTS = ("text", "binary", "closed", "ended", "failed")


@dataclass
class Turn:
    """What the client sent, and what the server sent after it.

    Attributes:
        sent: The client's message; ``None``: its handshake.
        answers: Seconds after it, and the line of the recording.
    """

    sent: dict[str, Any] | None
    answers: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def fits(self, message: Mapping[str, Any]) -> bool:
        """Return whether a message is this one but for its ids."""
        return self.sent is not None and _without_ids(self.sent) == _without_ids(message)


@dataclass(eq=False)
class Exchange:
    """A WebSocket or a POST of the recording.

    Attributes:
        begun: Method, path and key, as compared with a request.
        turns: What was said; the first is the handshake or the POST.
        status: HTTP status; ``None``: there was no answer.
        wait: Seconds to the status.
        headers: HTTP headers of the answer.
        used: How often it was replayed.
    """

    begun: tuple[str, str, str]
    turns: list[Turn]
    status: int | None = None
    wait: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    used: int = 0

    def fits(self, messages: list[dict[str, Any]]) -> bool:
        """Return whether a WebSocket of these messages so far may be this one."""
        said = self.turns[1:]
        return len(messages) <= len(said) and all(map(Turn.fits, said, messages))


class Recording:
    """What was recorded, matched by request. Each exchange is replayed once before any is again.

    Args:
        exchanges: In the order in which they began.
    """

    def __init__(self, exchanges: list[Exchange]) -> None:
        self._exchanges = exchanges

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no recording, or one of another version.
        """
        with open(path, encoding="utf-8") as file:
            try:
                head, *lines = [json.loads(line) for line in file if line.strip()]
                if not isinstance(head, dict) or head.get("recording") != VERSION:
                    raise ValueError
                return cls(list(_exchanges(lines)))
            except (ValueError, LookupError, TypeError) as wrong:
                raise ValueError(
                    f"{os.fspath(path)} is no recording of version {VERSION}: its first line must be "
                    f'{{"recording": {VERSION}}}, and what follows as `check --record` writes it'
                ) from wrong

    async def converse(self, request: web.Request, record: Connection) -> web.StreamResponse:
        """Answer a handshake, and replay the WebSocket that it opens.

        Raises:
            Refusal: The handshake was refused in the recording, or is not in it.
        """
        arrived = asyncio.get_running_loop().time()
        exchange = self.find(_begun("handshake", request), [])
        if exchange is None:
            raise _missing(404, f"handshake for {_path(request)}")
        exchange.used += 1
        await sleep_until(arrived + exchange.wait)
        if exchange.status != 101:
            return await _refuse(request, exchange)
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        record.status = 101
        await _Conversation(self, exchange, ws, request, record, arrived).run()
        return ws

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a POST.

        Raises:
            Refusal: It was refused in the recording, or is not in it.
        """
        arrived = asyncio.get_running_loop().time()
        body = _object(await request.read())
        exchange = self.find(_begun("post", request), [body])
        if exchange is None:
            raise _missing(400, f"POST {_path(request)} of {json.dumps(body)}")
        exchange.used += 1
        await sleep_until(arrived + exchange.wait)
        if exchange.status is None:
            return await _refuse(request, exchange)
        response = web.StreamResponse(status=exchange.status, headers=exchange.headers)
        await response.prepare(request)
        for after, line in exchange.turns[-1].answers:
            await sleep_until(arrived + after)
            if "closed" in line and request.transport is not None:
                request.transport.close()  # without the terminator of the chunked body
                return response
            await response.write(_payload(line))
        await response.write_eof()
        return response

    def find(self, begun: tuple[str, str, str], messages: list[dict[str, Any]]) -> Exchange | None:
        """Return the exchange that began like this and may go on with these messages: the least used one."""
        fitting = [each for each in self._exchanges if each.begun == begun and each.fits(messages)]
        return min(fitting, key=lambda each: each.used, default=None)


class _Conversation:
    """One WebSocket that is replayed."""

    def __init__(
        self,
        recording: Recording,
        exchange: Exchange,
        ws: web.WebSocketResponse,
        request: web.Request,
        record: Connection,
        arrived: float,
    ) -> None:
        self._recording = recording
        self._exchange = exchange
        self._ws = ws
        self._request = request
        self._record = record
        self._own_ids: dict[str, str] = {}  # of the client, by those of the recording
        self._due: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
        self._schedule(exchange.turns[0], arrived)

    async def run(self) -> None:
        """Replay until either side ends it."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send_all())
            async for message in self._ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._take(_object(message.data))
            sending.cancel()

    async def _take(self, message: dict[str, Any]) -> None:
        self._record.messages.append(message)
        said = self._record.messages
        if not self._exchange.fits(said):
            # The handshake did not tell which one this is.
            other = self._recording.find(self._exchange.begun, said)
            if other is None:
                said.pop()
                await self._ws.send_str(json.dumps(_error(f"message {json.dumps(message)}", message)))
                return
            self._exchange.used -= 1
            self._exchange = other
            other.used += 1
        turn = self._exchange.turns[len(said)]
        assert turn.sent is not None, "it fits a message"
        for name in _IDS:
            if isinstance(message.get(name), str):
                self._own_ids[str(turn.sent[name])] = message[name]
        self._schedule(turn, asyncio.get_running_loop().time())

    def _schedule(self, turn: Turn, since: float) -> None:
        for after, line in turn.answers:
            self._due.put_nowait((since + after, line))

    async def _send_all(self) -> None:
        """Send each frame at its time, and none before an earlier one."""
        try:
            while True:
                due, line = await self._due.get()
                await sleep_until(due)
                if "closed" in line:
                    await self._close(line["closed"])
                elif "text" in line:
                    await self._ws.send_str(_ECHOED.sub(self._echo, _payload(line).decode()))
                else:
                    await self._ws.send_bytes(_payload(line))
        except ConnectionError:
            return  # the client went away

    async def _close(self, code: int | None) -> None:
        if code is None or code == WSCloseCode.ABNORMAL_CLOSURE:
            reset(self._request.transport)
        else:
            await self._ws.close(code=code)

    def _echo(self, found: re.Match[str]) -> str:
        name, colon, recorded = found.groups()
        return f'"external_{name}"{colon}{json.dumps(self._own_ids.get(recorded, recorded))}'


def _exchanges(lines: Iterable[Mapping[str, Any]]) -> Iterator[Exchange]:
    """Put the lines of each exchange together, its times counted from the client's message before."""
    found: dict[int, Exchange] = {}
    since: dict[int, float] = {}
    for line in lines:
        number, at = line["exchange"], line["at"]
        kind = next((kind for kind in ("handshake", "post") if kind in line), None)
        if kind is not None:
            turns = [Turn(None)] if kind == "handshake" else [Turn(None), Turn(line["sent"])]
            found[number] = Exchange((kind, line[kind], line["key"]), turns)
            since[number] = at
            continue
        exchange = found[number]
        if "status" in line:
            exchange.status, exchange.wait = line["status"], at - since[number]
            exchange.headers = line.get("headers", {})
        elif "sent" in line:
            exchange.turns.append(Turn(line["sent"]))
            since[number] = at
        elif any(event in line for event in _EVENTS) and "ended" not in line:
            exchange.turns[-1].answers.append((at - since[number], dict(line)))
    yield from found.values()


def _without_ids(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "an id" if name in _IDS else value for name, value in message.items()}


def _begun(kind: str, request: web.Request) -> tuple[str, str, str]:
    key = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
    return kind, _path(request), "wrong" if key == WRONG_KEY else "given" if key else "none"


def _path(request: web.Request) -> str:
    return request.path_qs.removeprefix("/waves/v1")


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        body = json.loads(message)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _payload(line: Mapping[str, Any]) -> bytes:
    if "text" in line:
        return _DIGEST.sub(lambda found: base64.b64encode(_silence(found)).decode(), line["text"]).encode()
    digest = _DIGEST.fullmatch(line["binary"])
    return _silence(digest) if digest else base64.b64decode(line["binary"])


def _silence(digest: re.Match[str]) -> bytes:
    return bytes(int(digest[1]))


async def _refuse(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    if exchange.status is None:
        reset(request.transport)
        return web.Response()  # to nobody
    # A client is not shown the body of a refused handshake, so it has not been recorded.
    headers = {name: value for name, value in exchange.headers.items() if name != "Content-Type"}
    raise Refusal(exchange.status, headers=headers)


def _missing(status: int, what: str) -> Refusal:
    return Refusal(status, _error(what, {}))


def _error(what: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is answered to what was never recorded."""
    ids = {f"external_{name}": message[name] for name in _IDS[:2] if name in message}
    return {
        "status": "error",
        **ids,
        "error": {"code": "invalid_request", "message": f"Not in the recording: {what}"},
    }
