"""How the emulated service behaves. Every setting may be changed while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .faults import CloseAfter, Fault
from .records import Connection, SpeechRequest
from .voices import Voice

WRONG_KEY = "sk_wrong_on_purpose"
"""A key that no account has: it is never accepted."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """How the sessions of Lightning v4 behave.

    Attributes:
        access: Whether the account may use the model; else ``model_access_denied``.
        admitted: Seconds from the handshake to the first ``ready``; ``None``: it never comes.
        attached: Seconds from there to the second ``ready``; ``None``: it never comes.
        sample_rate: Hz that a session gets; ``None``: what its address asks for.
        interrupt_after: Seconds for which the server goes on speaking after an ``interrupt``.
        interrupted_after: Seconds from there to ``interrupted``. The next turn does not wait for it.
        late_chunks: Chunks of a stopped turn that are still sent before the next turn starts.
        turn_end_after: Seconds from a turn's last chunk to its ``turn_end``. The next turn does not wait for it.
    """

    access: bool = True
    admitted: float | None = 0.0
    attached: float | None = 0.1
    sample_rate: int | None = None
    interrupt_after: float = 0.0
    interrupted_after: float = 0.0
    late_chunks: int = 0
    turn_end_after: float = 0.0


@dataclass(kw_only=True, eq=False)
class Settings:
    """The settings of a :class:`~.WavesEmulator`.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 picks a free one, and is replaced by it at the first start.
        tls: Certificate and key of a server that speaks TLS; ``None``: plain HTTP and WebSocket.
        api_keys: Keys that are accepted; ``None``: any key but an empty one and `WRONG_KEY`.
        voice: ``"speech"`` (eSpeak NG) or ``"tone"`` (see :func:`~.tone`).
        first_audio: Seconds from when a request gets its turn to its first chunk.
        real_time_factor: Seconds of audio sent a second, after the first chunk.
        chunk: Seconds of audio in a chunk.
        serving: Requests on one connection ``"serial"``: in turn, ``"interleaved"``: all at once, or ``"refused"``:
            one is refused while another is in progress. Releases of a context are always served in turn.
        concurrency: Requests in progress that an account (a key) may have; one more is refused.
        slot_freed: Whether a request counts until its ``"last_chunk"`` or its ``"complete"``.
        context_slot: Until when a context counts beyond its releases: until it is ``"closed"`` (by ``continue:
            false`` or ``context_close``), or for so many seconds after its latest release; ``"served"``: only
            while a release is in progress. The end of its connection frees it in any case.
        complete: Seconds from the last chunk to ``complete``; ``None``: never; ``"asked"``: as
            ``complete_backoff_ms`` says, 4.0 where it is absent.
        complete_shared: Requests that are queued together on a connection get one ``complete``.
        close_after_complete: Close the connection after the ``complete`` of a request without a context on the
            ``"unified"`` route, unless a context is open on it; ``True``: after every ``complete`` on every
            route, those of contexts included; ``False``: never.
        zero_is_absent: A 0 in ``complete_backoff_ms`` or ``max_buffer_delay_ms`` counts as an absent field, as it
            does where a server tests the field for truth.
        idle_timeout: Seconds without a message from the client (a ping is none) until the connection is
            timed out; ``None``: never. ``?timeout=`` overrides it. Read anew at each message.
        echo_ids: Whether the client's ids are echoed as ``external_*``.
        words: Word times count from the start of the request's audio (``"relative"``) or of the
            connection's (``"absolute"``); ``None``: no word frames.
        context_complete: Of a continuation: a ``complete`` for each ``"release"``, one for the whole
            ``"context"``, or ``None``.
        context_ids: The server's ``request_id`` changes with each ``"release"``, or is one for all releases of a
            ``"connection"``.
        merge_within: Seconds for which the fragments of a context are collected, from the first one still
            buffered, before they are released together; a longer ``max_buffer_delay_ms`` holds.
        mismatched_voices: Whether a voice of another model's pool is ``"spoken"`` or ``"refused"``; a voice that
            no model has is refused.
        content_expiry: What HTTP answers to ``x-expire-content: true``.
        lenient: Fields (``"voice_id"``, ``"language"``, ``"model"``) of which an unknown value is read as the
            default; otherwise it is refused.
        rates: Sample rates that are accepted, in Hz.
        refused_key: How a key that is not accepted is answered: a status, or ``"frame"``: the handshake is accepted
            and an error frame sent, before the connection is closed (HTTP: 401).
        cancel: Whether ``cancel_request`` drops what is buffered (``"buffer"``), or stops the context's audio too
            (``"audio"``).
        idle_close: Whether a connection that is timed out gets an error frame (``"told"``) or not (``"silent"``);
            ``"default"``: told, but ``?timeout=`` is ignored.
        retired: Model id to how its routes answer: a status, or ``"MODEL_DEPRECATED"``.
        live: How the sessions of Lightning v4 behave.
        fault: Asked once for each request as it arrives: what goes wrong with it.
        handshake: Asked for each WebSocket handshake: a status to refuse it with, ``"hang"`` to never
            answer it, a `CloseAfter` to end the connection early, or ``None``.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    api_keys: Collection[str] | None = field(default=None, repr=False)
    voice: Voice = "speech"
    first_audio: float = 0.2
    real_time_factor: float = 3.3
    chunk: float = 0.1
    serving: Literal["serial", "interleaved", "refused"] = "serial"
    concurrency: int | None = None
    slot_freed: Literal["last_chunk", "complete"] = "last_chunk"
    context_slot: Literal["closed", "served"] | float = "closed"
    complete: float | Literal["asked"] | None = "asked"
    complete_shared: bool = False
    close_after_complete: Literal["unified"] | bool = "unified"
    zero_is_absent: bool = True
    idle_timeout: float | None = 60.0
    echo_ids: bool = True
    words: Literal["relative", "absolute"] | None = "relative"
    context_complete: Literal["release", "context"] | None = "release"
    context_ids: Literal["release", "connection"] = "release"
    merge_within: float = 0.001
    mismatched_voices: Literal["spoken", "refused"] = "spoken"
    content_expiry: Literal["applied", "not-entitled", "unavailable"] = "applied"
    lenient: Collection[Literal["voice_id", "language", "model"]] = ()
    rates: Collection[int] = (8000, 16000, 24000, 44100)
    refused_key: int | Literal["frame"] = 401
    cancel: Literal["buffer", "audio"] = "buffer"
    idle_close: Literal["told", "silent", "default"] = "told"
    retired: Mapping[str, int | str] = field(default_factory=dict)
    live: Live = field(default_factory=Live)
    fault: Callable[[SpeechRequest], Fault | Sequence[Fault] | None] | None = None
    handshake: Callable[[Connection], int | Literal["hang"] | CloseAfter | None] | None = None
