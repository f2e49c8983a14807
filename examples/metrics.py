"""Ten replies and their figures: a table, and spans for OpenTelemetry.

    python examples/metrics.py -o spans.jsonl

The plugin emits "metrics" once for each reply, however it ends. The seventh reply here is interrupted, and the
connection of the eighth breaks. The spans `tts.reply` have the same figures as attributes; here they are written
to a file, a line of JSON each. In production, give the provider an exporter of yours, such as OTLPSpanExporter().
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
import time

from _shared import check_output, parser, run, service, tokens
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer
from videosdk.agents import CustomAudioStreamTrack

from videosdk_plugins_smallestai import ReplyMetrics, SmallestAITTS

REPLIES = 10
INTERRUPTED = 7
BROKEN = 8
TEXT = "This is reply number {number}. Its second sentence is already under way while you hear the first."

COLUMNS = ("ttfb", "first_audio", "audio_duration", "requests", "gaps", "resumes", "connection_reused", "cancelled")


def export(tracer: Tracer, reply: ReplyMetrics) -> None:
    """Write a reply's figures as a span that ends now. A span attribute has no value for `None`: it is left out."""
    lasted = max(reply.first_audio or 0.0, 0.0) + reply.audio_duration
    ended = time.time_ns()
    figures = {name: value for name, value in dataclasses.asdict(reply).items() if value is not None}
    span = tracer.start_span("tts.reply", attributes=figures, start_time=ended - int(lasted * 1e9))
    if reply.error is not None:
        span.set_status(Status(StatusCode.ERROR, reply.error))
    span.end(ended)


def row(number: int, reply: ReplyMetrics) -> str:
    """One line of the table."""
    values = [getattr(reply, name) for name in COLUMNS]
    cells = [
        f"{value:.2f}" if isinstance(value, float) else "-" if value is None else str(value) for value in values
    ]
    return f"{number:>5}" + "".join(f"{cell:>{len(name) + 2}}" for name, cell in zip(COLUMNS, cells, strict=True))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


async def speak(tts: SmallestAITTS, number: int) -> None:
    """One reply; the one that is interrupted is stopped after half a second of audio."""
    began = asyncio.Event()

    async def note() -> None:
        began.set()

    tts.on_first_audio_byte(note)
    tts.reset_first_audio_tracking()
    reply = asyncio.ensure_future(tts.synthesize(tokens(TEXT.format(number=number))))
    if number == INTERRUPTED:
        await began.wait()
        await asyncio.sleep(0.5)
        await tts.interrupt()
    await reply


async def measure(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    from videosdk_plugins_smallestai.emulator import Break

    check_output(options.output)

    faults = {f"This is reply number {BROKEN}.": Break(0.5)}  # once

    provider = TracerProvider()
    with options.output.open("w") as spans:
        exporter = ConsoleSpanExporter(out=spans, formatter=_one_line)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("videosdk_plugins_smallestai")
        print(" " * 5 + "".join(f"{name:>{len(name) + 2}}" for name in COLUMNS))
        async with (
            service(fault=lambda request: faults.pop(request.text, None)) as address,
            SmallestAITTS(**address) as tts,
        ):
            numbers = iter(range(1, REPLIES + 1))

            @tts.on("metrics")  # type: ignore[untyped-decorator]
            def tell(reply: ReplyMetrics) -> None:
                print(row(next(numbers), reply), flush=True)
                export(tracer, reply)

            tts.loop = asyncio.get_running_loop()
            tts.audio_track = CustomAudioStreamTrack(tts.loop)
            await tts.prewarm()
            for number in range(1, REPLIES + 1):
                await speak(tts, number)
        provider.shutdown()
    return f"{options.output}: {REPLIES} spans"


def _one_line(span: ReadableSpan) -> str:
    return str(span.to_json(indent=None)) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    command = parser("Show the figures of ten replies, and write them as OpenTelemetry spans.", "spans.jsonl")
    options = command.parse_args(argv)
    return run("metrics.py", lambda: measure(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
