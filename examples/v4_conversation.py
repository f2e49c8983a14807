"""A conversation with Lightning v4, whose voice hears the caller: what they say, and how they say it.

    python examples/v4_conversation.py -o call.wav

`CallerTurns` is what an agent of your own needs: it keeps the caller's audio where the framework hands it out, and
gives each of their turns to the voice before the reply to it begins. The rest is a whole session on this machine,
whose speech recognition and language model are scripts. The voices come from the service if SMALLEST_API_KEY is set
(and the account may use the beta), and else from the emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from _shared import MUST_COME, CannotSayError, check_output, parser, run, save, service, tokens
from videosdk.agents import STT, Agent, Pipeline, SpeechData, SpeechEventType, STTResponse, audio_format, run_stt

from videosdk_plugins_smallestai import SmallestAITTS, SpeechTextFilter
from videosdk_plugins_smallestai.testing import Call, ScriptedLLM, call

CALLER_RATE = 16000
"""Samples per second of a caller on a websocket: that transport does not say."""

CHUNK, CHUNK_SECONDS = 640, 0.02
"""Bytes and seconds of the caller's audio that come at once."""

REMEMBERED = 20
"""Seconds of the caller's audio that are kept for a turn, at most."""

TALK = [
    ("Can I come on Friday?", "Of course. Friday at 10:30 is free. Shall I put you down?"),
    ("Yes, that would be wonderful!", "Done! See you on Friday, then."),
]


class CallerTurns:
    """Tells a voice what the caller says, turn by turn.

    Args:
        pipeline: The pipeline of the call. Its hooks ``stt`` and ``user_turn_start`` are taken. The framework calls
            the latter for no reply that was generated ahead: leave preemptive generation off.
        tts: The voice. With another model than Lightning v4 this does nothing.
        rate: Samples per second, where the transport does not tell them.
    """

    def __init__(self, pipeline: Pipeline, tts: SmallestAITTS, *, rate: int = CALLER_RATE) -> None:
        self._tts = tts
        self._rate = rate
        self._audio = bytearray()
        pipeline.on("stt")(self._recognize)
        pipeline.on("user_turn_start")(self._tell)

    async def _recognize(self, audio: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for event in run_stt(self._keep(audio)):
            yield event

    async def _keep(self, audio: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in audio:
            rate, channels = self._format()
            self._audio += chunk
            del self._audio[: -REMEMBERED * rate * channels * 2]
            yield chunk

    async def _tell(self, transcript: str) -> None:
        """The caller's turn has ended: the reply to it is about to be generated."""
        rate, channels = self._format()
        samples = memoryview(bytes(self._audio)).cast("h")
        self._audio.clear()
        await self._tts.add_user_turn(transcript, samples[::channels].tobytes(), rate)

    def _format(self) -> tuple[int, int]:
        rate, channels = audio_format.get()
        return rate or self._rate, channels or 1


class Recognizer(STT):  # type: ignore[misc]
    """In the place of speech recognition: knows what the caller is going to say, and when they have said it."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: list[tuple[str, int]] = []

    def expect(self, text: str, size: int) -> None:
        """So many bytes of audio are this text."""
        self._turns.append((text, size))

    async def process_audio(self, audio_frames: bytes, language: str | None = None, **kwargs: Any) -> None:
        """Listen."""
        text, left = self._turns.pop(0)
        if left > len(audio_frames):
            self._turns.insert(0, (text, left - len(audio_frames)))
        elif self._transcript_callback is not None:
            final = SpeechData(text=text, confidence=1.0)
            await self._transcript_callback(STTResponse(event_type=SpeechEventType.FINAL, data=final))


class Receptionist(Agent):  # type: ignore[misc]
    """Answers who calls."""

    async def on_enter(self) -> None:
        """The caller is there, and speaks first."""

    async def on_exit(self) -> None:
        """The caller has left."""


async def converse(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    async with service() as address, SmallestAITTS(**address, sample_rate=CALLER_RATE) as caller:
        questions = [await _spoken(caller, question) for question, _ in TALK]
        tts = SmallestAITTS(**address, model="lightning_v4", language="en")  # the session closes it
        async with conversation(tts) as (c, recognizer):
            for (question, answer), audio in zip(TALK, questions, strict=True):
                print(f"Caller: {question}\nAgent:  {answer}", flush=True)
                recognizer.expect(question, len(audio))
                await ask(c, audio)
    if not c.heard:
        raise CannotSayError(MUST_COME)
    save(c.heard, c.sample_rate, options.output)
    return f"{options.output}: the caller heard {len(c.heard) / 2 / c.sample_rate:.2f} s"


@asynccontextmanager
async def conversation(tts: SmallestAITTS) -> AsyncIterator[tuple[Call, Recognizer]]:
    """An agent session with this voice, which is told what the caller says."""
    recognizer = Recognizer()

    def make(*, stt: STT, **options: Any) -> Pipeline:
        # Not the speech recognition that is offered: it is told what the caller says, and hears nothing.
        pipeline = Pipeline(stt=recognizer, text_filter=SpeechTextFilter(), text_chunking=False, **options)
        CallerTurns(pipeline, tts)
        return pipeline

    model = ScriptedLLM([answer for _, answer in TALK], pace=0.03)
    async with call(Receptionist("Be brief."), llm=model, tts=tts, pipeline=make) as c:
        yield c, recognizer


async def _spoken(voice: SmallestAITTS, text: str) -> bytes:
    """What the caller says, as PCM."""
    return b"".join([pcm async for pcm in voice.stream_synthesize(tokens(text))])


async def ask(c: Call, audio: bytes) -> None:
    """Say something to the agent; returns when its answer has been heard, or cannot be spoken."""
    answered = asyncio.Event()
    states: list[str] = []

    def note(change: dict[str, str]) -> None:
        states.append(change["state"])
        if states[-1] == "idle" and "speaking" in states:
            answered.set()

    def fail(message: str) -> None:
        answered.set()

    c.session.on("agent_state_changed", note)
    c.tts.on("error", fail)
    for start in range(0, len(audio), CHUNK):
        await c.pipeline.on_audio_delta(audio[start : start + CHUNK])
        await asyncio.sleep(CHUNK_SECONDS)
    async with asyncio.timeout(30):
        await answered.wait()
    c.session.off("agent_state_changed", note)
    c.tts.off("error", fail)


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parser("Talk with a voice that hears its caller.", "call.wav").parse_args(argv)
    return run("v4_conversation.py", lambda: converse(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
