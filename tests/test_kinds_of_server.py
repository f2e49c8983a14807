"""A reply is heard the same on a server of each kind: how it tells an end, its ids, what it does to the socket.

Sources disagree about these (see the settings of the emulator), so each reading is a row of the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from listening import SEVEN, RecordingTrack, assert_same, items, tokens
from routes import ROUTES, SECONDARY, UNTOLD
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.emulator import Break, SpeechRequest, tone

NO_GAP = 0.1
"""Seconds of gaps, in all: one request that is sent too late costs 0.2."""

SOME_GAP = 1.0
"""The same where a sentence must be asked for again, or the sentences one by one."""

FIRST_AUDIO = 0.2
"""Of the emulator, in seconds."""

MARKS: dict[str, dict[str, Any]] = {
    "complete for each": {"complete": "asked", "context_complete": "release"},
    "complete 4 s late": {"complete": 4.0, "context_complete": "release"},
    "one complete": {"complete": "asked", "context_complete": "context", "complete_shared": True},
    "no complete": {"complete": None, "context_complete": None},
}
PLAIN_IDS: dict[str, dict[str, Any]] = {
    "our ids": {"echo_ids": True},
    "its ids": {"echo_ids": False},
}
CONTEXT_IDS: dict[str, dict[str, Any]] = {
    "an id each": {"context_ids": "release", "echo_ids": False},
    "one id": {"context_ids": "connection", "echo_ids": False},
    "our id too": {"context_ids": "release", "echo_ids": True},
}
SOCKETS: dict[str, dict[str, Any]] = {
    "kept": {"close_after_complete": False},
    "closed": {"close_after_complete": True},
}


def kinds(route: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The servers that a route can meet, as the emulator's settings."""
    if route not in UNTOLD:
        yield "each end is told", {}
        return
    for marks, how in MARKS.items():
        for ids, named in (CONTEXT_IDS if route == "continuations" else PLAIN_IDS).items():
            for socket, ends in SOCKETS.items():
                # With an open context a `complete` does not close the socket.
                if socket == "kept" or (route != "continuations" and marks != "no complete"):
                    yield f"{marks}, {ids}, {socket}", how | named | ends


def gaps_on(route: str, server: dict[str, Any]) -> float:
    """Seconds of gaps that a whole reply may have."""
    nameless = route in ("websocket", "unified") and not server["echo_ids"]
    untold = server.get("close_after_complete") and (server["complete"] == 4.0 or server.get("complete_shared"))
    return SOME_GAP if nameless or untold else NO_GAP


every_kind = pytest.mark.parametrize(
    ("route", "server"),
    [
        pytest.param(route, server, id=f"{route}: {name}", marks=[pytest.mark.slow] if route in SECONDARY else [])
        for route in ROUTES
        for name, server in kinds(route)
    ],
)


def now() -> float:
    return asyncio.get_running_loop().time()


def assert_whole(s: Stage, text: str) -> None:
    assert_same(s.track.speech, tone(text))
    assert len(s.track.heard) % s.track.chunk_size == 0
    assert s.errors == []


@every_kind
@in_virtual_time
async def test_seven_segments_are_heard_whole_and_without_a_gap(
    stage: MakeStage, route: str, server: dict[str, Any]
) -> None:
    async with stage(ROUTES[route], **server) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(tokens(SEVEN, 0.03))
        assert_whole(s, SEVEN)
        assert sum(s.track.gaps) < gaps_on(route, server)
        assert now() - s.track.ends_at < gaps_on(route, server), "the end is known before it is heard"


@pytest.mark.slow
@every_kind
@in_virtual_time
async def test_a_break_in_mid_sentence_is_not_heard(stage: MakeStage, route: str, server: dict[str, Any]) -> None:
    attempts: list[SpeechRequest] = []

    def fault(request: SpeechRequest) -> Break | None:
        place = request.text.find("The second")
        if place < 0 or any(attempt.outcome == "broken" for attempt in attempts):
            return None
        attempts.append(request)
        return Break(len(tone(request.text[:place])) / 48_000 + 0.5, "reset")

    async with stage(ROUTES[route], fault=fault, **server) as s:
        await s.tts.prewarm()
        await s.tts.synthesize(tokens(SEVEN, 0.03))
        assert attempts[-1].outcome == "broken"
        assert_whole(s, SEVEN)
        assert sum(s.track.gaps) < SOME_GAP


@pytest.mark.slow
@every_kind
@in_virtual_time
async def test_after_a_barge_in_the_next_reply_is_heard_at_once_and_whole(
    stage: MakeStage, route: str, server: dict[str, Any]
) -> None:
    again = ["And now something else.", "It goes on a little."]
    async with stage(ROUTES[route], **server) as s:
        await s.tts.prewarm()
        speaking = asyncio.ensure_future(s.tts.synthesize(tokens(SEVEN, 0.03)))
        await s.track.hears(2.0)
        await s.tts.interrupt()
        old, s.track = s.track, RecordingTrack()
        s.tts.audio_track = s.track
        before = bytes(old.heard)
        began = now()
        await s.tts.synthesize(items(again))
        await speaking
        # Requests that cannot be told apart are asked for again, one at a time.
        again_asked = FIRST_AUDIO if route == "websocket" and not server.get("echo_ids", True) else 0.0
        assert s.track.first_at - began < FIRST_AUDIO + again_asked + 0.1
        assert_whole(s, "".join(again))
        assert sum(s.track.gaps) < gaps_on(route, server)
        assert_same(bytes(old.heard), before)
        assert_same(before, tone(SEVEN)[: len(before)])
