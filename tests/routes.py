"""The ways on which the plugin reaches the service, as constructor arguments: what holds on one holds on all."""

from __future__ import annotations

from typing import Any

import pytest

ROUTES: dict[str, dict[str, Any]] = {
    "websocket": {},
    "http": {"enable_streaming": False},
    "unified": {"model": "lightning_v3.1", "continuations": False},
    "continuations": {"model": "lightning_v3.1"},
    "sse": {"model": "lightning_v3.1", "enable_streaming": False},
}

WEBSOCKETS = [name for name, plugin in ROUTES.items() if plugin.get("enable_streaming", True)]

every_route = pytest.mark.parametrize("route", ROUTES)
every_websocket = pytest.mark.parametrize("route", WEBSOCKETS)
