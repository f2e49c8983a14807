"""The emulator, asked as a user's service is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.check.probes import PROBES, Probe
from videosdk_plugins_smallestai.check.run import Row, bench, run
from videosdk_plugins_smallestai.emulator import WavesEmulator
from videosdk_plugins_smallestai.emulator.assumptions import READINGS

BY_NAME = {probe.name: probe for probe in PROBES}

OUTCOMES = ("reply", "reply_http")
"""Probes of the plugin: they assume nothing of the service that another one does not."""

OTHERWISE = [
    *((name, reading) for name, readings in READINGS.items() if name != "v4" for reading in list(readings)[1:]),
    ("first_audio", "1.5 s"),
    ("speed", "1.2x"),
    ("speed", "0.8x"),
    ("rates", "8000 16000 24000"),
]
"""Each assumption with what else may be the case. Of v4 nothing is assumed: it is open to some accounts."""

REPLY = "This is a reply of two sentences. It is heard whole."


async def ask(
    waves: WavesEmulator,
    probes: Iterable[Probe] = PROBES,
    *,
    key: str = "sk_test",
    record: Path | None = None,
    audio: bool = True,
) -> list[Row]:
    """What the check finds, and its recording in a file."""
    file = record.open("w", encoding="utf-8") if record else None
    try:
        async with bench(waves.base_url, key, file, audio=audio) as service:
            return [row async for row in run(service, tuple(probes))]
    finally:
        if file:
            file.close()


def differences(rows: Iterable[Row]) -> dict[str, str]:
    """Name to reading, of what is not as assumed."""
    return {row.name: row.seen.partition(": ")[0] for row in rows if row.verdict in ("copes", "fails")}


def compared(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """Rows without how long they took."""
    return [(row.name, row.assumed, row.seen, row.verdict) for row in rows]


async def speak(waves: WavesEmulator, text: str = REPLY, **arguments: Any) -> bytes:
    """What the plugin makes of a reply."""

    async def words() -> AsyncIterator[str]:
        for word in text.split(" "):
            yield f"{word} "

    async with SmallestAITTS(api_key="sk_test", base_url=waves.base_url, **arguments) as tts:
        return b"".join([pcm async for pcm in tts.stream_synthesize(words())])
