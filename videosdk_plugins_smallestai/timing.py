"""Every wait of the plugin, in one place. All in seconds; tests pass another `Timing`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Waits, in seconds, by name.

    Attributes:
        connect: Opening a connection may take so long: a listener hears silence meanwhile, and a backup may wait.
        close: The server's side of a closing handshake is waited for so long before the socket is dropped.
        first_audio: Without audio for so long, the request that is first in line on a WebSocket fails. The service
            takes 0.1 to 0.8.
        body_silence: An HTTP body that has begun and brings nothing for so long is broken: the service sends 3.3
            times faster than real time, and its longest stalls on record are under 3 s.
        handover: With so much left to hear the next segment's waiting audio follows: two frames, so that a busy
            event loop still makes it.
        silence: Without a chunk for so long an end is likely: chunks come every 30 to 100 ms.
        silence_limit: No pause seen so far makes a longer one likely; what is implausibly short is asked for again.
        complete_wait: A `complete` that is likely to come is waited for so long: the latest ones come after four.
        prompt: A ``complete`` within so long of the last chunk is prompt. Servers send it at once, or 4 s late.
        repeat_margin: With so much left to hear it is asked again for what is implausibly short: a stall that ends
            before is not heard at all, and to ask again would throw away what the server has ready.
        merged: Silent for so long after enough audio for both, two fragments of a continuation were merged.
        apart: Fragments that are sent so long after one another are not merged: the server holds one back for 1 ms.
        urgent: With less than that left to hear, nothing is put off that the listener may soon wait for.
        ping_after: A silent connection is pinged then, and with less than `urgent` to hear after ``ping_soon``.
        ping_soon: See ``ping_after``.
        pong: A ping comes back within so long on any network that can carry a call.
        sentence_idle: A finished sentence at the end of what has come is released after so long without a token:
            a language model that calls a tool says nothing for seconds.
        number_idle: The same after a digit and a full stop (`3.` may become `3.50`), and after a colon.
        unusual: Without a chunk for so long in mid-speech something is unusual: 100 ms of audio come each 30 ms.
        voice_ready: Lightning v4 attaches a voice to a session within ten seconds, it says.
        turn_silence: A turn of Lightning v4 that has begun and brings nothing for so long, on a connection that is
            alive, is broken: its end would be told.
        frame: Of the frames that tracks play: whole ones only.
        stood_still: A timer that is so late shows that the event loop stood still.
        catch_up: After that the sockets are read for so long before a silence counts.
        reconnect: Before each further attempt to reach a service that cannot be reached. A listener waits.
        server_retry: Before each further attempt after a server error: a passing 503 is common.
        rate_retry: Before each further attempt when others use the account up: the vendor asks for 500 ms,
            doubling.
        retry_after: Seconds of ``Retry-After``, in all, that a listener can be made to wait.
        run_alone: No request is sent ahead for so long after the account has refused one for being too many.
        no_progress: Without a new sample for so long, a reply fails whatever else is believed.
        heartbeat: Between pings on an idle WebSocket: they find out that the peer is gone, and keep middleboxes
            from forgetting the connection.
        pong_idle: An idle peer that has not answered a ping for so long is gone. Nobody waits, so there is time.
        warm_for: After the last reply a connection is kept ready for so long: a call in which nobody has spoken
            for ten minutes is over, or can wait for a handshake.
        reopen: Before each further attempt to have a connection ready, the last one repeating; each is varied by a
            quarter. At most three handshakes in ten seconds while a service restarts, and ready again within 15 s.
        steady_after: A connection that lasted so long shows that the service works: the next may be opened at once.
        track_poll: Between two looks at how far a track has played: it plays frames of that length.
        track_stuck: A track that has not played a whole reply so long after it should have has no listener, or has
            dropped it: the last words are not waited for.
        fallback_grace: A voice of `FallbackTTS` that has emitted an error, or was interrupted, may take so long to
            end; the first, counted from its last audio: it may only warn.
        fallback_silence: A voice of `FallbackTTS` that has text to speak, has let the listener run dry, and brings
            nothing for so long, is hung. Ours then fail, and say what they have not spoken.
        fallback_prewarm: Prewarming all voices of `FallbackTTS` may hold up a call's start for so long.
        voices: The list of voices may take so long: nobody waits for it in a conversation.
    """

    connect: float = 5.0
    close: float = 1.0
    first_audio: float = 10.0
    body_silence: float = 5.0
    handover: float = 0.04
    silence: float = 0.25
    silence_limit: float = 2.0
    complete_wait: float = 5.0
    prompt: float = 0.5
    repeat_margin: float = 0.5
    merged: float = 1.0
    apart: float = 0.05
    urgent: float = 1.0
    ping_after: float = 1.0
    ping_soon: float = 0.15
    pong: float = 2.0
    sentence_idle: float = 0.2
    number_idle: float = 1.0
    unusual: float = 0.12
    voice_ready: float = 11.0
    turn_silence: float = 10.0
    frame: float = 0.02
    stood_still: float = 0.2
    catch_up: float = 0.05
    reconnect: tuple[float, ...] = (0.25,)
    server_retry: tuple[float, ...] = (0.25, 0.75)
    rate_retry: tuple[float, ...] = (0.5, 1.0)
    retry_after: float = 2.0
    run_alone: float = 60.0
    no_progress: float = 20.0
    heartbeat: float = 30.0
    pong_idle: float = 10.0
    warm_for: float = 600.0
    reopen: tuple[float, ...] = (0.5, 2.0, 5.0, 10.0)
    steady_after: float = 10.0
    track_poll: float = 0.02
    track_stuck: float = 10.0
    fallback_grace: float = 1.0
    fallback_silence: float = 12.0
    fallback_prewarm: float = 6.0
    voices: float = 15.0
