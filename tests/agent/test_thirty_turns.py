"""Thirty turns of one call, on each route: what the server is asked to say, and what the caller hears, and when.

The pipeline is the one that the README recommends, and the model's tokens cut words and numbers in two.
"""

from __future__ import annotations

import array
import asyncio
import math
from dataclasses import dataclass
from typing import Any

import pytest
from agent_session import SilentAgent, in_virtual_call, nothing_left, only_loopback
from listening import FRAME_BYTES, assert_same
from routes import ROUTES
from videosdk.agents import function_tool

from videosdk_plugins_smallestai import FallbackTTS, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Refuse, SpeechRequest, WavesEmulator, tone
from videosdk_plugins_smallestai.testing import Call, Reply, ScriptedLLM, ToolCall, call

SERVER: dict[str, Any] = {"voice": "tone", "first_audio": 0.15, "real_time_factor": 4.0}
PACE = 0.02
"""Seconds between two tokens: some 250 characters a second."""

TOOL = 5.0
"""Seconds that a tool call takes, and that the model says nothing."""

PROMPTLY = 0.1
"""Seconds in which an interruption has to be silence."""


@dataclass(frozen=True)
class Turn:
    """What the caller asks, what the model answers, and what is spoken of it.

    Attributes:
        question: Said by the caller.
        answer: The model's, part by part: text, pauses, tool calls.
        spoken: The text that is spoken, where it is not the model's.
        heard: Seconds after which the caller interrupts; ``None``: the answer is heard to its end.
        by_speech: The next question interrupts it, and not ``session.interrupt``.
    """

    question: str
    answer: tuple[Any, ...]
    spoken: str | None = None
    heard: float | None = None
    by_speech: bool = False

    @property
    def text(self) -> str:
        return "".join(part for part in self.answer if isinstance(part, str))

    @property
    def words(self) -> list[str]:
        """What is to be spoken."""
        return (self.text if self.spoken is None else self.spoken).split()


def turn(question: str, *answer: Any, **options: Any) -> Turn:
    return Turn(question, answer, **options)


LOOK_UP = ToolCall("look_up", {"name": "Nguyen"})

TURNS = [
    # numbers, money, times, codes
    turn("How much is it in all?", "Your total is $1,299.50, and it was $1,450.00 before."),
    turn("When can I come?", "Come at 10:30, or between 2:15 and 4:45 p.m. on Friday."),
    turn("What is my code?", "Your code is 482913. I repeat: 4 8 2 9 1 3."),
    turn("Which number do I call?", "Call +44 20 7946 0958, extension 12, before 17:00."),
    turn("How much is that a year?", "It is £1500 a year, or 12500 rupees. That is 3.5% less than in 2024."),
    # a tool call of five seconds
    turn("Can you look it up?", "Let me look that up for you. ", TOOL, "I found it: it is on Friday at 10:30."),
    turn("And the other one?", "One moment, please. ", LOOK_UP, "It is on Monday, May 5."),
    # lists
    turn(
        "What do I need?",
        "You need three things:\n1. a passport\n2. two photos, 35 mm wide\n3. $40 in cash\n",
        spoken="You need three things: 1. a passport. 2. two photos, 35 mm wide. 3. $40 in cash.",
    ),
    turn(
        "What else is there?",
        "There is more:\n\n- **Breakfast** at 7:30\n- *Lunch* at noon\n\nDinner is not included.",
        spoken="There is more: Breakfast at 7:30. Lunch at noon. Dinner is not included.",
    ),
    # code
    turn("How do I send it?", "Run `git push --tags` and wait.", spoken="Run git push --tags and wait."),
    turn(
        "What does it say then?",
        "It says this:\n```\nEverything up-to-date\n```\nThen you are done.",
        spoken="It says this: Everything up-to-date. Then you are done.",
    ),
    # emoji, links
    turn("Is it done now?", "All done 🎉! You are welcome 😀.", spoken="All done! You are welcome."),
    turn(
        "Where is the form?",
        "It is on [our page](https://example.com/forms?id=7), under Forms.",
        spoken="It is on our page, under Forms.",
    ),
    # barge-ins
    turn(
        "Tell me your terms.",
        "Our terms are long, and they begin with the first of January. Nobody has ever wanted to hear them all. "
        "Then they go on with the second. And with the third, of course. " * 3,
        heard=2.0,
    ),
    turn("Just the first one.", "You pay within 14 days."),
    turn(
        "And what comes after that?",
        "After that come the reminders, of which there are three. The first is friendly, and the second less so.",
        heard=1.0,
        by_speech=True,
    ),
    turn("Stop, that is enough.", "Of course. What else can I do for you?"),
    turn(
        "Who are you, by the way?", "I am the receptionist of this house, and I have been it for years.", heard=0.1
    ),
    turn("Are you still there?", "Yes, I am here."),
    # short, long, many sentences, without an end
    turn("Is that so?", "Yes."),
    turn("Are you sure of it?", "Yes. No. Well, yes. I am. Quite sure, in fact."),
    turn(
        "Explain that, please.",
        "It is simple. You come in the morning, and you bring what you have. We look at it together, and that "
        "takes half an hour. Then you get a receipt for $1,299.50. You keep it for 10 years. That is all.",
    ),
    turn("And without the details?", "Come in the morning and bring it"),
    turn("Does Dr. Smith see me?", "Dr. Smith sees you at 9 a.m. sharp, e.g. on Monday. Wait... no, on Tuesday."),
    # pauses where no sentence ends, twice, and by a tool at the beginning
    turn("Is it far from here?", "It is about ", 1.0, "3.5 miles from the station. ", TOOL, "You can take bus 42."),
    turn("Who looks after it?", LOOK_UP, "Mrs. Nguyen does."),
    # other scripts
    turn("हिंदी में बोलिए।", "आपका कुल ₹1299 है। धन्यवाद।"),
    turn("¿Y en español, por favor?", "Son las 10:30. ¿Algo más?"),
    turn("And once more the total?", "As I said: $1,299.50."),
    turn("Thank you and goodbye.", "Goodbye! It was a pleasure."),
]


