"""The plugin's log lines, each of which says of which object and which reply it is."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

__all__ = ["Log"]

_LOGGER = logging.getLogger(__package__)
"""All lines are logged by this one: ``videosdk_plugins_smallestai``."""


class Log(logging.LoggerAdapter[logging.Logger]):
    """Writes lines about one object or one reply. They never hold text that is spoken, nor the key.

    A line begins with ``Smallest AI [id]: ``. Every line of an object has its fields, as attributes of the record:
    ``tts_id``, and for a reply ``reply_id``, ``model``, ``voice_id`` and ``route``; that of a reply's end and
    those of its failures have ``request_ids`` too.

    Args:
        label: The id in the message; empty for none.
        **fields: Attributes of each record.
    """

    def __init__(self, label: str = "", **fields: object) -> None:
        super().__init__(_LOGGER, fields)
        self._label = label

    def bind(self, label: str | None = None, **fields: object) -> Log:
        """One with more fields, and perhaps another label."""
        return Log(self._label if label is None else label, **(dict(self.extra or {}) | fields))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the label and the fields."""
        kwargs["extra"] = dict(self.extra or {}) | dict(kwargs.get("extra") or {})
        label = f" [{self._label}]" if self._label else ""
        return f"Smallest AI{label}: {msg}", kwargs
