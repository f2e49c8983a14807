"""A local Waves server, for tests and for work without a network or a key.

It speaks the service's protocol from the other side, with a voice of its own (eSpeak NG, or a fast
deterministic tone) and with faults on demand. It knows nothing of the plugin.
"""

from .faults import Break, ChunkBytes, CloseAfter, Fault, Frames, Hangup, Mute, NoAudio, NoIds, Refuse, Stall
from .records import Connection, SpeechRequest
from .server import WavesEmulator
from .settings import Live
from .speech import VoiceUnavailable
from .voices import tone

__all__ = [
    "Break",
    "ChunkBytes",
    "CloseAfter",
    "Connection",
    "Fault",
    "Frames",
    "Hangup",
    "Live",
    "Mute",
    "NoAudio",
    "NoIds",
    "Refuse",
    "SpeechRequest",
    "Stall",
    "VoiceUnavailable",
    "WavesEmulator",
    "tone",
]
