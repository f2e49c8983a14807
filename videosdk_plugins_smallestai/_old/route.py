"""Which model speaks: the user's, or its successor once its own routes are gone."""

from __future__ import annotations

import logging
from dataclasses import replace

from .. import models
from ..models import Model
from ..settings import Settings

__all__ = ["Route", "Succession"]

logger = logging.getLogger(__name__)


class Succession:
    """What one instance has found out about retired models. The user's ``model`` attribute never changes."""

    def __init__(self) -> None:
        self._moved: set[str] = set()
        self._spoken: set[str] = set()

    def successor(self, model: str) -> str | None:
        """The model to speak with instead, where this one is known to be gone."""
        return models.resolve(model).successor if model in self._moved else None

    def move(self, model: str) -> None:
        """The model's routes are gone: try its successor."""
        self._moved.add(model)

    def spoke(self, model: str) -> None:
        """The successor has spoken: stay with it."""
        if model not in self._spoken:
            self._spoken.add(model)
            logger.warning(
                "Smallest AI: model %r is retired; %r speaks instead. Pass model=%r",
                model,
                models.resolve(model).successor,
                models.resolve(model).successor,
            )

    def failed(self, model: str) -> None:
        """The successor has failed. Unless it has ever spoken, the model itself is tried first again."""
        if model not in self._spoken:
            self._moved.discard(model)


class Route:
    """One reply's way to a model.

    Args:
        settings: The reply's settings.
        succession: Shared by the replies of an instance.

    Attributes:
        settings: With the model that really speaks.
        moves: How often the way has changed within the reply.
    """

    def __init__(self, settings: Settings, succession: Succession) -> None:
        self._model = settings.model
        self._succession = succession
        self.settings = settings
        self.moves = 0
        successor = succession.successor(settings.model)
        if successor is not None:
            self.settings = replace(settings, model=successor)

    @property
    def model(self) -> Model:
        """The model that really speaks."""
        return models.resolve(self.settings.model)

    def move_on(self, moves: int) -> bool:
        """A route was gone that was taken after so many moves.

        Returns:
            Whether to try again, on another one.
        """
        if moves < self.moves:
            return True
        successor = self.model.successor
        if successor is None:
            return False
        self._succession.move(self.settings.model)
        self.settings = replace(self.settings, model=successor)
        self.moves += 1
        return True

    def spoke(self) -> None:
        """Audio came."""
        if self.settings.model != self._model:
            self._succession.spoke(self._model)

    def failed(self) -> None:
        """The reply failed."""
        if self.settings.model != self._model:
            self._succession.failed(self._model)
