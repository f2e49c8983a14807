"""Several voices behind one: what the framework sees of them, and which of them is the active one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, ClassVar, Self

from videosdk.agents import TTS
from videosdk.agents import FallbackTTS as FrameworkFallbackTTS
from videosdk.agents.fallback_base import FallbackBase

from .. import framework
from ..closing import Closing
from ..log import Log
from ..timing import Timing
from .attempt import Attempt, Reply
from .gate import Gate
from .outlet import Outlet

__all__ = ["Voices", "tells_words"]

log = Log("FallbackTTS")


class Voices(FrameworkFallbackTTS):  # type: ignore[misc]
    """The framework's `FallbackTTS`, apart from the replies: see `FallbackTTS` of this package."""

    _current_index: int
    timing: ClassVar[Timing] = Timing()

    def __init__(
        self,
        providers: Sequence[TTS],
        temporary_disable_sec: float = 60.0,
        permanent_disable_after_attempts: int = 3,
        latency_threshold_ms: float | None = None,
        consecutive_latency_hits: int = 3,
    ) -> None:
        """Take the voices over. Nothing is connected before `prewarm` or the first reply.

        Args:
            providers: The voices, the preferred one first.
            temporary_disable_sec: Seconds after which a voice that has failed is tried again at the next reply.
            permanent_disable_after_attempts: Failures after which it is not.
            latency_threshold_ms: A voice whose first audio takes longer, several replies in a row, is left for the
                next; ``None``: none is.
            consecutive_latency_hits: How many.

        Raises:
            ValueError: There is no provider.
        """
        if not providers:
            raise ValueError("FallbackTTS needs at least one provider; got an empty list")
        self._first_audio_sent = False
        self.loop: asyncio.AbstractEventLoop | None = None
        super().__init__(
            list(providers),
            temporary_disable_sec,
            permanent_disable_after_attempts,
            latency_threshold_ms,
            consecutive_latency_hits,
        )
        self._outlets = [Outlet(voice, Gate()) for voice in providers]
        self._home: asyncio.AbstractEventLoop | None = None
        self._settle_in()
        self.supports_word_timestamps = any(map(tells_words, providers))

    def _settle_in(self) -> None:
        """Make what belongs to one event loop."""
        self._outlets = [outlet.renewed() for outlet in self._outlets]
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = Closing()  # in which `aclose` runs
        self._warmed_at: float | None = None

    def _settle(self) -> None:
        """Bind this object to the running event loop; what belonged to an earlier loop is made anew."""
        loop = asyncio.get_running_loop()
        if self._home is not loop:
            if self._home is not None:
                self._settle_in()
            self._home = loop

    def __setattr__(self, name: str, value: Any) -> None:
        """The pipeline sets ``loop`` and ``audio_track``: each voice gets them, the track behind a gate."""
        object.__setattr__(self, name, value)
        if name == "loop":
            for voice in getattr(self, "providers", ()):
                voice.loop = value
        elif name == "audio_track":
            for outlet in getattr(self, "_outlets", ()):
                outlet.set_track(value)

    async def __aenter__(self) -> Self:
        """As the framework's, with a return type for type checkers."""
        await super().__aenter__()
        return self

    @property
    def model(self) -> Any:
        """The active provider's."""
        return self.active_provider.model

    @property
    def voice_id(self) -> Any:
        """The active provider's."""
        return self.active_provider.voice_id

    @property
    def language(self) -> Any:
        """The active provider's."""
        return self.active_provider.language

    @property
    def can_pause(self) -> bool:
        """Whether the active provider can be paused."""
        return bool(self.active_provider.can_pause)

    async def prewarm(self) -> None:
        """Prewarm all voices, so that each could speak at once. Returns when they are, or after some seconds.

        A failure is logged.
        """
        self._settle()
        if self._closing:
            return
        if (advice := framework.advice(self)) is not None:
            log.warning("%s", advice)
        self._warmed_at = asyncio.get_running_loop().time()
        warming = [self._own(self._prewarm(voice)) for voice in self.providers]
        await asyncio.wait(warming, timeout=self.timing.fallback_prewarm)

    def _keep_warm(self) -> None:
        """A voice that has not spoken for minutes lets its connection go: those that wait are prewarmed again."""
        now = asyncio.get_running_loop().time()
        if self._warmed_at is not None and now - self._warmed_at > self.timing.warm_for / 2:
            self._warmed_at = now
            for voice in self.providers:
                if voice is not self.active_provider:
                    self._own(self._prewarm(voice))

    async def _prewarm(self, voice: TTS) -> None:
        results = await asyncio.gather(voice.prewarm(), return_exceptions=True)
        self._log_failures("prewarming", [voice], results)

    def _log_failures(self, doing: str, voices: Iterable[TTS], results: Iterable[Any]) -> None:
        for voice, result in zip(voices, results, strict=True):
            if isinstance(result, Exception):
                log.warning("%s %s has failed: %s", doing, voice.label, result)

    async def add_user_turn(self, text: str, pcm: bytes, sample_rate: int) -> None:
        """Tell what the caller has said to each voice that has this method, such as `SmallestAITTS`.

        Args:
            text: As of theirs.
            pcm: As of theirs.
            sample_rate: As of theirs.

        Raises:
            Exception: As theirs.
        """
        for voice in self.providers:
            if hasattr(voice, "add_user_turn"):
                await voice.add_user_turn(text, pcm, sample_rate)

    async def _move_on(self, attempt: Attempt, reason: str, reply: Reply) -> bool:
        """Make the next voice the active one: a later one, else an earlier one. Returns whether there is one."""
        if await self._switch_provider(reason, attempt.voice) and self._current_index not in reply.tried:
            return True
        attempts, most = self._recovery_attempts, self.permanent_disable_after_attempts
        for index, voice in enumerate(self.providers):
            if index not in reply.tried and attempts.get(index, 0) < most:
                self._current_index = index
                event = {
                    "component_type": self._component_name,
                    "recovery_attempt": attempts.get(index, 0),
                    "message": f"Provider {attempt.voice.label} failed: {reason}. Returned to {voice.label}",
                    "is_recovery": True,
                    "original_provider_label": attempt.voice.label,
                    "new_provider_label": voice.label,
                }
                self._emit_fallback_event(event)
                return True
        return False

    async def _switch_provider(self, reason: str, failed_provider: Any = None) -> bool:
        """As the framework's, which would move its listeners too: ours are at all voices, for good."""
        return bool(await FallbackBase._switch_provider(self, reason, failed_provider))

    def _emit_fallback_event(self, event_data: dict[str, Any]) -> None:
        """As the framework's, which prints it too."""
        with redirect_stdout(StringIO()):
            super()._emit_fallback_event(event_data)

    def _own(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it in a task that `aclose` ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def tells_words(voice: TTS) -> bool:
    """Whether a voice emits `word_spoken`."""
    return getattr(voice, "supports_word_timestamps", False) is True
