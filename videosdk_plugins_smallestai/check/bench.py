"""The service, as the questions find it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from ..transport.session import Session
from .answers import has_audio, has_complete
from .wire import QUIET, Heard, Line, open_line

__all__ = ["PRO", "STREAM", "WRONG_KEY", "Bench", "NotSeen"]

STREAM = "/tts/live"

WRONG_KEY = "sk_wrong_on_purpose"
"""A key that no account has."""


class NotSeen(Exception):
    """The question cannot be answered here."""


@dataclass(frozen=True)
class Speaker:
    """A model and voices for it.

    Attributes:
        model: As the unified routes name it.
        voice: One of its pool.
        word_voice: One whose words are timed.
        foreign_voice: One of the other pool.
    """

    model: str
    voice: str
    word_voice: str
    foreign_voice: str


STANDARD = Speaker("lightning_v3.1", "magnus", "avery", "rhea")
PRO = Speaker("lightning_v3.1_pro", "blake", "meher", "magnus")


class Bench:
    """The service, to be asked.

    Args:
        session: Where it is.
        wrong: The same with a wrong key.

    Attributes:
        session: As given.
        wrong: As given.
        speaker: The model that speaks: the standard one, unless `current_model` finds it retired.
    """

    def __init__(self, session: Session, wrong: Session) -> None:
        self.session = session
        self.wrong = wrong
        self.speaker = STANDARD
        self._asked = 0

    def body(self, text: str | None, **fields: Any) -> dict[str, Any]:
        """A request for the unified routes; ``None``: without a text."""
        return self.old_body(text, model=self.speaker.model, voice_id=self.speaker.voice) | fields

    def old_body(self, text: str | None, **fields: Any) -> dict[str, Any]:
        """A request for the route of lightning-v3.1."""
        self._asked += 1
        body = {
            "voice_id": STANDARD.voice,
            "language": "en",
            "sample_rate": 24000,
            "speed": 1.0,
            "request_id": f"check-{self._asked}",
            "complete_backoff_ms": 1,
            **fields,
        }
        return body if text is None else body | {"text": text}

    def line(self, path: str = STREAM) -> AbstractAsyncContextManager[Line]:
        """An open WebSocket: see `open_line`."""
        return open_line(self.session, path)

    async def say(
        self,
        text: str,
        until: Callable[[list[Heard]], bool] = lambda heard: has_audio(heard) or has_complete(heard),
        *,
        quiet: float = QUIET,
        **fields: Any,
    ) -> list[Heard]:
        """Make a request on a connection of its own. Returns what comes of it.

        Args:
            text: What is to be spoken.
            until: As of `Line.listen`; by default until it is known whether it is spoken.
            quiet: As of `Line.listen`.
            **fields: Further fields of the request.
        """
        async with self.line() as line:
            return await line.ask(self.body(text, **fields), until, quiet=quiet)
