"""A word is respelled where it is sent, and nowhere else: a listener hears `sequel`, and everybody reads `SQL`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from listening import RecordingTrack, assert_same, items, tokens
from routes import ROUTES, every_route, every_websocket
from staging import MakeStage, Stage
from virtual_sockets import in_virtual_time

from videosdk_plugins_smallestai import SmallestAIError, SmallestAITTS
from videosdk_plugins_smallestai.emulator import Break, tone

SPELLINGS = {"SQL": "ess cue ell", "Nguyen": "win", "New York": "noo yohrk"}
TEXT = "Ask Nguyen's friend, please. The SQL guru lives in New York, NoSQL does not."
SPOKEN = "Ask win's friend, please. The ess cue ell guru lives in noo yohrk, NoSQL does not."
SHARES = ["Ask", "win's", "friend,", "please.", "The", "ess cue ell", "guru", "lives", "in", "noo", "yohrk,"]
"""What is said for each of its words, as far as `York,`."""

NEAR = 0.06
"""Seconds from its place in which a word is to be told."""


def asked(s: Stage) -> str:
    """What the service was asked to speak, white space aside."""
    return " ".join(" ".join(request.text for request in s.waves.requests).split())


def cumulative(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[: index + 1]) for index in range(len(words))]


class Told:
    """The words that are told, each with the seconds since the first byte."""

    def __init__(self, s: Stage, text: str) -> None:
        self.events: list[dict[str, str]] = []
        self.times: list[float] = []
        self._track = s.track
        self._number = len(text.split())
        self._all = asyncio.Event()
        s.tts.on("word_spoken", self._take)

    def _take(self, event: dict[str, str]) -> None:
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time() - self._track.first_at)
        if len(self.events) == self._number:
            self._all.set()

    async def all(self) -> None:
        await asyncio.wait_for(self._all.wait(), 60.0)


@every_route
@pytest.mark.parametrize("streaming", [True, False])
@in_virtual_time
async def test_the_respelled_text_is_heard(stage: MakeStage, route: str, streaming: bool) -> None:
    plugin = ROUTES[route] | {"pronunciations": SPELLINGS, "sentence_streaming": streaming}
    async with stage(plugin) as s:
        text = tokens(TEXT) if streaming else items(TEXT.split(" The "))
        await s.tts.synthesize(text)
        spoken = SPOKEN if streaming else SPOKEN.replace("The ", "")
        assert asked(s) == spoken
        assert_same(s.track.speech, tone(spoken))
        s.track.heard.clear()
        await s.tts.synthesize(TEXT)
        assert_same(s.track.speech, tone(SPOKEN))


@every_route
@in_virtual_time
async def test_every_word_is_told_in_the_callers_spelling(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"pronunciations": SPELLINGS, "word_timestamps": True}, words=None) as s:
        told = Told(s, TEXT)
        await s.tts.synthesize(tokens(TEXT))
        await told.all()
        assert [event["word"] for event in told.events] == TEXT.split()
        assert [event["cumulative_text"] for event in told.events] == cumulative(TEXT)


@pytest.mark.parametrize("words", ["relative", "absolute"])
@every_websocket
@in_virtual_time
async def test_a_word_is_told_when_the_first_word_is_heard_that_is_said_for_it(
    stage: MakeStage, route: str, words: str
) -> None:
    async with stage(ROUTES[route] | {"pronunciations": SPELLINGS, "word_timestamps": True}, words=words) as s:
        told = Told(s, TEXT)
        await s.tts.synthesize(tokens(TEXT))
        await told.all()
        assert [event["cumulative_text"] for event in told.events] == cumulative(TEXT)
        before = ["".join(SHARES[:number]).replace(" ", "") for number in range(len(SHARES))]
        assert told.times[: len(SHARES)] == pytest.approx([0.05 * len(text) for text in before], abs=NEAR)


@every_websocket
@in_virtual_time
async def test_a_phrase_that_is_said_in_one_word_is_told_as_the_callers_words(stage: MakeStage, route: str) -> None:
    text = "We are in New York City now."
    plugin = ROUTES[route] | {"pronunciations": {"New York City": "ennwycee"}, "word_timestamps": True}
    async with stage(plugin) as s:
        told = Told(s, text)
        await s.tts.synthesize(text)
        await told.all()
        assert asked(s) == "We are in ennwycee now."
        assert [event["cumulative_text"] for event in told.events] == cumulative(text)
        assert told.times[3:] == pytest.approx([0.35, 0.35, 0.35, 0.75], abs=NEAR)


@every_route
@pytest.mark.parametrize("how", ["close", "reset", "silence"])
@in_virtual_time
async def test_a_break_inside_a_respelled_word_is_not_heard(stage: MakeStage, route: str, how: str) -> None:
    def fault(request: Any) -> Any:
        return Break(0.7, how) if request.number == 0 else None

    text, spoken = "The SQL guru knows.", "The ess cue ell guru knows."
    async with stage(ROUTES[route] | {"pronunciations": SPELLINGS, "word_timestamps": True}, fault=fault) as s:
        told = Told(s, text)
        await s.tts.synthesize(tokens(text))
        await told.all()
        assert_same(s.track.speech, tone(spoken))
        assert {request.text for request in s.waves.requests} == {spoken}
        assert len(s.waves.requests) == 2
        assert [event["cumulative_text"] for event in told.events] == cumulative(text)


@every_route
@in_virtual_time
async def test_what_was_not_spoken_is_handed_back_as_the_caller_wrote_it(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"pronunciations": SPELLINGS}, fault=lambda request: Break(0.3, "reset")) as s:
        with pytest.raises(SmallestAIError) as caught:
            await s.tts.synthesize("The SQL guru of New York knows.")
        assert caught.value.unspoken == "The SQL guru of New York knows."
        assert "SQL" not in str(caught.value)
        assert "ess cue ell" not in str(caught.value)


@every_route
@in_virtual_time
async def test_no_request_is_too_long_and_what_fits_is_one(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"pronunciations": SPELLINGS}) as s:
        fits = "SQL " * 20 + "it is."
        await s.tts.synthesize(fits)
        assert [request.text for request in s.waves.requests] == ["ess cue ell " * 20 + "it is."]
        s.track.heard.clear()
        await s.tts.synthesize("SQL " * 50 + "it is.")
        assert asked(s) == "ess cue ell " * 20 + "it is. " + "ess cue ell " * 50 + "it is."
        assert all(len(message["text"]) <= 250 for message in sent(s))
        assert_same(s.track.speech, tone("ess cue ell " * 50 + "it is."))


def sent(s: Stage) -> list[dict[str, Any]]:
    messages = [message for connection in s.waves.connections for message in connection.messages]
    return [body for body in messages or [request.body for request in s.waves.requests] if body.get("text")]


@every_websocket
@in_virtual_time
async def test_how_long_audio_should_be_is_judged_by_what_is_said(stage: MakeStage, route: str) -> None:
    """The caller's long word is said in two short ones, and the server does not tell where that ends."""
    word = "Donaudampfschifffahrtsgesellschaft"
    async with stage(ROUTES[route] | {"pronunciations": {word: "dee dee"}}, complete=None) as s:
        began = asyncio.get_running_loop().time()
        await s.tts.synthesize(f"{word}.")
        assert len(s.waves.requests) == 1
        assert asyncio.get_running_loop().time() - began < 2.0


