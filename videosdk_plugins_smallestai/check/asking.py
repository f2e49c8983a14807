"""How the service is asked: one function for each question. Each returns what was seen.

What was seen begins with one of the readings that ``WavesEmulator(assume=...)`` knows; details follow a colon.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ModelRetiredError,
    RateLimitError,
    ServerError,
    SmallestAIError,
)
from ..protocol.error_mapping import quote
from ..protocol.frames import AudioFrame, CompleteFrame, ErrorFrame, WordFrame
from ..transport.session import Session
from .answers import error_in, error_text, has_audio, has_complete, last_audio, length, speech, whose
from .bench import PRO, STREAM, Bench, NotSeen
from .wire import FIRST_AUDIO, Heard, Line, open_line

OLD_STREAM = "/lightning-v3.1/get_speech/stream"
V4_STREAM = "/lightning-v4/live?voice_id=brannock&language=en&sample_rate=24000&output_format=pcm&speed=1.0"

LATE = 6.0
"""Seconds to wait for a `complete`, or a close: late ones come after four."""

PROMPT = 0.5
"""Seconds within which a `complete` is prompt, as the plugin has it (`Timing.prompt`)."""

BACKOFF = 3000
"""Milliseconds by which a `complete` is put off, so that it closes no connection before the next request."""

IDLE = 2
"""Seconds of idleness after which the service is asked to close a connection."""

CHARACTER = 0.03
"""Seconds of speech that a character of text, white space included, takes at least."""


async def current_model(bench: Bench, text: str) -> str:
    """Ask whether `lightning_v3.1` speaks. If it is retired, the Pro model answers all that follows."""
    heard = await bench.say(text)
    if not isinstance(error_in(heard), ModelRetiredError):
        speech(heard)
        return "served"
    bench.speaker = PRO
    speech(await bench.say(text))
    return f"retired: {error_text(heard)}"


async def old_route(bench: Bench, text: str) -> str:
    """Ask whether the route of lightning-v3.1 is there."""
    try:
        async with bench.line(OLD_STREAM) as line:
            heard = await line.ask(bench.old_body(text), has_audio)
    except ModelRetiredError as gone:
        return str(gone.status)
    if isinstance(error_in(heard), ModelRetiredError):
        return f"MODEL_DEPRECATED: {error_text(heard)}"
    speech(heard)
    return "served"


async def complete_at_0(bench: Bench, text: str) -> str:
    """Ask when `complete` comes if it is wanted after 0 ms."""
    return await _complete_after(bench, text, 0)


async def complete_at_1(bench: Bench, text: str) -> str:
    """Ask when `complete` comes if it is wanted after 1 ms."""
    return await _complete_after(bench, text, 1)


async def _complete_after(bench: Bench, text: str, backoff: int) -> str:
    heard = await bench.say(text, has_complete, quiet=LATE, complete_backoff_ms=backoff)
    last = last_audio(heard).at
    complete = next((each.at for each in heard if isinstance(each.frame, CompleteFrame)), None)
    if complete is None:
        return f"late: none within {LATE:g} s of the last audio"
    return "prompt" if complete - last < PROMPT else f"late: {complete - last:.1f} s after the last audio"


async def closed_after_complete(bench: Bench, text: str) -> str:
    """Ask whether the socket is closed after the `complete` of a plain request."""
    async with bench.line() as line:
        heard = await line.ask(bench.body(text), has_complete, quiet=LATE)
        speech(heard)
        if not has_complete(heard):
            raise NotSeen(f"no complete within {LATE:g} s")
        await line.hear(2.0)
        return "kept open" if line.closed is None else f"closed: code {line.closed}"


async def second_request(bench: Bench, first: str, second: str) -> str:
    """Ask how two requests at once on one socket are served: on the plugin's route for that, if it is there."""
    try:
        closed, heard = await _both(bench, OLD_STREAM, [bench.old_body(text) for text in (first, second)])
    except ModelRetiredError:
        closed, heard = await _both(bench, STREAM, [bench.body(text) for text in (first, second)])
    if error_in(heard) is not None:
        if await _at_once(bench, (first, second)) < 2:
            raise NotSeen("the account may have one request at a time")
        return f"refused: {error_text(heard)}"
    order = [whose(each) for each in speech(heard)]
    changes = sum(one != other for one, other in itertools.pairwise(order))
    if changes == 0 and closed is not None:
        return f"lost: closed (code {closed}) before the second was served"
    if changes == 0:
        raise NotSeen("the frames of the two cannot be told apart")
    return "in turn" if changes == 1 else "mixed"


