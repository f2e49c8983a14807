"""The questions that a service is asked, what is assumed of each answer, and what the plugin does about another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from . import asking, speaking

__all__ = ["PROBES", "Probe", "Verdict", "reading_of"]

Verdict: TypeAlias = Literal["as assumed", "copes", "fails", "unknown"]


def reading_of(seen: str) -> str:
    """What was seen, without its details."""
    return seen.partition(": ")[0]


@dataclass(frozen=True)
class Probe:
    """One question.

    Attributes:
        name: Of the assumption, as ``WavesEmulator(assume=...)`` knows it.
        question: For people.
        assumed: The answer that this plugin expects.
        ask: Asks; returns what was seen.
        says: What is spoken: the arguments of `ask` after the bench.
        does: What the plugin does, so that another answer does no harm; or what happens.
        agrees: Whether a reading is as assumed; ``None``: if it is the assumed one.
        works: Whether the plugin works with a reading that is not as assumed.
    """

    name: str
    question: str
    assumed: str
    ask: Callable[..., Awaitable[str]]
    says: tuple[str, ...]
    does: str
    agrees: Callable[[str], bool] | None = None
    works: Callable[[str], bool] = lambda reading: True

    @property
    def characters(self) -> int:
        """Characters of speech that it costs."""
        return sum(map(len, self.says))

    def verdict(self, seen: str) -> Verdict:
        """What an answer means."""
        reading = reading_of(seen)
        if reading == self.assumed if self.agrees is None else self.agrees(reading):
            return "as assumed"
        return "copes" if self.works(reading) else "fails"


def _number(reading: str) -> float:
    return float(reading.rstrip("xs "))


def _probe(ask: Callable[..., Awaitable[str]], question: str, assumed: str, *says: str, **more: Any) -> Probe:
    return Probe(ask.__name__, question, assumed, ask, says, **more)


PROBES: tuple[Probe, ...] = (
    _probe(
        asking.current_model,
        "Does lightning_v3.1 speak?",
        "served",
        "One moment.",
        does="lightning_v3.1_pro speaks in its place, and a warning says so; the other questions are put to it",
    ),
    _probe(
        asking.old_route,
        "Is the route of lightning-v3.1, the default model, there?",
        "served",
        "Is anybody there?",
        does="where it is gone, lightning_v3.1 speaks in its place, and a warning says so",
    ),
    _probe(
        asking.complete_at_0,
        "When does `complete` come for complete_backoff_ms 0?",
        "late",
        "This may take a while.",
        does="1 is sent where 0 is meant",
    ),
    _probe(
        asking.complete_at_1,
        "When does `complete` come for complete_backoff_ms 1?",
        "prompt",
        "This should be quick.",
        does="where it is late or missing, the end of a reply is found by silence",
    ),
    _probe(
        asking.closed_after_complete,
        "Is the socket of /tts/live closed after the `complete` of a plain request?",
        "closed",
        "Are you still there?",
        does="each plain request on that route has a connection of its own, and the next is opened ahead",
    ),
    _probe(
        asking.second_request,
        "How are two requests at once on one socket served?",
        "in turn",
        "This comes first of all.",
        "And this one comes next.",
        does="frames are told apart by their ids; what is refused or lost is asked for again, one at a time",
    ),
    _probe(
        asking.ids_echoed,
        "Is the client's request_id echoed?",
        "echoed",
        "Who am I?",
        does="without it the server's own id is followed, or requests are made one at a time",
    ),
    _probe(
        asking.complete_for_each_release,
        "How often does a continuation of two releases get a `complete`?",
        "each release",
        "Here is the first one.",
        " And here is the second.",
        does="without one for each, the end of a sentence is known by the next one's audio, or by silence",
    ),
    _probe(
        asking.request_id_changes,
        "Does the server's request_id change with each release of a continuation?",
        "with each release",
        "Let us look at the ids.",
        " Are they still the same?",
        does="whether it changes is learned for each connection",
    ),
    _probe(
        asking.cancel_request,
        "Does cancel_request stop audio that is being sent?",
        "audio goes on",
        "This is a somewhat longer sentence, since it is to be cancelled while it is being spoken.",
        does="it is not used: an interrupted reply leaves its connection",
    ),
    _probe(
        asking.context_slot,
        "When does a continuation stop to count as a request in progress?",
        "when closed",
        *("The first slot.", "The second slot.", "The third slot.", "The fourth slot."),
        does="a context is closed with its reply; a refusal is waited for, and asked again",
    ),
    _probe(
        asking.concurrency,
        "May the account have two requests at once?",
        "2 or more",
        "We speak both at once.",
        "We speak both at once.",
        does="where not, sentences are asked for one at a time; some replies begin later",
    ),
    _probe(
        asking.wrong_voice,
        "What does a voice give that no model has?",
        "refused",
        "No voice.",
        does="a refusal is an InvalidRequestError; where it is spoken, a typing error is not noticed",
    ),
    _probe(
        asking.other_pools_voice,
        "What does a voice of the other model's pool give?",
        "spoken",
        "Other pool.",
        does="it is sent as you name it; a refusal is an InvalidRequestError",
    ),
    _probe(
        asking.wrong_language,
        "What does a language give that there is not?",
        "refused",
        "No language.",
        does="it is sent as you name it; a refusal is an InvalidRequestError",
    ),
    _probe(
        asking.wrong_model,
        "What does a model give that there is not?",
        "refused",
        "No model.",
        does="a newer id is sent as you name it; a refusal is an InvalidRequestError",
    ),
    _probe(
        asking.wrong_key,
        "What does a wrong key give?",
        "401",
        does="an AuthenticationError is raised at the first reply",
        works=lambda reading: reading in ("403", "error frame", "accepted"),
    ),
    _probe(
        asking.first_audio,
        "How long does the first audio take?",
        "under 1 s",
        "How long does this take?",
        does="a listener waits as long; after 10 s a reply fails",
        agrees=lambda reading: _number(reading) < 1.0,
    ),
    _probe(
        asking.speed,
        "How much faster than real time does audio come?",
        "over 2x",
        "This sentence is long enough to see how fast the audio of it comes, once it has begun to come.",
        does="below 1x replies have gaps, which no client can avoid",
        agrees=lambda reading: _number(reading) > 2.0,
        works=lambda reading: _number(reading) >= 1.0,
    ),
    _probe(
        asking.rates,
        "Which sample rates are served?",
        "8000 16000 24000 44100",
        *("Eight thousand.", "Sixteen thousand.", "Twenty-four.", "Forty-four."),
        does="24000 is asked for, unless you say otherwise; without it, pass sample_rate= with one that is served",
        works=lambda reading: "24000" in reading.split(),
    ),
    _probe(
        asking.word_times,
        "Where do the times of words in a continuation begin to count?",
        "from the release",
        "Count these few words.",
        " Then count these too.",
        does="both origins are understood; where there are none, times are estimated",
    ),
    _probe(
        asking.idle_close,
        "What is said when an idle connection is closed?",
        "told",
        does="the next connection is opened in the background, and nothing is emitted",
    ),
    _probe(
        asking.v4,
        "Is Lightning v4 open to this account?",
        "open or closed",
        agrees=lambda reading: reading in ("open", "closed"),
        does="it is used only where you name it as the model",
    ),
    _probe(
        speaking.reply,
        "Does the plugin speak a whole reply?",
        "whole",
        *(
            "This is a reply of three sentences.",
            "The plugin speaks them as it would in a call.",
            "Has all of it come?",
        ),
        does="an error is raised where it does not",
    ),
    _probe(
        speaking.reply_http,
        "Does the plugin speak a whole reply over HTTP?",
        "whole",
        *("This one comes over HTTP.", "It has two sentences."),
        does="an error is raised where it does not",
    ),
)
"""In the order in which they are asked; the first finds the model for the others."""
