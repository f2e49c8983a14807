"""`SmallestAITTS`, the class that users make and the framework calls."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from dataclasses import fields
from functools import partial
from typing import Any, ClassVar, Literal, Self
from weakref import WeakSet

import aiohttp
from videosdk.agents import TTS, FlushMarker

from . import framework, models
from .cancellation import run_callback
from .closing import Closing
from .errors import APIConnectionError, SmallestAIError
from .log import Log
from .models import SmallestAIModel
from .playback.player import Player
from .playback.sinks import QueueSink, TrackSink
from .pronunciations import Pronunciations
from .reply.driver import ReplyDriver
from .reply.replies import Replies
from .settings import OF_SESSION, Settings, check_assignable, check_positive, unknown_keywords
from .text.read_ahead import ReadAhead
from .text.segmenter import ReplyText
from .timing import Timing
from .transport.session import DEFAULT_URL, Session, find_base_url, find_key
from .transport.transports import Transports, asked_route
from .voices import Voice, advice
from .words.reply_words import ReplyWords

__all__ = ["SmallestAITTS"]

HIGHEST_RATE = 384_000
"""Hz of what a user says, at most: no microphone has more."""


class _LeftOut(str):
    """The default of an argument, which can be told from the same text given by the caller."""


_STANDARD_VOICE = _LeftOut(models.STANDARD_VOICE)
_DEFAULT_URL = _LeftOut(DEFAULT_URL)


class SmallestAITTS(TTS):  # type: ignore[misc]
    """Gives a VideoSDK agent a voice of Smallest AI.

    The arguments are attributes too, which may be assigned between replies; the next reply obeys. Not ``api_key``,
    ``base_url``, ``max_connection_age_sec``, ``http_session`` and ``expire_content``, which have no effect then (a
    WARNING says so), nor ``sample_rate`` and ``word_timestamps``, which can only be read.

    Attributes:
        session_id: Id of this object, sent with each request on the unified routes, and in each of its log lines.
        timing: Every wait of the plugin. Not an argument: the tests subclass it to wait less.
    """

    timing: ClassVar[Timing] = Timing()

    def __init__(
        self,
        *,
        api_key: str | None = None,
        model: SmallestAIModel | str = "lightning-v3.1",
        voice_id: str = _STANDARD_VOICE,
        language: str | None = "en",
        sample_rate: int = 24000,
        speed: float = 1.0,
        consistency: float = 0.5,
        similarity: float = 0.0,
        enhancement: float = 1.0,
        sentence_streaming: bool = True,
        base_url: str = _DEFAULT_URL,
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
        pronunciations: Mapping[str, str] | None = None,
        http_session: aiohttp.ClientSession | None = None,
        expire_content: bool = False,
    ) -> None:
        """Check the arguments. Nothing is connected before `prewarm` or the first reply.

        Args:
            api_key: The key. Without one it is taken from the environment's ``SMALLEST_API_KEY``.
            model: A model id, such as ``lightning_v3.1_pro``; newer ids that start with ``lightning_v`` are taken.
                Where a model's routes are gone, its successor speaks and one warning says so. ``lightning``,
                ``lightning-large`` and ``lightning-v2`` have no WebSocket; ``lightning_v4``, a beta that is enabled
                per account, has nothing else.
            voice_id: A voice of the model's catalogue, or a cloned ``voice_*``. Left out, it is the model's
                default: ``meher`` with a Pro model, ``brannock`` with ``lightning_v4``. One that is given is kept;
                only where the successor of a retired model has no such voice another one speaks, and a warning
                names both.
            language: A language code that the model takes, or ``"auto"``. ``None``: none is sent, which a Pro model
                takes for English and Hindi mixed. To ``lightning_v4`` whatever is not ``"en"`` is ``"auto"``.
            sample_rate: Of the audio that the service sends, in Hz: 8000, 16000, 24000 or 44100 (at most 24000 with
                the three oldest models; 48000 too with ``lightning_v4``). It is converted to the audio track's own.
            speed: 0.5 to 2.0 times the normal pace.
            consistency: 0 to 1, for ``lightning-v2`` only.
            similarity: 0 to 1, for ``lightning-v2`` only.
            enhancement: 0 to 2, for ``lightning-v2`` only.
            sentence_streaming: Cut streamed text into speakable segments; else each item of the iterator is one
                request.
            base_url: Of the API, ``http`` or ``https``; the WebSocket's is derived from it. Left out, it is the
                environment's ``SMALLEST_BASE_URL``, if that is set.
            timeout: Seconds that one HTTP request may take, connection and audio together; above 0.
            enable_streaming: Use a WebSocket that is kept open between replies; else an HTTP request for each
                segment.
            max_connection_age_sec: Seconds after which the WebSocket is replaced, between replies; above 0. Not the
                session of ``lightning_v4``, which remembers the conversation.
            complete_backoff_ms: 0 to 10000: how long the service waits after the last chunk before it says that a
                request is complete. On the WebSocket only; 0 is sent as 1, since servers may take 0 for absent.
            max_buffer_flush_ms: 0 to 1000: how long the service may wait for more text. Sent on the WebSocket when
                above 0, and never with a continuation, with which the service refuses it.
            word_timestamps: Emit ``word_spoken``, ``{"word": ..., "cumulative_text": ...}``, when the listener
                hears each word.
            continuations: On the unified WebSocket, speak a reply as one generation, its prosody going across
                segments; else a request for each segment.
            max_buffer_delay_ms: 0 to 5000: how long a continuation may hold text back for more of a sentence. By
                default 1, since the text is cut into sentences here; the service's own default is 3000.
            number_pronunciation_language: Language in which numbers are read; unified routes only.
            math_notation: Read mathematical notation; unified routes only.
            content_filter: ``"reject"`` or ``"flag"`` profanity; unified routes and ``lightning_v4`` only.
            pronunciation_dicts: Ids of pronunciation dictionaries; unified routes only.
            pronunciations: Words and phrases, and how they are respelled before they are sent, on every route:
                ``{"SQL": "sequel", "New York": "noo york"}``, at most 200 characters for one. Found as whole words
                (in ``SQL's`` and ``SQL-based`` too) with the same case, the longest first. A phrase that is cut in
                two, as by a ``FlushMarker``, is not found. ``word_spoken`` and ``unspoken`` keep your spelling.
            http_session: A session that the caller owns: used, never closed.
            expire_content: Ask the service to delete the texts after seven days (for enterprise accounts). Over
                HTTP it tells whether it does, which is logged.

        Raises:
            ValueError: An argument is refused; the message says what is accepted.
            TypeError: ``language`` is neither a ``str`` nor ``None``, or ``pronunciations`` are no mapping.
        """
        self.model = model
        self.voice_id = voice_id
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
        self.pronunciations = pronunciations
        self.word_timestamps = word_timestamps
        self._sample_rate = sample_rate
        self.session_id = uuid.uuid4().hex
        self._id = self.session_id[:4]
        self._log = Log(self._id, tts_id=self.session_id)
        self._replies_made = 0
        self._settings(None, {})
        check_positive("max_connection_age_sec", max_connection_age_sec)
        if not isinstance(expire_content, bool):
            raise ValueError(f"expire_content must be True or False; got {expire_content!r}")
        session = Session(
            find_base_url() if base_url is _DEFAULT_URL else base_url,
            find_key(api_key),
            self.timing,
            http_session,
            self._log,
            expire_content=expire_content,
        )
        self._transports = Transports(session, self.timing, max_connection_age_sec)
        self._advised: set[tuple[str, str, str | None]] = set()

        super().__init__(sample_rate=sample_rate, num_channels=1, word_timestamps=word_timestamps)
        self.audio_track: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._first_audio_sent = False
        self._home: asyncio.AbstractEventLoop | None = None
        self._settle_in()

    def _settle_in(self) -> None:
        """Have nothing going on: what follows belongs to one event loop."""
        self._replies = Replies()
        self._renewing = False
        self._warming: set[asyncio.Task[None]] = set()
        self._texts: WeakSet[ReadAhead[Any]] = WeakSet()
        self._closing = Closing()  # in which `aclose` runs

    def _settle(self) -> None:
        """Bind this object to the running event loop; what belonged to an earlier loop is made anew."""
        loop = asyncio.get_running_loop()
        if self._home is not loop:
            if self._home is not None:
                self._transports.forget()
                self._settle_in()
            self._home = loop

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign. What is set for a whole session of Lightning v4 has a new one opened, in the background.

        Raises:
            AttributeError: It is ``sample_rate`` or ``word_timestamps``.
        """
        if hasattr(self, "_home") and (told := check_assignable(name)) is not None:
            self._log.warning("%s", told)
        super().__setattr__(name, value)
        if name in OF_SESSION and getattr(self, "_home", None) is not None and not self._renewing:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # another thread's, which cannot open anything: the next reply obeys
            if loop is self._home:
                self._renewing = True
                loop.call_soon(self._renew)  # once for all that are assigned together

    def _renew(self) -> None:
        self._renewing = False
        with suppress(ValueError, TypeError):  # refused when the next reply starts
            self._transports.renew(self._settings(None, {}))

    @property
    def voice_id(self) -> str:
        """The voice; while none was named, the default one of the model."""
        if self._voice_id is not _STANDARD_VOICE:
            return self._voice_id
        try:
            return models.resolve(self.model).default_voice
        except ValueError:
            return models.STANDARD_VOICE  # the settings' own check refuses the model, with the others

    @voice_id.setter
    def voice_id(self, voice_id: str) -> None:
        self._voice_id = voice_id

    def __repr__(self) -> str:
        """What speaks, and whether it is connected; never the key."""
        connected = "connected" if self._transports.connected else "not connected"
        way = f"WebSocket, {connected}" if self.enable_streaming else "HTTP"
        voice = f"model {self.model!r}, voice {self.voice_id!r}"
        return f"<SmallestAITTS {self._id}: {voice}, {self._transports.base_url}, {way}>"

    async def __aenter__(self) -> Self:
        """As the framework's, with a return type for type checkers."""
        await super().__aenter__()
        return self

    def reset_first_audio_tracking(self) -> None:
        """Let the first-audio callback fire again for the next reply."""
        self._first_audio_sent = False

    async def prewarm(self) -> None:
        """Open a connection, so that the first reply pays no handshake.

        A failure is logged; the next reply tries again.
        """
        self._settle()
        if self._closing:
            return
        if (advice := framework.advice(self)) is not None:
            self._log.warning("%s", advice)
        warming = asyncio.ensure_future(self._prewarm())  # a task of ours: `aclose` ends it
        self._warming.add(warming)
        warming.add_done_callback(self._warming.discard)
        try:
            await asyncio.wait({warming})
        finally:
            warming.cancel()

    async def _prewarm(self) -> None:
        try:
            await self._transports.prewarm(self._settings(None, {}))
        except (SmallestAIError, ValueError, TypeError) as error:
            self._log.warning("prewarm failed, the first reply will try again: %s", error)

    async def synthesize(
        self, text: AsyncIterator[str | FlushMarker] | str, voice_id: str | None = None, **kwargs: Any
    ) -> None:
        """Speak a reply into the audio track. Returns when all its audio is there, before it is all heard.

        Args:
            text: The reply, or an async iterator of its parts.
            voice_id: Another voice for this reply.
            **kwargs: Other settings for this reply, by the names of the constructor: ``language``, ``sample_rate``,
                ``speed``, ``consistency``, ``similarity``, ``enhancement``, ``complete_backoff_ms``,
                ``max_buffer_flush_ms``, ``word_timestamps``, ``max_buffer_delay_ms``,
                ``number_pronunciation_language``, ``math_notation``, ``content_filter``, ``pronunciation_dicts``,
                ``pronunciations``.
                An ``output_format`` other than ``"pcm"`` is refused; other keywords are ignored.

        Raises:
            SmallestAIError: Speech could not be produced; also emitted as ``"error"``, once.
            ValueError: A setting is refused. No text has been taken.
            TypeError: ``text`` or a setting is of the wrong type. No text has been taken.
        """
        self._settle()
        if self._closing:
            self._log.debug("a reply is not spoken: aclose is running")
            return
        async with self._read_to_its_end(text) as reply_text:
            await self._synthesize(reply_text, voice_id, kwargs)

    async def _synthesize(self, text: Any, voice_id: str | None, overrides: dict[str, Any]) -> None:
        settings = self._settings(voice_id, overrides)
        reply_text = self._reply_text(text, settings)
        if self.audio_track is None or not self.loop:
            self._log.error("audio track or event loop not set: a Pipeline does it, or set both by hand")
            self.emit("error", "Audio track or event loop not set")
            return
        if reply_text.is_empty:  # such as a turn that is only a tool call: no failure, whatever the service does
            if await self._replies.wait_turn():
                await self._tell_of_nothing(reply_text)
            return
        reply, player = self._reply(reply_text, settings, TrackSink(self.audio_track), live=True)
        await self._replies.speak(reply)
        if player.first_audio_at is None and not reply.stopped:
            await self._tell_of_nothing(reply_text)

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
        if self._closing:
            self._log.debug("a reply is not spoken: aclose is running")
            return
        live = framework.speaks_through_tts_hook()  # then it is the agent's reply
        async with self._read_to_its_end(text_stream) if live else nullcontext(text_stream) as text:
            settings = self._settings(kwargs.pop("voice_id", None), kwargs)
            sink = QueueSink(self.audio_track, settings.sample_rate)
            reply, _ = self._reply(self._reply_text(text, settings), settings, sink, live=live)
            async with aclosing(self._replies.stream(reply, sink, live=live)) as audio:
                async for pcm in audio:
                    yield pcm

    async def pause(self) -> None:
        """Pause what is heard, words included."""
        self._replies.pause()
        await super().pause()

    async def resume(self) -> None:
        """Go on after `pause`."""
        await super().resume()
        self._replies.resume()

    async def add_user_turn(self, text: str, pcm: bytes, sample_rate: int) -> None:
        """Tell the voice what the caller has said, so that it speaks its next turn in the light of it.

        With Lightning v4 only; other models have no use for it, and a line at DEBUG says so. To be called when the
        caller's turn has ended, before the reply to it. Sent at once, or with the next session where none is open.
        No failure of the service is raised here.

        Args:
            text: What the caller said.
            pcm: How it was said: mono, 16-bit little-endian PCM. Without any nothing is sent: the service discards
                words without audio.
            sample_rate: Of ``pcm``, in Hz.

        Raises:
            ValueError: ``pcm`` is no whole number of samples, or ``sample_rate`` no rate of any audio.
            TypeError: An argument is of the wrong type.
        """
        self._settle()
        settings = self._settings(None, {})
        if not models.resolve(settings.model).live:
            self._log.debug("what the caller said is not sent: model %r has no use for it", self.model)
            return
        _check_user_turn(text, pcm, sample_rate)
        if self._closing:
            return
        if pcm:
            self._transports.add_user_turn(settings, text, bytes(pcm), sample_rate)
        else:
            self._log.debug("what the caller said is not sent: there is no audio of it")

    async def interrupt(self) -> None:
        """Stop the reply at once. When this returns, no further byte of it reaches the track."""
        self._replies.interrupt(streams=framework.speaks_through_tts_hook())
        if hasattr(self.audio_track, "interrupt"):
            result = self.audio_track.interrupt()
            if inspect.isawaitable(result):
                await result

    def give_up(self, reason: str) -> None:
        """Let the replies in progress fail, as if the service had, so that another voice goes on in their place.

        `FallbackTTS` calls it sooner than a reply itself loses hope. The error tells what was not spoken.

        Args:
            reason: What the error says.
        """
        self._replies.give_up(reason)

    async def voices(self, model: SmallestAIModel | str | None = None) -> list[Voice]:
        """The voices that the service lists for a model, cloned ones too where it lists them.

        Some may be missing, and can be used all the same.

        Args:
            model: A model id; ``None`` for that of this object. The three oldest models get the standard voices.

        Raises:
            SmallestAIError: The service does not tell, or `aclose` is running. Nothing is emitted: no reply has
                failed.
            ValueError: There is no such model; the message says what is accepted.
        """
        self._settle()
        resolved = models.resolve(self.model if model is None else model)
        if self._closing:
            raise APIConnectionError("the voices are not asked for: aclose is running")
        return await self._transports.list_voices(resolved)

    async def aclose(self) -> None:
        """End replies in progress and close all connections. May be called again.

        What is called for later opens new ones. A reply, a `prewarm` or a user's turn that is called for before
        this has returned speaks nothing and opens none: nobody would close it. `voices` then raises an error.
        """
        self._settle()
        with self._closing.in_progress():
            await self._close()
        await super().aclose()

    async def _close(self) -> None:
        self._replies.stop()
        warming = list(self._warming)
        for task in warming:
            task.cancel()
        for text in self._texts:
            text.cancel()
        await self._replies.wait_closed()
        await asyncio.gather(*warming, return_exceptions=True)
        await self._transports.aclose()

    def _settings(self, voice_id: str | None, overrides: dict[str, Any]) -> Settings:
        """The attributes as they are now, and what one call overrides."""
        if unknown := unknown_keywords(overrides):
            self._log.debug("keywords that are no settings of a reply, ignored: %s", ", ".join(unknown))
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(Settings)}
        return Settings(**values).override(overrides | {"voice_id": voice_id})

    @asynccontextmanager
    async def _read_to_its_end(self, text: Any) -> AsyncIterator[Any]:
        """The same text, which is read to its end when the reply is over, however that ends.

        Else the framework's queue in front of it stands full, and no later reply is spoken. Where another voice may
        want what this one has not spoken, it is left alone.
        """
        if isinstance(text, str) or not hasattr(text, "__aiter__") or not framework.is_last_to_read(self):
            yield text
            return
        reading: ReadAhead[str | FlushMarker] = ReadAhead(text, at_once=framework.needs_reading_ahead(self))
        self._texts.add(reading)
        try:
            yield reading
        finally:
            await reading.aclose()

    def _reply_log(self, settings: Settings) -> Log:
        self._replies_made += 1
        route = asked_route(settings)
        reply_id = f"{self._id}-{self._replies_made}"
        log = self._log.bind(
            reply_id, reply_id=reply_id, model=route.model, voice_id=route.voice_id, route=route.path
        )
        self._advise(settings, log)
        return log

    def _advise(self, settings: Settings, log: Log) -> None:
        """Warn once of a voice that is known not to fit. Where a successor speaks, that has its own warning."""
        pairing = (settings.model, settings.voice_id, settings.language)
        if pairing in self._advised or self._transports.succeeded(settings.model):
            return
        if (told := advice(*pairing)) is not None:
            self._advised.add(pairing)
            log.warning("%s", told)

    def _reply_text(self, text: Any, settings: Settings) -> ReplyText:
        return ReplyText(
            text,
            sentence_streaming=settings.sentence_streaming,
            timing=self.timing,
            pronunciations=Pronunciations.of(settings.pronunciations),
        )

    def _words(self, settings: Settings, log: Log) -> ReplyWords | None:
        if not settings.word_timestamps:
            return None
        return ReplyWords(
            self.audio_track,
            lambda event: self.emit("word_spoken", event),
            speed=settings.speed,
            timing=self.timing,
            log=log,
            spell=Pronunciations.of(settings.pronunciations).spell,
        )

    def _reply(
        self, text: ReplyText, settings: Settings, sink: TrackSink | QueueSink, *, live: bool
    ) -> tuple[ReplyDriver, Player]:
        """A reply, and what plays it. The caller hears a live one, and with it late audio and words."""
        log = self._reply_log(settings)
        on_track = isinstance(sink, TrackSink)
        words = self._words(settings, log) if live else None
        player = Player(
            sink,
            settings.sample_rate,
            on_first_audio=self._first_byte_is_next if on_track else None,
            heard=live,
            listener=self._replies.listener if live else None,
            words=words,
            log=log,
        )
        # What nobody hears yet may be stored (`TTSAudioCache`): the end of each segment must be told, not guessed.
        # Nor is it said in the conversation, to which a session of Lightning v4 has one voice.
        apart = not live or settings.of_session != self._settings(None, {}).of_session
        reply = ReplyDriver(
            text,
            lambda post: self._transports.make(settings, post, joined=live, apart=apart),
            player,
            rate=settings.sample_rate,
            speed=settings.speed,
            timing=self.timing,
            route=asked_route(settings),
            log=log,
            words=words,
            on_failure=partial(self._tell_failure, log) if on_track else None,
            run_alone_until=self._replies.run_alone_until,
            on_refused=self._replies.make_way,
            on_end=partial(self.emit, "metrics") if live else None,
        )
        return reply, player

    def _tell_failure(self, log: Log, error: SmallestAIError) -> None:
        log.error("a reply has failed: %s", error, extra={"request_ids": error.request_id or ""})
        self.emit("error", str(error))

    async def _first_byte_is_next(self) -> None:
        await self._replies.supersede()
        await self._tell_first_audio()

    async def _tell_of_nothing(self, text: ReplyText) -> None:
        """There was nothing to speak in a reply such as `...`.

        The framework waits 10 s for the first audio of any text, and takes no short question meanwhile.
        """
        if text.has_text:
            await run_callback(self._tell_first_audio, self._log, "the first-audio callback failed")

    async def _tell_first_audio(self) -> None:
        if self._first_audio_callback is not None and not self._first_audio_sent:
            self._first_audio_sent = True
            await self._first_audio_callback()


def _check_user_turn(text: object, pcm: object, sample_rate: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a str; got {type(text).__name__}")
    if not isinstance(pcm, bytes | bytearray | memoryview):
        raise TypeError(f"pcm must be bytes; got {type(pcm).__name__}")
    if memoryview(pcm).nbytes % framework.SAMPLE_WIDTH:
        raise ValueError(f"pcm must be 16-bit samples, an even number of bytes; got {memoryview(pcm).nbytes}")
    if type(sample_rate) is not int:
        raise TypeError(f"sample_rate must be an int; got {type(sample_rate).__name__}")
    if not 0 < sample_rate <= HIGHEST_RATE:
        raise ValueError(f"sample_rate must be from 1 to {HIGHEST_RATE} Hz; got {sample_rate}")
