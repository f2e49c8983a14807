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
from .voices import Voice

if TYPE_CHECKING:
    from .tts import SmallestAITTS

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AuthenticationError",
    "InvalidRequestError",
    "ModelRetiredError",
    "RateLimitError",
    "ServerError",
    "SmallestAIError",
    "SmallestAIModel",
    "SmallestAITTS",
    "Voice",
    "__version__",
]

if not TYPE_CHECKING:  # for a type checker a module with __getattr__ would have every name

    def __getattr__(name: str) -> Any:
        """Import the class when it is first asked for.

        It brings the whole framework with it, which takes seconds; the emulator and the errors do without.
        """
        if name == "SmallestAITTS":
            from .tts import SmallestAITTS

            globals()[name] = SmallestAITTS
            return SmallestAITTS
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
