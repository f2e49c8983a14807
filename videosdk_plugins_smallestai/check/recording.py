"""Writes down what is sent and received, for ``WavesEmulator(replay=...)``; the format is described there.

The key is not in it: what repeats it is redacted. Everything is written at once, so that an interrupted run leaves
what it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from typing import Any, TextIO

from ..protocol.redaction import without_secret
from ..version import __version__

__all__ = ["Exchange", "Recorder"]

VERSION = 1

_AUDIO = re.compile(r'("audio"\s*:\s*")([A-Za-z0-9+/=]+)"')
_HEADERS = ("Content-Type", "Retry-After", "X-Request-Id", "X-Session-Id")


class Recorder:
    """Writes a recording.

    Args:
        file: Where to; ``None``: nowhere.
        secret: The key, which must not be in it.
        audio: Whether audio is kept; else its length and hash are.
    """

    def __init__(self, file: TextIO | None, secret: str, *, audio: bool = True) -> None:
        self._file = file
        self._secret = secret
        self._audio = audio
        self._began: float | None = None
        self._exchanges = 0

    def exchange(self, **how: Any) -> Exchange:
        """Begin to record a WebSocket or a POST.

        Args:
            **how: How it began: ``handshake`` or ``post``, ``key``, ``sent``.
        """
        self._exchanges += 1
        exchange = Exchange(self, self._exchanges)
        exchange.note(**how)
        return exchange

    def write(self, number: int, event: dict[str, Any]) -> None:
        """Write what has happened in an exchange just now."""
        if self._file is None:
            return
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
            head = {"recording": VERSION, "by": f"videosdk-plugins-smallestai {__version__}", "audio": self._audio}
            self._file.write(json.dumps(head) + "\n")
        line = {"exchange": number, "at": round(now - self._began, 6), **event}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def keep(self, text: str) -> str:
        """A text as it is recorded."""
        parts: list[str] = []
        end = 0
        for found in _AUDIO.finditer(text):
            audio = self._keep_audio(found[2])
            if audio is not None:
                parts += [self.redacted(text[end : found.end(1)]), audio, '"']
                end = found.end()
        return "".join([*parts, self.redacted(text[end:])])

    def keep_bytes(self, data: bytes) -> str:
        """Audio as it is recorded."""
        encoded = base64.b64encode(data).decode()
        # Parts of a key are not looked for in audio: that takes a while.
        clean = self._secret not in encoded and self._secret.encode() not in data
        return encoded if self._audio and clean else _digest(data)

    def _keep_audio(self, encoded: str) -> str | None:
        """Base64 audio as it is recorded; ``None`` for what is none."""
        try:
            return self.keep_bytes(binascii.a2b_base64(encoded, strict_mode=True))
        except ValueError:
            return None

    def redacted(self, value: Any) -> Any:
        """What can be written as JSON, without the key."""
        if isinstance(value, str):
            return without_secret(value, self._secret)
        if isinstance(value, dict):
            return {name: self.redacted(item) for name, item in value.items()}
        return [self.redacted(item) for item in value] if isinstance(value, list) else value


class Exchange:
    """One WebSocket or POST that is recorded.

    Args:
        recorder: Where to write.
        number: Its number.
    """

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder = recorder
        self._number = number
        self._over = False

    def note(self, **event: Any) -> None:
        """Write down what is neither a frame nor a body."""
        self._recorder.write(self._number, self._recorder.redacted(event))

    def answered(self, status: int, headers: Any) -> None:
        """Write down the status of the answer."""
        told = {name: headers[name] for name in _HEADERS if headers and name in headers}
        self.note(status=status, headers=told)

    def heard(self, data: str | bytes) -> None:
        """Write down a frame, or a part of a body."""
        if isinstance(data, str):
            self._recorder.write(self._number, {"text": self._recorder.keep(data)})
        else:
            self._recorder.write(self._number, {"binary": self._recorder.keep_bytes(data)})

    def over(self, **how: Any) -> None:
        """Write down how it ended; only the first time."""
        if not self._over:
            self._over = True
            self.note(**how)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()};bytes={len(data)}"
