"""Whether all was heard, on tracks whose audio has no sample of silence."""

from __future__ import annotations

from listening import FRAME_BYTES, Ear

FRAMES_OF_SILENCE = 4
"""Frames that stalls in the middle of a reply may leave unfinished, each filled with silence: the last samples
before a pause are not kept waiting for its end."""


def without_silence(pcm: bytes) -> bytes:
    """What is heard of the `tone` voice, which never is silent."""
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 2) if pcm[at : at + 2] != b"\0\0")


def is_whole(ear: Ear, expected: bytes) -> bool:
    """Whether exactly these samples were heard, with no more silence in between than filled frames have."""
    speech = ear.speech
    if speech == expected:
        return True
    added = len(speech) - len(expected)
    return 0 < added < FRAMES_OF_SILENCE * FRAME_BYTES and without_silence(speech) == expected


def is_beginning(ear: Ear, expected: bytes) -> bool:
    """Whether what was heard is the beginning of these samples."""
    return expected.startswith(without_silence(bytes(ear.heard)))
