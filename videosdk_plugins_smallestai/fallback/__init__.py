"""`FallbackTTS`, which lets another voice go on where one fails, and loses nothing of the text between them.

`tts.py` speaks a reply: it makes one attempt after another until one has spoken the rest. `voices.py`, its base,
is what the framework sees, and chooses the next voice. For each reply:

- `tape.py` keeps the text, so that a voice can be given again what another took and did not speak. (The `Tape` of
  `reply/streams.py` is of audio.)
- `attempt.py` has a voice's attempt at it, and finds from where it was not spoken; `patience.py` says when the
  voice is hung; `words.py` estimates its words, if it does not tell them.

For each voice `outlet.py` leads its audio to the track, through the gate of `gate.py`, or into an iterator.
`hearing.py` follows what the listener still hears, of whichever voice.
"""

from .tts import FallbackTTS

__all__ = ["FallbackTTS"]
