"""A TCP proxy that does to a connection what networks do, from the moment at which it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

BLOCK = 16 * 1024
"""Bytes that are taken at a time: small enough for a slow line to be smooth."""

SCRAPS = 300
"""Bytes of each direction that come one by one on a line of scraps; then a few at a time. That is a
compromise: a loop that turns 200,000 times in a reply measures the machine."""

Way = Literal["up", "down"]
Welcome = Literal["serve", "cut", "reset", "mute", "deaf", "swallow"]
"""What a connection meets: nothing that is felt, its end, or that it forwards nothing down, up, or at all."""

_DEAD: dict[Welcome, tuple[Way, ...]] = {"mute": ("down",), "deaf": ("up",), "swallow": ("up", "down")}


@dataclass
class Line:
    """What the network is like; every field may be changed at any moment.

    Attributes:
        latency: Seconds that each byte takes longer.
        jitter: Seconds that a block may take longer still; none overtakes another.
        bandwidth: Bytes a second, in each direction of each connection; ``None`` does not limit.
        scraps: Whether bytes come one at a time.
        whole_scraps: Whether all of them do, and not only the first `SCRAPS`.
        welcome: What a new connection meets.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float | None = None
    scraps: bool = False
    whole_scraps: bool = False
    welcome: Welcome = "serve"


class Proxy:
    """Stands between a client and a server on this machine.

    Args:
        port: The server's.
        seed: Of all that is left to chance.

    Attributes:
        line: What the network is like.
        port: Where the client connects.
        accepted: Connections so far.
        next_welcome: What the next connection meets, instead of what `line` says.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self.line = Line()
        self.port = 0
        self.accepted = 0
        self.next_welcome: Welcome | None = None
        self.chance = random.Random(seed)
        self._upstream = port
        self._links: set[_Link] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await asyncio.sleep(0)  # for the sockets to close

    @property
    def open_links(self) -> int:
        """Connections that go through it now."""
        return len(self._links)

    def heal(self) -> None:
        """New connections meet a good network again; what was done to the old ones stays done."""
        self.line = Line()

    def cut(self) -> None:
        """End every connection cleanly, on both sides."""
        for link in list(self._links):
            link.cut()

    def reset(self) -> None:
        """Reset every connection, on both sides."""
        for link in list(self._links):
            link.reset()

    def deafen(self, *ways: Way) -> None:
        """On the connections there are: forward nothing any more in one direction, or both."""
        for link in self._links:
            link.dead.update(ways)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        self.accepted += 1
        link = _Link(self, reader, writer)
        self._links.add(link)
        welcome, self.next_welcome = self.next_welcome or self.line.welcome, None
        try:
            await link.run(welcome, self._upstream)
        except asyncio.CancelledError:
            pass  # the proxy's end; asyncio's streams of Python 3.11 would log it
        finally:
            self._links.discard(link)
            link.close()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dead: set[Way] = set()
        self._proxy = proxy
        self._reader = reader
        self._writers = [writer]
        self._over = asyncio.Event()

    async def run(self, welcome: Welcome, port: int) -> None:
        if welcome == "cut":
            return
        if welcome == "reset":
            self.reset()
            return
        self.dead.update(_DEAD.get(welcome, ()))
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            self._writers.append(writer)
            async with asyncio.TaskGroup() as tasks:
                pumps = [
                    tasks.create_task(self._pump(self._reader, writer, "up")),
                    tasks.create_task(self._pump(reader, self._writers[0], "down")),
                    tasks.create_task(self._over.wait()),
                ]
                # When one side is done so is the other: neither HTTP nor WebSockets are used half-closed here.
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()

    def cut(self) -> None:
        self.close()
        self._over.set()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._over.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """Forward until the end, each block no sooner than it is due."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        taking = asyncio.ensure_future(self._take(reader, queue))
        pace = _Pace()
        try:
            while True:
                due, block = await queue.get()
                if not block and way == "down" and way in self.dead:
                    continue  # the server's end does not come through either
                if not block:
                    return
                await self._send(block, due, writer, way, pace)
        except OSError:
            return  # the other side has gone
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        last = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                block = await reader.read(BLOCK)
            except OSError:
                block = b""
            line = self._proxy.line
            last = max(last, clock() + line.latency + self._proxy.chance.random() * line.jitter)
            queue.put_nowait((last, block))
            if not block:
                return

    async def _send(self, block: bytes, due: float, writer: asyncio.StreamWriter, way: Way, pace: _Pace) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, due - clock()))
        line = self._proxy.line
        if not line.scraps:
            await self._write(block, writer, way)
            if line.bandwidth is not None:
                pace.free_at = max(pace.free_at, clock()) + len(block) / line.bandwidth
                await asyncio.sleep(pace.free_at - clock())
            return
        at = 0
        while at < len(block):
            one = line.whole_scraps or pace.scraps < SCRAPS
            size = 1 if one else self._proxy.chance.randint(1, 4000)
            await self._write(block[at : at + size], writer, way)
            at += size
            pace.scraps += 1
            await asyncio.sleep(0)  # a turn of the loop, in which the client reads it

    async def _write(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        if way not in self.dead:
            writer.write(data)
            await writer.drain()


@dataclass
class _Pace:
    """How far one direction of a connection has come."""

    free_at: float = 0.0
    scraps: int = 0


Fault = Callable[[Proxy], None]
"""Does something to the network, now."""


def _latency(proxy: Proxy) -> None:
    proxy.line.latency = 0.125


def _jitter(proxy: Proxy) -> None:
    proxy.line.jitter = 0.15


def _narrow(proxy: Proxy) -> None:
    proxy.line.bandwidth = 60_000  # a little less than speech in base64 needs


def _scraps(proxy: Proxy) -> None:
    proxy.line.scraps = True


def _cut(proxy: Proxy) -> None:
    proxy.cut()
    proxy.next_welcome = None if proxy.accepted else "cut"


def _reset(proxy: Proxy) -> None:
    proxy.reset()
    proxy.next_welcome = None if proxy.accepted else "reset"


def _mute(proxy: Proxy) -> None:
    proxy.deafen("down")
    proxy.next_welcome = None if proxy.accepted else "mute"


def _deaf(proxy: Proxy) -> None:
    proxy.deafen("up")
    proxy.next_welcome = None if proxy.accepted else "deaf"


def _black_hole(proxy: Proxy) -> None:
    proxy.line.welcome = "swallow"
    proxy.deafen("up", "down")


def _gone(proxy: Proxy) -> None:
    proxy.line.welcome = "reset"
    proxy.reset()


FAULTS: dict[str, Fault] = {
    "latency": _latency,
    "jitter": _jitter,
    "narrow": _narrow,
    "scraps": _scraps,
    "cut": _cut,
    "reset": _reset,
    "half open, down": _mute,
    "half open, up": _deaf,
    "black hole": _black_hole,
    "gone": _gone,
}
"""By name. Those of the line last; a cut, a reset and a half-open connection happen once, to the connections that
there are, or else to the next one; a black hole and a service that is gone last."""

UNHEARD = ("latency", "jitter", "narrow", "scraps", "cut", "reset")
"""Faults that must not even be an error."""
