"""Measures how fast a voice speaks, to judge whether audio is as long as its text."""

from __future__ import annotations

__all__ = ["TYPICAL_LETTER", "Pace"]

TYPICAL_LETTER = 0.055
"""Seconds of audio for a letter at speed 1, until the reply's own pace is known: brisk English takes 0.05 to 0.07,
and what is too high here makes the plugin ask again for what has come whole."""

LETTERS_ENOUGH = 20
"""Letters whose audio is known from which the pace is taken: a single `Yes.` says little."""

FASTEST = 0.5
"""Times the typical seconds for a letter. Below that audio was lost."""


class Pace:
    """The pace of one reply's voice.

    Args:
        units_per_second: Units of audio that last a second.
        speed: How fast the voice was asked to speak; 1 is normal.
    """

    def __init__(self, units_per_second: float, speed: float) -> None:
        self._seconds_per_unit = speed / units_per_second
        self._seconds = 0.0
        self._letters = 0

    def seconds(self, units: int) -> float:
        """Seconds that so much audio would last at speed 1."""
        return units * self._seconds_per_unit

    def learn(self, units: int, letters: int) -> None:
        """So much audio belongs, for certain, to a text with so many letters and digits."""
        self._seconds += self.seconds(units)
        self._letters += letters

    @property
    def per_letter(self) -> float:
        """Seconds of audio at speed 1 that a letter takes, at least.

        Never more than typical: a text of numbers takes long for its few characters, and the next one does not.
        """
        if self._letters < LETTERS_ENOUGH:
            return TYPICAL_LETTER
        return min(max(self._seconds / self._letters, FASTEST * TYPICAL_LETTER), TYPICAL_LETTER)
