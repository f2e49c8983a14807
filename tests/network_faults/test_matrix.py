"""Every fault of a network, on every route, at every moment: heard whole, or soon an error after an exact start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from audio_checks import is_beginning, is_whole, watched
from listening import RecordingTrack
from proxy import FAULTS, UNHEARD, Proxy
from routes import ROUTES
from staging import impatient

from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import WavesEmulator, tone
from videosdk_plugins_smallestai.timing import Timing

PARTS = ("Here is the first of three. ", "The second comes now. ", "And the third ends it.")
TEXT = "".join(PARTS)
AGAIN = "It speaks again."

SECONDS = len(tone(TEXT)) / 48000
FIRST_SECONDS = len(tone(PARTS[0])) / 48000
CHUNK = 0.1

SHORTENED = Timing(first_audio=3.5, complete_wait=2.0, connect=2.5, body_silence=1.5)
"""Shorter waits: a black hole would cost ten seconds a cell, and more where it is met twice."""

SILENT = ("half open, down", "half open, up", "black hole")
"""Faults that no packet tells of."""

BOUND = 20.0
"""Seconds from the fault to the reply's end: twice the worst sum of the above, for a busy machine."""


AT_ONCE = 18
"""Cells that run together: they mostly wait, but all share one processor."""

STALL = 0.1
"""Seconds for which the event loop may stand still; a cell that fails with more is played again by itself."""


@dataclass
class Cell:
    """A fault on a route at a moment, and what came of it."""

    route: str
    fault: str
    moment: str
    track: RecordingTrack = field(default_factory=RecordingTrack)
    errors: list[str] = field(default_factory=list)
    outcome: str = ""
    wrong: str = ""
    stall: float = 0.0

    def __str__(self) -> str:
        return f"{self.route}, {self.fault}, {self.moment}: {self.outcome} {self.wrong} (stall {self.stall:.2f})"

    async def play(self) -> None:
        """Speak, with the fault at its moment."""
        server: dict[str, Any] = {"complete": 0.3} if self.moment == "after the last chunk" else {}
        async with (
            watched() as stalls,
            WavesEmulator(voice="tone", chunk=CHUNK, **server) as waves,
            Proxy(waves.port) as proxy,
        ):
            base_url = waves.base_url.replace(str(waves.port), str(proxy.port))
            tts = impatient(SHORTENED)(api_key="sk_test", base_url=base_url, timeout=4.0, **ROUTES[self.route])
            tts.loop = asyncio.get_running_loop()
            tts.on("error", lambda message: self.errors.append(message))
            try:
                await self._play(tts, waves, proxy)
                if not self.wrong:
                    proxy.heal()
                    await self._play_again(tts)
            finally:
                self.stall = stalls.longest
                await tts.aclose()

    async def _play(self, tts: SmallestAITTS, waves: WavesEmulator, proxy: Proxy) -> None:
        fault = FAULTS[self.fault]
        if self.moment != "connecting":
            await tts.prewarm()
        if self.moment == "while idle":
            tts.audio_track = RecordingTrack()
            await tts.synthesize(AGAIN)
            await asyncio.sleep(0.1)
        tts.audio_track = self.track
        if self.moment in ("connecting", "while idle"):
            fault(proxy)
            await asyncio.sleep(0.1 if self.moment == "while idle" else 0.0)
        began = asyncio.get_running_loop().time()
        striking = asyncio.ensure_future(self._strike(waves, lambda: fault(proxy)))
        error: BaseException | None = None
        try:
            async with asyncio.timeout(BOUND):
                await tts.synthesize(self._text(lambda: fault(proxy)))
        except Exception as raised:
            error = raised
        striking.cancel()
        self._judge(error, asyncio.get_running_loop().time() - began)

    async def _strike(self, waves: WavesEmulator, fault: Callable[[], None]) -> None:
        if self.moment == "before first audio":
            await waves.request(0)
        elif self.moment == "in mid-segment":
            await self.track.hears(0.4)
        elif self.moment == "at the last chunk":
            await self.track.hears(SECONDS - 1.2 * CHUNK)
        elif self.moment == "after the last chunk":
            await self.track.hears(SECONDS)
        else:
            return
        fault()

    async def _text(self, fault: Callable[[], None]) -> AsyncIterator[str]:
        first, *rest = PARTS
        yield first
        if self.moment == "between segments":
            await self.track.hears(FIRST_SECONDS)
            fault()
            await asyncio.sleep(0.1)
        for part in rest:
            yield part

    def _judge(self, error: BaseException | None, seconds: float) -> None:
        whole = is_whole(self.track, tone(TEXT))
        self.outcome = (
            ("whole" if whole else "not whole") if error is None else type(error).__name__.removesuffix("Error")
        )
        self.outcome += f" {seconds:.1f}"
        begins = is_beginning(self.track, tone(TEXT))
        if error is None:
            self.wrong = "" if whole and not self.errors else f"heard {len(self.track.speech)} of {len(tone(TEXT))}"
        elif not isinstance(error, SmallestAIError):
            self.wrong = f"{error!r}"
        elif self.fault in UNHEARD:
            self.wrong = f"must not be noticed: {error}"
        elif not begins or len(self.errors) != 1:
            self.wrong = f"not an exact beginning, or told {len(self.errors)} times"

    async def _play_again(self, tts: SmallestAITTS) -> None:
        """After the fault: whole; at the latest when the (at most two) connections that died are found out."""
        for patience in (2, 1, 0):
            tts.audio_track = track = RecordingTrack()
            try:
                async with asyncio.timeout(BOUND):
                    await tts.synthesize(AGAIN)
            except SmallestAIError as error:
                if not patience or self.fault not in SILENT:
                    self.wrong = f"not usable again: {error}"
                continue
            except TimeoutError:
                self.wrong = "hung afterwards"
            if not is_whole(track, tone(AGAIN)):
                self.wrong = self.wrong or "not whole afterwards"
            return


MOMENTS = (
    "connecting",
    "before first audio",
    "in mid-segment",
    "between segments",
    "at the last chunk",
    "after the last chunk",
    "while idle",
)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_network_is_not_heard_or_is_an_error_soon_after_an_exact_beginning(
    fault: str, record_property: Callable[[str, object], None]
) -> None:
    cells = [Cell(route, fault, moment) for route in ROUTES for moment in MOMENTS]
    at_once = asyncio.Semaphore(AT_ONCE)

    async def play(cell: Cell) -> None:
        async with at_once:
            await cell.play()

    await asyncio.gather(*(play(cell) for cell in cells))
    cells = [await _settled(cell) for cell in cells]
    record_property("table", _table(fault, cells))
    wrong = [str(cell) for cell in cells if cell.wrong]
    if wrong:
        pytest.fail("\n".join(wrong))


async def _settled(cell: Cell) -> Cell:
    """A cell that failed on a machine that stood still is played again, and counts for what it then is."""
    for _ in range(3):
        if not cell.wrong or cell.stall < STALL:
            break
        cell = Cell(cell.route, cell.fault, cell.moment)
        await cell.play()
    return cell


def _table(fault: str, cells: list[Cell]) -> str:
    """What came of the cells, and after how many seconds."""
    width = 21
    lines = [f"{fault:<15}" + "".join(f"{moment:>{width}}" for moment in MOMENTS)]
    for route in ROUTES:
        row = [cell.outcome + ("!" if cell.wrong else "") for cell in cells if cell.route == route]
        lines.append(f"{route:<15}" + "".join(f"{outcome:>{width}}" for outcome in row))
    return "\n".join(lines) + "\n"
