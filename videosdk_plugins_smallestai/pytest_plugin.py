"""The pytest fixture ``waves_emulator``: a local Waves server for an agent's tests, without a key or a network.

A project opts in with one line in its top ``conftest.py``::

    pytest_plugins = ["videosdk_plugins_smallestai.pytest_plugin"]

Nothing heavy is imported before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .emulator import WavesEmulator

MARKER = "waves_emulator"
DEFAULTS: dict[str, Any] = {"voice": "tone", "first_audio": 0.05, "real_time_factor": 20.0}
"""The fixture's settings: a deterministic voice and a fast server."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, also to ``--strict-markers``."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**settings): settings of the emulator that the fixture `waves_emulator` starts, "
        'such as voice="speech", first_audio=0.5, api_keys={"sk_right"}',
    )


@pytest.fixture
def waves_emulator(request: pytest.FixtureRequest) -> Iterator[WavesEmulator]:
    """A local Waves server for one test: `base_url` is what to give the plugin, `requests` lists what it was asked.

    It runs in a thread of its own, so it works in plain tests and with any asyncio plugin. Settings may be changed
    while it runs; a `fault` or `handshake` callback is called in that thread. They come from markers, the closest
    winning::

        @pytest.mark.waves_emulator(voice="speech")
        async def test_the_greeting_is_spoken(waves_emulator): ...
    """
    with running(**DEFAULTS | _marked(request.node)) as waves:
        yield waves


def _marked(node: pytest.Item) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):  # the closest first
        if marker.args:
            raise pytest.UsageError(f'the marker {MARKER} takes keywords only, such as voice="speech"')
        settings = {**marker.kwargs, **settings}
    return settings


@contextmanager
def running(**settings: Any) -> Iterator[WavesEmulator]:
    """Run an emulator in a thread for as long as it is needed.

    Args:
        **settings: Those of `WavesEmulator`.
    """
    from .emulator.threaded import ThreadedWavesEmulator

    waves = ThreadedWavesEmulator(**settings)
    with waves.thread():
        yield waves
