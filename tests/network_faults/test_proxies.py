"""Through a proxy where the environment asks for one; and a redirect leads the key nowhere."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from certificates import HOST, tls, trust
from leaks import KEY, assert_has_no_key
from listening import assert_same, items
from routes import ROUTES, every_route, every_websocket
from staging import MakeStage, Stage, make_stage
from tunnel import Tunnel

from videosdk_plugins_smallestai import APIConnectionError, SmallestAIError
from videosdk_plugins_smallestai.emulator import tone
from videosdk_plugins_smallestai.transport import network

TEXT = "The long way round."
FAST: dict[str, Any] = {"first_audio": 0.0, "real_time_factor": 100.0}
PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy of this machine's own, and the tests' authority trusted."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    trust(monkeypatch, tmp_path)


@asynccontextmanager
async def far_away(route: str, scheme: str = "https", **plugin: Any) -> AsyncIterator[tuple[Stage, Tunnel]]:
    """A server under a name that only the proxy knows."""
    server = {"tls": tls()} if scheme == "https" else {}
    async with make_stage(**server, **FAST) as served, Tunnel(served.waves.port) as tunnel:
        base_url = f"{scheme}://{HOST}:{served.waves.port}/waves/v1"
        async with make_stage(ROUTES[route] | {"base_url": base_url, "api_key": KEY} | plugin) as s:
            s.waves = served.waves
            yield s, tunnel


async def assert_spoken(s: Stage) -> None:
    await s.tts.synthesize(items([TEXT]))
    assert_same(s.track.speech, tone(TEXT))


async def error_of(s: Stage) -> SmallestAIError:
    with pytest.raises(SmallestAIError) as caught:
        await s.tts.synthesize(items([TEXT]))
    assert_has_no_key(caught.value)
    assert PASSWORD not in str(caught.value)
    return caught.value


# Proxies


@every_route
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_https_proxy_is_the_way_to_https_and_wss(
    route: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_away(route) as (s, tunnel):
        monkeypatch.setenv(name, tunnel.url)
        await assert_spoken(s)
        assert set(tunnel.asked) == {f"CONNECT {HOST}:{s.waves.port} HTTP/1.1"}
        assert KEY not in "".join(tunnel.heads), "the proxy carries what it cannot read"


@pytest.mark.parametrize("route", ["http", "sse"])
async def test_http_proxy_is_the_way_to_http(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away(route, "http") as (s, tunnel):
        monkeypatch.setenv("HTTP_PROXY", tunnel.url)
        await assert_spoken(s)
        assert all(f" http://{HOST}:" in line for line in tunnel.asked)
        assert tunnel.asked


@every_websocket
async def test_a_websocket_without_tls_takes_the_direct_way(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away(route, "http") as (s, tunnel):
        monkeypatch.setenv("HTTP_PROXY", tunnel.url)
        assert HOST in str(await error_of(s)), "the host is unknown, but to the proxy"
        assert not tunnel.asked


async def test_a_proxy_without_a_scheme_is_one_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away("websocket") as (s, tunnel):
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url.removeprefix("http://"))
        await assert_spoken(s)
        assert tunnel.asked


@pytest.mark.parametrize("route", ["websocket", "http"])
async def test_the_password_of_a_proxy_goes_to_the_proxy(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away(route) as (s, tunnel):
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url.replace("//", f"//me:{PASSWORD}@"))
        await assert_spoken(s)
        sent = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        assert f"Proxy-Authorization: Basic {sent}" in tunnel.heads[0]


async def test_the_list_of_voices_comes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away("http") as (s, tunnel):
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        assert await s.tts.voices()
        assert tunnel.asked


@every_route
@pytest.mark.parametrize("exempt", [HOST, "test", ".test", "*", "example.com, voice.test", "voice.test:{port}"])
async def test_no_proxy_is_the_direct_way(route: str, exempt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with far_away(route) as (s, tunnel):
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        monkeypatch.setenv("NO_PROXY", exempt.format(port=s.waves.port))
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert HOST in str(error), "the host is unknown, but to the proxy"
        assert not tunnel.heads


@every_route
@pytest.mark.parametrize("server", [{}, {"tls": None}], ids=["https", "http"])
async def test_this_machine_is_never_reached_through_a_proxy(
    stage: MakeStage, route: str, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(ROUTES[route], **({"tls": tls()} | server), **FAST) as s, Tunnel(s.waves.port) as tunnel:
        monkeypatch.setenv("HTTP_PROXY", tunnel.url)
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        await assert_spoken(s)
        assert not tunnel.heads


@every_route
async def test_a_callers_session_decides_about_the_environment(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for trust_env in (False, True):
        async with (
            aiohttp.ClientSession(
                trust_env=trust_env, connector=aiohttp.TCPConnector(ssl=network.trusted_authorities())
            ) as session,
            far_away(route, http_session=session) as (s, tunnel),
        ):
            monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
            if trust_env:
                await assert_spoken(s)
            else:
                await error_of(s)
            assert bool(tunnel.heads) is trust_env


@every_route
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_an_error_that_names_the_setting(
    route: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_away(route) as (s, tunnel):
        tunnel.status = status
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url.replace("//", f"//me:{PASSWORD}@"))
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.opening
        assert f"the proxy answered HTTP {status[:3]}" in str(error)
        assert "HTTPS_PROXY" in str(error)
        assert len(tunnel.heads) == 2, "one more try"


@every_route
async def test_a_proxy_that_is_not_there_is_an_error_that_names_the_setting(
    route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_away(route) as (s, tunnel):
        url = tunnel.url.replace("//", f"//me:{PASSWORD}@")
        tunnel.close()
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.opening
        assert "HTTPS_PROXY" in str(error)


@every_route
@pytest.mark.parametrize("proxy", ["socks5://me:correct-horse@127.0.0.1:1", "http://", "http://h:x", "http://[::1"])
async def test_a_proxy_of_another_kind_is_an_error_that_names_the_setting(
    route: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with far_away(route) as (s, _):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert "HTTPS_PROXY must be an http:// URL" in str(error)


# Redirects


class Elsewhere:
    """A server that sends everybody to another, and that other one."""

    def __init__(self, status: int, to: str) -> None:
        self.status = status
        self.to = to
        self.seen: list[str] = []
        self.asked = 0

    async def redirect(self, request: web.Request) -> web.StreamResponse:
        self.asked += request.method != "HEAD"  # by which a reply over HTTP looks for the service
        return web.Response(status=self.status, headers={"Location": self.to or f"{self.there}/{KEY}"})

    async def see(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.headers} {await request.text()}")
        return web.Response(status=204)


@asynccontextmanager
async def elsewhere(status: int, to: str = "") -> AsyncIterator[Elsewhere]:
    pair = Elsewhere(status, to)
    async with _serve(pair.see) as pair.there, _serve(pair.redirect) as pair.here:
        yield pair


@asynccontextmanager
async def _serve(handler: Any) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@every_route
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_leads_nowhere(stage: MakeStage, route: str, status: int) -> None:
    async with (
        elsewhere(status) as pair,
        stage(ROUTES[route] | {"base_url": pair.here, "api_key": KEY}) as s,
    ):
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.status == status
        assert f"HTTP {status}" in str(error)
        assert pair.there in str(error), "says where to look"
        assert "base_url" in str(error), "says what to check"
        assert not pair.seen
        assert pair.asked == 2, "one more try"


@every_route
@pytest.mark.parametrize("to", ["/here", "nonsense:", "http://[", f"http://{KEY}@{KEY}/", "http://h:99999999"])
async def test_a_redirect_to_nowhere_is_an_error(stage: MakeStage, route: str, to: str) -> None:
    async with elsewhere(307, to) as pair, stage(ROUTES[route] | {"base_url": pair.here, "api_key": KEY}) as s:
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.status == 307


@every_websocket
async def test_a_redirect_without_a_place_is_an_error(stage: MakeStage, route: str) -> None:
    async with stage(ROUTES[route] | {"api_key": KEY}, handshake=lambda connection: 307) as s:
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.status == 307


@every_websocket
async def test_a_callers_session_may_meet_a_redirect_without_a_place(stage: MakeStage, route: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        stage(ROUTES[route] | {"api_key": KEY, "http_session": session}, handshake=lambda connection: 307) as s,
    ):
        error = await error_of(s)
        assert type(error) is APIConnectionError
        assert error.status == 307


async def test_the_list_of_voices_is_not_fetched_from_elsewhere(stage: MakeStage) -> None:
    async with elsewhere(307) as pair, stage({"base_url": pair.here, "api_key": KEY}) as s:
        with pytest.raises(APIConnectionError, match="HTTP 307") as caught:
            await s.tts.voices()
        assert_has_no_key(caught.value)
        assert not pair.seen


@every_route
async def test_not_even_a_callers_session_takes_the_key_elsewhere(stage: MakeStage, route: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        elsewhere(307) as pair,
        stage(ROUTES[route] | {"base_url": pair.here, "api_key": KEY, "http_session": session}) as s,
    ):
        await error_of(s)
        assert not [seen for seen in pair.seen if KEY in seen or TEXT in seen]
