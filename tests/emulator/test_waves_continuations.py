"""Continuations: the fragments of one reply, joined and released as the vendor's newest page says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from clients import STREAM, audio, message

from videosdk_plugins_smallestai.emulator import tone


def texts(client: Any) -> list[str]:
    return [request.text for request in client.waves.requests]


MORE = {"context_id": "c", "continue": True}
CLOSE = {"context_id": "c", "continue": False}
AT_ONCE = MORE | {"max_buffer_delay_ms": 1}


async def until_resting(client: Any, releases: int) -> None:
    """Wait until so many releases have been served."""
    await client.waves.request(releases - 1)
    await client.waves.idle()


async def test_fragments_are_joined_as_they_are_and_released_when_a_sentence_ends(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        for fragment in ("Hel", "lo th", "ere. "):
            await line.say(fragment, **MORE)
        frames = await line.hear_until("complete")
        for fragment in ("How", " are", " you"):
            await line.say(fragment, **MORE)
        await line.say("", **CLOSE)
        frames += await line.hear_until("complete")
        assert texts(client) == ["Hello there. ", "How are you"]
        assert audio(frames) == tone("Hello there. How are you")
        assert len(client.waves.connections[0].messages) == 7
        assert [request.outcome for request in client.waves.requests] == ["served", "served"]


async def test_each_release_has_one_complete_and_an_id_of_its_own_and_no_frame_names_the_context(
    serve: Any,
) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        runs = []
        for fragment in ("One", " two", " three."):
            await line.say(fragment, **AT_ONCE)
            runs.append(await line.hear_until("complete"))
        assert [audio(frames) for frames in runs] == [tone("One"), tone("two"), tone("three.")]
        ids = [{frame["request_id"] for frame in frames} for frames in runs]
        assert [len(each) for each in ids] == [1, 1, 1]
        assert len(set.union(*ids)) == 3
        frames = [frame for run in runs for frame in run]
        assert len({frame["session_id"] for frame in frames}) == 1
        assert {name for frame in frames for name in frame} == {"session_id", "request_id", "status", "data"}


async def test_the_releases_of_a_connection_may_share_an_id(serve: Any) -> None:
    async with serve(context_ids="connection") as client:
        line = await client.open(STREAM)
        frames = []
        for fragment in ("One", " two"):
            await line.say(fragment, **AT_ONCE)
            frames += await line.hear_until("complete")
        assert len({frame["request_id"] for frame in frames}) == 1


@pytest.mark.parametrize(
    ("first", "rest"),
    [("It is now 3.", "5 percent. "), ("It costs $1,299.", "50 today. "), ("Please ask Dr. ", "Smith now. ")],
)
async def test_a_number_and_an_abbreviation_are_no_sentence_end(serve: Any, first: str, rest: str) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say(first, **MORE)
        assert await line.hears_nothing()
        await line.say(rest, **MORE)
        await line.hear_until("complete")
        assert texts(client) == [first + rest]


async def test_a_short_sentence_waits_for_more(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Yes. ", **MORE)
        assert await line.hears_nothing()
        await line.say("That is right.", **MORE)
        await line.hear_until("complete")
        assert texts(client) == ["Yes. That is right."]


@pytest.mark.parametrize("text", ["It ends here!", "Does it end?", "It is 12? ", "It goes on…", "“It ends.”"])
async def test_each_mark_ends_a_sentence(serve: Any, text: str) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say(text, **MORE)
        assert audio(await line.hear_until("complete")) == tone(text)


async def test_what_outgrows_the_maximum_size_is_released(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("x" * 200, **MORE)
        await line.say("y" * 60, **MORE)
        await line.hear_until("complete")
        assert texts(client) == ["x" * 200 + "y" * 60]


async def test_text_without_an_end_waits_for_the_delay_after_the_first_of_it(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        said = asyncio.get_running_loop().time()
        # One more every 0.1 s: a delay that began anew with each would not end before the last of them.
        for word in ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]:
            await line.say(word + " ", **(MORE | {"max_buffer_delay_ms": 300}))
            await asyncio.sleep(0.1)
        await line.hear()
        first, *_ = client.waves.requests
        assert first.text.startswith("one ")
        assert "ten" not in first.text
        assert first.received - said >= 0.29


async def test_fragments_that_come_within_the_delay_are_one_release_with_one_complete(serve: Any) -> None:
    async with serve(merge_within=0.3) as client:
        line = await client.open(STREAM)
        await line.say("Hello there. ", **AT_ONCE)
        await line.say("How are you? ", **AT_ONCE)
        assert audio(await line.hear_until("complete")) == tone("Hello there. How are you?")
        assert await line.hears_nothing()
        assert texts(client) == ["Hello there. How are you? "]


@pytest.mark.parametrize(("zero_is_absent", "texts_released"), [(True, []), (False, ["Hello"])])
async def test_a_delay_of_zero_may_count_as_none(
    serve: Any, zero_is_absent: bool, texts_released: list[str]
) -> None:
    async with serve(zero_is_absent=zero_is_absent) as client:
        line = await client.open(STREAM)
        await line.say("Hello", **(MORE | {"max_buffer_delay_ms": 0}))
        assert await line.hears_nothing(0.3) is zero_is_absent
        assert texts(client) == texts_released


@pytest.mark.parametrize("field", [{"flush": True}, {"flush": False}, {"max_buffer_flush_ms": 100}], ids=str)
async def test_a_context_with_a_field_of_the_older_form_is_a_mistake(serve: Any, field: dict[str, Any]) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE, **field)
        error = await line.hear()
        assert (error["message"], error["error"][0]["path"]) == ("Invalid input data", list(field))
        assert [request.outcome for request in client.waves.requests] == ["refused"]


@pytest.mark.parametrize("text", ["", None], ids=["empty", "left out"])
async def test_an_empty_closing_message_is_not_answered_and_leaves_the_connection_open(
    serve: Any, text: str | None
) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await line.hear_until("complete")
        await line.ws.send_json(message(text, **CLOSE))
        assert await line.hears_nothing(0.3)
        await line.say("Next one.", context_id="d", max_buffer_delay_ms=1, **{"continue": True})
        assert audio(await line.hear_until("complete")) == tone("Next one.")


async def test_a_request_without_a_context_closes_the_connection_only_when_no_context_is_open(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await line.hear_until("complete")
        await line.say("Plain")
        assert audio(await line.hear_until("complete")) == tone("Plain")
        await line.say("", **CLOSE)
        await line.say("Last")
        assert audio(await line.hear_out()) == tone("Last")
        assert not client.waves.connections[0].client_closed


async def test_the_route_of_a_model_knows_no_contexts(serve: Any) -> None:
    async with serve() as client:
        line = await client.open()
        await line.say("Hello", context_id="c")
        assert audio(await line.hear_until("complete")) == tone("Hello")


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
    async with serve(close_after_complete=False) as client:
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


async def test_a_cancel_drops_what_is_buffered_and_neither_ends_the_context_nor_its_audio(serve: Any) -> None:
    async with serve(real_time_factor=10.0) as client:
        line = await client.open(STREAM)
        await line.say("Hello there, friend.", **MORE)
        frames = [await line.hear()]
        await line.say(" And so", **MORE)
        await line.ws.send_json(message(None, context_id="c", cancel_request=True))
        await line.say(" you", **CLOSE)
        frames += await line.hear_until("complete", 2)
        assert audio(frames) == tone("Hello there, friend. you")
        assert texts(client) == ["Hello there, friend.", " you"]


async def test_a_closed_context_drops_what_is_buffered_and_is_spoken_out(serve: Any) -> None:
    async with serve(real_time_factor=10.0) as client:
        line = await client.open(STREAM)
        await line.say("Hello there, friend.", **MORE)
        frames = [await line.hear()]
        await line.say(" And so", **MORE)
        await line.ws.send_json({"context_id": "c", "context_close": True})
        await line.ws.send_json({"context_id": "unknown", "context_close": True})
        frames += await line.hear_until("complete")
        assert audio(frames) == tone("Hello there, friend.")
        assert await line.hears_nothing()
        await line.say("Anew", **AT_ONCE)
        assert audio(await line.hear_until("complete")) == tone("Anew")


@pytest.mark.parametrize(("policy", "completes"), [("release", 2), ("context", 1), (None, 0)])
@pytest.mark.parametrize("last", ["", "Bye"])
async def test_a_context_is_completed_as_it_is_set_to(serve: Any, policy: Any, completes: int, last: str) -> None:
    async with serve(context_complete=policy) as client:
        line = await client.open(STREAM)
        await line.say("Hello", **AT_ONCE)
        await until_resting(client, 1)
        if not last:
            await line.say("You", **AT_ONCE)
            await until_resting(client, 2)
        await line.say(last, **CLOSE)
        await until_resting(client, 2)
        frames: list[dict[str, Any]] = []
        while audio(frames) != tone("Hello" + (last or "You")) or completes > statuses(frames).count("complete"):
            frames.append(await line.hear())
        assert await line.hears_nothing()


def statuses(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["status"] for frame in frames]


async def test_the_releases_of_a_context_take_one_slot(serve: Any) -> None:
    async with serve(concurrency=1, real_time_factor=20) as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await client.waves.request(0)
        await line.say("And you, too.", **MORE)
        await line.say("Other", context_id="d", request_id="d")
        frames = await line.hear_until("complete", 2)
        errors = [frame for frame in frames if frame["status"] == "error"]
        assert [error["external_request_id"] for error in errors] == ["d"]
        assert audio(frames) == tone("Hello there.And you, too.")


async def slot_is_free(client: Any) -> bool:
    return (await client.post("x"))[0] == 200


async def slot_becomes_free(client: Any) -> None:
    """Ask until a request is served: nothing else tells a client of it."""
    while not await slot_is_free(client):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "close", [{"context_close": True}, message("", **CLOSE)], ids=["context_close", "continue"]
)
async def test_the_slot_of_a_context_is_held_until_it_is_closed(serve: Any, close: dict[str, Any]) -> None:
    async with serve(concurrency=1) as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await line.hear_until("complete")
        assert not await slot_is_free(client)
        await line.ws.send_json({"context_id": "c"} | close)
        await slot_becomes_free(client)


async def test_a_closing_message_does_not_free_the_slot_of_what_is_still_spoken(serve: Any) -> None:
    async with serve(concurrency=1, real_time_factor=3.0) as client:
        line = await client.open(STREAM)
        await line.say("Hello there, my friend.", **CLOSE)
        await line.hear()
        assert not await slot_is_free(client)
        await line.hear_until("complete")
        assert await slot_is_free(client)


async def test_the_slot_of_a_context_may_be_free_between_its_releases(serve: Any) -> None:
    async with serve(concurrency=1, context_slot="served") as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await line.hear_until("complete")
        assert await slot_is_free(client)


async def test_the_slot_of_a_context_may_be_freed_by_complete_alone(serve: Any) -> None:
    async with serve(concurrency=1, slot_freed="complete", complete=1.0) as client:
        line = await client.open(STREAM)
        await line.say("Hi", **CLOSE)
        await line.hear_until("chunk")
        assert not await slot_is_free(client)
        await line.hear_until("complete")
        assert await slot_is_free(client)


async def test_the_slot_of_a_context_may_be_freed_by_time_alone(serve: Any) -> None:
    async with serve(concurrency=1, context_slot=1.0) as client:
        line = await client.open(STREAM)
        await line.say("Hi", **CLOSE)
        await line.hear_until("complete")
        assert not await slot_is_free(client)
        await slot_becomes_free(client)
        freed, served = client.waves.requests[-1], client.waves.requests[0]
        assert freed.received - served.last_sent >= 0.9


async def test_the_end_of_the_connection_ends_its_contexts_and_frees_their_slots(serve: Any) -> None:
    async with serve(concurrency=1) as client:
        line = await client.open(STREAM)
        await line.say("Hello there.", **MORE)
        await line.hear_until("complete")
        await line.ws.close()
        await client.waves.connections[0].wait_closed()
        assert await slot_is_free(client)


async def test_interleaved_contexts_keep_their_own_order(serve: Any) -> None:
    async with serve(serving="interleaved", real_time_factor=20) as client:
        line = await client.open(STREAM)
        await line.say("Hello wide world. And you.", request_id="c", **MORE)
        await client.waves.request(0)
        await line.say("Yes, you there.", request_id="c", **MORE)
        await line.say("Other text here", request_id="d")
        frames = await line.hear_until("complete", 3)
        assert audio(frames, "c") == tone("Hello wide world. And you.Yes, you there.")
        assert audio(frames, "d") == tone("Other text here")


async def test_a_wrong_fragment_is_refused_as_it_comes(serve: Any) -> None:
    async with serve() as client:
        line = await client.open(STREAM)
        await line.say("Hello", context_id="c", voice_id="nobody", **{"continue": True})
        assert (await line.hear())["error"]["message"] == "Invalid Voice ID"
        await line.say("x" * 251, context_id="c", **{"continue": True})
        assert "250" in (await line.hear())["message"]
        assert [request.outcome for request in client.waves.requests] == ["refused", "refused"]
