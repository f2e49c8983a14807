"""Smallest AI text-to-speech for VideoSDK Agents."""

from __future__ import annotations

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
    from .reply.metrics import ReplyMetrics
    from .tts import SmallestAITTS
    from .voices import Voice

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AuthenticationError",
    "InvalidRequestError",
    "ModelRetiredError",
    "RateLimitError",
    "ReplyMetrics",
    "ServerError",
    "SmallestAIError",
    "SmallestAIModel",
    "SmallestAITTS",
    "Voice",
    "__version__",
]

if not TYPE_CHECKING:  # for a type checker a module with __getattr__ would have every name

    def __getattr__(name: str) -> Any:
        """Import these when they are first asked for.

        The class brings the whole framework with it, which takes seconds, and a voice aiohttp; the emulator, the
        errors and the pytest plugin do without.
        """
        if name == "SmallestAITTS":
            from .tts import SmallestAITTS as value
        elif name == "ReplyMetrics":
            from .reply.metrics import ReplyMetrics as value
        elif name == "Voice":
            from .voices import Voice as value
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value
