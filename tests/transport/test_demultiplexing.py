"""Whose frames they are: a server names a request by our id, by its own, or not at all."""

from __future__ import annotations

from videosdk_plugins_smallestai import ServerError
from videosdk_plugins_smallestai.protocol.frames import AudioFrame, CompleteFrame, ErrorFrame
from videosdk_plugins_smallestai.transport.demultiplexing import Demultiplexer


def requests(*names: str) -> Demultiplexer:
    """Plain requests, streams 1, 2, ... with these ids of ours."""
    streams = Demultiplexer()
    for stream, name in enumerate(names, start=1):
        streams.begin(stream, name)
    return streams


def audio(request_id: str | None = None, server_id: str | None = None) -> AudioFrame:
    return AudioFrame(b"11", request_id, server_id)


def test_a_frame_goes_to_the_request_whose_id_it_echoes() -> None:
    streams = requests("one", "two")
    assert streams.owner(audio("two", "server 2")) == 2
    assert streams.owner(audio("one", "server 1")) == 1
    assert streams.owner(audio("another")) is None
    assert not streams.indistinct


def test_a_frame_with_the_servers_own_id_goes_where_it_was_seen_first() -> None:
    streams = requests("one", "two")
    streams.owner(audio("one", "server 1"))
    streams.owner(audio("two", "server 2"))
    assert streams.owner(audio(None, "server 1")) == 1
    assert streams.complete(CompleteFrame(None, "server 1")) == 1
    assert streams.failed(ErrorFrame(ServerError("It failed"), None, "server 2")) == (2,)
    assert streams.clean


def test_a_new_id_of_the_server_is_that_of_the_only_request_which_has_none() -> None:
    streams = requests("one")
    assert streams.owner(audio(None, "server 1")) == 1
    streams.begin(2, "two")
    assert streams.owner(audio(None, "server 2")) == 2
    assert streams.owner(audio(None, "server 1")) == 1
    assert not streams.indistinct


def test_ids_that_change_within_the_only_request_are_its_own() -> None:
    streams = requests("one")
    assert [streams.owner(audio(None, f"server {n}")) for n in range(3)] == [1, 1, 1]


def test_a_late_frame_of_a_request_that_has_ended_is_nobodys() -> None:
    streams = requests("one")
    streams.owner(audio(None, "server 1"))
    assert streams.complete(CompleteFrame(None, "server 1")) == 1
    streams.begin(2, "two")
    assert streams.owner(audio(None, "server 1")) is None
    assert streams.owner(audio("one")) is None
    assert streams.complete(CompleteFrame("one", "server 1")) is None
    assert streams.streams == (2,)


def test_a_frame_without_ids_is_that_of_the_only_request_and_of_several_nobodys() -> None:
    streams = requests("one")
    assert streams.owner(audio()) == 1
    streams.begin(2, "two")
    assert streams.owner(audio()) is None
    assert streams.indistinct
    assert not streams.clean


def test_two_requests_without_any_id_seen_are_indistinct_by_a_new_one() -> None:
    streams = requests("one", "two")
    assert streams.owner(audio(None, "server 1")) is None
    assert streams.indistinct


def test_a_complete_that_tells_nothing_is_that_of_the_oldest() -> None:
    streams = requests("one", "two")
    assert streams.complete(CompleteFrame()) == 1
    assert streams.complete(CompleteFrame(None, "never seen")) == 2
    assert streams.complete(CompleteFrame()) is None


def test_an_error_that_names_nobody_is_everybodys() -> None:
    streams = requests("one", "two")
    assert streams.failed(ErrorFrame(ServerError("It failed"), None, "never seen")) == (1, 2)
    assert streams.failed(ErrorFrame(ServerError("It failed again"))) == ()


def test_an_error_of_a_request_that_has_ended_fails_no_other() -> None:
    streams = requests("one", "two")
    streams.complete(CompleteFrame("one"))
    assert streams.failed(ErrorFrame(ServerError("It failed late"), "one")) == ()
    assert streams.streams == (2,)


def test_every_frame_is_the_contexts_whatever_id_the_server_gives_it() -> None:
    streams = Demultiplexer()
    streams.begin_fragment(7, "context")
    assert streams.owner(audio("context", "server 1")) == 7
    assert streams.owner(audio(None, "server 2")) == 7
    assert streams.complete(CompleteFrame(None, "server 2")) == 7
    assert streams.failed(ErrorFrame(ServerError("It failed"), None, "server 9")) == (7,)


def test_what_answers_a_request_of_somebody_else_is_not_the_contexts() -> None:
    streams = Demultiplexer()
    streams.begin_fragment(7, "context")
    assert streams.owner(audio("nobody", "server 1")) is None
    assert streams.complete(CompleteFrame("nobody", "server 1")) is None
    assert streams.failed(ErrorFrame(ServerError("It failed"), "nobody")) == ()
    assert streams.streams == (7,)


def test_a_context_is_clean_when_it_is_closed_and_each_fragment_is_complete() -> None:
    streams = Demultiplexer()
    streams.begin_fragment(7, "context")
    streams.begin_fragment(7, "context")
    assert streams.complete(CompleteFrame()) == 7
    streams.close_context()
    assert not streams.clean
    assert streams.complete(CompleteFrame()) == 7
    assert streams.clean


def test_audio_after_more_completes_than_fragments_is_still_the_contexts() -> None:
    streams = Demultiplexer()
    streams.begin_fragment(7, "context")
    streams.close_context()
    streams.complete(CompleteFrame())
    assert streams.owner(audio(None, "one more release")) == 7
