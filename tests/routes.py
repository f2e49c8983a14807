"""The ways on which the plugin reaches the service, as constructor arguments: what holds on one holds on all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

ROUTES: dict[str, dict[str, Any]] = {
    "websocket": {},
    "http": {"enable_streaming": False},
    "unified": {"model": "lightning_v3.1", "continuations": False},
    "continuations": {"model": "lightning_v3.1"},
    "sse": {"model": "lightning_v3.1", "enable_streaming": False},
    "live": {"model": "lightning_v4"},
}

UNTOLD = ("websocket", "unified", "continuations")
"""WebSockets whose server may not tell where a request ends, so that silence is judged."""

SECONDARY = ("unified", "sse", "live")
"""Routes whose parts the others have too, or that have tests of their own (``test_v4_session.py``): left to the
full run, so that the short one stays short."""

WEBSOCKETS = [name for name, plugin in ROUTES.items() if plugin.get("enable_streaming", True)]


def _parameters(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in SECONDARY else name for name in names]


def quick_on(*quick: str, slow: Iterable[str]) -> Any:
    """Runs a test on some routes, and in the full run on others: for tests that take their time on each."""
    return pytest.mark.parametrize(
        "route", [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in slow)]
    )


every_route = pytest.mark.parametrize("route", _parameters(ROUTES))
every_http = pytest.mark.parametrize("route", _parameters(name for name in ROUTES if name not in WEBSOCKETS))
every_websocket = pytest.mark.parametrize("route", _parameters(WEBSOCKETS))
every_untold_websocket = pytest.mark.parametrize("route", _parameters(UNTOLD))
