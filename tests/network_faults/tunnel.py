"""An HTTP proxy on the loopback interface: tunnels for TLS, and where it was asked to connect to."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Tunnel:
    """Connects every tunnel to one port of this machine, whatever the name of the host.

    Args:
        to_port: Where all tunnels end.
        status: How it answers; above 299 nothing is connected.

    Attributes:
        asked: The first line of each request that came.
        heads: All of each request's head.
    """

    def __init__(self, to_port: int, status: str = "200 Connection established") -> None:
        self.to_port = to_port
        self.status = status
        self.heads: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def asked(self) -> list[str]:
        return [head.splitlines()[0] for head in self.heads]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # until the transports have closed their sockets

    def close(self) -> None:
        """Accept nobody any more."""
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode())
            if head.startswith(b"CONNECT"):
                writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if self.status.startswith("200"):
                there = await asyncio.open_connection("127.0.0.1", self.to_port)
                self._writers.append(there[1])
                if not head.startswith(b"CONNECT"):
                    there[1].write(_direct(head))
                await asyncio.gather(_pour(reader, there[1]), _pour(there[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def _direct(head: bytes) -> bytes:
    """What a proxy makes of ``GET http://host/path``."""
    method, url, rest = head.split(b" ", 2)
    return b" ".join([method, b"/" + url.split(b"/", 3)[3], rest])


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
