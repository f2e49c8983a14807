"""The server's process and the contestants', as the parent sees them: JSON lines in, JSON lines out."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contestants import NotReadyError, environment_variables

HERE = Path(__file__).parent
LINE = 64 * 1024 * 1024
"""Bytes of the longest line: the outcomes of a part."""

PATIENCE = 5.0
"""Seconds that a process has to end before it is killed."""


class Worker:
    """A Python process of this folder that speaks JSON lines.

    Args:
        python: The interpreter.
        script: A file of this folder.
        arguments: Its command line.
    """

    def __init__(self, python: Path, script: str, *arguments: str) -> None:
        self._command = (str(python), str(HERE / script), *arguments)
        self._errors: deque[str] = deque(maxlen=30)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=environment_variables(),
            limit=LINE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's: it ends its children itself
        )
        self._draining = asyncio.ensure_future(self._drain())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._draining.cancel()

    async def _drain(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._errors.append(line.decode(errors="replace").rstrip())

    async def hear(self) -> dict[str, Any]:
        """The next line.

        Raises:
            EOFError: The process has ended; the message is what it said last.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await asyncio.wait({self._draining}, timeout=1.0)
            raise EOFError(
                next((line for line in reversed(self._errors) if line.strip()), "it ended without a word")
            )
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def tell(self, what: dict[str, Any]) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()


class Server:
    """The server's process.

    Attributes:
        base_url: Of its API.
        facts: What it says about itself.
    """

    def __init__(self, worker: Worker, facts: dict[str, Any]) -> None:
        self.base_url: str = facts["base_url"]
        self.facts = facts
        self._worker = worker

    async def ask(self, **settings: Any) -> tuple[float, float]:
        """Change settings; gives the CPU seconds that it has used, and its clock."""
        told = await self._ask(settings)
        return told["cpu"], told["wall"]

    async def connections(self) -> int:
        """How many WebSocket connections are open."""
        count: int = (await self._ask({}))["connections"]
        return count

    async def stop(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        await self._ask({"serving": False})

    async def start(self) -> None:
        """Accept connections again, on the same port."""
        await self._ask({"serving": True})

    async def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        await self._worker.tell(what)
        return await self._worker.hear()


@asynccontextmanager
async def server(python: Path) -> AsyncIterator[Server]:
    """Start the server; end it at the end.

    Raises:
        NotReadyError: It does not start.
    """
    async with Worker(python, "server.py") as worker:
        try:
            facts = await worker.hear()
        except EOFError as error:
            raise NotReadyError(
                f"The server does not start: {error}\nRun `{python} {HERE / 'server.py'}` by hand to see more."
            ) from None
        yield Server(worker, facts)
