"""``examples/playground`` in a real browser: a page that speaks, shows words, and loses nothing."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from PIL import Image

from videosdk_plugins_smallestai.emulator import WavesEmulator

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


@pytest.fixture(autouse=True)
def the_playground_minds_ctrl_c() -> Iterator[None]:
    """Also where the tests run in a background that ignores it: who is started from there would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def playground(port: str = "0") -> AsyncIterator[str]:
    """Its address, while it runs; Ctrl-C ends it, and it has told nothing more."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PLAYGROUND), "--port", port),
        env={name: value for name, value in os.environ.items() if name != "SMALLEST_API_KEY"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT):
            address = (await process.stdout.readline()).decode().split()[-1]
        yield address
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT):
            _, err = await process.communicate()
        assert (process.returncode, err) == (130, b"Stopped.\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A blank page, on which no script may fail."""
    from playwright.async_api import async_playwright

    wrong: list[str] = []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(bypass_csp=True)  # the policy forbids what the driver evaluates
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        try:
            yield page
        finally:
            await browser.close()
    assert [told for told in wrong if "ERR_CONNECTION_REFUSED" not in told] == []


async def visit(page: Page, address: str) -> None:
    await page.goto(address)
    await page.locator("#speak:enabled").wait_for(timeout=1000 * LIMIT)
    await page.fill("#text", TEXT)


@asynccontextmanager
async def open_page() -> AsyncIterator[Page]:
    async with playground() as address, chromium() as page:
        await visit(page, address)
        yield page


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
async def test_who_interrupts_at_once_hears_nothing_and_the_last_of_quick_replies_is_heard() -> None:
    async with open_page() as page:
        await page.evaluate("speak(); send({ type: 'interrupt' })")
        await status(page, "Interrupted.")
        await page.locator("#interrupt:disabled").wait_for()
        assert await number(page, "Spoken") in ("–", "0.00 s")
        await page.evaluate("speak(); speak(); document.getElementById('text').value = 'The last one.'; speak()")
        await page.locator("#words", has_text="The last one.").wait_for(timeout=1000 * LIMIT)
        await status(page, "Done: every sample was heard.")
        assert await page.locator("#words .spoken").count() == 3


@browser_test
async def test_signs_that_no_voice_reads_and_sentences_that_come_twice_are_no_trouble() -> None:
    async with open_page() as page:
        await page.fill("#text", "Hello 🙂 there! 🎉🎉 Say it again. Say it again. And 👍🏽 *again*.")
        await page.click("#speak")
        await status(page, "Done: every sample was heard.")
        await page.wait_for_function(
            "() => !document.querySelector('#words span:not(.spoken)')", timeout=1000 * LIMIT
        )
        assert await number(page, "Resumed") == "0"
        await page.fill("#text", "🙂")
        await page.click("#speak")
        await status(page, "There is nothing to say")


@browser_test
async def test_the_page_finds_a_playground_that_was_started_again() -> None:
    async with chromium() as page:
        async with playground() as address:
            await visit(page, address)
            await page.click("text=Drop")
        await status(page, "The playground has stopped: start it again.")
        assert await page.locator("#speak").is_disabled()
        async with playground(port=address.rstrip("/").rpartition(":")[2]):
            await status(page, "Connected again.")
            assert await page.get_attribute("[data-kind=drop]", "aria-pressed") == "false"
            await page.fill("#text", "Here we are.")
            await page.click("#speak")
            await status(page, "Done: every sample was heard.")


@browser_test
async def test_a_page_that_is_closed_in_mid_reply_leaves_the_other_one_alone() -> None:
    async with playground() as address, chromium() as page, chromium() as other:
        for each in (page, other):
            await visit(each, address)
            await each.click("#speak")
        await page.locator("#words .now").first.wait_for(timeout=1000 * LIMIT)
        await page.close()
        await status(other, "Done: every sample was heard.")


@browser_test
async def test_what_was_written_filtered_sent_and_heard_is_shown_in_rows() -> None:
    async with open_page() as page:
        await page.select_option("#example", "marked")
        for chosen, filtered in [("speech", "£1,500"), ("framework", "one thousand five hundred dollars")]:
            await page.select_option("#filter", chosen)
            await page.click("#speak")
            await status(page, "Speaking")
            await status(page, "Done: every sample was heard.")
            await page.locator("#words .spoken", has_text="right?").wait_for(timeout=1000 * LIMIT)
            rows = [await row.locator("td").all_inner_texts() for row in await page.locator("#view tbody tr").all()]
            (total,) = [row for row in rows if "**£1,500**" in row[0]]
            assert filtered in total[1]
            assert filtered in total[2]
            assert "**" not in "".join(total[1:])
            for written, left, sent, heard in rows:
                assert written
                assert left
                assert heard.split() == sent.split()
            assert await number(page, "Segments") == str(len(rows))


@browser_test
async def test_what_is_refused_is_told() -> None:
    async with open_page() as page:
        await page.fill("#voice", "nobody")
        await page.click("#speak")
        await page.locator("#status.bad").wait_for(timeout=1000 * LIMIT)
        assert "voice" in (await page.inner_text("#status")).lower()


@browser_test
async def test_a_picture_can_be_taken_of_a_reply(tmp_path: Path) -> None:
    """The README's was made by it: ``PLAYGROUND_PICTURE=examples/playground/screenshot.png pytest -m slow``."""
    path = Path(os.environ.get("PLAYGROUND_PICTURE", tmp_path / "playground.png"))
    async with open_page() as page:
        await page.set_viewport_size({"width": 1180, "height": 1000})
        await page.fill("#text", await page.evaluate("document.getElementById('text').defaultValue"))
        await page.check("#by-token")
        await page.locator("#pace").fill("25")  # about as fast as a language model
        await page.click("text=Drop")
        await page.click("#speak")
        await status(page, "Done: every sample was heard.")
        await page.locator("#words .spoken", has_text="window").wait_for(timeout=1000 * LIMIT)
        await page.screenshot(path=path, full_page=True)
        assert await number(page, "Resumed") == "1 time"
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(64).save(path, optimize=True)
    assert 20_000 < path.stat().st_size < 150_000


