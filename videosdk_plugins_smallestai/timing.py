"""Every wait of the plugin, in one place. All in seconds; tests pass another `Timing`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Named seconds.

    Attributes:
        connect: Opening a connection may take so long: a listener hears silence meanwhile, and a backup may wait.
        close: The server's side of a closing handshake is waited for so long before the socket is dropped.
        first_audio: Without audio for so long, the request that is first in line on a WebSocket fails. The service
            takes 0.1 to 0.8.
        body_silence: An HTTP body that has begun and brings nothing for so long is broken: the service sends 3.3
            times faster than real time, and its longest stalls on record are under 3 s.
        no_progress: Without a new sample for so long, a reply fails whatever else is believed.
        heartbeat: Between pings on an idle WebSocket: they find out that the peer is gone, and keep middleboxes
            from forgetting the connection.
        pong_idle: An idle peer that has not answered a ping for so long is gone. Nobody waits, so there is time.
        warm_for: After the last reply a connection is kept ready for so long: a call in which nobody has spoken
            for ten minutes is over, or can wait for a handshake.
        reopen: Before each further attempt to have a connection ready, the last one repeating; each is varied by a
            quarter. At most three handshakes in ten seconds while a service restarts, and ready again within 15 s.
        steady_after: A connection that lasted so long shows that the service works: the next may be opened at once.
        voices: The list of voices may take so long: nobody waits for it in a conversation.
    """

    connect: float = 5.0
    close: float = 1.0
    first_audio: float = 10.0
    body_silence: float = 5.0
    no_progress: float = 20.0
    heartbeat: float = 30.0
    pong_idle: float = 10.0
    warm_for: float = 600.0
    reopen: tuple[float, ...] = (0.5, 2.0, 5.0, 10.0)
    steady_after: float = 10.0
    voices: float = 15.0
