"""The README's Troubleshooting: for each line of its table the symptom is made, and its log line is there."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from agent_session import in_virtual_call
from staging import MakeStage
from videosdk.agents import JobContext, Pipeline, RoomOptions
from videosdk.agents.job import _reset_current_job_context, _set_current_job_context

from videosdk_plugins_smallestai import SmallestAIError
from videosdk_plugins_smallestai.emulator import Break, Refuse, Stall

README = (Path(__file__).parent.parent / "README.md").read_text()
SECTION = README.split("## Troubleshooting\n", 1)[-1].split("\n## ", 1)[0]
ROWS = dict(re.findall(r"^\| (.+?) \| `(.+?)` \|", SECTION, re.MULTILINE))

HELLO = "Hello, this is a sentence of some length."


async def no_track(stage: MakeStage) -> None:
    async with stage() as s:
        s.tts.audio_track = None
        await s.tts.synthesize(HELLO)


async def refused(stage: MakeStage) -> None:
    async with stage(fault=lambda request: Refuse(401)) as s:
        with contextlib.suppress(SmallestAIError):
            await s.tts.synthesize(HELLO)


async def retired(stage: MakeStage) -> None:
    async with stage(retired={"lightning-v3.1": 410}) as s:
        await s.tts.synthesize(HELLO)


async def cold(stage: MakeStage) -> None:
    async with stage(handshake=lambda connection: 503) as s:
        await s.tts.prewarm()


async def slow(stage: MakeStage) -> None:
    async with stage(fault=lambda request: Stall(1.5, after=0.3)) as s:
        await s.tts.synthesize(HELLO)


async def broken(stage: MakeStage) -> None:
    async with stage(fault=lambda request: None if request.number else Break(0.3)) as s:
        await s.tts.synthesize(HELLO)


async def late(stage: MakeStage) -> None:
    """A server that never says that it is done stalls near the end of a text, and the next reply begins."""
    stall = Stall(4.0, after=2.0)
    text = "Sixty letters or so are spoken here and most of them come in time."
    async with stage(complete=None, serving="interleaved", fault=lambda r: None if r.number else stall) as s:
        await s.tts.synthesize(text)
        await s.tts.synthesize("And on we go.")
        await s.waves.idle()
        await s.tts.aclose()


async def look(stage: MakeStage, **options: object) -> None:
    async with stage() as s:
        context = _set_current_job_context(
            JobContext(room_options=RoomOptions(room_id="nowhere", auth_token="none"))
        )
        try:
            Pipeline(tts=s.tts, **options)
            await s.tts.prewarm()
        finally:
            _reset_current_job_context(context)


async def misread(stage: MakeStage) -> None:
    await look(stage)


async def ahead(stage: MakeStage) -> None:
    await look(stage, text_chunking=False, text_filtering=False)


async def unknown(stage: MakeStage) -> None:
    async with stage() as s:
        await s.tts.synthesize(HELLO, stability=0.5)


SYMPTOMS: dict[str, Callable[[MakeStage], Awaitable[None]]] = {
    "nothing is heard": no_track,
    "a reply is missing, or a second voice speaks": refused,
    "another voice, or nonsense": retired,
    "the first reply is late": cold,
    "silence within a reply": slow,
    "a syllable twice, or clipped": broken,
    "the end of a sentence is missing": late,
    "numbers are misread, code is missing": misread,
    "the transcript says more than was heard": ahead,
    "an argument has no effect": unknown,
}


def test_each_line_of_the_table_has_its_test() -> None:
    assert list(ROWS) == list(SYMPTOMS)


@pytest.mark.parametrize("symptom", SYMPTOMS)
@in_virtual_call
async def test_the_line_to_look_for_is_in_the_log(
    stage: MakeStage, symptom: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "videosdk_plugins_smallestai")
    await SYMPTOMS[symptom](stage)
    assert [r for r in caplog.records if ROWS[symptom] in r.getMessage()], caplog.text


def test_the_lines_to_paste_switch_the_log_on(monkeypatch: pytest.MonkeyPatch) -> None:
    [lines] = re.findall(r"```python\n(.+?)```", SECTION, re.DOTALL)
    logger = logging.getLogger("videosdk_plugins_smallestai")
    before = logger.level
    try:
        exec(lines)
        assert logger.isEnabledFor(logging.DEBUG)
    finally:
        logger.setLevel(before)