async def test_other_sites_may_neither_read_the_page_nor_connect() -> None:
    async with playground() as address, aiohttp.ClientSession() as http:
        for path, headers in [("", {"Host": "evil.example"}), ("ws", {"Origin": "http://evil.example"})]:
            async with http.get(address + path, headers=headers) as answer:
                assert answer.status == 403
        async with http.get(address) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The playground's module of that name."""
    monkeypatch.syspath_prepend(str(PLAYGROUND))
    yield importlib.import_module("speaker")
    for name in ("alignment", "speaker", "wire"):
        sys.modules.pop(name, None)


async def test_the_service_is_asked_for_what_was_chosen_and_no_connection_is_left(speaker: Any) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()

    def note(message: dict[str, Any] | bytes) -> None:
        if isinstance(message, dict) and message["type"] == "done":
            done.put_nowait(message["error"])

    chosen = [
        ("lightning_v3.1_pro", "meher", "en", 8000, "websocket", 1.0),
        ("lightning_v3.1", "devansh", "hi", 44100, "websocket", 1.5),
        ("lightning-v3.1", "magnus", "en", 16000, "http", 0.8),
    ]
    async with WavesEmulator(voice="tone") as waves:
        one = speaker.Speaker({"api_key": "sk_test", "base_url": waves.base_url}, note)
        await one.prewarm()
        for model, voice, language, rate, transport, speed in chosen:
            asked = {"model": model, "voice": voice, "language": language, "sample_rate": rate, "pace": 0}
            asked["filter"] = "none"
            await one.speak(speaker.Wish.of(asked | {"text": "Hello.", "speed": speed, "transport": transport}))
            async with asyncio.timeout(LIMIT):
                assert await done.get() == ""
            request = waves.requests[-1]
            assert (request.body["voice_id"], request.body["language"]) == (voice, language)
            assert (request.body["sample_rate"], request.body["speed"]) == (rate, speed)
        await one.aclose()
        assert [connection.closed for connection in waves.connections].count(None) == 0


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        ("speech", "Your total is £1,500, due now. Run git push now."),
        ("framework", "Your total is one thousand five hundred dollars, due now 🎉. Run now."),
        ("none", "Your total is **£1,500**, due now 🎉. Run `git push` now."),
    ],
)
async def test_the_service_is_sent_what_the_chosen_filter_leaves(speaker: Any, chosen: str, sent: str) -> None:
    told: list[dict[str, Any]] = []
    done = asyncio.Event()

    def note(message: dict[str, Any] | bytes) -> None:
        if isinstance(message, dict):
            told.append(message)
            if message["type"] == "done":
                done.set()

    text = "Your total is **£1,500**, due now 🎉. Run `git push` now."
    asked = {"text": text, "model": "lightning_v3.1", "voice": "magnus", "language": "en", "speed": 1, "pace": 0}
    asked |= {"sample_rate": 24000, "transport": "websocket", "filter": chosen}
    async with WavesEmulator(voice="tone") as waves:
        one = speaker.Speaker({"api_key": "sk_test", "base_url": waves.base_url}, note)
        await one.speak(speaker.Wish.of(asked))
        async with asyncio.timeout(LIMIT):
            await done.wait()
        await one.aclose()
        requests = [request.body["text"] for request in waves.requests]
    rows = [message for message in told if message["type"] == "rows"][-1]["rows"]
    assert [row["sent"] for row in rows] == requests
    assert " ".join(row["written"] for row in rows) == text
    assert " ".join(" ".join(requests).split()) == sent
    (figures,) = [message["figures"] for message in told if message["type"] == "metrics"]
    assert (figures["requests"], figures["characters"]) == (len(requests), sum(map(len, requests)))


async def test_what_the_model_of_an_interrupted_reply_still_writes_is_not_in_the_next(speaker: Any) -> None:
    told: list[dict[str, Any]] = []
    done, written = asyncio.Event(), asyncio.Event()

    def note(message: dict[str, Any] | bytes) -> None:
        if isinstance(message, dict):
            told.append(message)
            {"done": done, "text": written}.get(message["type"], asyncio.Event()).set()

    asked = {"model": "lightning_v3.1", "voice": "magnus", "language": "en", "speed": 1, "sample_rate": 24000}
    asked |= {"transport": "websocket", "filter": "speech"}
    async with WavesEmulator(voice="tone") as waves:
        one = speaker.Speaker({"api_key": "sk_test", "base_url": waves.base_url}, note)
        async with asyncio.timeout(LIMIT):
            await one.speak(speaker.Wish.of(asked | {"text": "Old words. " * 40, "pace": 0.02}))
            await written.wait()
            await one.interrupt()
            done.clear()
            told.clear()
            await one.speak(speaker.Wish.of(asked | {"text": "The new one is this.", "pace": 0.1}))
            await done.wait()
        await one.aclose()
    assert "".join(message["text"] for message in told if message["type"] == "text") == "The new one is this."
    rows = [message for message in told if message["type"] == "rows"][-1]["rows"]
    assert [row["written"] for row in rows] == ["The new one is this."]


async def test_a_port_that_cannot_be_is_told() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PLAYGROUND), "--port", "99999"), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LIMIT):
        _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().endswith("argument --port: '99999' is no port: 0 to 65535\n")


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
