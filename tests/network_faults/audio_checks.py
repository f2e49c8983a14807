"""Whether all was heard, on tracks whose audio has no sample of silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from listening import FRAME_BYTES, RecordingTrack

FRAMES_OF_SILENCE = 4
"""Frames that stalls in the middle of a reply may leave unfinished, each filled with silence: the last samples
before a pause are not kept waiting for its end."""


def without_silence(pcm: bytes) -> bytes:
    """What is heard of the `tone` voice, which never is silent."""
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 2) if pcm[at : at + 2] != b"\0\0")


def is_whole(track: RecordingTrack, expected: bytes) -> bool:
    """Whether exactly these samples were heard, with no more silence in between than filled frames have."""
    speech = track.speech
    if speech == expected:
        return True
    added = len(speech) - len(expected)
    return 0 < added < FRAMES_OF_SILENCE * FRAME_BYTES and without_silence(speech) == expected


def is_beginning(track: RecordingTrack, expected: bytes) -> bool:
    """Whether what was heard is the beginning of these samples."""
    return expected.startswith(without_silence(bytes(track.heard)))


async def hears_whole(track: RecordingTrack, expected: bytes) -> bool:
    """As `is_whole`, in the end: where an end is guessed, what comes late is heard all the same."""
    for _ in range(50):
        if is_whole(track, expected):
            break
        await asyncio.sleep(0.1)
    return is_whole(track, expected)


@dataclass
class Stalls:
    """How the machine did meanwhile.

    Attributes:
        longest: Seconds for which the event loop did not get round.
    """

    longest: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Stalls]:
    """Watch the event loop: what stands still in it is no fault of the plugin's, and looks like a silent server."""
    stalls = Stalls()
    clock = asyncio.get_running_loop().time

    async def watch() -> None:
        while True:
            began = clock()
            await asyncio.sleep(0.01)
            stalls.longest = max(stalls.longest, clock() - began - 0.01)

    watching = asyncio.ensure_future(watch())
    try:
        yield stalls
    finally:
        watching.cancel()
        await asyncio.wait({watching})
