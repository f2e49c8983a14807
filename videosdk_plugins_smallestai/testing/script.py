"""In the place of a language model and of the caller's speech recognition: text that is known beforehand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from videosdk.agents import LLM, STT, ChatRole, LLMResponse, SpeechData, SpeechEventType, STTResponse

__all__ = ["Answer", "Part", "ScriptedLLM", "ScriptedSTT", "ToolCall", "text_of", "tokens"]


@dataclass(frozen=True)
class ToolCall:
    """The model calls one of the agent's function tools. What it says then is the script's next answer.

    Attributes:
        name: The tool's.
        arguments: What the model passes, by name.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


Part: TypeAlias = str | float | ToolCall | Exception
"""Text, a pause in seconds, a tool call, or an error that the model raises."""

Answer: TypeAlias = Part | list[Any] | tuple[Any, ...]
"""One part, or a list of them."""


def tokens(text: str) -> Iterator[str]:
    """A text as a language model streams it: a few characters at a time, white space in front, nothing changed."""
    return (match[0] for match in re.finditer(r"\s*\S{1,5}|\s+", text))


class ScriptedLLM(LLM):  # type: ignore[misc]
    """A language model that gives the answers of a script, one each time that it is asked.

    ::

        ScriptedLLM(["Good morning!", ["Let me look. ", ToolCall("look_up", {"day": "Friday"})], "At 10:30."])

    Attributes:
        asked: The latest message of the user, each time that the model was asked.

    Args:
        answers: Each is text, or a list of text, pauses (in seconds), `ToolCall` and exceptions.
        pace: Seconds between two tokens of a text.

    Raises:
        TypeError: An answer is something else.
        ValueError: A pause, or `pace`, is negative.
    """

    def __init__(self, answers: Iterable[Answer], *, pace: float = 0.01) -> None:
        super().__init__()
        if isinstance(answers, str):
            raise TypeError(f'answers must be a list, such as ["Hello."], not {answers!r}')
        if pace < 0:
            raise ValueError(f"pace must be 0 or more seconds, not {pace!r}")
        self._answers = [_checked(answer) for answer in answers]
        self._pace = pace
        self._cancelled = asyncio.Event()
        self.asked: list[str] = []

    async def chat(
        self, messages: Any, tools: Any = None, conversational_graph: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponse]:
        """Give the script's next answer.

        Raises:
            LookupError: The script has no more.
            Exception: What stands in the script.
        """
        self.asked.append(_latest_user_text(messages))
        self._cancelled = cancelled = asyncio.Event()
        for part in self._next_answer():
            if isinstance(part, str):
                for token in tokens(part):
                    await _sleep(self._pace, cancelled)
                    if cancelled.is_set():
                        return
                    yield LLMResponse(content=token, role=ChatRole.ASSISTANT)
            elif isinstance(part, ToolCall):
                called = {"name": part.name, "arguments": dict(part.arguments)}
                yield LLMResponse(content="", role=ChatRole.ASSISTANT, metadata={"function_call": called})
            elif isinstance(part, Exception):
                self.emit("error", str(part) or type(part).__name__)  # as the framework's own models do
                raise part
            else:
                await _sleep(part, cancelled)
            if cancelled.is_set():
                return

    async def cancel_current_generation(self) -> None:
        """End the answer that is being given."""
        self._cancelled.set()

    def _next_answer(self) -> tuple[Part, ...]:
        number = len(self.asked) - 1
        if number >= len(self._answers):
            raise LookupError(
                f"the script has {len(self._answers)} answers, and the model is asked for one more, "
                f"after the user said {self.asked[-1]!r}"
            )
        return self._answers[number]


def _checked(answer: Answer) -> tuple[Part, ...]:
    parts: tuple[Any, ...] = tuple(answer) if isinstance(answer, list | tuple) else (answer,)
    for part in parts:
        if not isinstance(part, str | int | float | ToolCall | Exception) or isinstance(part, bool):
            raise TypeError(
                "an answer must be text, or a list of text, pauses (in seconds), ToolCall and exceptions, "
                f"not {part!r}"
            )
        if isinstance(part, int | float) and part < 0:
            raise ValueError(f"a pause must be 0 or more seconds, not {part!r}")
    return parts


def text_of(message: Any) -> str:
    """The text of a message in a chat context."""
    content = message.content if isinstance(message.content, list) else [message.content]
    return " ".join(part for part in content if isinstance(part, str))


def _latest_user_text(messages: Any) -> str:
    said = [message for message in messages.messages() if message.role == ChatRole.USER]
    return text_of(said[-1]) if said else ""


async def _sleep(seconds: float, cancelled: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await cancelled.wait()


class ScriptedSTT(STT):  # type: ignore[misc]
    """Speech recognition that is told what the caller says."""

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        """Hear nothing in it."""

    async def recognize(self, text: str, *, final: bool) -> None:
        """Tell the pipeline what the caller has said so far, or in all."""
        kind = SpeechEventType.FINAL if final else SpeechEventType.INTERIM
        heard = STTResponse(event_type=kind, data=SpeechData(text=text, confidence=1.0))
        if self._transcript_callback is not None:
            await self._transcript_callback(heard)
