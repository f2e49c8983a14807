"""`SmallestAITTS`: what the framework and the user see."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Self

import aiohttp
from videosdk.agents import TTS, FlushMarker

from . import models
from ._old.account import Account
from ._old.context import make_link
from ._old.fetching import Fetcher
from ._old.http import HttpLink
from ._old.passage import Link
from ._old.playback import Playback, QueueSink, TrackSink
from ._old.route import Route, Succession
from ._old.service import Service, find_key
from ._old.signals import Signal
from ._old.source import TextSource
from ._old.spoken import SpokenWords
from ._old.turn import Turn
from ._old.websocket import WebSocketTransport
from .errors import SmallestAIError
from .models import SmallestAIModel
from .settings import Settings, check_positive
from .voices import Voice, list_voices

__all__ = ["SmallestAITTS"]

logger = logging.getLogger(__name__)


class SmallestAITTS(TTS):  # type: ignore[misc]
    """Gives a VideoSDK agent a voice of Smallest AI.

    The attributes ``model``, ``voice_id``, ``language``, ``speed``, ``consistency``, ``similarity``,
    ``enhancement``, ``sentence_streaming``, ``timeout``, ``enable_streaming``, ``complete_backoff_ms`` and
    ``max_buffer_flush_ms`` may be assigned between replies; the next reply obeys.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        model: SmallestAIModel | str = "lightning-v3.1",
        voice_id: str = models.STANDARD_VOICE,
        language: str = "en",
        sample_rate: int = 24000,
        speed: float = 1.0,
        consistency: float = 0.5,
        similarity: float = 0.0,
        enhancement: float = 1.0,
        sentence_streaming: bool = True,
        base_url: str = "https://api.smallest.ai/waves/v1",
        timeout: float = 30.0,
        enable_streaming: bool = True,
        max_connection_age_sec: float = 300.0,
        complete_backoff_ms: int = 0,
        max_buffer_flush_ms: int = 0,
        word_timestamps: bool = False,
        continuations: bool = True,
        max_buffer_delay_ms: int | None = None,
        number_pronunciation_language: str | None = None,
        math_notation: bool | None = None,
        content_filter: Literal["reject", "flag"] | None = None,
        pronunciation_dicts: Sequence[str] | None = None,
        http_session: aiohttp.ClientSession | None = None,
    ) -> None:
        """Check everything; nothing is connected yet.

        Args:
            api_key: The key; else the environment's ``SMALLEST_API_KEY``.
            model: A model id. Those with a hyphen have routes of their own; only ``lightning-v3.1`` of them has a
                WebSocket.
            voice_id: A voice of the model's pool, or a cloned ``voice_*``. With a Pro model the default is
                ``meher``.
            language: A language code that the model takes.
            sample_rate: Of the audio that the service sends, in Hz: 8000, 16000, 24000 or 44100. It is converted to
                the audio track's own.
            speed: 0.5 to 2.0 times the normal pace.
            consistency: 0 to 1, for ``lightning-v2`` only.
            similarity: 0 to 1, for ``lightning-v2`` only.
            enhancement: 0 to 2, for ``lightning-v2`` only.
            sentence_streaming: Cut streamed text into speakable segments; else each item of the iterator is one
                request.
            base_url: Of the API, ``http`` or ``https``; the WebSocket's is derived from it.
            timeout: Seconds that one HTTP request may take, connection and audio together.
            enable_streaming: Use the persistent WebSocket; else HTTP.
            max_connection_age_sec: Seconds after which the WebSocket is replaced, between replies.
            complete_backoff_ms: 0 to 10000: how long the service waits after the last chunk before it says that a
                request is complete.
            max_buffer_flush_ms: 0 to 1000: how long the service may wait for more text; 0 does not.
            word_timestamps: Emit ``word_spoken`` as the listener hears each word.
            continuations: On the unified WebSocket, speak a reply as one generation, its prosody going across
                segments; else a request for each segment.
            max_buffer_delay_ms: 0 to 5000: how long a continuation may hold text back for more of a sentence; the
                service's own default is 3000.
            number_pronunciation_language: Language in which numbers are read; unified routes only.
            math_notation: Read mathematical notation; unified routes only.
            content_filter: ``"reject"`` or ``"flag"`` profanity; unified routes only.
            pronunciation_dicts: Ids of pronunciation dictionaries; unified routes only.
            http_session: A session that the caller owns: used, never closed.

        Raises:
            ValueError: An argument is refused; the message says what is accepted.
            TypeError: ``language`` is not a ``str``.
        """
        self.model = model
        self.voice_id = _default_voice(model) if voice_id == models.STANDARD_VOICE else voice_id
        self.language = language
        self.speed = speed
        self.consistency = consistency
        self.similarity = similarity
        self.enhancement = enhancement
        self.sentence_streaming = sentence_streaming
        self.timeout = timeout
        self.enable_streaming = enable_streaming
        self.complete_backoff_ms = complete_backoff_ms
        self.max_buffer_flush_ms = max_buffer_flush_ms
        self.continuations = continuations
        self.max_buffer_delay_ms = max_buffer_delay_ms
        self.number_pronunciation_language = number_pronunciation_language
        self.math_notation = math_notation
        self.content_filter = content_filter
        self.pronunciation_dicts = pronunciation_dicts
        self._word_timestamps = word_timestamps
        self._sample_rate = sample_rate
        self._settings(None, {})
        check_positive("max_connection_age_sec", max_connection_age_sec)
        self._max_age = max_connection_age_sec
        self._service = Service(base_url, find_key(api_key), http_session)

        super().__init__(sample_rate=sample_rate, num_channels=1, word_timestamps=word_timestamps)
        self.audio_track: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._succession = Succession()
        self._first_audio_sent = False
        self._home: asyncio.AbstractEventLoop | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._transport = WebSocketTransport(self._service, self._max_age)
        self._account = Account()
        self._speaking = asyncio.Lock()
        self._replies: set[Turn] = set()
        self._streams: set[Turn] = set()
        self._lingering: set[Turn] = set()
        self._warming: set[asyncio.Task[None]] = set()
        self._heard_until = 0.0

    def _settle(self) -> None:
        """Be at home in the running event loop. One that is gone has taken connections, locks and tasks along."""
        loop = asyncio.get_running_loop()
        if self._home is not loop:
            if self._home is not None:
                self._service.forget()
                self._begin_anew()
            self._home = loop

    async def __aenter__(self) -> Self:
        """As the framework's, which does not tell type checkers what it gives."""
        await super().__aenter__()
        return self

    def reset_first_audio_tracking(self) -> None:
        """Let the first-audio callback fire again for the next reply."""
        self._first_audio_sent = False

    async def prewarm(self) -> None:
        """Open the WebSocket, so that the first reply pays no handshake. Over HTTP there is nothing to do.

        A failure is logged; the next reply tries again.
        """
        if not self.enable_streaming:
            return
        self._settle()
        warming = asyncio.ensure_future(self._open())  # a task of ours: `aclose` ends it
        self._warming.add(warming)
        warming.add_done_callback(self._warming.discard)
        try:
            await asyncio.wait({warming})
        finally:
            warming.cancel()

    async def _open(self) -> None:
        try:
            link = self._link(self._settings(None, {}), joins=False)
            await Fetcher(link, self._account, Signal()).open()
        except (SmallestAIError, ValueError, TypeError) as error:
            logger.warning("Smallest AI: prewarm failed, the first reply will try again: %s", error)

    async def synthesize(
        self, text: AsyncIterator[str | FlushMarker] | str, voice_id: str | None = None, **kwargs: Any
    ) -> None:
        """Speak a reply into the audio track. Returns when all its audio is there, before it is all heard.

        Args:
            text: The reply, or an async iterator of its parts.
            voice_id: Another voice for this reply.
            **kwargs: Other settings for this reply, by the names of the constructor; unknown ones are ignored.

        Raises:
            SmallestAIError: Speech could not be produced; also emitted as ``"error"``, once.
            ValueError: A setting is refused. No text has been taken.
            TypeError: ``text`` or a setting is of the wrong type. No text has been taken.
        """
        self._settle()
        settings = self._settings(voice_id, kwargs)
        source = TextSource(text, sentence_streaming=settings.sentence_streaming)
        if self.audio_track is None or not self.loop:
            logger.error("Smallest AI: audio track or event loop not set: a Pipeline does it, or set both by hand")
            self.emit("error", "Audio track or event loop not set")
            return
        if source.is_empty:
            return  # such as a turn that is only a tool call: no failure, whatever the service does
        words = self._words(settings)
        playback = Playback(
            TrackSink(self.audio_track),
            settings.sample_rate,
            on_first_audio=self._first_byte_is_next,
            words=words.clock if words is not None else None,
        )
        turn = self._turn(source, playback, settings, words)
        self._replies.add(turn)
        try:
            async with self._speaking:
                if words is not None:
                    words.clock.not_before = self._heard_until
                await turn.run()
        except SmallestAIError as error:
            self.emit("error", str(error))
            raise
        finally:
            self._replies.discard(turn)
            self._keep(turn, playback)

    async def stream_synthesize(
        self, text_stream: AsyncIterator[str | FlushMarker], **kwargs: Any
    ) -> AsyncIterator[bytes]:
        """Speak into an iterator instead of the audio track, which is left alone, as is a reply on it.

        Args:
            text_stream: The text.
            **kwargs: As for `synthesize`.

        Yields:
            PCM in the format of the audio track; without a track, at ``sample_rate``.

        Raises:
            SmallestAIError: Speech could not be produced. Nothing is emitted.
            ValueError: A setting is refused. No text has been taken.
        """
        self._settle()
        settings = self._settings(kwargs.pop("voice_id", None), kwargs)
        source = TextSource(text_stream, sentence_streaming=settings.sentence_streaming)
        sink = QueueSink(self.audio_track, settings.sample_rate)
        live = _is_live_reply()
        words = self._words(settings) if live else None
        playback = Playback(
            sink, settings.sample_rate, heard=live, words=words.clock if words is not None else None
        )
        turn = self._turn(source, playback, settings, words)
        self._streams.add(turn)
        running = asyncio.ensure_future(_run_into(sink, turn))
        try:
            while (pcm := await sink.queue.get()) is not None and not turn.stopped:
                yield pcm
            await running
        finally:
            self._streams.discard(turn)
            turn.stop_late()  # nobody reads any more: what comes is counted
            if live and running.done():
                self._keep(turn, playback)  # its words are still to be heard
            else:
                turn.stop()
                await asyncio.wait({running})
                await turn.wait_closed()
            if not running.cancelled():
                running.exception()  # whoever leaves early does not want it, and asyncio would complain

    async def pause(self) -> None:
        """Pause what is heard, words included."""
        for turn in self._replies | self._streams | self._lingering:
            turn.pause_words()
        await super().pause()

    async def resume(self) -> None:
        """Go on after `pause`."""
        await super().resume()
        for turn in self._replies | self._streams | self._lingering:
            turn.resume_words()

    async def interrupt(self) -> None:
        """Stop the reply at once. When this returns, no further byte of it reaches the track."""
        stopped = self._replies | self._lingering | (self._streams if _is_live_reply() else set())
        self._heard_until = 0.0
        for turn in stopped:
            turn.stop()
        if hasattr(self.audio_track, "interrupt"):
            result = self.audio_track.interrupt()
            if inspect.isawaitable(result):
                await result

    async def voices(self) -> list[Voice]:
        """The service's standard voices. Pro and cloned voices may be missing, and can be used all the same.

        Raises:
            SmallestAIError: The service does not tell. Nothing is emitted: no reply has failed.
        """
        self._settle()
        return await list_voices(self._service)

    async def aclose(self) -> None:
        """End replies in progress, close all connections, and let go of everything. May be called again."""
        self._settle()
        turns = self._replies | self._streams | self._lingering
        warming = list(self._warming)
        for turn in turns:
            turn.stop()
        for task in warming:
            task.cancel()
        await asyncio.gather(*(turn.wait_closed() for turn in turns))
        await asyncio.gather(*warming, return_exceptions=True)
        self._lingering.clear()
        await self._transport.aclose()
        await self._service.aclose()
        await super().aclose()

    def _settings(self, voice_id: str | None, overrides: dict[str, Any]) -> Settings:
        """The attributes as they are now, and what one call overrides."""
        settings = Settings(
            model=self.model,
            voice_id=self.voice_id,
            language=self.language,
            sample_rate=self._sample_rate,
            speed=self.speed,
            consistency=self.consistency,
            similarity=self.similarity,
            enhancement=self.enhancement,
            sentence_streaming=self.sentence_streaming,
            timeout=self.timeout,
            enable_streaming=self.enable_streaming,
            complete_backoff_ms=self.complete_backoff_ms,
            max_buffer_flush_ms=self.max_buffer_flush_ms,
            word_timestamps=self._word_timestamps,
            continuations=self.continuations,
            max_buffer_delay_ms=self.max_buffer_delay_ms,
            number_pronunciation_language=self.number_pronunciation_language,
            math_notation=self.math_notation,
            content_filter=self.content_filter,
            pronunciation_dicts=self.pronunciation_dicts,
        )
        return settings.override(overrides | {"voice_id": voice_id})

    def _link(self, settings: Settings, *, joins: bool) -> Link:
        route = Route(settings, self._succession)
        if settings.enable_streaming:
            return make_link(self._transport, route, joins=joins)
        return HttpLink(self._service, route)

    def _words(self, settings: Settings) -> SpokenWords | None:
        if not settings.word_timestamps:
            return None
        return SpokenWords(self.audio_track, lambda event: self.emit("word_spoken", event))

    def _turn(self, source: TextSource, playback: Playback, settings: Settings, words: SpokenWords | None) -> Turn:
        # What nobody hears yet goes into a cache for good: its end must be told, not guessed.
        link = self._link(settings, joins=playback.remaining is not None)
        return Turn(source, link, playback, settings, self._account, words)

    async def _first_byte_is_next(self) -> None:
        for turn in self._lingering:
            await turn.finish_late()
        if self._first_audio_callback is not None and not self._first_audio_sent:
            self._first_audio_sent = True
            await self._first_audio_callback()

    def _keep(self, turn: Turn, playback: Playback) -> None:
        """Let what comes of a reply after its end still be heard: late audio, and its last words."""
        self._lingering = {other for other in self._lingering if other.lingers}
        if turn.stopped:
            return
        self._heard_until = playback.heard_until
        if turn.late is not None:
            turn.late.reply_over = True
        if turn.lingers:
            self._lingering.add(turn)


async def _run_into(sink: QueueSink, turn: Turn) -> None:
    try:
        await turn.run()
    finally:
        sink.queue.put_nowait(None)


def _default_voice(model: object) -> str:
    try:
        return models.resolve(model).default_voice
    except ValueError:
        return models.STANDARD_VOICE  # the settings' own check refuses the model, with the others


def _is_live_reply() -> bool:
    """Whether the pipeline of the current job speaks through `stream_synthesize`, by a ``tts`` hook."""
    from videosdk.agents.job import get_current_job_context

    context = get_current_job_context()
    hooks = getattr(getattr(context, "_pipeline", None), "hooks", None)
    has_hook = getattr(hooks, "has_tts_stream_hook", None)
    return has_hook is not None and has_hook() is True
