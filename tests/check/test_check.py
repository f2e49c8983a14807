"""The check finds what a service does, and nothing else."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from asked import BY_NAME, OTHERWISE, OUTCOMES, REPLY, ask, differences, speak
from listening import assert_same
from routes import ROUTES, SECONDARY
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.check.probes import PROBES
from videosdk_plugins_smallestai.check.run import bench, characters, question
from videosdk_plugins_smallestai.emulator import NoAudio, NoIds, Refuse, WavesEmulator, tone
from videosdk_plugins_smallestai.emulator.assumptions import NAMES, READINGS

every_difference = pytest.mark.parametrize(
    ("name", "reading"), [pytest.param(*other, id=": ".join(other)) for other in OTHERWISE]
)

LATER = (*SECONDARY, "http")
"""Routes that are left to the full run."""


def test_the_emulator_can_be_told_each_answer_by_the_name_that_is_printed() -> None:
    assert {*NAMES} == {*BY_NAME} - {*OUTCOMES}
    assert {name: next(iter(readings)) for name, readings in READINGS.items() if name != "v4"} == {
        name: BY_NAME[name].assumed for name in READINGS if name != "v4"
    }


@in_virtual_time
async def test_the_emulator_is_as_assumed_in_under_a_minute() -> None:
    async with WavesEmulator(voice="tone", concurrency=3) as waves:
        rows = await ask(waves)
    assert [row.name for row in rows] == [probe.name for probe in PROBES]
    assert {row.name: row.seen for row in rows if row.verdict != "as assumed"} == {}
    assert asyncio.get_running_loop().time() < 60


@in_virtual_time
async def test_as_many_characters_are_spoken_as_are_told_beforehand() -> None:
    async with WavesEmulator(voice="tone") as waves:
        await ask(waves)
        assert sum(len(request.text) for request in waves.requests) == characters(PROBES)
    assert 800 < characters(PROBES) < 1100


@in_virtual_time
async def test_an_account_without_a_limit_leaves_one_question_open() -> None:
    async with WavesEmulator(voice="tone") as waves:
        (row,) = await ask(waves, [BY_NAME["context_slot"]])
    assert (row.seen, row.verdict) == ("not seen: the account has at least 4 requests at once", "unknown")


@every_difference
@in_virtual_time
async def test_what_differs_is_named(name: str, reading: str) -> None:
    async with WavesEmulator(voice="tone", assume={name: reading}) as waves:
        assert differences(await ask(waves, [BY_NAME[name]])) == {name: reading}


@every_difference
@pytest.mark.slow
@in_virtual_time
async def test_of_all_questions_exactly_one_differs(name: str, reading: str) -> None:
    async with WavesEmulator(voice="tone", assume={name: reading}) as waves:
        rows = await ask(waves)
    assert differences(rows) == {name: reading}
    assert len(rows) == len(PROBES)
    assert {row.name for row in rows if row.verdict == "unknown"} <= {"context_slot", "second_request"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "route", [pytest.param(route, marks=[pytest.mark.slow] if route in LATER else []) for route in ROUTES]
)
@every_difference
@in_virtual_time
async def test_the_plugin_speaks_whole_replies_where_the_service_differs(
    name: str, reading: str, route: str
) -> None:
    async with WavesEmulator(voice="tone", assume={name: reading}) as waves:
        assert_same(await speak(waves, **ROUTES[route]), tone(REPLY))


@pytest.mark.parametrize(
    ("name", "seen", "verdict"),
    [
        ("speed", "2.1x", "as assumed"),
        ("speed", "1.0x", "copes"),
        ("speed", "0.9x", "fails"),
        ("first_audio", "0.99 s", "as assumed"),
        ("first_audio", "1.00 s", "copes"),
        ("rates", "24000 44100: 8000 is refused: {}", "copes"),
        ("rates", "8000 16000", "fails"),
        ("rates", "one: the audio is as many bytes, whatever is asked for", "fails"),
        ("wrong_key", "401: HTTP 401 {}", "as assumed"),
        ("wrong_key", "400: HTTP 400 {}", "fails"),
        ("complete_at_1", "late: none within 6 s of the last audio", "copes"),
    ],
)
def test_what_an_answer_means(name: str, seen: str, verdict: str) -> None:
    assert BY_NAME[name].verdict(seen) == verdict


@pytest.mark.parametrize(
    ("name", "server", "seen"),
    [
        ("complete_at_1", {"complete": None}, "late: none within 6 s of the last audio"),
        ("closed_after_complete", {"complete": None}, "not seen: no complete within 6 s"),
        ("second_request", {"complete": 0.0, "assume": {"old_route": "404"}}, "lost: closed (code 1000)"),
        ("second_request", {"assume": {"old_route": "MODEL_DEPRECATED"}}, "in turn"),
        (
            "second_request",
            {"fault": lambda _: NoIds(range(100))},
            "not seen: the frames of the two cannot be told",
        ),
        ("cancel_request", {"chunk": 10.0}, "not seen: all of the audio had come before"),
        ("wrong_voice", {"lenient": {"voice_id"}, "fault": lambda _: NoAudio()}, "no audio"),
        ("ids_echoed", {"fault": lambda _: NoAudio()}, "failed: ServerError: No audio came, but {"),
        (
            "request_id_changes",
            {"close_after_complete": True},
            "failed: APIConnectionError: The connection was closed",
        ),
        ("context_slot", {"concurrency": 0}, "not seen: the account is in use"),
        ("v4", {"handshake": lambda each: "hang" if "v4" in each.path else None}, "not seen"),
        ("v4", {"assume": {"v4": "open"}}, "open"),
        ("v4", {"assume": {"v4": "closed"}}, "closed"),
    ],
)
@in_virtual_time
async def test_what_else_may_be_seen(name: str, server: dict[str, Any], seen: str) -> None:
    async with WavesEmulator(voice="tone", **server) as waves, bench(waves.base_url, "sk_test") as service:
        row = await question(service, BY_NAME[name])
    assert row.seen.startswith(seen)


@in_virtual_time
async def test_a_refusal_is_told_word_for_word() -> None:
    async with WavesEmulator(voice="tone") as waves:
        (row,) = await ask(waves, [BY_NAME["wrong_voice"]])
        assert waves.requests[-1].body["voice_id"] == "no_such_voice"
    assert '{"error": {"code": "invalid_voice_id", "message": "Invalid Voice ID"}' in row.seen


@in_virtual_time
async def test_what_does_not_work_is_told_and_the_rest_is_still_asked() -> None:
    async with WavesEmulator(voice="tone") as waves:
        waves.fault = lambda request: Refuse(500) if request.text == "Who am I?" else None
        broken, works = await ask(waves, [BY_NAME["ids_echoed"], BY_NAME["concurrency"]])
    assert broken.verdict == "fails"
    assert broken.seen.startswith("failed: ServerError: internal_error Internal server error")
    assert works.verdict == "as assumed"


@in_virtual_time
async def test_a_question_that_was_one_too_many_is_asked_once_more() -> None:
    async with WavesEmulator(voice="tone") as waves:
        waves.fault = lambda request: Refuse(429) if request.number == 1 else None
        (row,) = await ask(waves, [BY_NAME["ids_echoed"]])
        assert row.verdict == "as assumed"
        waves.fault = lambda request: Refuse(429) if request.text == "Who am I?" else None
        (row,) = await ask(waves, [BY_NAME["ids_echoed"]])
    assert row.verdict == "unknown"
    assert "Too many concurrent requests" in row.seen


@in_virtual_time
async def test_an_answer_that_never_comes_is_told() -> None:
    async with WavesEmulator(voice="tone") as waves:
        await waves.stop()
        rows = await ask(waves)
    assert [(row.name, row.verdict) for row in rows] == [("current_model", "fails")]
    assert "Could not open the WebSocket" in rows[0].seen


@in_virtual_time
async def test_nothing_more_is_asked_with_a_key_that_is_refused() -> None:
    async with WavesEmulator(voice="tone", api_keys={"sk_other"}) as waves:
        rows = await ask(waves, [BY_NAME["speed"]])
    assert [(row.name, row.verdict) for row in rows] == [("current_model", "fails")]
    assert "AuthenticationError: HTTP 401" in rows[0].seen


@in_virtual_time
async def test_a_service_that_says_nothing_does_not_hold_the_check_up() -> None:
    async with WavesEmulator(voice="tone", first_audio=math.inf) as waves:
        (row,) = await ask(waves)
    assert (row.name, row.verdict) == ("current_model", "fails")
    assert "No audio came within 12 s" in row.seen
