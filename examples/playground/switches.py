"""What the page's buttons break: each is on until a request has met it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from videosdk_plugins_smallestai.emulator import Break, Fault, Refuse, SpeechRequest, Stall

SOON = 0.4
"""Seconds of audio before a fault: few, so that it meets a short first sentence too."""

KINDS: dict[str, Fault] = {
    "drop": Break(after=SOON, how="reset"),
    "stall": Stall(seconds=2.0, after=SOON),
    "refuse": Refuse(503),
    "slow": Stall(seconds=0.15, after=0.1, every=1),  # before each tenth of a second of audio
}


class Switches:
    """Faults that wait for the next request.

    Args:
        out: Takes what the page is to know.
    """

    def __init__(self, out: Callable[[dict[str, Any]], None]) -> None:
        self._out = out
        self._on: set[str] = set()

    def set(self, kind: str, *, on: bool) -> None:
        """Turn one on or off.

        Raises:
            KeyError: There is no such fault.
        """
        KINDS[kind]
        self._on = self._on | {kind} if on else self._on - {kind}

    def fault(self, request: SpeechRequest) -> Sequence[Fault]:
        """What goes wrong with a request: what is on, which is off then. The emulator asks."""
        met, self._on = sorted(self._on), set()
        for kind in met:
            self._out({"type": "fault", "kind": kind})
        return [KINDS[kind] for kind in met]
