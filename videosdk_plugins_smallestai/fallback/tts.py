"""`FallbackTTS`: several voices behind one, in whose place the next one goes on where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from weakref import WeakSet

from videosdk.agents import TTS, FlushMarker
from videosdk.agents.event_bus import global_event_emitter

from .. import framework
from ..cancellation import run_callback
from ..errors import SmallestAIError
from ..text.read_ahead import ReadAhead
from .attempt import Attempt, Reply
from .gate import WholeSamples, done
from .hearing import Hearing
from .tape import Tape
from .voices import Voices, log, tells_words
from .words import EstimatedWords

__all__ = ["FallbackTTS"]


class FallbackTTS(Voices):
    """The framework's `FallbackTTS`, for any TTS of the framework, and without loss.

    A voice fails when it raises or emits ``"error"``. The next one then goes on in the same reply with all that was
    not spoken, a sentence that was half heard from its start. After the last of the list those before it have their
    turn, if they are not disabled for good; each is tried once in a reply.

    ``word_spoken`` goes on across voices: ``cumulative_text`` is all that was said of the reply, by whichever of
    them. Where one of the voices tells words, those of one that does not are told at the pace of usual speech, each
    when its audio is there: else the agent's transcript would stay empty.

    `model`, `voice_id` and `language` are the active provider's; ``"metrics"`` comes from each voice that has any.
    `add_user_turn` reaches each voice that has it.

    Attributes:
        reads_ahead: The text of a reply is read to its end, however the reply ends.
        timing: Every wait. Not an argument: the tests subclass it to wait less.
    """

    reads_ahead = True

    def _settle_in(self) -> None:
        super()._settle_in()
        self._hearing = Hearing()  # of live replies
        self._replies: set[Reply] = set()
        self._texts: WeakSet[ReadAhead[Any]] = WeakSet()
        self._switching: set[asyncio.Task[Any]] = set()
        self._blamed: set[int] = set()
        self._speaking = asyncio.Lock()

    async def pause(self) -> None:
        """Pause what is heard, words included. Whichever voice begins meanwhile is paused too."""
        self._hearing.pause()
        results = await asyncio.gather(*(voice.pause() for voice in self.providers), return_exceptions=True)
        self._log_failures("pausing", self.providers, results)
        if hasattr(self.audio_track, "pause"):
            await done(self.audio_track.pause())

    async def resume(self) -> None:
        """Go on after `pause`."""
        if hasattr(self.audio_track, "resume"):
            await done(self.audio_track.resume())
        results = await asyncio.gather(*(voice.resume() for voice in self.providers), return_exceptions=True)
        self._log_failures("resuming", self.providers, results)
        self._hearing.resume()

    async def interrupt(self) -> None:
        """Stop the reply at once. When this returns, no further byte of it reaches the track."""
        heard = list(dict.fromkeys([*self._hearing.voices, self.active_provider]))
        paused = [voice for voice in self.providers if voice not in heard] if self._hearing.paused else []
        self._hearing.drop()
        for reply in {*self._replies, *self._hearing.replies}:
            if reply.live:
                reply.stop()
        if hasattr(self.audio_track, "interrupt"):
            await done(self.audio_track.interrupt())
        telling = (*(voice.interrupt() for voice in heard), *(voice.resume() for voice in paused))
        results = await asyncio.gather(*telling, return_exceptions=True)
        self._log_failures("interrupting", [*heard, *paused], results)

    async def aclose(self) -> None:
        """End replies in progress, and close all voices. May be called again; a later reply opens them anew.

        A reply that is called for before this has returned is not spoken: nobody would close its voice.
        """
        self._settle()
        with self._closing.in_progress():
            await self._close()
        await TTS.aclose(self)

    async def _close(self) -> None:
        for reply in {*self._replies, *self._hearing.replies}:
            reply.stop()
        if self.latency_threshold_ms is not None:
            global_event_emitter.off("COMPONENT_METRIC", self._on_component_metric)
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*(voice.aclose() for voice in self.providers), return_exceptions=True)
        self._log_failures("closing", self.providers, results)
        for reading in self._texts:
            reading.cancel()

    # Replies

    async def synthesize(
        self, text: AsyncIterator[str | FlushMarker] | str, voice_id: str | None = None, **kwargs: Any
    ) -> None:
        """Speak a reply into the audio track, by as many voices as it takes.

        Args:
            text: The reply, or an async iterator of its parts.
            voice_id: Handed to each voice, if given.
            **kwargs: Handed to each voice.

        Raises:
            Exception: All voices have failed; what the last one has failed with. Each failure is emitted, once.
            TypeError: ``text`` is neither a ``str`` nor an async iterator.
        """
        self._settle()
        if self.audio_track is None or not self.loop:
            log.error("audio track or event loop not set: a Pipeline does it, or set both by hand")
            self.emit("error", "Audio track or event loop not set")
            return
        if self._closing:
            return
        if voice_id is not None:
            kwargs["voice_id"] = voice_id
        self._keep_warm()
        async with self._replying(text, live=True) as reply, self._speaking:
            while (attempt := await self._begin(reply, through_gate=True)) is not None:
                raised = await attempt.run(self._outlets[attempt.index].speak(attempt, kwargs))
                await self._end(reply, attempt, raised, emits=True)

    async def stream_synthesize(
        self, text_stream: AsyncIterator[str | FlushMarker], **kwargs: Any
    ) -> AsyncIterator[bytes]:
        """Speak into an iterator instead of the audio track, by as many voices as it takes.

        Args:
            text_stream: The text.
            **kwargs: Handed to each voice.

        Yields:
            What the voices yield.

        Raises:
            Exception: As `synthesize`; a failure that is raised is not emitted.
        """
        self._settle()
        if self._closing:
            return
        async with self._replying(text_stream, live=framework.speaks_through_tts_hook()) as reply:
            while (attempt := await self._begin(reply, through_gate=False)) is not None:
                raised: BaseException | None = None
                samples = WholeSamples()
                try:
                    async with aclosing(self._outlets[attempt.index].stream(attempt, kwargs)) as audio:
                        async for pcm in audio:
                            if reply.stopped:
                                break
                            if whole := samples.take(pcm):
                                await attempt.first_byte()
                                yield whole
                                attempt.hear(len(whole))
                except Exception as error:
                    raised = error
                await self._end(reply, attempt, raised, emits=False)

    @asynccontextmanager
    async def _replying(self, text: Any, *, live: bool) -> AsyncIterator[Reply]:
        """A reply. When it is over, the rest of its text is read: else the framework's queue would stand full."""
        if not isinstance(text, str) and not hasattr(text, "__aiter__"):
            raise TypeError(f"text must be a str or an async iterator of str; got {type(text).__name__}")
        tape = Tape(text, at_once=live and framework.needs_reading_ahead(self))
        reply = Reply(tape, live=live)
        self._replies.add(reply)
        if tape.reading is not None:
            self._texts.add(tape.reading)
        try:
            yield reply
        finally:
            self._replies.discard(reply)
            if not reply.over:
                reply.stop()  # it was cancelled
            for attempt in reply.attempts:
                if attempt.running:
                    await attempt.end(None)
            if tape.reading is not None and live:
                await tape.reading.aclose()
            elif tape.reading is not None:
                tape.reading.cancel()  # of what no queue stands behind, the rest is the caller's

    async def _begin(self, reply: Reply, *, through_gate: bool) -> Attempt | None:
        """The next attempt at a reply, or ``None`` if it is over."""
        if self._switching:
            await asyncio.wait(set(self._switching))
        if not reply.attempts:
            self.check_recovery()
        if reply.over:
            return None
        index, voice = self._current_index, self.active_provider
        outlet = self._outlets[index]
        attempt = Attempt(
            index,
            voice,
            reply,
            outlet.gate if through_gate else None,
            bytes_per_second=outlet.bytes_per_second,
            listener=self._hearing.playhead if reply.live else None,
            on_first_byte=self._tell_first_byte if through_gate else _ignore,
            timing=self.timing,
        )
        if reply.live and self.supports_word_timestamps and not tells_words(voice):
            attempt.estimate_words(
                EstimatedWords(self.audio_track, lambda event: self._tell_word(attempt, event), self.timing)
            )
        reply.attempts.append(attempt)
        self._blamed.discard(index)
        if reply.live:
            self._hearing.begin(attempt)
        return attempt

    async def _end(self, reply: Reply, attempt: Attempt, raised: BaseException | None, *, emits: bool) -> None:
        """An attempt has ended: the reply is over, or goes on with another voice, or has failed."""
        error = raised
        if error is None and attempt.failure is not None:
            error = RuntimeError(f"{attempt.voice.label}: {attempt.failure}")
        text_error = reply.tape.error if attempt.text_failed and _stems_from(error, reply.tape.error) else None
        if error is None or text_error is not None or reply.over:
            reply.end()
            await attempt.end(None)
            if text_error is not None and not reply.stopped:
                raise text_error
            return
        self._blamed.add(attempt.index)
        if emits and attempt.failure is None:
            self.emit("error", str(error))
        reply.failed(attempt, attempt.unspoken_from(error))
        await attempt.end(reply.place)
        moved = await self._move_on(attempt, str(error), reply)
        if reply.nothing_left:
            reply.end()
        elif not moved and not reply.over:
            reply.end()
            if isinstance(error, SmallestAIError):
                error.unspoken = reply.tape.readable(reply.place)
            raise error

    # What is told

    def on_first_audio_byte(self, callback: Any) -> None:
        """Set what is awaited before the first byte of a reply."""
        TTS.on_first_audio_byte(self, callback)

    def reset_first_audio_tracking(self) -> None:
        """Let the first-audio callback fire again for the next reply."""
        self._first_audio_sent = False

    async def _tell_first_byte(self) -> None:
        if self._first_audio_callback is None or self._first_audio_sent:
            return
        self._first_audio_sent = True
        failed = "the first-audio callback failed; the audio is played all the same"
        await run_callback(self._first_audio_callback, log, failed)

    def _setup_event_listeners(self) -> None:
        for index, voice in enumerate(self.providers):
            voice.on("error", lambda *told, index=index: self._hear_error(index, str(told[0])))
            voice.on("word_spoken", lambda *told, index=index: self._hear_word(index, told[0]))
            voice.on("metrics", lambda *told: self.emit("metrics", *told))

    def _hear_error(self, index: int, message: str) -> None:
        """A voice has emitted an error: it fails in what it speaks, or, if it is the active one, at rest."""
        replies = sorted(self._replies, key=lambda reply: not reply.live)  # what is made for a cache only raises
        running = [a for reply in replies for a in reply.attempts if a.index == index and a.running]
        speaking = self._outlets[index].attempt
        failing = speaking if speaking in running else next(iter(running), None)
        last = failing or self._hearing.last(index)
        if last is not None and (last.reply.stopped or last.text_failed):
            return
        if failing is not None:
            if failing.failure is not None:
                return
            failing.fail(message)
        elif index not in self._blamed and index == self._current_index:
            self._blamed.add(index)
            switching = self._own(self._switch_provider(message, self.providers[index]))
            self._switching.add(switching)
            switching.add_done_callback(self._switching.discard)
        else:
            return
        self.emit("error", message)

    def _hear_word(self, index: int, event: Any) -> None:
        speaking = self._outlets[index].attempt
        if not isinstance(event, dict) or (speaking is not None and not speaking.reply.live):
            return
        if (attempt := self._hearing.whose(index, event)) is not None:
            self._tell_word(attempt, event)

    def _tell_word(self, attempt: Attempt, event: dict[str, Any]) -> None:
        if not attempt.reply.stopped:
            self.emit("word_spoken", attempt.hear_word(event))


async def _ignore() -> None:
    pass


def _stems_from(error: BaseException | None, origin: BaseException | None) -> bool:
    """Whether an error is that one, or was raised for it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:  # `raise error from error` makes a ring
        chain.append(error)
        error = error.__cause__ or error.__context__
    return origin in chain
