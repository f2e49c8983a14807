"""One listener's voice: replies on the framework's own speech generation and track, played in real time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from _shared import MUST_COME, CannotSayError, Heard, told
from alignment import aligned
from videosdk.agents import BasicTextFilter, CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration
from wire import watched_session

from videosdk_plugins_smallestai import (
    ReplyMetrics,
    SmallestAIError,
    SmallestAITTS,
    SpeechTextFilter,
    Voice,
)

Message: TypeAlias = dict[str, Any] | bytes
"""What goes to the page: an event, or a frame of PCM."""

FILTERS: dict[str, Callable[[str], Any]] = {
    "speech": lambda language: SpeechTextFilter(),
    "framework": BasicTextFilter.for_language,  # as its Pipeline makes it
    "none": lambda language: None,
}
"""What makes the filter between the model and the voice, given the language."""

LONGEST = 5000
"""Characters of a text: some minutes of speech."""


@dataclass(frozen=True)
class Wish:
    """What the page wants to hear.

    Attributes:
        text: What to say.
        pace: Seconds between its tokens; 0: all at once.
        sample_rate: What the service is asked for, in Hz.
        text_filter: A key of `FILTERS`.
        settings: Attributes of the plugin.
    """

    text: str
    pace: float
    sample_rate: int
    text_filter: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, asked: dict[str, Any]) -> Wish:
        """Read the page's message.

        Raises:
            CannotSayError: There is nothing to say, or too much.
            ValueError: There is no such filter.
        """
        text = str(asked["text"]).strip()
        if not any(character.isalnum() for character in text):
            raise CannotSayError("There is nothing to say: type a text with a letter or a digit in it.")
        if len(text) > LONGEST:
            raise CannotSayError(f"The text has more than {LONGEST} characters: leave some out.")
        if asked["filter"] not in FILTERS:
            raise ValueError(f"the filter is {asked['filter']!r}, expected one of {', '.join(FILTERS)}")
        settings = {
            "model": asked["model"],
            "voice_id": asked["voice"],
            "language": asked["language"],
            "speed": float(asked["speed"]),
            "enable_streaming": asked["transport"] == "websocket",
        }
        pace = max(0.0, float(asked["pace"]))
        return cls(text, pace, int(asked["sample_rate"]), asked["filter"], settings)


class NotedTrack(CustomAudioStreamTrack):  # type: ignore[misc]
    """The framework's track, which tells what it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[..., None]) -> None:
        super().__init__(loop)
        self._note = note
        self._given = 0.0

    async def add_new_bytes(self, audio_data: bytes) -> None:
        """Take audio."""
        self._given += len(audio_data) / 2 / self.sample_rate
        self._note("received", seconds=self._given)
        await super().add_new_bytes(audio_data)