class Receptionist(SilentAgent):
    @function_tool
    async def look_up(self, name: str) -> str:
        """Look somebody up.

        Args:
            name: Whom.
        """
        await asyncio.sleep(TOOL)
        return "found"


def answers() -> list[Any]:
    """The script: what the model says after a tool call is an answer of its own."""
    script: list[Any] = []
    for one in TURNS:
        parts: list[Any] = []
        for part in one.answer:
            parts.append(part)
            if isinstance(part, ToolCall):
                script.append(parts)
                parts = []
        script.append(parts)
    return script


async def hold(c: Call, waves: list[WavesEmulator]) -> list[tuple[Reply, list[SpeechRequest]]]:
    """All turns: each one's reply, and what was spoken in it by the servers."""
    replies: list[Reply] = []
    began: list[float] = []
    for one in TURNS:
        began.append(asyncio.get_running_loop().time())
        replies.append(c.ask(one.question))
        if one.heard is None:
            await replies[-1]
        else:
            await replies[-1].hears(one.heard)
            if not one.by_speech:
                await c.interrupt()
                await replies[-1]
    requests = sorted((r for server in waves for r in server.requests), key=lambda request: request.received)
    spoken = [request for request in requests if request.outcome != "refused"]
    began.append(math.inf)
    return [
        (reply, [request for request in spoken if start <= request.received < end])
        for reply, start, end in zip(replies, began, began[1:], strict=False)
    ]


def voiced(pcm: bytes) -> bytes:
    """Without silent samples: where one voice goes on for another, they fill the last frame of the first."""
    return array.array("h", [sample for sample in array.array("h", pcm) if sample]).tobytes()


def check_what_was_heard(one: Turn, reply: Reply) -> None:
    expected = tone("".join(one.words))
    if one.heard is None:
        assert len(reply.heard) - len(expected) < FRAME_BYTES
        assert_same(voiced(reply.heard), voiced(expected))
    else:
        assert expected.startswith(reply.heard)
        assert one.heard <= len(reply.heard) / 48_000 < one.heard + PROMPTLY
    assert reply.interrupted is (one.heard is not None)


def check_what_was_asked(one: Turn, asked: list[SpeechRequest]) -> None:
    """Each word whole in one request, in order, and nothing else."""
    words = [word for request in asked for word in request.text.split()]
    assert words == (one.words if one.heard is None else one.words[: len(words)])
    assert all(len(request.text) <= 250 for request in asked)


def check_the_gaps(one: Turn, reply: Reply) -> None:
    """The caller waits where the model does after a sentence, no longer, and nowhere else."""
    pauses = [
        TOOL if isinstance(part, ToolCall) else part
        for before, part in zip(one.answer, one.answer[1:], strict=False)
        if isinstance(before, str) and before.endswith(". ") and not isinstance(part, str)
    ]
    assert len(reply.gaps) == len(pauses)
    assert all(gap < pause for gap, pause in zip(reply.gaps, pauses, strict=True))


@pytest.mark.parametrize(
    "route",
    [
        pytest.param("continuations", marks=pytest.mark.slow),
        pytest.param("websocket", marks=pytest.mark.slow),
        pytest.param("http", marks=pytest.mark.slow),
    ],
)
@in_virtual_call
async def test_thirty_turns_are_heard_exactly(route: str) -> None:
    with only_loopback():
        async with nothing_left(), WavesEmulator(**SERVER) as waves:
            tts = SmallestAITTS(api_key="sk_test", base_url=waves.base_url, **ROUTES[route])
            async with call(Receptionist(), llm=ScriptedLLM(answers(), pace=PACE), tts=tts) as c:
                taken = await hold(c, [waves])
    check(c, taken)
    assert c.errors == []


@pytest.mark.slow
@in_virtual_call
async def test_thirty_turns_are_heard_exactly_with_a_fallback_in_the_middle() -> None:
    """The first voice fails in the middle of the fifth reply, and can speak again from the twentieth on."""
    down = False

    def fault(request: SpeechRequest) -> Refuse | None:
        nonlocal down
        down = (down or request.text.startswith("That is 3.5%")) and not request.text.startswith("Yes.")
        return Refuse(503) if down else None

    with only_loopback():
        async with nothing_left(), WavesEmulator(**SERVER, fault=fault) as one, WavesEmulator(**SERVER) as two:
            voices = [SmallestAITTS(api_key="sk_test", base_url=waves.base_url) for waves in (one, two)]
            tts = FallbackTTS(voices)
            async with call(Receptionist(), llm=ScriptedLLM(answers(), pace=PACE), tts=tts) as c:
                taken = await hold(c, [one, two])
    check(c, taken, switched=5)


def check(c: Call, taken: list[tuple[Reply, list[SpeechRequest]]], switched: int | None = None) -> None:
    assert len(taken) == 30
    for number, (one, (reply, asked)) in enumerate(zip(TURNS, taken, strict=True), 1):
        try:
            check_what_was_asked(one, asked)
            check_what_was_heard(one, reply)
            if number == switched:
                assert sum(reply.gaps) < 2.0
            else:
                check_the_gaps(one, reply)
        except (AssertionError, pytest.fail.Exception) as error:
            error.add_note(f"turn {number}: {one.text!r}")
            raise
    assert_same(voiced(c.heard), voiced(b"".join(reply.heard for reply, _ in taken)))
    assert len(c.said) == 30
