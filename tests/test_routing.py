"""Whose frames they are: a server names a request by our id, by its own, or not at all."""

from __future__ import annotations

import asyncio
from unittest.mock import MagicMock

from videosdk_plugins_smallestai import ServerError
from videosdk_plugins_smallestai._old.protocol import Audio, Complete, Event, Failure
from videosdk_plugins_smallestai._old.routing import Request, Router


class Listener:
    """A request, and what it hears."""

    def __init__(self, router: Router, name: str) -> None:
        self.heard: list[Event] = []
        self.ends = 0
        self.request = Request(name, self.heard.append, self._end, MagicMock())
        router.add(self.request)

    def _end(self) -> None:
        self.ends += 1


def make_router() -> Router:
    return Router(asyncio.get_running_loop().time)


async def test_frames_with_the_servers_own_id_go_where_it_was_seen_first() -> None:
    router = make_router()
    one, two = Listener(router, "one"), Listener(router, "two")
    router.route(Audio(b"11", "one", "server 1"))
    router.route(Audio(b"22", "two", "server 2"))
    router.route(Audio(b"33", None, "server 1"))
    router.route(Complete(None, "server 1"))
    router.route(Failure(ServerError("It failed"), None, "server 2"))
    assert one.heard == [Audio(b"11", "one", "server 1"), Audio(b"33", None, "server 1")]
    assert two.heard == [Audio(b"22", "two", "server 2")]
    assert (one.ends, two.ends) == (1, 1)
    assert not router.nameless


async def test_an_error_that_names_nobody_is_everybodys() -> None:
    router = make_router()
    one, two = Listener(router, "one"), Listener(router, "two")
    router.route(Failure(ServerError("It failed"), None, "never seen"))
    assert one.request.ended
    assert two.request.ended
    router.route(Failure(ServerError("It failed again")))  # nobody is left
    assert (one.ends, two.ends) == (1, 1)


async def test_who_lets_go_of_a_request_that_is_over_is_told_at_once() -> None:
    one = Listener(make_router(), "one")
    one.request.end(ServerError("It failed"))
    told: list[str] = []
    one.request.release(one.heard.append, lambda: told.append("over"))
    assert told == ["over"]
    assert one.ends == 1