class Speaker:
    """Speaks to one page.

    Args:
        address: The plugin's arguments that lead to the service.
        out: Takes what the page is to get.
    """

    def __init__(self, address: dict[str, Any], out: Callable[[Message], None]) -> None:
        self._address = address
        self._out = out
        self._clock = asyncio.get_running_loop().time
        self._session = watched_session(self._note_request, self._note_broken)
        self._rate = 24000
        self._tts = self._make_tts()
        self._speech = self._make_speech(self._tts)
        self._saying: asyncio.Task[None] | None = None
        self._reply: asyncio.Task[None] | None = None
        self._began = 0.0
        self._broken = self._interrupted = False
        self._written = self._given = ""
        self._sent: list[str] = []
        self._asked_until = 0
        self._heard_out = asyncio.Event()

    async def prewarm(self) -> None:
        """Open the connection, so that the first reply pays no handshake."""
        await self._tts.prewarm()

    async def voices(self) -> list[Voice]:
        """The service's voices."""
        voices: list[Voice] = await self._tts.voices()
        return voices

    async def speak(self, wish: Wish) -> None:
        """Begin a reply; one that is still going on is interrupted."""
        await self.interrupt()
        if wish.sample_rate != self._rate:
            await self._tts.aclose()
            self._rate = wish.sample_rate
            self._tts = self._make_tts()
            self._speech = self._make_speech(self._tts)
        for name, value in wish.settings.items():
            setattr(self._tts, name, value)
        self._begin(wish)

    def _begin(self, wish: Wish) -> None:
        self._began, self._asked_until = self._clock(), 0
        self._written, self._given, self._sent = "", "", []
        self._broken = self._interrupted = False
        self._heard_out.clear()
        track = NotedTrack(asyncio.get_running_loop(), self._note)
        self._speech.set_audio_track(track)
        self._note("started", text=wish.text)
        self._saying = asyncio.create_task(self._say(wish))
        self._reply = asyncio.create_task(self._perform(track, self._saying))

    async def interrupt(self) -> None:
        """Stop the reply, as a caller does who barges in; returns when it is over."""
        if self._saying is None or self._reply is None or self._reply.done():
            return
        self._interrupted = True
        self._note("interrupted")
        await self._speech.interrupt()
        self._saying.cancel()  # the framework has no hold on one that has only just begun
        await asyncio.wait({self._reply})

    async def aclose(self) -> None:
        """Stop, and leave nothing behind."""
        self._interrupted = True
        if self._reply is not None:
            self._reply.cancel()
            await asyncio.wait({self._reply})
        await self._tts.aclose()
        await self._session.close()

    def _make_tts(self) -> SmallestAITTS:
        tts = SmallestAITTS(
            **self._address,
            model="lightning_v3.1",
            sample_rate=self._rate,
            word_timestamps=True,
            http_session=self._session,
        )
        tts.loop = asyncio.get_running_loop()
        tts.on("word_spoken", self._note_word)
        tts.on("metrics", self._note_metrics)
        return tts

    def _make_speech(self, tts: SmallestAITTS) -> SpeechGeneration:
        speech = SpeechGeneration(tts=tts)
        speech.on("last_audio_byte", lambda _: self._heard_out.set())
        return speech

    async def _perform(self, track: NotedTrack, saying: asyncio.Task[None]) -> None:
        heard, error = Heard(asked_at=self._began), ""
        try:
            await self._listen(track, heard, saying)
            if not saying.cancelled():
                saying.result()  # raises what went wrong
            if heard.first_audio_at is None and not self._interrupted:
                raise CannotSayError(MUST_COME)
        except (SmallestAIError, CannotSayError, ValueError, TypeError) as failure:
            error = told(failure)
        finally:
            saying.cancel()
            await asyncio.wait({saying})
        self._note_rows(whole=True)
        self._note("done", error=error, audio=len(heard.audio) / 2 / track.sample_rate, gaps=heard.gaps)

    async def _say(self, wish: Wish) -> None:
        tokens = self._tokens(wish)
        text_filter = FILTERS[wish.text_filter](wish.settings["language"])
        await self._speech.synthesize(self._spoken(text_filter.filter(tokens) if text_filter else tokens))
        await self._heard_out.wait()

    async def _tokens(self, wish: Wish) -> AsyncIterator[str]:
        """The text as a language model gives it, until the reply is interrupted."""
        began = self._began
        for number, token in enumerate(re.findall(r"\s*\S+", wish.text)):
            if number:
                await asyncio.sleep(wish.pace)
            if self._interrupted or self._began != began:
                return  # a filter may read on
            self._written += token
            self._note("text", text=token)
            yield token

    async def _spoken(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        """What the filter lets through, for the voice."""
        async for piece in pieces:
            self._given += piece
            self._note("filtered", text=piece)
            yield piece

    async def _listen(self, track: NotedTrack, heard: Heard, saying: asyncio.Task[None]) -> None:
        """Play the track in real time, as a room does, until the reply and its last frame are over."""
        frames = 0
        while not saying.done() or track.frame_buffer:
            gaps, gap_seconds = heard.gaps, heard.gap_seconds
            played_before, _ = track.snapshot_playback()
            frame = await track.recv()  # waits until it is due
            spoken = track.snapshot_playback()[0] > played_before
            pcm = frame.to_ndarray().tobytes()
            heard.add(pcm, frame.samples / track.sample_rate, from_the_reply=spoken, now=self._clock())
            if heard.first_audio_at is None:
                continue
            self._out(pcm)  # the silence of a gap too
            if heard.gaps > gaps:
                self._note("gap", seconds=heard.gap_seconds - gap_seconds)
            frames += 1
            if spoken and frames % 5 == 1:
                self._note("heard", seconds=len(heard.audio) / 2 / track.sample_rate - heard.gap_seconds)

    def _note_request(self, text: str) -> None:
        again = not self._is_new(text) or self._broken
        self._broken = False
        self._note("request", text=text, again=again)
        if not again:
            self._sent.append(text)
            self._note_rows(whole=False)

    def _note_rows(self, *, whole: bool) -> None:
        self._note("rows", rows=aligned(self._written, self._given, self._sent, whole=whole))

    def _is_new(self, text: str) -> bool:
        """Whether a request goes on in the text, which may say the same twice, rather than asks for it again."""
        place = self._given.find(text, self._asked_until)
        if place < 0:
            return text not in self._given  # not as it was given: made up, and no sign of anything
        self._asked_until = place + len(text)
        return True

    def _note_broken(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._broken = True
            self._note("broken")

    def _note_word(self, event: dict[str, str]) -> None:
        self._note("word", word=event["word"], cumulative_text=event["cumulative_text"])

    def _note_metrics(self, figures: ReplyMetrics) -> None:
        self._note("metrics", figures=asdict(figures))

    def _note(self, kind: str, **details: Any) -> None:
        """Tell the page what has happened, and when: in seconds since the reply began."""
        self._out({"type": kind, "at": round(self._clock() - self._began, 4), **details})
