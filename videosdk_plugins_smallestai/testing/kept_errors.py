"""What the framework keeps to itself: the exceptions of the voice, of the model, and of the agent's own code.

Those of the agent's own code are found by the framework's log, so not while logging is disabled.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from .conversation import Call
from .reply import current_reply

__all__ = ["watched"]

KEEPS_ERRORS = tuple(
    f"videosdk.agents.{module}"
    for module in (
        "agent_session",  # an agent's on_exit
        "content_generation",  # a tool
        "event_emitter",  # a listener
        "pipeline_hooks",
        "pipeline_orchestrator",
        "speech_understanding",
    )
)
"""The modules of the framework that log what the agent's own code raises, and go on."""


@contextmanager
def watched(call: Call) -> Iterator[None]:
    """Keep what the voice, the model and the agent's own code raise, which the framework does not pass on."""
    llm, tts = call.llm, call.tts
    chat, synthesize = llm.chat, tts.synthesize

    async def watched_chat(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call._note_question()
        chunks = chat(*args, **kwargs)
        try:
            async for chunk in chunks:
                yield chunk
        except Exception as error:
            if not call.over:  # the framework goes on to ask for a caller who has left
                call._note_error(error)
            raise
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()

    async def watched_synthesize(*args: Any, **kwargs: Any) -> None:
        try:
            await synthesize(*args, **kwargs)
        except Exception as error:
            if current_reply.get() is not None and not call.over:  # else whoever lets the agent speak gets it
                call._note_error(error)
            raise

    log = _KeptErrors(call)
    frameworks = logging.getLogger("videosdk.agents")
    frameworks.addHandler(log)
    try:
        with patch.object(llm, "chat", watched_chat), patch.object(tts, "synthesize", watched_synthesize):
            yield
    finally:
        frameworks.removeHandler(log)


class _KeptErrors(logging.Handler):
    """Takes the exception that is being handled where the framework logs one and goes on."""

    def __init__(self, call: Call) -> None:
        super().__init__(logging.ERROR)
        self._call = call

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        if not isinstance(error, Exception) or record.name not in KEEPS_ERRORS:
            return
        if not (self._call.over and record.name.endswith(".content_generation")):
            self._call._note_error(error)
