"""What the voice is asked to say in a pipeline with the framework's own filter and chunker (seen with 1.0.30).

The same answers in the pipeline that the README recommends reach it as they were written.
"""

from __future__ import annotations

from agent_session import SilentAgent, agent_session, in_virtual_call

from videosdk_plugins_smallestai.testing import Call, call

ANSWERS = {
    "It costs £1500 a year.": "It costs one hundred fifty dollars0 a year.",
    "That is ₹1299 a month.": "That is one hundred twenty-nine dollars9 a month.",
    "Your code is 482913.": "Your code is four hundred eighty-two thousand nine hundred thirteen.",
    "Call +44 20 7946 0958 today.": (
        "Call +44 20 seven thousand nine hundred forty-six nine hundred fifty-eight today."
    ),
    "It is 12500. Next, please.": "It is Next, please.",
    "Run `git push` now.": "Run now.",
    "You need:\n1. eggs\n2. milk\n": "You need: eggsmilk",
    "Mrs. Lee earns $20k, e.g. in May.": "Mrs. Lee earns twenty thousand dollars, e.g.in May.",
}
"""The model's answer, and what the framework makes of it."""

SPOKEN = {
    "Run `git push` now.": "Run git push now.",
    "You need:\n1. eggs\n2. milk\n": "You need: 1. eggs. 2. milk.",
}
"""What `SpeechTextFilter` makes of those that it changes."""


async def asked(c: Call) -> dict[str, str]:
    """What the voice was asked to say for each answer."""
    assert c.emulator is not None
    found = {}
    for answer in ANSWERS:
        before = len(c.emulator.requests)
        await c.ask("And now, please?")
        found[answer] = " ".join(" ".join(request.text for request in c.emulator.requests[before:]).split())
    return found


@in_virtual_call
async def test_the_frameworks_defaults_lose_numbers_code_and_list_items() -> None:
    async with agent_session(answers=list(ANSWERS)) as c:
        assert await asked(c) == ANSWERS


@in_virtual_call
async def test_the_recommended_pipeline_loses_nothing() -> None:
    async with call(SilentAgent(), list(ANSWERS)) as c:
        assert await asked(c) == {answer: " ".join(SPOKEN.get(answer, answer).split()) for answer in ANSWERS}


@in_virtual_call
async def test_without_its_filter_the_frameworks_chunker_cuts_numbers_in_two() -> None:
    async with agent_session(answers=["Your total is $1,299.50."], text_filtering=False) as c:
        await c.ask("And now, please?")
        assert c.emulator is not None
        assert [request.text for request in c.emulator.requests] == ["Your total is $1,299.", "50."]
