"""`call`: a user's own agent in a whole session, as the user's tests see it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest
import pytest_asyncio
from agent_session import in_virtual_call, nothing_left, only_loopback
from listening import assert_same
from videosdk.agents import Agent, FallbackTTS, Pipeline, function_tool, run_tts

from videosdk_plugins_smallestai import ServerError, SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse, SpeechRequest, WavesEmulator, tone
from videosdk_plugins_smallestai.testing import Call, ScriptedLLM, ToolCall, call

GREETING = "Hello! How can I help you?"
LONG = "This is a long story, and nobody ever wanted to hear it to its end."


class Receptionist(Agent):  # type: ignore[misc]
    def __init__(self, *, cautious: bool = False) -> None:
        super().__init__("Be brief.")
        self._cautious = cautious

    async def on_enter(self) -> None:
        try:
            await self.session.say(GREETING)
        except SmallestAIError:
            if not self._cautious:
                raise

    async def on_exit(self) -> None:
        pass

    @function_tool
    async def look_up(self, day: str) -> str:
        """Look up an appointment.

        Args:
            day: A day of the week.
        """
        return {"Friday": "10:30"}[day]

    @function_tool
    async def hang_up(self) -> str:
        """End the call."""
        await self.hangup()
        return "done"


class Quiet(Receptionist):
    async def on_enter(self) -> None:
        pass


def down(request: SpeechRequest) -> Refuse:
    return Refuse(503)


# What is heard


@in_virtual_call
async def test_the_greeting_and_each_answer_are_heard_exactly() -> None:
    answers = ["It is on Friday at 10:30.", "That will be $1,299.50 in all. Shall I book it?"]
    with only_loopback():
        async with nothing_left(), call(Receptionist(), answers) as c:
            assert_same(c.heard.rstrip(b"\0"), tone(GREETING))
            for question, answer in zip(["When is it?", "What does it cost?"], answers, strict=True):
                reply = await c.ask(question)
                assert_same(reply.heard, tone(answer))
                assert (reply.gaps, reply.interrupted) == ([], False)
            assert c.emulator is not None
            said = " ".join(request.text.strip() for request in c.emulator.requests)
    assert said == " ".join([GREETING, *answers])
    assert c.said == [GREETING, *answers]
    assert isinstance(c.llm, ScriptedLLM)
    assert c.llm.asked == ["When is it?", "What does it cost?"]
    assert (c.errors, c.over) == ([], True)
    assert c.states[-1] == "closing"


@in_virtual_call
async def test_a_tool_is_called_and_the_next_answer_follows() -> None:
    async with call(Quiet(), [["Let me look. ", ToolCall("look_up", {"day": "Friday"})], "At 10:30."]) as c:
        reply = await c.ask("When is it?")
        (output,) = (item.output for item in c.chat_context.items if hasattr(item, "output"))
    assert_same(reply.heard, tone("Let me look. At 10:30."))
    assert output == '"10:30"'


@in_virtual_call
async def test_a_pause_of_the_model_is_a_gap_and_the_only_one() -> None:
    async with call(Quiet(), [["Let me look. ", 5.0, "It is on Friday. It is at 10:30."]]) as c:
        reply = await c.ask("When is it?")
    assert_same(reply.heard, tone("Let me look. It is on Friday. It is at 10:30."))
    (gap,) = reply.gaps
    assert 4.0 < gap < 5.0


@in_virtual_call
async def test_something_said_by_the_test_is_heard_too() -> None:
    async with call(Quiet()) as c:
        reply = await c.say("One moment, please.")
        assert_same(reply.heard, tone("One moment, please."))
        recorded = await c.say("Done.", audio_data=tone("Done."), add_to_chat_context=False)
        assert_same(recorded.heard, tone("Done."))
    assert c.said == ["One moment, please."]


# Interruptions


@in_virtual_call
async def test_whoever_speaks_while_the_agent_does_interrupts_it() -> None:
    async with nothing_left(), call(Quiet(), [LONG, "It is on Friday."]) as c:
        story = c.ask("Tell me everything.")
        await story.hears(1.0)
        reply = await c.ask("Stop, please. When is it?")
        assert_same(reply.heard, tone("It is on Friday."))
        assert (story.interrupted, reply.interrupted) == (True, False)
        assert await story is story
    assert 48_000 <= len(story.heard) < 60_000
    assert tone(LONG).startswith(story.heard)
    assert_same(c.heard.rstrip(b"\0"), story.heard + reply.heard)
    told, answer = c.said
    assert LONG.startswith(told)
    assert len(told) < len(LONG) / 2
    assert answer == "It is on Friday."


@in_virtual_call
async def test_the_test_interrupts_and_the_call_goes_on() -> None:
    async with call(Quiet(), [LONG, "It is on Friday."]) as c:
        story = c.ask("Tell me everything.")
        await story.hears(0.5)
        await c.interrupt()
        assert (await story).interrupted
        assert len(story.heard) < 30_000
        reply = await c.ask("When is it?")
        assert_same(reply.heard, tone("It is on Friday."))


@in_virtual_call
async def test_one_word_does_not_interrupt_as_the_framework_has_it() -> None:
    async with call(Quiet(), [LONG]) as c:
        story = c.ask("Tell me everything.")
        await story.hears(0.5)
        with pytest.raises(RuntimeError, match=r"the agent did not take 'Yes' as a turn: .*too few words"):
            await c.ask("Yes")
        assert_same((await story).heard, tone(LONG))
        assert not story.interrupted


@in_virtual_call
async def test_a_reply_that_ends_before_so_much_was_heard_is_told() -> None:
    async with call(Quiet(), ["Yes."]) as c:
        with pytest.raises(RuntimeError, match=r"the reply ended after 0\.20 s, before 3\.0 s of it were heard"):
            await c.ask("Is it on Friday?").hears(3.0)


# Errors of the agent


@in_virtual_call
async def test_what_on_enter_raises_ends_the_call() -> None:
    class Broken(Quiet):
        async def on_enter(self) -> None:
            raise KeyError("no such account")

    async with nothing_left():
        with pytest.raises(KeyError, match="no such account"):
            async with call(Broken()):
                pytest.fail("it cannot begin")


@in_virtual_call
async def test_an_on_enter_that_does_not_return_is_told_in_time() -> None:
    class Stuck(Quiet):
        async def on_enter(self) -> None:
            await asyncio.Event().wait()

    async with nothing_left():
        with pytest.raises(TimeoutError, match="waited 3 s for on_enter to return; the agent is starting"):
            async with call(Stuck(), timeout=3.0):
                pytest.fail("it cannot begin")


@in_virtual_call
async def test_a_long_greeting_is_no_agent_that_does_not_return() -> None:
    async with call(Receptionist(), timeout=1.0) as c:
        assert_same(c.heard.rstrip(b"\0"), tone(GREETING))


@in_virtual_call
async def test_what_a_tool_raises_is_raised_and_the_call_goes_on() -> None:
    answers = [["Let me look. ", ToolCall("look_up", {"day": "Sunday"})], "Good."]
    async with call(Quiet(), answers) as c:
        with pytest.raises(KeyError, match="Sunday"):
            await c.ask("Is it on Sunday?")
        assert_same((await c.ask("Never mind.")).heard, tone("Good."))


@in_virtual_call
async def test_what_on_exit_raises_is_raised_at_the_end() -> None:
    class Broken(Quiet):
        async def on_exit(self) -> None:
            raise KeyError("nothing to close")

    with pytest.raises(KeyError, match="nothing to close"):
        async with call(Broken(), ["Good."]) as c:
            await c.ask("How are you?")
    with pytest.raises(ValueError, match="of the test"):
        async with call(Broken()):
            raise ValueError("of the test")


@in_virtual_call
async def test_what_a_listener_raises_is_raised_with_its_reply() -> None:
    def listener(event: Any) -> None:
        raise KeyError("of the listener")

    async with call(Quiet(), ["Good."]) as c:
        c.pipeline.on("content_generated", listener)
        with pytest.raises(KeyError, match="of the listener"):
            await c.ask("How are you?")


@in_virtual_call
async def test_a_model_that_fails_is_raised_after_what_is_heard_and_the_call_goes_on() -> None:
    async with nothing_left(), call(Quiet(), [["It is on Friday. ", RuntimeError("overloaded")], "At 10:30."]) as c:
        failing = c.ask("When is it?")
        with pytest.raises(RuntimeError, match="overloaded"):
            await failing
        assert_same(failing.heard, tone("It is on Friday."))
        assert c.errors == ["LLM: overloaded"]
        assert_same((await c.ask("And at what time?")).heard, tone("At 10:30."))


@in_virtual_call
async def test_a_script_that_is_too_short_is_told() -> None:
    async with call(Quiet(), ["Good."]) as c:
        await c.ask("How are you?")
        with pytest.raises(LookupError, match="the script has 1 answers"):
            await c.ask("And otherwise?")


@in_virtual_call
async def test_an_error_of_a_reply_that_nobody_awaited_is_raised_at_the_end() -> None:
    async def ask_and_wait() -> None:
        async with call(Quiet(), [RuntimeError("overloaded")]) as c:
            c.ask("How are you?")
            await asyncio.sleep(5)

    with pytest.raises(RuntimeError, match="overloaded"):
        await ask_and_wait()


@in_virtual_call
async def test_a_reply_that_hangs_is_told_in_time_and_nothing_is_left_of_it() -> None:
    class Hanging(SmallestAITTS):
        async def synthesize(self, *args: Any, **kwargs: Any) -> None:
            await asyncio.Event().wait()

    tts = Hanging(api_key="sk_test", base_url="http://127.0.0.1:9", enable_streaming=False)
    async with nothing_left(), call(Quiet(), ["word " * 200], tts=tts, timeout=3.0) as c:
        with pytest.raises(TimeoutError, match="waited 3 s for the end of the reply; the agent is thinking"):
            await c.ask("How are you?")


@in_virtual_call
async def test_a_tool_that_waits_for_its_own_words_hangs_in_the_framework_and_is_told_in_time() -> None:
    """They wait for the voice, which speaks the reply that waits for the tool (seen with 1.0.30)."""

    class Waiting(Quiet):
        @function_tool
        async def look_around(self) -> str:
            """Look around."""
            await self.session.say("One moment.")
            return "nothing"

    async with nothing_left(), call(Waiting(), [["Well. ", ToolCall("look_around")], "No."], timeout=3.0) as c:
        with pytest.raises(TimeoutError, match="waited 3 s for the end of the reply; the agent is speaking"):
            await c.ask("Is it there?")


# Errors of the voice


@in_virtual_call
async def test_a_voice_that_fails_in_a_reply_is_raised() -> None:
    async with call(Quiet(), ["It is on Friday.", "At 10:30."]) as c:
        assert c.emulator is not None
        c.emulator.fault = down
        with pytest.raises(ServerError):
            await c.ask("When is it?")
        with pytest.raises(ServerError):
            await c.say("Hello?")
        c.emulator.fault = None
        assert_same((await c.ask("When is it, please?")).heard, tone("At 10:30."))
    assert [error.startswith("TTS: service_unavailable") for error in c.errors] == [True, True]


@in_virtual_call
async def test_an_agent_can_be_tested_for_what_it_does_without_a_voice() -> None:
    async with WavesEmulator(voice="tone", fault=down) as waves:

        def voice() -> SmallestAITTS:
            return SmallestAITTS(api_key="sk_test", base_url=waves.base_url)

        with pytest.raises(ServerError):
            async with call(Receptionist(), tts=voice()):
                pytest.fail("it cannot begin")
        async with call(Receptionist(cautious=True), ["It is on Friday."], tts=voice()) as c:
            waves.fault = None
            assert_same((await c.ask("Hello? When is it?")).heard, tone("It is on Friday."))
        assert c.emulator is None


@in_virtual_call
async def test_a_voice_that_another_takes_over_from_is_no_error_of_the_reply() -> None:
    async with WavesEmulator(voice="tone", fault=down) as first, WavesEmulator(voice="tone") as second:
        voices = [SmallestAITTS(api_key="sk_test", base_url=waves.base_url) for waves in (first, second)]
        async with call(Quiet(), ["It is on Friday.", "At 10:30."], tts=FallbackTTS(voices)) as c:
            await c.ask("When is it?")
            assert_same((await c.ask("And at what time?")).heard, tone("At 10:30."))
        assert c.errors


# The end of a call


@in_virtual_call
async def test_an_agent_that_hangs_up_ends_the_call() -> None:
    async with nothing_left(), call(Quiet(), [["Goodbye.", 2.0, ToolCall("hang_up")], "Nobody hears this."]) as c:
        reply = await c.ask("That is all.")
        assert c.over
        with pytest.raises(RuntimeError, match="the call is over"):
            c.ask("Wait a moment!")
    assert_same(reply.heard, tone("Goodbye."))
    assert c.said == ["Goodbye."]


@in_virtual_call
async def test_a_caller_who_hangs_up_in_mid_sentence_leaves_nothing_behind() -> None:
    left: list[str] = []

    class Leaving(Quiet):
        async def on_exit(self) -> None:
            left.append("said goodbye")

    async with nothing_left(), call(Leaving(), [LONG]) as c:
        story = c.ask("Tell me everything.")
        await story.hears(0.5)
        await c.hang_up()
        assert left == ["said goodbye"]
        await story
    assert len(story.heard) < 30_000


@in_virtual_call
async def test_a_block_that_fails_while_the_agent_speaks_leaves_nothing_behind() -> None:
    async def fail() -> None:
        async with call(Quiet(), [LONG]) as c:
            await c.ask("Tell me everything.").hears(0.5)
            raise ValueError("of the test")

    async with nothing_left():
        with pytest.raises(ValueError, match="of the test"):
            await fail()


# What can be given


@in_virtual_call
async def test_a_pipeline_of_the_users_own_is_called() -> None:
    spoken: list[str] = []

    def pipeline(**components: Any) -> Pipeline:
        made = Pipeline(**components)

        @made.on("tts")
        async def hook(text: AsyncIterator[str]) -> AsyncIterator[bytes]:
            async for pcm in run_tts(text):
                yield pcm
            spoken.append("a reply")

        return made

    async with call(Receptionist(), ["It is on Friday."], pipeline=pipeline, text_chunking=False) as c:
        assert_same((await c.ask("When is it?")).heard, tone("It is on Friday."))
        assert c.pipeline.chunker is None
    assert spoken == ["a reply", "a reply"]


@in_virtual_call
async def test_what_another_agent_says_after_a_handoff_is_heard() -> None:
    class Accountant(Quiet):
        async def on_enter(self) -> None:
            pass

    class Switchboard(Quiet):
        @function_tool
        async def transfer(self) -> Agent:
            """Hand the caller over."""
            return Accountant()

    async with call(Switchboard(), [["One moment. ", ToolCall("transfer")], "It costs $20."]) as c:
        await c.ask("What does it cost?")
        assert_same((await c.ask("So, what does it cost?")).heard, tone("It costs $20."))
        assert isinstance(c.session.agent, Accountant)
    assert c.said == ["It costs $20."]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"stt": object()}, TypeError, "stt must not be given"),
        ({"answers": ["Yes."], "llm": ScriptedLLM([])}, TypeError, "either answers or llm, not both"),
        ({"answers": "Yes."}, TypeError, "answers must be a list"),
    ],
)
async def test_what_cannot_be_called_is_refused(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        async with call(Quiet(), **options):
            pytest.fail("it cannot begin")


@in_virtual_call
async def test_a_caller_without_a_word_is_refused() -> None:
    async with call(Quiet()) as c:
        with pytest.raises(ValueError, match="text must have a word in it"):
            c.ask(" ")


@pytest_asyncio.fixture
async def calling() -> AsyncIterator[Call]:
    async with call(Quiet(), ["Good."]) as c:
        yield c


async def test_a_call_can_be_a_fixture(calling: Call) -> None:
    assert_same((await calling.ask("How are you?")).heard, tone("Good."))
    with pytest.raises(RuntimeError, match="another call is in progress"):
        async with call(Quiet()):
            pytest.fail("it cannot begin")


@in_virtual_call
async def test_the_keys_to_the_cloud_are_put_away_during_a_call() -> None:
    with patch.dict(os.environ, {"VIDEOSDK_AUTH_TOKEN": "a token"}):
        async with call(Quiet()):
            assert "VIDEOSDK_AUTH_TOKEN" not in os.environ
        assert os.environ["VIDEOSDK_AUTH_TOKEN"] == "a token"


@pytest.mark.slow
def test_the_import_needs_no_pytest() -> None:
    code = "import sys, videosdk_plugins_smallestai.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
