"""A whole agent session on loopback, by the package's own `call`, and what only our tests ask of it."""

from __future__ import annotations

import asyncio
import functools
import gc
import ipaddress
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from videosdk.agents import TTS, Agent, Pipeline
from videosdk.agents.room import output_stream
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.testing import Call, call

PROMPT = 5.0
"""Seconds in which what must come promptly has to come on a busy machine."""


def without_silence(pcm: bytes) -> bytes:
    """Leave out the silent samples at the end: those that fill the last frame."""
    end = len(pcm)
    while end >= 2 and pcm[end - 2 : end] == b"\0\0":
        end -= 2
    return pcm[:end]


def in_virtual_call(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time, and the framework's tracks too, which look at the real clock."""

    @in_virtual_time
    @functools.wraps(test)
    async def run(*args: Any, **arguments: Any) -> None:
        with patch.object(output_stream, "time", asyncio.get_running_loop().time):
            await test(*args, **arguments)

    return run


class SilentAgent(Agent):  # type: ignore[misc]
    """Does nothing by itself."""

    def __init__(self) -> None:
        super().__init__(instructions="Be brief.")

    async def on_enter(self) -> None:
        pass

    async def on_exit(self) -> None:
        pass


@asynccontextmanager
async def agent_session(
    tts: TTS | None = None,
    answers: Iterable[Any] = (),
    *,
    agent: Agent | None = None,
    prepare: Callable[[Pipeline], None] | None = None,
    **options: Any,
) -> AsyncIterator[Call]:
    """A call with an agent whose pipeline is as the framework makes it, with its own filter and chunker.

    Fails if the session leaves a task behind, or if anything tried to reach beyond this machine.

    Args:
        tts: The agent's voice; the session closes it.
        answers: The language model's.
        agent: ``None``: one that does nothing by itself.
        prepare: Called with the pipeline before the session starts, to register hooks.
        **options: Further arguments of `Pipeline`.
    """

    def make(**components: Any) -> Pipeline:
        pipeline = Pipeline(**components)
        if prepare is not None:
            prepare(pipeline)
        return pipeline

    async with nothing_left():
        with only_loopback():
            async with call(agent or SilentAgent(), answers, tts=tts, pipeline=make, **options) as in_progress:
                yield in_progress


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fail if a task is left behind."""
    others = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - others
    if left:
        _, left = await asyncio.wait(left, timeout=PROMPT)
    assert not left, f"the session left tasks behind: {left}"
    gc.collect()  # what was not closed complains now, and any warning fails a test


_watches: list[list[str]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _watches:
        return
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = args[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # the rest are Unix sockets
    else:
        return
    if not _is_loopback(host):
        _watches[-1].append(f"{event} {host}")
        raise PermissionError(f"a test reaches for {host}")


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "0.0.0.0", "::"):  # the last two: to listen on
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


sys.addaudithook(_audit)  # an audit hook stays for ever; it does nothing while nobody watches


@contextmanager
def only_loopback() -> Iterator[None]:
    """Refuse to let anything reach beyond this machine, and fail if it tries."""
    attempts: list[str] = []
    _watches.append(attempts)
    try:
        yield
    finally:
        _watches.remove(attempts)
    assert not attempts, f"beyond this machine: {attempts}"