@in_virtual_time
async def test_pronunciations_are_read_anew_for_each_reply_and_can_be_given_for_one(stage: MakeStage) -> None:
    spellings = {"SQL": "sequel"}
    async with stage({"pronunciations": spellings}) as s:
        await s.tts.synthesize("SQL one.")
        spellings["SQL"] = "squeal"
        await s.tts.synthesize("SQL two.")
        await s.tts.synthesize("SQL three.", pronunciations={"three": "tree"})
        await s.tts.synthesize("SQL four.", pronunciations={})
        assert s.tts.pronunciations is spellings
        s.tts.pronunciations = None
        await s.tts.synthesize("SQL five.")
        texts = [request.text for request in s.waves.requests]
        assert texts == ["sequel one.", "squeal two.", "SQL tree.", "SQL four.", "SQL five."]
        heard = b"".join([pcm async for pcm in s.tts.stream_synthesize(items(["SQL."]), pronunciations=spellings)])
        assert tone("squeal.") in heard


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [({"SQL": ""}, ValueError), ({"": "x"}, ValueError), (["SQL"], TypeError), ({"SQL": 1}, TypeError)],
)
async def test_a_mistake_is_told_before_any_text_is_taken(wrong: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^pronunciations"):
        SmallestAITTS(api_key="sk_test", pronunciations=wrong)
    tts = SmallestAITTS(api_key="sk_test")
    tts.audio_track, tts.loop = RecordingTrack(), asyncio.get_running_loop()
    source = items(["Not taken."])
    with pytest.raises(kind, match=r"^pronunciations"):
        await tts.synthesize(source, pronunciations=wrong)
    tts.pronunciations = wrong
    with pytest.raises(kind, match=r"^pronunciations"):
        await tts.synthesize(source)
    assert [item async for item in source] == ["Not taken."]
    await tts.aclose()
