"""Smallest AI text-to-speech for VideoSDK Agents."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    InvalidRequestError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from .models import SmallestAIModel
from .version import __version__

if TYPE_CHECKING:
    from .fallback import FallbackTTS
    from .reply.metrics import ReplyMetrics
    from .text.text_filter import SpeechTextFilter
    from .tts import SmallestAITTS
    from .voices import Voice

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AuthenticationError",
    "FallbackTTS",
    "InvalidRequestError",
    "ModelRetiredError",
    "RateLimitError",
    "ReplyMetrics",
    "ServerError",
    "SmallestAIError",
    "SmallestAIModel",
    "SmallestAITTS",
    "SpeechTextFilter",
    "Voice",
    "__version__",
]

_LAZY = {
    "FallbackTTS": ".fallback",
    "ReplyMetrics": ".reply.metrics",
    "SmallestAITTS": ".tts",
    "SpeechTextFilter": ".text.text_filter",
    "Voice": ".voices",
}
"""Imported when they are first asked for: the classes bring the whole framework with them, which takes seconds, and
a voice aiohttp; the emulator, the errors and the pytest plugin do without."""

if not TYPE_CHECKING:  # for a type checker a module with __getattr__ would have every name

    def __getattr__(name: str) -> Any:
        """Import one of `_LAZY`."""
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LAZY[name], __name__), name)
        return value
