"""What a typical user writes. Type checkers read it, strictly; nobody runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_type

from videosdk_plugins_smallestai import (
    APIConnectionError,
    FallbackTTS,
    RateLimitError,
    SmallestAIError,
    SmallestAITTS,
    Voice,
)
from videosdk_plugins_smallestai.emulator import Break, SpeechRequest, WavesEmulator
from videosdk_plugins_smallestai.testing import ScriptedLLM, ToolCall, call


async def tokens() -> AsyncIterator[str]:
    for token in ("Your total ", "is $1,299.50."):
        yield token


def on_word(event: dict[str, str]) -> None:
    print(event["word"], event["cumulative_text"])


async def speak() -> None:
    async with SmallestAITTS(voice_id="magnus", language="en", speed=1.1, word_timestamps=True) as tts:
        tts.on("word_spoken", on_word)
        tts.loop = asyncio.get_running_loop()
        await tts.prewarm()
        tts.speed = 0.9
        try:
            await tts.synthesize(tokens(), voice_id="avery")
        except RateLimitError as error:
            assert_type(error.retry_after, float | None)
        except APIConnectionError as error:
            assert_type(error.retryable, bool)
        except SmallestAIError as error:
            assert_type(error.status, int | None)
            assert_type(error.unspoken, str)
        async for pcm in tts.stream_synthesize(tokens()):
            assert_type(pcm, bytes)
        assert_type(await tts.voices(), list[Voice])
        await tts.interrupt()


async def with_a_backup() -> None:
    voices = [SmallestAITTS(), SmallestAITTS(model="lightning_v3.1_pro")]
    async with FallbackTTS(voices, temporary_disable_sec=30) as tts:
        tts.on("word_spoken", on_word)
        await tts.synthesize(tokens())
        async for pcm in tts.stream_synthesize(tokens()):
            assert_type(pcm, bytes)


def fault(request: SpeechRequest) -> Break | None:
    return Break(after=0.5) if "total" in request.text else None


async def offline(waves_emulator: WavesEmulator) -> None:
    waves_emulator.fault = fault
    tts = SmallestAITTS(api_key="sk_test", base_url=waves_emulator.base_url)
    await tts.synthesize("Hello.")
    assert_type(waves_emulator.requests[0].text, str)
    await tts.aclose()


async def whole_call(agent: Any) -> None:
    model = ScriptedLLM(["Hello.", ["Let me see. ", 5.0, ToolCall("look_up", {"day": "Friday"})], "On Friday."])
    async with call(agent, llm=model, text_chunking=True) as c:
        reply = await c.ask("When is it?")
        await c.ask("And?").hears(0.5)
        await c.interrupt()
        assert_type(reply.heard, bytes)
        assert_type(reply.gaps, list[float])
        assert_type(c.said, list[str])
        assert_type(c.emulator, WavesEmulator | None)
    assert_type(model.asked, list[str])


def wrong() -> None:
    call(None, "Hello.", timeout="long")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SmallestAITTS(speed="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SmallestAITTS(volume=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
