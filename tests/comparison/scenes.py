"""What happens on calls: each scene is a server's behaviour and some replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from videosdk_plugins_smallestai.emulator import Break, Mute, Refuse, SpeechRequest, Stall

THREE = (
    "Here is the first of three sentences. The second one comes right after it. And the third one ends the reply."
)
TOTAL = "Your total is $1,299.50 at 10:30."


@dataclass(frozen=True)
class Scene:
    """A scene.

    Attributes:
        title: What it is, in a table.
        replies: What is said: a ``text`` each; ``after`` so many seconds; ``interrupt_after`` so many heard.
        server: Settings of the emulator.
        plugin: Arguments of the plugin.
        skip: Replies that do not count.
        latency: Seconds that each byte takes over the network, each way.
    """

    title: str
    replies: list[dict[str, Any]]
    server: dict[str, Any] = field(default_factory=dict)
    plugin: dict[str, Any] = field(default_factory=dict)
    skip: int = 0
    latency: float = 0.02


def first(fault: Any) -> Callable[[SpeechRequest], Any]:
    """It goes wrong with the first request only."""
    return lambda request: fault if request.number == 0 else None


LATE = {"complete": 4.0}
"""The service says that a request is complete four seconds late, as the plugin that is replaced has noted."""

SCENES = {
    "sentences": Scene("A reply of three sentences", [{"text": THREE}], LATE),
    "slow": Scene(
        "A busy service, 1.3 times as fast as speech", [{"text": THREE}], LATE | {"real_time_factor": 1.3}
    ),
    "number": Scene("`$1,299.50 at 10:30`", [{"text": TOTAL}], LATE),
    "stall": Scene(
        "The service pauses for 0.6 s in mid-sentence",
        [{"text": THREE}],
        LATE | {"fault": first(Stall(0.6, after=0.8))},
    ),
    "drop": Scene(
        "The connection drops in mid-sentence", [{"text": THREE}], LATE | {"fault": first(Break(0.8, "reset"))}
    ),
    "refusal": Scene(
        "One passing 503", [{"text": THREE}], LATE | {"fault": first(Refuse(503))}, {"enable_streaming": False}
    ),
    "mute": Scene("The service sends no audio", [{"text": THREE}], LATE | {"fault": lambda request: Mute()}),
    "idle": Scene(
        "A reply after a pause in which the service closed the connection",
        [{"text": "Hello."}, {"text": THREE, "after": 3.0}],
        LATE | {"idle_timeout": 2.0},
        skip=1,
        latency=0.1,
    ),
    "barge-in": Scene(
        "The reply after an interruption",
        [{"text": " ".join([THREE] * 3), "interrupt_after": 1.0}, {"text": THREE}],
        LATE,
        skip=1,
    ),
    "telephone": Scene("`sample_rate=8000`", [{"text": THREE}], LATE, {"sample_rate": 8000}),
}
