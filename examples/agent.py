"""An agent in a VideoSDK room: it listens, thinks, and answers with a Smallest AI voice.

pip install 'videosdk-agents[deepgram,openai,silero,turn-detector]'
export VIDEOSDK_AUTH_TOKEN=... DEEPGRAM_API_KEY=... OPENAI_API_KEY=... SMALLEST_API_KEY=...
python examples/agent.py            # prints the address of a page to talk to it
python examples/agent.py console    # talk to it here: pip install 'videosdk-agents[console]' as well
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

try:
    from videosdk.agents import Agent, AgentSession, JobContext, Pipeline, RoomOptions, WorkerJob
    from videosdk.agents.plugins import DeepgramSTT, OpenAILLM, SileroVAD, SmallestAITTS, TurnDetector

    from videosdk_plugins_smallestai import SmallestAIError, SpeechTextFilter

    if "console" in sys.argv[1:]:
        import_module("sounddevice")
        import_module("aec_audio_processing")
except ImportError as missing:
    extras = "deepgram,openai,silero,turn-detector" + (",console" if "console" in sys.argv[1:] else "")
    sys.exit(f"agent.py: {missing}. Install what it needs: pip install . 'videosdk-agents[{extras}]'")
except OSError as missing:
    sys.exit(f"agent.py: {missing}. The console needs the system's PortAudio: apt-get install libportaudio2")
except KeyboardInterrupt:  # these imports take seconds
    print("Stopped.", file=sys.stderr)
    sys.exit(130)

KEYS = ("VIDEOSDK_AUTH_TOKEN", "DEEPGRAM_API_KEY", "OPENAI_API_KEY", "SMALLEST_API_KEY")


class Receptionist(Agent):  # type: ignore[misc]
    """Answers at a front desk."""

    async def on_enter(self) -> None:
        """Somebody is there: greet them."""
        with suppress(SmallestAIError):  # it has been logged; not caught, it would end the session here
            await self.session.say("Hello! You are through to the front desk. How can I help you?")

    async def on_exit(self) -> None:
        """They have left."""


async def entrypoint(context: JobContext) -> None:
    """One call."""
    pipeline = Pipeline(
        stt=DeepgramSTT(),
        llm=OpenAILLM(),
        tts=SmallestAITTS(model="lightning_v3.1_pro", voice_id="meher", word_timestamps=True),
        vad=SileroVAD(),
        turn_detector=TurnDetector(),
        text_filter=SpeechTextFilter(),  # the framework's own misreads numbers
        text_chunking=False,  # the plugin finds the sentences itself, and cuts no number in two
    )
    session = AgentSession(Receptionist("Answer in one or two short sentences."), pipeline)
    await session.start(wait_for_participant=True, run_until_shutdown=True)


def make_context() -> JobContext:
    """The room that it waits in."""
    return JobContext(room_options=RoomOptions(name="Front desk", playground=True))


def main() -> int:
    """Run the worker until Ctrl-C. Returns the exit code."""
    unset = [name for name in KEYS if not os.environ.get(name)]
    if unset:
        print(f"agent.py: set {', '.join(unset)} in the environment", file=sys.stderr)
        return 1
    try:
        WorkerJob(entrypoint, jobctx=make_context).start()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
