"""What is assumed of the service and may be wrong: each assumption's readings, as settings of the emulator.

The names and readings are those that ``python -m videosdk_plugins_smallestai check`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .settings import Live

READINGS: dict[str, dict[str, dict[str, Any]]] = {
    "current_model": {"served": {}, "retired": {"retired": {"lightning_v3.1": "MODEL_DEPRECATED"}}},
    "old_route": {
        "served": {},
        "404": {"retired": {"lightning-v3.1": 404}},
        "405": {"retired": {"lightning-v3.1": 405}},
        "410": {"retired": {"lightning-v3.1": 410}},
        "MODEL_DEPRECATED": {"retired": {"lightning-v3.1": "MODEL_DEPRECATED"}},
    },
    "complete_at_0": {"late": {"zero_is_absent": True}, "prompt": {"zero_is_absent": False}},
    "complete_at_1": {"prompt": {"complete": "asked"}, "late": {"complete": 4.0}},
    "closed_after_complete": {
        "closed": {"close_after_complete": "unified"},
        "kept open": {"close_after_complete": False},
    },
    "second_request": {
        "in turn": {"serving": "serial"},
        "mixed": {"serving": "interleaved"},
        "refused": {"serving": "refused"},
    },
    "ids_echoed": {"echoed": {"echo_ids": True}, "not echoed": {"echo_ids": False}},
    "complete_for_each_release": {
        "each release": {"context_complete": "release"},
        "one for the context": {"context_complete": "context"},
        "none": {"context_complete": None},
    },
    "request_id_changes": {
        "with each release": {"context_ids": "release"},
        "one for all": {"context_ids": "connection"},
    },
    "cancel_request": {"audio goes on": {"cancel": "buffer"}, "audio stops": {"cancel": "audio"}},
    "context_slot": {
        "when closed": {"concurrency": 3, "context_slot": "closed"},
        "later": {"concurrency": 3, "context_slot": 2.5},
        "never": {"concurrency": 3, "context_slot": 600.0},
        "not held": {"concurrency": 3, "context_slot": "served"},
    },
    "concurrency": {"2 or more": {}, "1": {"concurrency": 1}},
    "wrong_voice": {"refused": {}, "spoken": {"lenient": {"voice_id"}}},
    "other_pools_voice": {
        "spoken": {"mismatched_voices": "spoken"},
        "refused": {"mismatched_voices": "refused"},
    },
    "wrong_language": {"refused": {}, "spoken": {"lenient": {"language"}}},
    "wrong_model": {"refused": {}, "spoken": {"lenient": {"model"}}},
    "wrong_key": {
        "401": {"refused_key": 401},
        "403": {"refused_key": 403},
        "error frame": {"refused_key": "frame"},
    },
    "word_times": {
        "from the release": {"words": "relative"},
        "from the connection": {"words": "absolute"},
        "none": {"words": None},
    },
    "idle_close": {
        "told": {"idle_close": "told"},
        "not told": {"idle_close": "silent"},
        "not closed": {"idle_close": "default"},
    },
    "v4": {"open": {"live": Live()}, "closed": {"live": Live(access=False)}},
}
"""Name to reading to settings. The first reading of each is the emulator's own."""

NUMBERS: dict[str, tuple[str, str, Callable[[str], dict[str, Any]]]] = {
    "first_audio": (r"\d+(\.\d+)? s", "0.2 s", lambda told: {"first_audio": float(told.removesuffix(" s"))}),
    "speed": (r"\d+(\.\d+)?x", "3.3x", lambda told: {"real_time_factor": float(told.removesuffix("x"))}),
    "rates": (
        r"\d+( \d+)*",
        "8000 16000 24000 44100",
        lambda told: {"rates": tuple(int(rate) for rate in told.split())},
    ),
}
"""Name to the form of its readings, an example, and what makes settings of one."""

NAMES = (*READINGS, *NUMBERS)
"""What can be assumed."""


def settings_for(assume: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings with which the emulator is as assumed.

    Args:
        assume: Name to reading; what follows ``": "`` in a reading, a detail of what was seen, is left away.

    Raises:
        ValueError: There is no such assumption, or no such reading of it.
    """
    unknown = [name for name in assume if name not in NAMES]
    if unknown:
        raise ValueError(f"assume knows {', '.join(NAMES)}; got {', '.join(map(repr, unknown))}")
    settings: dict[str, Any] = {}
    for name in (name for name in NAMES if name in assume):
        for setting, value in _settings(name, assume[name]).items():
            # Several assumptions may retire a model, or make a field lenient.
            joined = isinstance(value, dict | set) and setting in settings
            settings[setting] = settings[setting] | value if joined else value
    return settings


def _settings(name: str, told: str) -> dict[str, Any]:
    reading = told.partition(": ")[0] if isinstance(told, str) else told
    if name in READINGS:
        if reading in READINGS[name]:
            return READINGS[name][reading]
        raise ValueError(f"{name} can be assumed as {', '.join(map(repr, READINGS[name]))}; got {told!r}")
    form, example, make = NUMBERS[name]
    if isinstance(reading, str) and re.fullmatch(form, reading):
        return make(reading)
    raise ValueError(f"{name} can be assumed as something like {example!r}; got {told!r}")
