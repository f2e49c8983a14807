"""Takes the API key and spoken text out of messages."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..errors import SmallestAIError

__all__ = ["conceal", "without_secret", "without_speech"]

TELLING_RUN = 12
"""Characters that a message must share with a text, or with a key, to have them replaced: fewer are coincidence."""

TELLING_KEY = 8
"""Characters of the shortest key that is replaced. Real ones have some forty."""

TELLING_TEXT = 6
"""Characters of the shortest text that is replaced as a whole: messages use words such as ``voice`` themselves."""


def without_secret(text: str, secret: str) -> str:
    """A text with the API key replaced, as it is and as it would stand in JSON; a good part of a key as well.

    A key of fewer than `TELLING_KEY` characters is not looked for: it is no real one, and may be a common word.
    """
    if len(secret) < TELLING_KEY:
        return text
    text = text.replace(secret, "***").replace(json.dumps(secret)[1:-1], "***")
    return _without_runs(text, [secret], "***") if len(secret) > TELLING_RUN else text


def without_speech(message: str, spoken: Iterable[str]) -> str:
    """A server's message without what it repeats of some texts, as they are or as they stand in JSON.

    What users and agents say must not reach the logs, to which error messages are written.
    """
    forms = {
        form
        for text in spoken
        for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        if len(form) >= TELLING_TEXT
    }
    for short in (form for form in forms if len(form) < TELLING_RUN):
        message = message.replace(short, "…")
    return _without_runs(message, forms, "…")


def conceal(error: SmallestAIError, spoken: Iterable[str]) -> None:
    """Take what the service has repeated of some texts out of an error's message and id."""
    spoken = list(spoken)
    error.args = tuple(without_speech(str(part), spoken) for part in error.args)
    error.request_id = without_speech(error.request_id, spoken) if error.request_id else None


def _without_runs(text: str, originals: Iterable[str], sign: str) -> str:
    """A text in which every run that is also in an original is replaced by a sign."""
    runs = {original[i : i + TELLING_RUN] for original in originals for i in range(len(original) - TELLING_RUN + 1)}
    kept: list[str] = []
    shown_from = 0
    for i, character in enumerate(text):
        if text[i : i + TELLING_RUN] in runs:
            if i >= shown_from:
                kept.append(sign)
            shown_from = i + TELLING_RUN
        elif i >= shown_from:
            kept.append(character)
    return "".join(kept)