async def _both(bench: Bench, path: str, bodies: Sequence[dict[str, Any]]) -> tuple[int | None, list[Heard]]:
    """Send requests at once on one socket. Returns the code with which it was closed, and the frames.

    Raises:
        ModelRetiredError: The route is gone.
    """
    async with bench.line(path) as line:
        for body in bodies:
            await line.say(body | {"complete_backoff_ms": BACKOFF})
        heard = await line.listen(quiet=2.0)
    if isinstance(error := error_in(heard), ModelRetiredError):
        raise error
    return line.closed, heard


async def ids_echoed(bench: Bench, text: str) -> str:
    """Ask whether the client's own id is echoed."""
    frame = speech(await bench.say(text, request_id="check-my-id"))[0].frame
    assert isinstance(frame, AudioFrame)
    return "echoed" if frame.request_id == "check-my-id" else "not echoed"


async def complete_for_each_release(bench: Bench, first: str, second: str) -> str:
    """Ask how many times a continuation of two releases is said to be complete."""
    async with bench.line() as line:
        heard = [each for release in await _two_releases(bench, line, (first, second)) for each in release]
        missing = 2 - sum(isinstance(each.frame, CompleteFrame) for each in heard)
        while missing > 0 and (more := await line.hear(LATE)) is not None:
            heard.append(more)
            missing -= isinstance(more.frame, CompleteFrame)
    return ("each release", "one for the context", "none")[max(0, missing)]


async def request_id_changes(bench: Bench, first: str, second: str) -> str:
    """Ask whether the server's own id changes with each release of a continuation."""
    async with bench.line() as line:
        releases = await _two_releases(bench, line, (first, second))
    told = [each.frame.server_id for each in map(last_audio, releases) if isinstance(each.frame, AudioFrame)]
    if None in told:
        return "none"
    return "with each release" if told[0] != told[1] else "one for all"


async def cancel_request(bench: Bench, text: str) -> str:
    """Ask whether `cancel_request` stops the audio that is being sent."""
    async with bench.line() as line:
        fields = _context_fields("check-cancel")
        before = speech(await line.ask(bench.body(text, **fields), has_audio))
        cancelled = await line.say(bench.body(None, context_id=fields["context_id"], cancel_request=True))
        after = await line.listen(has_complete, patience=1.0, quiet=1.0)
    if any(isinstance(each.frame, ErrorFrame) for each in after):
        return f"refused: {error_text(after)}"
    sent = length(each for each in after if each.at > cancelled)
    if sent >= 1.0:
        return f"audio goes on: {sent:.1f} s of it"
    if length(before) > len(text) * CHARACTER:
        raise NotSeen("all of the audio had come before")
    return f"audio stops: {sent:.1f} s after it"


async def context_slot(bench: Bench, *texts: str) -> str:
    """Ask when a continuation stops to count as one of the requests that the account may have at once."""
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(bench.line()) for _ in texts]
        fields = [_context_fields(f"check-slot-{i}") for i in range(len(texts))]
        for line, text, more in zip(lines, texts, fields, strict=True):
            await line.say(bench.body(text, **more))
        resting = [i for i, spoken in enumerate(await asyncio.gather(*map(_is_admitted, lines))) if spoken]
        if len(resting) == len(texts):
            raise NotSeen(f"the account has at least {len(texts)} requests at once")
        if not resting:
            raise NotSeen("the account is in use")
        if await _is_admitted_now(bench, texts[0]):
            return "not held"
        since = await lines[resting[0]].say(bench.body(None, **fields[resting[0]]) | {"continue": False})
        while (waited := asyncio.get_running_loop().time() - since) < LATE:
            if await _is_admitted_now(bench, texts[0]):
                return "when closed" if waited < 1.0 else f"later: {waited:.1f} s after the close"
            await asyncio.sleep(0.5)
    return f"never: not within {LATE:g} s"


