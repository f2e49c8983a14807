"""Chooses the model that speaks: the user's, or its successor once its routes are gone."""

from __future__ import annotations

from dataclasses import replace

from .. import models
from ..errors import InvalidRequestError, ModelRetiredError, SmallestAIError
from ..log import Log
from ..models import Model
from ..settings import Settings

__all__ = ["ModelChoice", "Succession"]

PRO_VOICE_FOR = {models.STANDARD_VOICE: "blake"}
"""The nearest voice of the Pro catalogue, where it has none of that name. Else it is the Pro default."""


class Succession:
    """What one instance has found out about retired models. The user's ``model`` attribute never changes.

    Args:
        log: That of the object.
    """

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or Log()
        self._speaks: dict[str, str] = {}
        self._told: set[tuple[str, ...]] = set()

    @property
    def proven(self) -> bool:
        """Whether any model has spoken, so that the base URL is right."""
        return bool(self._speaks)

    def speaks_for(self, model: str) -> str:
        """The model that has spoken in this one's place; itself where none has."""
        return self._speaks.get(model, model)

    def note_spoken(self, asked: Settings, speaking: Settings) -> None:
        """A model has spoken: stay with it. Where it is a successor, or has another voice, that is told once."""
        self._speaks[asked.model] = speaking.model
        if speaking.model != asked.model:
            self._tell(
                "model %r is retired; %r speaks instead. Pass model=%r",
                asked.model,
                speaking.model,
                speaking.model,
            )
        if speaking.voice_id != asked.voice_id:
            self._tell(
                "model %r has no voice %r; %r speaks instead. Pass voice_id= with a voice of its "
                "catalogue, or a cloned voice",
                speaking.model,
                asked.voice_id,
                speaking.voice_id,
            )

    def _tell(self, *message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._log.warning(*message)


class ModelChoice:
    """The model that speaks one reply.

    Args:
        settings: The reply's settings, as the user wants them.
        succession: What is known of retired models; shared by the replies of an instance.
        base_url: Named where nothing at all is found there.

    Attributes:
        settings: With the model, and the voice, that really speak.
    """

    def __init__(self, settings: Settings, succession: Succession, base_url: str) -> None:
        self._asked = settings
        self._succession = succession
        self._base_url = base_url
        self._has_spoken = False
        self._all_plain_404 = not succession.proven
        self.settings = _with_model(settings, succession.speaks_for(settings.model))

    @property
    def model(self) -> Model:
        """The model that really speaks."""
        return models.resolve(self.settings.model)

    def explain(self, error: SmallestAIError, model: Model | None = None) -> SmallestAIError:
        """Say of a failure what it means for the reply.

        Args:
            error: The failure.
            model: The model that was asked, if that may not be the one that speaks now.

        Returns:
            The same error, with the successor to `move_on` to where there is one; or one that names the base URL,
            where the routes of the whole chain are missing.
        """
        error.model, error.voice_id = self.settings.model, self.settings.voice_id
        if not isinstance(error, ModelRetiredError):
            return error
        self._all_plain_404 &= error.status == 404 and not error.told
        model = model or self.model
        error.successor = model.successor
        if error.successor is not None or not self._all_plain_404 or not (model.unified or model.live):
            return error
        what = f"no route of model {model.id!r}" if model.live else "nothing that speaks"
        return InvalidRequestError(
            f"HTTP 404: there is {what} at {self._base_url}: base_url is probably wrong. Leave it out, or check it",
            status=404,
            request_id=error.request_id,
        )

    def move_on(self) -> None:
        """Speak with the successor of the model, whose routes are gone."""
        successor = self.model.successor
        if successor is not None:
            self._has_spoken = False
            self.settings = _with_model(self.settings, successor)

    def spoke(self) -> None:
        """Note that audio came from the model."""
        if not self._has_spoken:
            self._has_spoken = True
            self._succession.note_spoken(self._asked, self.settings)


def _with_model(settings: Settings, model: str) -> Settings:
    if model == settings.model:
        return settings
    voice = settings.voice_id
    if models.resolve(model).pro and not models.resolve(settings.model).pro:
        voice = _pro_voice(voice)
    return replace(settings, model=model, voice_id=voice)


def _pro_voice(voice: str) -> str:
    """The voice of the Pro catalogue for one of the standard pool. Cloned voices are on both."""
    name = voice.strip().lower()
    if name.startswith("voice_"):
        return voice
    return name if name in models.PRO_VOICES else PRO_VOICE_FOR.get(name, models.PRO_VOICE)
