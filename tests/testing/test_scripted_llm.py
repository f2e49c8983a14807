"""The scripted language model: its tokens, its pauses, what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from videosdk.agents import ChatContext, ChatRole
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai.testing import ScriptedLLM, ToolCall
from videosdk_plugins_smallestai.testing.script import tokens


def asked(text: str) -> ChatContext:
    context = ChatContext.empty()
    context.add_message(ChatRole.USER, text)
    return context


async def answer(llm: ScriptedLLM, question: str = "And?") -> list[Any]:
    return [chunk async for chunk in llm.chat(asked(question))]


@pytest.mark.parametrize(
    "text", ["Your total is $1,299.50 at 10:30.", "- eggs\n- milk\n\n", "  Yes", "नमस्ते जी।", ""]
)
def test_the_tokens_of_a_text_are_the_text_with_all_its_white_space(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_a_token_is_a_few_characters_and_cuts_numbers_in_two() -> None:
    assert list(tokens("It is $1,299.50 now.")) == ["It", " is", " $1,29", "9.50", " now."]


async def test_each_time_that_it_is_asked_the_next_answer_is_given() -> None:
    llm = ScriptedLLM(["One and two.", ["Three.", ToolCall("count", {"to": 4})]], pace=0.0)
    assert "".join(chunk.content for chunk in await answer(llm, "First?")) == "One and two."
    *text, call = await answer(llm, "Second?")
    assert [chunk.content for chunk in text] == ["Three", "."]
    assert call.metadata == {"function_call": {"name": "count", "arguments": {"to": 4}}}
    assert llm.asked == ["First?", "Second?"]


async def test_one_answer_too_many_says_how_many_there_are_and_what_was_said() -> None:
    llm = ScriptedLLM(["Yes."], pace=0.0)
    await answer(llm)
    with pytest.raises(LookupError, match=r"has 1 answers, .* one more, after the user said 'And then\?'"):
        await answer(llm, "And then?")


async def test_an_exception_in_the_script_is_emitted_and_raised() -> None:
    llm = ScriptedLLM([["Well, ", RuntimeError("too long a context")]], pace=0.0)
    told: list[str] = []
    llm.on("error", lambda message: told.append(message))
    with pytest.raises(RuntimeError, match="too long a context"):
        await answer(llm)
    assert told == ["too long a context"]


@in_virtual_time
async def test_it_waits_between_tokens_and_as_long_as_a_pause_says() -> None:
    now = asyncio.get_running_loop().time
    llm = ScriptedLLM([["One two.", 5.0, "Three."]], pace=0.1)
    came = [(chunk.content, round(now(), 2)) async for chunk in llm.chat(asked("And?"))]
    assert came == [("One", 0.1), (" two.", 0.2), ("Three", 5.3), (".", 5.4)]


@in_virtual_time
async def test_a_cancelled_answer_ends_at_once_also_in_a_pause() -> None:
    llm = ScriptedLLM([["One.", 60.0, "Two."], "Three."])
    answering = asyncio.ensure_future(answer(llm))
    await asyncio.sleep(1.0)
    await llm.cancel_current_generation()
    assert [chunk.content for chunk in await answering] == ["One."]
    assert asyncio.get_running_loop().time() < 2
    assert [chunk.content for chunk in await answer(llm)] == ["Three", "."]


@pytest.mark.parametrize(
    ("answers", "error", "told"),
    [
        ("Hello.", TypeError, r'answers must be a list, such as \["Hello."\], not \'Hello.\''),
        ([b"Hello."], TypeError, r"an answer must be text, or a list of text, pauses .*, not b'Hello.'"),
        ([["Hello.", None]], TypeError, r"an answer must be text, .*, not None"),
        ([["Hello.", True]], TypeError, r"not True"),
        ([["Hello.", -1]], ValueError, r"a pause must be 0 or more seconds, not -1"),
    ],
)
def test_what_is_no_script_is_refused(answers: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        ScriptedLLM(answers)


def test_a_negative_pace_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pace must be 0 or more seconds, not -0\.1"):
        ScriptedLLM([], pace=-0.1)