async def concurrency(bench: Bench, first: str, second: str) -> str:
    """Ask whether the account may have two requests at once."""
    return "2 or more" if await _at_once(bench, (first, second)) == 2 else "1"


async def wrong_voice(bench: Bench, text: str) -> str:
    """Ask for a voice that no model has."""
    return await _refusal(bench, text, voice_id="no_such_voice")


async def other_pools_voice(bench: Bench, text: str) -> str:
    """Ask for a voice of the other model's pool."""
    return await _refusal(bench, text, voice_id=bench.speaker.foreign_voice)


async def wrong_language(bench: Bench, text: str) -> str:
    """Ask for a language that there is not."""
    return await _refusal(bench, text, language="xx")


async def wrong_model(bench: Bench, text: str) -> str:
    """Ask for a model that there is not."""
    return await _refusal(bench, text, model="lightning_v0")


async def wrong_key(bench: Bench) -> str:
    """Ask with a key that no account has."""
    body = bench.body("No.")
    try:
        async with open_line(bench.wrong, STREAM) as line:
            heard = [frame] if (frame := await line.hear(1.0)) is not None else []
            if not heard and line.closed is None:
                heard = await line.ask(body, has_audio)
            if has_audio(heard):
                return "accepted"
            return f"error frame: {error_text(heard)}" if error_in(heard) else f"closed: code {line.closed}"
    except SmallestAIError as refused:
        if refused.status is None:
            raise
        # A refused handshake has no words for us; a POST has.
        return f"{refused.status}: {await _words_of_a_refused_post(bench.wrong, body)}"


async def first_audio(bench: Bench, text: str) -> str:
    """Ask how long the first audio takes on an open connection."""
    async with bench.line() as line:
        asked = await line.say(bench.body(text))
        heard = await line.listen(has_audio)
    return f"{round(speech(heard)[0].at - asked, 2):g} s"


async def speed(bench: Bench, text: str) -> str:
    """Ask how many seconds of audio come in a second, after the first."""
    heard = speech(await bench.say(text, has_complete))
    first, last = heard[0], heard[-1]
    return f"{min(99.0, (length(heard) - first.seconds) / max(0.001, last.at - first.at)):.1f}x"


async def rates(bench: Bench, *texts: str) -> str:
    """Ask for each sample rate, and see by the length of the audio whether it is what comes."""
    sizes: dict[int, int] = {}
    refused = ""
    for rate, text in zip((8000, 16000, 24000, 44100), texts, strict=True):
        heard = await bench.say(text, has_complete, sample_rate=rate)
        if isinstance(error := error_in(heard), AuthenticationError | RateLimitError | ModelRetiredError):
            raise error
        if error is not None:
            refused = f": {rate} is refused: {error_text(heard)}"
        elif audio := sum(len(each.frame.pcm) for each in heard if isinstance(each.frame, AudioFrame)):
            sizes[rate] = audio
    if not sizes:
        raise ServerError(f"No sample rate is served{refused}")
    if len(sizes) > 1 and max(sizes.values()) < 1.2 * min(sizes.values()):
        return "one: the audio is as many bytes, whatever is asked for"
    return " ".join(map(str, sizes)) + refused


