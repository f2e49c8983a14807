"""An emulator with a client on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from clients import Client

from videosdk_plugins_smallestai.emulator import WavesEmulator

FAST: dict[str, Any] = {"voice": "tone", "first_audio": 0.01, "real_time_factor": 100.0}

Serve = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def _serve(key: str = "sk_test", **settings: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with WavesEmulator(**(FAST | settings)) as waves, aiohttp.ClientSession(headers=headers) as session:
        client = Client(waves, session)
        yield client
        await client.close()


@pytest.fixture
def serve() -> Serve:
    """``async with serve(complete=None, ...) as client``: a fast emulator, and a client of it."""
    return _serve
