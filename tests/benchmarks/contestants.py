"""Who is measured, and the environments that they live in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ".ci-bench-"
"""At the repository's root, where git ignores it."""

STAMP = "benchmarks.txt"
"""In each environment, once it is complete: what was installed."""


class NotReadyError(Exception):
    """The benchmark cannot begin or go on. The message says why, and what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: Of its folder.
        requirements: What pip installs, as it is written on its command line.
    """

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is."""
        return ROOT / (FOLDER + self.name)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def _stamp(self) -> str:
        return "\n".join((sys.version, *self.requirements)) + "\n"

    @property
    def ready(self) -> bool:
        """Whether it is there, for this Python and these requirements."""
        stamp = self.folder / STAMP
        return self.python.exists() and stamp.exists() and stamp.read_text() == self._stamp

    async def make(self) -> None:
        """Make it, from nothing.

        Raises:
            NotReadyError: It cannot be made.
        """
        await _run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        pip = ("-m", "pip", "install", "-qq", "--disable-pip-version-check")
        await _run(str(self.python), *pip, *self.requirements)
        (self.folder / STAMP).write_text(self._stamp)


OURS = Environment("ours", ("-e", "."))
SERVER = Environment("server", ("-e", ".", "matplotlib>=3.9"))
REPLACED = Environment("replaced", ("videosdk-plugins-smallestai==1.0.30",))
LIVEKIT = Environment("livekit", ("livekit-plugins-smallestai==1.8.9",))


@dataclass(frozen=True)
class Contestant:
    """One row of the table.

    Attributes:
        name: As the command line knows it.
        label: As the table and the picture show it.
        driver: A module of `drivers`.
        environment: Where it is installed.
    """

    name: str
    label: str
    driver: str
    environment: Environment


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        # In one environment, so that the two differ in nothing but the plugin.
        Contestant("bare", "bare loop", "bare", OURS),
        Contestant("ours", "this plugin", "plugin", OURS),
        Contestant("unified", "this plugin, lightning_v3.1", "plugin_unified", OURS),
        Contestant("replaced", "videosdk plugin 1.0.30", "plugin", REPLACED),
        Contestant("livekit", "LiveKit plugin 1.8.9", "livekit_plugin", LIVEKIT),
    )
}


def environment_variables() -> dict[str, str]:
    """No key, no proxy to the loopback, nothing sent home, and no other folder to import from."""
    dropped = ("SMALLEST_API_KEY", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"DO_NOT_TRACK": "1", "NO_PROXY": "*", "no_proxy": "*", "PYTHONUNBUFFERED": "1"}


async def prepare(environments: list[Environment], show: Callable[[str], None]) -> None:
    """Make the environments that are missing.

    Args:
        environments: Those that are needed.
        show: Told what is being done.

    Raises:
        NotReadyError: One cannot be made.
    """
    for environment in environments:
        if not environment.ready:
            show(f"making the environment {environment.folder.name} (a minute or two; it is kept)")
            await environment.make()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is the parent's: it ends its children itself
    )
    try:
        _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode:
        reason = err.decode(errors="replace").strip().splitlines()[-1:] or ["no reason told"]
        raise NotReadyError(
            f"`{' '.join(command)}` failed: {reason[0]}\n"
            f"Run that command by hand to see more. It needs pip to reach a package index."
        )
