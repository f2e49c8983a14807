"""Shared fixtures, and what the whole run prints at its end."""

from __future__ import annotations

import gc

import hypothesis
import pytest
from staging import MakeStage, make_stage

pytest_plugins = ["videosdk_plugins_smallestai.pytest_plugin"]

# The framework collects garbage in every `aclose`: a tenth of a second, if it looks at all that has been imported.
gc.freeze()

# Machines are shared: an example may take any time. The long run is `pytest --hypothesis-profile=thorough`.
hypothesis.settings.register_profile("short", deadline=None, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("short")


@pytest.fixture
def stage() -> MakeStage:
    """``async with stage(plugin={...}, complete=None, ...) as s``: keywords are the emulator's."""
    return make_stage


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The network faults take their time: they are left to the full run."""
    for item in items:
        if "network_faults" in item.path.parts:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables that tests left with ``record_property("table", text)``, from all workers."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "user_properties", ()):
                if name == "table" and getattr(report, "when", None) == "call":
                    terminalreporter.write_line(text)
