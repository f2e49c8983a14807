"""Parses bodies of HTTP answers, without I/O: raw PCM that may be WAV or JSON, and server-sent events."""

from __future__ import annotations

import json
import re
import struct

__all__ = ["PcmBody", "SseBody"]

JSON_LIMIT = 64 * 1024
"""Bytes after which something that began like JSON is taken for audio after all."""

HEADER_LIMIT = 64 * 1024
"""Bytes in which the samples of a WAV file must begin. Real headers have 44, and some hundred with metadata."""

EVENT_LIMIT = 8 * 1024 * 1024
"""Bytes of one event. Real ones carry a second of audio; all of the longest request's, at half speed, is 6 MB."""

_JSON_SO_FAR = re.compile(rb"[ \t\r\n]*([{\[][^\x00-\x08\x0b\x0c\x0e-\x1f]*)?")
"""JSON has no control characters but white space. A few samples of PCM have some: they are not held for long."""


class PcmBody:
    """A binary body, fed as it comes.

    The service's `Content-Type` is not to be trusted: it says ``audio/wav`` for raw PCM, a RIFF header may stand in
    front all the same, and an error may come as JSON with a status of 200.
    """

    def __init__(self) -> None:
        self._held = b""
        self._decided = False

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes in, give PCM out. Holds back what cannot be told apart yet."""
        if self._decided:
            return chunk
        self._held += chunk
        if len(self._held) < 4 and b"RIFF".startswith(self._held):
            return b""
        if self._held.startswith(b"RIFF"):
            start = _riff_data(self._held)
            if start is None:
                self._held = self._held[:HEADER_LIMIT]  # beyond that it is no speech, and would fill the memory
                return b""
            return self._release(start)
        if len(self._held) <= JSON_LIMIT and _JSON_SO_FAR.fullmatch(self._held):
            return b""
        return self._release(0)

    def finish(self) -> tuple[bytes, str | None]:
        """At the end of the body: the PCM that was held back, or the JSON that it turned out to be."""
        held, self._held = self._held, b""
        if self._decided or not held or held.startswith(b"RIFF"):
            return b"", None
        try:
            json.loads(held)
        except (ValueError, RecursionError):
            return held, None
        return b"", held.decode("utf-8", "replace")

    def _release(self, start: int) -> bytes:
        self._decided = True
        held, self._held = self._held, b""
        return held[start:]


def _riff_data(head: bytes) -> int | None:
    """Where the samples of a WAV file begin; ``None`` while more of it is needed to tell."""
    at = 12
    while len(head) >= at + 8:
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        at += 8
        if name == b"data":
            return at
        at += size + size % 2
    return None


class SseBody:
    """A ``text/event-stream`` body, fed as it comes. Its lines end with LF or CRLF; nobody sends a CR alone."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # the parts of a line without an end
        self._data: list[str] = []
        self._size = 0  # of the event, so far

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes in, give the data of each finished event out; of one that is too long, that it is."""
        if b"\n" not in chunk:
            self._line.append(chunk)  # joined once, and not for each chunk: a line may have megabytes
            lines = []
        else:
            *lines, rest = (b"".join(self._line) + chunk).split(b"\n")
            self._line = [rest]
        events = [event for line in lines if (event := self._take(line)) is not None]
        if self._size + sum(map(len, self._line)) > EVENT_LIMIT:
            self._line, self._data, self._size = [], [], 0
            events.append(f"(an event of more than {EVENT_LIMIT} bytes)")
        return events

    def finish(self) -> list[str]:
        """At the end of the body: the event that no empty line has closed."""
        lines, self._line = [b"".join(self._line), b""], []
        return [event for line in lines if (event := self._take(line)) is not None]

    def _take(self, line: bytes) -> str | None:
        text = line.decode("utf-8", "replace").removesuffix("\r")
        self._size = self._size + len(line) if text else 0
        if text.startswith("data:"):
            self._data.append(text[5:].removeprefix(" "))
        if text or not self._data:
            return None
        event, self._data = "\n".join(self._data), []
        return event or None  # as the standard has it: an event without data is none