async def word_times(bench: Bench, first: str, second: str) -> str:
    """Ask for the times of words in a continuation of two releases."""
    async with bench.line() as line:
        fields = {"voice_id": bench.speaker.word_voice, "word_timestamps": True}
        releases = await _two_releases(bench, line, (first, second), **fields)
    words = [each.frame for each in releases[1] if isinstance(each.frame, WordFrame)]
    if not words:
        return "none"
    before = length(releases[0])
    told = f"the second release begins at {words[0].start:.2f} s, after {before:.2f} s of audio"
    return f"{'from the release' if words[0].start < before / 2 else 'from the connection'}: {told}"


async def idle_close(bench: Bench) -> str:
    """Ask what is said when a connection is closed for being idle."""
    said = ""
    async with bench.line(f"{STREAM}?timeout={IDLE}") as line:
        end = asyncio.get_running_loop().time() + IDLE + 4.0
        while line.closed is None and (left := end - asyncio.get_running_loop().time()) > 0:
            heard = await line.hear(left)
            said = heard.raw if heard is not None else said
    if line.closed is None:
        return f"not closed: within {IDLE + 4} s, although asked to after {IDLE} s"
    return f"told: {said}" if said else f"not told: code {line.closed}"


async def v4(bench: Bench) -> str:
    """Ask whether the account may use Lightning v4."""
    try:
        async with bench.line(V4_STREAM) as line:
            heard = await line.hear(FIRST_AUDIO)
    except SmallestAIError as refused:
        if refused.status is None or refused.status >= 500:
            raise NotSeen(str(refused)) from refused
        return f"closed: HTTP {refused.status}"
    if heard is None or '"ready"' not in heard.raw:
        return f"closed: {heard.raw if heard else f'code {line.closed}'}"
    return "open"


async def _two_releases(
    bench: Bench, line: Line, texts: Sequence[str], **fields: Any
) -> tuple[list[Heard], list[Heard]]:
    """Speak a continuation of two fragments, the second once the first has been sent: the frames of each."""
    common = _context_fields("check-context") | fields
    releases = []
    for text in texts:
        if line.closed is not None:
            raise APIConnectionError(f"The connection was closed (code {line.closed}) in the middle of a context")
        heard = await line.ask(bench.body(text, **common))
        speech(heard)
        releases.append(heard)
    if line.closed is None:
        await line.say(bench.body(None, **common) | {"continue": False})
    return releases[0], releases[1]


def _context_fields(context: str) -> dict[str, Any]:
    return {"context_id": context, "continue": True, "max_buffer_delay_ms": 1}


async def _refusal(bench: Bench, text: str, **wrong: Any) -> str:
    """What comes of a request with something wrong in it."""
    heard = await bench.say(text, **wrong)
    error = error_in(heard)
    if isinstance(error, AuthenticationError | RateLimitError):
        raise error
    if error is not None:
        return f"refused: {error_text(heard)}"
    return "spoken" if has_audio(heard) else "no audio"


async def _at_once(bench: Bench, texts: Sequence[str]) -> int:
    """How many of some requests that are sent at once, each on its own connection, are accepted."""
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(bench.line()) for _ in texts]
        for line, text in zip(lines, texts, strict=True):
            await line.say(bench.body(text))
        accepted = sum(await asyncio.gather(*map(_is_admitted, lines)))
    if not accepted:
        raise NotSeen("the account is in use")
    return accepted


async def _is_admitted_now(bench: Bench, text: str) -> bool:
    async with bench.line() as line:
        await line.say(bench.body(text))
        return await _is_admitted(line)


async def _is_admitted(line: Line) -> bool:
    """Whether a request is spoken, to its end, or refused for being one too many."""
    heard = await line.listen()
    if isinstance(error_in(heard), RateLimitError):
        return False
    speech(heard)
    return True


async def _words_of_a_refused_post(session: Session, body: dict[str, Any]) -> str:
    async with session.client().post(
        session.base_url + STREAM,
        json=body,
        headers=session.headers | {"Accept": "text/event-stream"},
        proxy=session.proxy(session.base_url),
        allow_redirects=False,
    ) as response:
        told = b""
        while chunk := await response.content.readany():
            told += chunk
        return f"HTTP {response.status} {quote(told, session.secret)}"
