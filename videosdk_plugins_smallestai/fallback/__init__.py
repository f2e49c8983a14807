"""`FallbackTTS`, which lets another voice go on where one fails, and loses nothing of the text between them."""

from .tts import FallbackTTS

__all__ = ["FallbackTTS"]
