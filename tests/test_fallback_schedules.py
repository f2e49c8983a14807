"""`FallbackTTS` under schedules drawn by chance: failures of all kinds, pauses, barge-ins, phrases for a cache.

More of them: ``python tests/test_fallback_schedules.py FIRST END`` names those that are wrong.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import sys
from collections.abc import AsyncIterator

import pytest
from test_fallback import Call, Foreign, a_call, items, ours, refuse_from, servers
from videosdk.agents import TTS
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.emulator import WavesEmulator, tone

NAMES = (
    "Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliet Kilo Lima Mike November Oscar Papa Quebec Romeo"
)
SENTENCES = [f"{name} is said here." for name in NAMES.split()]
HOW = ["raise", "emit", "emit and raise", "hang", "emit and hang"]
WAIT = 600.0


class Forgetful(Foreign):
    """Adds each chunk in a task of its own."""

    async def bring(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 4800):
            self.background.add(asyncio.ensure_future(self.audio_track.add_new_bytes(pcm[start : start + 4800])))
        await asyncio.sleep(0)


def a_voice(draw: random.Random, waves: WavesEmulator) -> TTS:
    if draw.random() < 0.35:
        route = draw.choice(["websocket", "http", "continuations"])
        return ours(waves, route, word_timestamps=draw.random() < 0.5)
    return draw.choice([Foreign, Foreign, Forgetful])(
        draw.choice([math.inf, draw.randint(0, 6)]),
        draw.choice(HOW),
        half=draw.choice([0.0, 0.3, 0.2031]),
        ahead=draw.choice([0, 0, 1, 3, None]),
        words=draw.random() < 0.4,
        late=draw.choice([None, 0.1]),
        streams=draw.random() < 0.4,
    )


def assert_in_order(heard: bytes, sentences: list[str]) -> None:
    """Each was heard whole, after those before it; one that a voice failed in perhaps twice."""
    end = 0
    for sentence in sentences:
        start = heard.find(tone(sentence), end)
        assert start >= 0, f"{sentence!r} is lost or out of order"
        end = start + len(tone(sentence))


async def paced(sentences: list[str], draw: random.Random, pace: float) -> AsyncIterator[str]:
    for sentence in sentences:
        await asyncio.sleep(draw.random() * pace)
        yield sentence


async def pauses(call: Call, draw: random.Random) -> None:
    while True:
        await asyncio.sleep(draw.random() * 4)
        await call.tts.pause()
        await asyncio.sleep(draw.random() * 20)
        await call.tts.resume()


async def cache(call: Call, phrases: list[str]) -> None:
    assert_in_order(b"".join([pcm async for pcm in call.tts.stream_synthesize(items(phrases))]), phrases)


async def barge_in(call: Call, speaking: asyncio.Future[None]) -> None:
    await call.tts.interrupt()
    heard = len(call.track.heard)
    async with asyncio.timeout(30):
        await speaking
    assert len(call.track.heard) == heard


async def replies(call: Call, draw: random.Random) -> list[list[str]]:
    """Speak some, one after the other or at once. Returns those that nobody interrupted, as sentences."""
    left = list(SENTENCES)
    whole: list[list[str]] = []
    jobs: list[asyncio.Future[None]] = []
    impatient = draw.random() < 0.3
    for number in range(draw.randint(1, 4)):
        sentences = [left.pop(0) for _ in range(draw.randint(1, 4))]
        whole.append(sentences)
        text = paced(sentences, draw, draw.choice([0.0, 0.5, 3.0])) if draw.random() < 0.8 else " ".join(sentences)
        if draw.random() < 0.25:
            jobs.append(asyncio.ensure_future(cache(call, [f"Phrase {number} is kept.", f"And {number} ends."])))
        speaking = asyncio.ensure_future(call.synthesize(text))
        if impatient and draw.random() < 0.5:
            await asyncio.sleep(draw.random() * 3)
            await barge_in(call, speaking)
            whole.clear()  # it ends all that waits or is still heard
        elif draw.random() < 0.7:
            async with asyncio.timeout(WAIT):
                await speaking
            await asyncio.sleep(draw.choice([0.0, draw.random() * 8]))
        else:
            jobs.append(speaking)
    async with asyncio.timeout(WAIT):
        await asyncio.gather(*jobs)
    return whole


@in_virtual_time
async def run(seed: int) -> None:
    draw = random.Random(seed)
    fault = refuse_from(draw.randint(0, 8)) if draw.random() < 0.6 else None
    async with servers({"fault": fault, "real_time_factor": draw.choice([1.0, 20.0])}, {}) as (first, second):
        voices = [a_voice(draw, first) for _ in range(draw.randint(1, 3))]
        sound = [ours(second, word_timestamps=draw.random() < 0.5), Foreign(words=draw.random() < 0.5)]
        before = asyncio.all_tasks()
        async with a_call(*voices, draw.choice(sound), temporary_disable_sec=draw.choice([0.0, 60.0])) as call:
            pausing = asyncio.ensure_future(pauses(call, draw)) if draw.random() < 0.3 else None
            whole = await replies(call, draw)
            if pausing is not None:
                pausing.cancel()
                await asyncio.wait({pausing})
                await call.tts.resume()
            await asyncio.sleep(60)
            assert_in_order(bytes(call.track.heard), [sentence for reply in whole for sentence in reply])
            told = [event["cumulative_text"] for event in call.words]
            for reply in whole if call.tts.supports_word_timestamps else ():
                assert any(text.endswith(reply[-1]) for text in told), f"not told that {reply[-1]!r}"
        await asyncio.sleep(3)
        assert not [task for task in asyncio.all_tasks() - before if "fallback" in repr(task)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_whatever_happens(seed: int) -> None:
    run(seed)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for number in range(*map(int, sys.argv[1:])):
        try:
            run(number)
        except Exception as wrong:
            print(number, type(wrong).__name__, wrong, flush=True)
