"""Continuations: the fragments of one reply, joined and released as the service does it."""

from __future__ import annotations

from typing import Any

import pytest
from clients import STREAM, audio

from videosdk_plugins_smallestai.emulator import tone


def texts(client: Any) -> list[str]:
    return [request.text for request in client.waves.requests]


async def test_fragments_are_joined_as_they_are_and_released_at_sentence_ends(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        for fragment in ("Hel", "lo th", "ere. How", " are", " you"):
            await line.say(fragment, context_id="c", **{"continue": True})
        await line.say("", context_id="c", **{"continue": False})
        frames = await line.hear_until("complete", 2)
        assert texts(client) == ["Hello there.", " How are you"]
        assert audio(frames) == tone("Hello there. How are you")
        assert len({frame["request_id"] for frame in frames}) == 2
        assert len(client.waves.connections[0].messages) == 6
        assert [request.outcome for request in client.waves.requests] == ["served", "served"]


async def test_a_number_is_no_sentence_end(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("It is 3.", context_id="c", **{"continue": True})
        await line.say("5 percent. ", context_id="c", **{"continue": True})
        await line.hear_until("complete")
        assert texts(client) == ["It is 3.5 percent."]


async def test_text_without_an_end_waits_for_the_delay_after_the_last_of_it(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello", context_id="c", max_buffer_delay_ms=200, **{"continue": True})
        assert await line.hears_nothing(0.1)
        await line.say(" there", context_id="c", max_buffer_delay_ms=200, **{"continue": True})
        assert await line.hears_nothing(0.15)
        await line.hear_until("complete")
        assert texts(client) == ["Hello there"]


async def test_a_flush_releases_and_leaves_open(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello", context_id="c", **{"continue": True})
        await line.say("", context_id="c", flush=True)
        await line.hear_until("complete")
        await line.say(" you", context_id="c", **{"continue": False})
        await line.hear_until("complete")
        assert texts(client) == ["Hello", " you"]


async def test_text_may_continue_without_a_context(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hello ", **{"continue": True})
        await line.say("you", **{"continue": False})
        await line.hear_until("complete")
        await line.say("Again")
        await line.hear_until("complete")
        assert texts(client) == ["Hello you", "Again"]


async def test_text_without_a_context_is_held_until_its_end_and_completed_once(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        for fragment in ("Hello. ", "You. ", "And "):
            await line.say(fragment, **{"continue": True, "flush": False, "max_buffer_flush_ms": 0})
        assert await line.hears_nothing()
        await line.say("", **{"continue": False, "flush": True})
        assert audio(await line.hear_until("complete")) == tone("Hello. You. And")
        assert await line.hears_nothing()
        assert texts(client) == ["Hello. You. And "]


async def test_a_flush_alone_ends_text_without_a_context(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        for text in ("Hello", "Again"):
            await line.say(text, **{"continue": True})
            await line.say("", flush=True)
            assert audio(await line.hear_until("complete")) == tone(text)


async def test_text_without_a_context_may_be_held_for_a_time_only_and_is_completed_at_its_end(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hello", max_buffer_flush_ms=100, **{"continue": True})
        await client.waves.request(0)
        await client.waves.idle()
        await line.say(" you", max_buffer_flush_ms=100, **{"continue": False})
        assert audio(await line.hear_until("complete")) == tone("Hello you")
        assert texts(client) == ["Hello", " you"]
        assert await line.hears_nothing()


async def test_two_contexts_do_not_mix(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        for fragment in ("One ", "two"):
            for context in "ab":
                await line.say(context + fragment, context_id=context, **{"continue": True})
        for context in "ab":
            await line.say("", context_id=context)
        await line.hear_until("complete", 2)
        assert texts(client) == ["aOne atwo", "bOne btwo"]


async def test_a_cancelled_context_is_not_heard_any_more(serve: Any) -> None:
    async with serve(real_time_factor=1.0, concurrency=1) as client:
        line = await client.open(STREAM)
        await line.say("Hello there. And so", context_id="c", **{"continue": True})
        await line.hear()
        await line.say(None, context_id="c", cancel_request=True)
        await client.waves.idle()
        assert client.waves.requests[0].outcome == "cancelled"
        # What was on its way when the cancel arrived.
        while not await line.hears_nothing(0.15):
            pass
        await line.say("Next", request_id="next")
        frames = await line.hear_until("complete")
        assert {frame["external_request_id"] for frame in frames} == {"next"}
        assert texts(client) == ["Hello there.", "Next"]


@pytest.mark.parametrize(("policy", "completes"), [("release", 2), ("context", 1), (None, 0)])
@pytest.mark.parametrize("rest", ["", "and more"])
async def test_a_context_is_completed_as_it_is_set_to(serve: Any, policy: Any, completes: int, rest: str) -> None:
    async with serve(context_complete=policy) as client:
        line = await client.open(STREAM)
        await line.say("Hello. You. " + rest, context_id="c", **{"continue": True})
        await client.waves.idle()
        await line.say("" if rest else "Bye", context_id="c")
        await client.waves.request(1)
        await client.waves.idle()
        frames = []
        while sum(frame["status"] == "complete" for frame in frames) < completes:
            frames.append(await line.hear())
        while audio(frames) != b"".join(request.audio for request in client.waves.requests):
            frames.append(await line.hear())
        assert await line.hears_nothing()


async def test_a_context_closed_after_its_last_word_is_completed_then(serve: Any) -> None:
    async with serve(context_complete="context") as client:
        line = await client.open(STREAM)
        await line.say("Hello. ", context_id="c", **{"continue": True})
        await client.waves.request(0)
        await client.waves.idle()
        await line.say("", context_id="c", **{"continue": False})
        frames = await line.hear_until("complete")
        assert audio(frames) == tone("Hello.")


async def test_the_releases_of_a_context_take_one_slot(serve: Any) -> None:
    async with serve(concurrency=1, real_time_factor=20) as client:
        line = await client.open(STREAM)
        await line.say("Hello. ", context_id="c", **{"continue": True})
        await line.say("You. ", context_id="c", **{"continue": True})
        await line.say("Other", context_id="d", request_id="d")
        frames = await line.hear_until("complete", 2)
        errors = [frame for frame in frames if frame["status"] == "error"]
        assert [error["external_request_id"] for error in errors] == ["d"]
        assert audio(frames) == tone("Hello.You.")


async def test_interleaved_contexts_keep_their_own_order(serve: Any) -> None:
    async with serve(serving="interleaved", real_time_factor=20) as client:
        line = await client.open(STREAM)
        await line.say("Hello wide world. And you. ", context_id="c", request_id="c", **{"continue": True})
        await line.say("Yes. ", context_id="c", request_id="c", **{"continue": True})
        await line.say("Other text here", request_id="d")
        frames = await line.hear_until("complete", 3)
        assert audio(frames, "c") == tone("Hello wide world. And you. Yes.")
        assert audio(frames, "d") == tone("Other text here")


async def test_a_wrong_fragment_is_refused_as_it_comes(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello", context_id="c", voice_id="nobody", **{"continue": True})
        assert (await line.hear())["error"]["message"] == "Invalid Voice ID"
        await line.say("x" * 251, context_id="c", **{"continue": True})
        assert "250" in (await line.hear())["message"]
        assert [request.outcome for request in client.waves.requests] == ["refused", "refused"]
