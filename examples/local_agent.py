"""A whole agent session on this machine: a language model's tokens become speech, and a caller hears it.

    python examples/local_agent.py -o call.wav

Agent, session, pipeline and transport are the framework's own, and nothing reaches the cloud. The language model is
a script. The voice comes from the service if SMALLEST_API_KEY is set, and else from the emulator.
"""

from __future__ import annotations

import argparse
import sys

from _shared import MUST_COME, CannotSayError, check_output, parser, run, save, service
from videosdk.agents import Agent

from videosdk_plugins_smallestai import SmallestAITTS
from videosdk_plugins_smallestai.testing import ScriptedLLM, call

GREETING = "Hello! You are through to the front desk."
QUESTION = "When is my appointment, and what does it cost?"
ANSWER = "It is on Friday at 10:30. That will be $1,299.50 in all. Shall I put it in your calendar?"


class Receptionist(Agent):  # type: ignore[misc]
    """Greets who comes."""

    async def on_enter(self) -> None:
        """The caller is there."""
        print(f"Agent:  {GREETING}", flush=True)
        await self.session.say(GREETING)

    async def on_exit(self) -> None:
        """The caller has left."""


async def converse(options: argparse.Namespace) -> str:
    """Do what the command line asks for. Returns the line to print."""
    check_output(options.output)
    agent = Receptionist(instructions="Answer in one or two short sentences.")
    model = ScriptedLLM([ANSWER], pace=0.03)
    async with service() as address:
        tts = SmallestAITTS(**address, word_timestamps=True)  # the session closes it
        async with call(agent, llm=model, tts=tts) as c:
            print(f"Caller: {QUESTION}\nAgent:  {ANSWER}", flush=True)
            await c.ask(QUESTION)
    if not c.heard:
        raise CannotSayError(MUST_COME)
    save(c.heard, c.sample_rate, options.output)
    return f"{options.output}: the caller heard {len(c.heard) / 2 / c.sample_rate:.2f} s"


def main(argv: list[str] | None = None) -> int:
    """Run the program. Returns its exit code."""
    options = parser("Run a whole agent session on this machine.", "call.wav").parse_args(argv)
    return run("local_agent.py", lambda: converse(options), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
