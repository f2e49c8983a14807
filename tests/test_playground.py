"""``examples/playground`` in a real browser: a page that speaks, shows words, and loses nothing."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.slow

PLAYGROUND = Path(__file__).parent.parent / "examples" / "playground"
LIMIT = 50  # seconds until something counts as hung
TEXT = "Hello there. Your total is $1,299.50 at 10:30. Is that all right?"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="nothing to drive Chromium: pip install playwright"
    ),
]


def browser_test(test: Any) -> Any:
    for mark in in_a_browser:
        test = mark(test)
    return test


@asynccontextmanager
async def playground(*arguments: str) -> AsyncIterator[str]:
    """Its address, while it runs; Ctrl-C ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PLAYGROUND),
        *(arguments or ("--port", "0")),
        env={name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            address = (await process.stdout.readline()).decode().split()[-1]
        yield address
        process.send_signal(2)
        async with asyncio.timeout(LIMIT):
            _, err = await process.communicate()
        assert (process.returncode, err) == (130, b"Stopped.\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    from playwright.async_api import async_playwright

    wrong: list[str] = []
    async with playground() as address, async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)  # the policy forbids what the driver evaluates
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        await page.goto(address)
        await page.locator("#speak:enabled").wait_for(timeout=1000 * LIMIT)
        await page.fill("#text", TEXT)
        try:
            yield page
        finally:
            await browser.close()
    assert wrong == []


async def status(page: Page, begins: str) -> None:
    """Wait for what the page tells."""
    await page.locator("#status", has_text=begins).wait_for(timeout=1000 * LIMIT)


async def speak(page: Page) -> tuple[str, int]:
    """Speak the text to its end. What was heard, as a digest that leaves silent frames out; and the words lit."""
    await page.click("#speak")
    await status(page, "Speaking")
    await status(page, "Done: every sample was heard.")
    frames: list[list[int]] = await page.evaluate(
        "sound.frames.map((frame) => Array.from(new Int16Array(frame))).filter((frame) => frame.some(Boolean))"
    )
    heard = b"".join(b"".join(sample.to_bytes(2, "little", signed=True) for sample in frame) for frame in frames)
    assert len(heard) > 3 * 48000
    return hashlib.sha256(heard).hexdigest(), await page.locator("#words .spoken").count()


async def number(page: Page, name: str) -> str:
    """One of the numbers below the timeline's heading."""
    return (await page.locator("#numbers div", has_text=name).locator("dd").inner_text()).strip()


@browser_test
async def test_it_speaks_aloud_and_lights_each_word() -> None:
    async with open_page() as page:
        assert await page.inner_text("#mode") == "Emulator: no key is set"
        await page.click("#speak")
        await page.locator("#words .now").first.wait_for(timeout=1000 * LIMIT)
        assert 0 < await page.locator("#words .spoken").count() < len(TEXT.split())
        await page.wait_for_function(
            "() => { const level = new Float32Array(2048); sound.meter.getFloatTimeDomainData(level);"
            " return Math.max(...level) > 0.02; }",
            timeout=1000 * LIMIT,
        )
        await status(page, "Done: every sample was heard.")
        await page.locator("#words .spoken").nth(len(TEXT.split()) - 1).wait_for()
        assert await number(page, "Gaps") == "0"
        assert "First audio 0." in (await page.get_attribute("#timeline", "aria-label") or "")
        assert await page.locator("#timeline polyline").count() == 1


@browser_test
@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_nothing_is_lost_when_the_connection_drops(transport: str) -> None:
    async with open_page() as page:
        await page.select_option("#transport", transport)
        whole = await speak(page)
        await page.click("text=Drop")
        assert await page.get_attribute("[data-kind=drop]", "aria-pressed") == "true"
        assert await speak(page) == whole
        assert await number(page, "Resumed") != "0"
        assert await page.get_attribute("[data-kind=drop]", "aria-pressed") == "false"


@browser_test
async def test_other_faults_are_heard_as_a_wait_and_nothing_more() -> None:
    async with open_page() as page:
        whole = await speak(page)
        await page.click("text=Refuse")
        await page.click("text=Stall")
        assert await speak(page) == whole


@browser_test
async def test_it_is_silent_soon_after_escape_and_speaks_again() -> None:
    async with open_page() as page:
        await page.check("#by-token")
        await page.focus("#text")
        await page.keyboard.press("Control+Enter")
        await page.locator("#words .now").first.wait_for(timeout=1000 * LIMIT)
        await page.keyboard.press("Escape")
        await status(page, "Interrupted.")
        await page.locator("#interrupt:disabled").wait_for()
        frames = await page.evaluate("sound.frames.length")
        await asyncio.sleep(0.5)
        assert await page.evaluate("sound.frames.length") == frames
        assert await page.locator("#words .spoken").count() < len(TEXT.split())
        await page.check("#at-once")
        _, lit = await speak(page)
        assert lit == len(TEXT.split())


@browser_test
async def test_what_is_refused_is_told() -> None:
    async with open_page() as page:
        await page.fill("#voice", "nobody")
        await page.click("#speak")
        await page.locator("#status.bad").wait_for(timeout=1000 * LIMIT)
        assert "voice" in (await page.inner_text("#status")).lower()


@browser_test
async def test_a_picture_can_be_taken_while_it_speaks(tmp_path: Path) -> None:
    """The README's was made by it: ``PLAYGROUND_PICTURE=examples/playground/screenshot.png pytest -m slow``."""
    path = Path(os.environ.get("PLAYGROUND_PICTURE", tmp_path / "playground.png"))
    async with open_page() as page:
        await page.set_viewport_size({"width": 1180, "height": 1000})
        await page.fill("#text", await page.evaluate("document.getElementById('text').defaultValue"))
        await page.check("#by-token")
        await page.click("text=Drop")
        await page.click("#speak")
        await page.locator("#words .spoken", has_text="people").wait_for(timeout=1000 * LIMIT)
        await page.screenshot(path=path, full_page=True)
        assert await number(page, "Resumed") == "1 time"
    assert path.stat().st_size > 20_000


async def test_other_sites_may_neither_read_the_page_nor_connect() -> None:
    async with playground() as address, aiohttp.ClientSession() as http:
        for path, headers in [("", {"Host": "evil.example"}), ("ws", {"Origin": "http://evil.example"})]:
            async with http.get(address + path, headers=headers) as answer:
                assert answer.status == 403
        async with http.get(address) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_port_in_use_is_told_in_one_line() -> None:
    async with playground() as address:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PLAYGROUND), "--port", address.rstrip("/").rpartition(":")[2]),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(LIMIT):
            _, err = await process.communicate()
    (line,) = err.decode().splitlines()
    assert process.returncode == 1
    assert line.startswith("playground: cannot serve on port ")
    assert line.endswith("Choose another with --port")
