"""Lightning v4's session: its address, the messages to it, and the frames that come."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ..errors import SmallestAIError
from ..models import resolve
from ..settings import Settings
from .error_mapping import frame_error, is_error, quote, senseless
from .frames import ErrorFrame, NoticeFrame, notice
from .json_reader import load, text_of

__all__ = [
    "END",
    "INTERRUPT",
    "InterruptedFrame",
    "LiveFrame",
    "ReadyFrame",
    "TurnEndFrame",
    "TurnStartFrame",
    "UserTurnRefusedFrame",
    "live_path",
    "parse_live_frame",
    "speak_body",
    "user_audio_body",
]

LANGUAGES = ("en", "auto")
"""What it takes; whatever else is meant is found out from the text."""

INTERRUPT = {"event": "interrupt"}
"""Stops the turn in progress, and those queued behind it."""

END = {"event": "end"}
"""Ends the session."""


@dataclass(frozen=True, slots=True)
class ReadyFrame:
    """The session is admitted; with a sample rate, in Hz: a voice is attached, which sends at that rate."""

    session_id: str | None = None
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class TurnStartFrame:
    """A turn begins: the binary frames that follow are its audio."""

    turn_id: str | None


@dataclass(frozen=True, slots=True)
class TurnEndFrame:
    """All of a turn has been sent."""

    turn_id: str | None


@dataclass(frozen=True, slots=True)
class InterruptedFrame:
    """A turn was stopped."""

    turn_id: str | None


@dataclass(frozen=True, slots=True)
class UserTurnRefusedFrame:
    """What the user said is not used. No turn fails for it."""

    error: SmallestAIError


LiveFrame = (
    ReadyFrame | TurnStartFrame | TurnEndFrame | InterruptedFrame | UserTurnRefusedFrame | ErrorFrame | NoticeFrame
)


def live_path(s: Settings) -> str:
    """The route of a session below the base URL. All that is set of the voice is in its query."""
    query: dict[str, Any] = {
        "voice_id": s.voice_id,
        "language": s.language if s.language in LANGUAGES else "auto",
        "sample_rate": s.sample_rate,
        "output_format": "pcm",
        "speed": s.speed,
    }
    if s.content_filter is not None:
        query |= {"content_filter": "true", "content_filter_action": s.content_filter}
    return f"{resolve(s.model).websocket}?{urlencode(query)}"


def speak_body(turn_id: str, text: str) -> dict[str, Any]:
    """A turn to speak."""
    return {"event": "speak", "turn_id": turn_id, "text": text}


def user_audio_body(text: str, pcm: bytes, sample_rate: int) -> dict[str, Any]:
    """What the user said: the words, and mono 16-bit PCM of that rate, in Hz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes(pcm)
    return {"event": "user_audio", "text": text, "audio": base64.b64encode(file.getvalue()).decode()}


def parse_live_frame(raw: str, *, secret: str = "") -> LiveFrame:
    """Turn one text frame into an event. Never raises. (A binary frame is PCM, and nothing else.)

    An `ErrorFrame` names the turn that failed in its ``request_id``; without one it is of the whole session.

    Args:
        raw: The message.
        secret: The API key, to be kept out of error messages should the server repeat it.
    """
    frame = load(raw)
    if frame is None:
        return ErrorFrame(
            senseless(f"The server sent something that is no frame of a session: {quote(raw, secret)}")
        )
    event, turn_id = frame.get("event"), text_of(frame.get("turn_id"))
    if event == "error" or (event is None and is_error(frame)):
        error = frame_error(frame, secret, id_field="session_id")
        return UserTurnRefusedFrame(error) if frame.get("code") == "bad_user_audio" else ErrorFrame(error, turn_id)
    if event == "ready":
        return ReadyFrame(text_of(frame.get("session_id")), _rate(frame.get("sample_rate")))
    if event == "turn_start":
        return TurnStartFrame(turn_id)
    if event == "turn_end":
        return TurnEndFrame(turn_id)
    if event == "interrupted":
        return InterruptedFrame(turn_id)
    return notice(frame, event, secret)


def _rate(value: object) -> int | None:
    """A sample rate, if it can be one."""
    return value if type(value) is int and 1000 <= value <= 384_000 else None
