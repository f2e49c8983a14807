"""The service's address and key, the one HTTP session, and what aiohttp's failures mean."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

from ..errors import APIConnectionError, APITimeoutError, SmallestAIError
from ..log import Log
from ..protocol import error_mapping
from ..protocol.redaction import without_secret
from ..timing import Timing
from . import network

__all__ = ["DEFAULT_URL", "Session", "find_base_url", "find_key", "retry_after"]

DEFAULT_URL = "https://api.smallest.ai/waves/v1"

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one message. The largest real ones carry a second of audio, about 120 kB."""


KEPT = 60.0
"""Seconds for which an idle HTTP connection stays in the pool; a service that closes it sooner is noticed."""

REUSED_WITHIN = 10.0
"""Seconds after an answer within which there is surely a connection in the pool of a caller's session too, which
by default keeps one for 15 s."""


class Session:
    """Where the service is and how to speak to it. Holds the key; never shows it.

    Args:
        base_url: Base URL of the API, ``http`` or ``https``.
        api_key: The key, sent as a bearer token.
        timing: How long a handshake may take.
        callers_session: A session that the caller owns; it is used and never closed.
        log: That of the object.
        expire_content: Ask the service to delete the texts after seven days.

    Attributes:
        base_url: Without a slash at its end.
        log: As given.
        secret: The key.

    Raises:
        ValueError: The URL or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timing: Timing,
        callers_session: aiohttp.ClientSession | None = None,
        log: Log | None = None,
        *,
        expire_content: bool = False,
    ) -> None:
        self.base_url = _check_url(base_url)
        self.log = log or Log()
        self._timing = timing
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("api_key must be printable ASCII without white space (it is sent in a header)")
        self.secret = api_key
        self._callers_session = callers_session
        self._session: aiohttp.ClientSession | None = None
        self._answered_at = -math.inf
        self._expire_content = expire_content
        self._expiry: str | None = None
        host = urlsplit(self.base_url).hostname or ""
        if self.base_url.startswith("http:") and not network.is_loopback(host):
            self.log.warning("the API key and all text go to %s unencrypted: use https", self.base_url)

    def __repr__(self) -> str:
        return f"Session({self.base_url!r})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request and handshake carries."""
        expiry = {"x-expire-content": "true"} if self._expire_content else {}
        return {"Authorization": f"Bearer {self.secret}"} | expiry

    def client(self) -> aiohttp.ClientSession:
        """The caller's session, or one that is made at its first use and again after a close.

        Raises:
            APIConnectionError: The caller has closed its session.
        """
        if self._callers_session is not None:
            if self._callers_session.closed:
                raise APIConnectionError("http_session is closed. Keep it open for as long as the voice is used")
            return self._callers_session
        if self._session is None or self._session.closed:
            self._session = self._make_session()
        return self._session

    def _make_session(self) -> aiohttp.ClientSession:
        secure = self.base_url.startswith("https:")
        authorities = network.trusted_authorities() if secure else True
        connector = aiohttp.TCPConnector(ssl=authorities, keepalive_timeout=KEPT)
        return aiohttp.ClientSession(connector=connector, trace_configs=[_follows_no_redirect()])

    def proxy(self, url: str) -> str | None:
        """The proxy to connect through to a URL, as the environment says now.

        A session of the caller's has its own, unless its ``trust_env`` says so. (aiohttp itself then does nothing
        for ``wss``, and would put the passwords of a ``.netrc`` in the place of the key.)

        Raises:
            APIConnectionError: The environment names no usable one.
        """
        if self._callers_session is not None and not getattr(self._callers_session, "trust_env", False):
            return None
        try:
            return network.proxy_for(url)
        except ValueError as wrong:
            reason = str(wrong)
        raise APIConnectionError(f"{reason}. Correct it, or list the host in NO_PROXY", opening=True)

    @property
    def warm(self) -> bool:
        """Whether there is an open connection for the next POST, as far as is known."""
        window = KEPT if self._callers_session is None else REUSED_WITHIN
        return asyncio.get_running_loop().time() < self._answered_at + window

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """An answer has come over HTTP: its connection goes back to the pool."""
        self._answered_at = asyncio.get_running_loop().time()
        expiry = response.headers.get("x-content-expiry")
        if self._expire_content and expiry is not None and expiry != self._expiry:
            self._expiry = expiry
            level = logging.INFO if expiry == "applied" else logging.WARNING
            self.log.log(level, "expire_content=True: the service says %r", expiry[: error_mapping.ID_LIMIT])

    async def reach(self) -> SmallestAIError | None:
        """Have an open connection for the next POST. Any answer to a `HEAD` will do, and it costs nothing.

        Returns:
            Why the service is not there. What is wrong with a connection that was made is for the POST to find out.
        """
        try:
            async with self.client().head(
                self.base_url,
                proxy=self.proxy(self.base_url),
                timeout=aiohttp.ClientTimeout(sock_connect=self._timing.connect, sock_read=self._timing.pong),
                raise_for_status=False,
                allow_redirects=False,
            ) as response:
                await response.read()
        except aiohttp.ConnectionTimeoutError:
            return APITimeoutError(f"Connecting took longer than {self._timing.connect:g} s. Check the network")
        except (
            TimeoutError
        ):  # connected, but this gateway does not answer a `HEAD`: no reply is to wait for it again
            self._answered_at = asyncio.get_running_loop().time()
            return None
        except SmallestAIError as error:
            return error
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
            refused = self.translate(failure, "reach the service")
            return refused if refused.opening else None
        self.answered(response)
        return None

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket.

        Raises:
            SmallestAIError: It could not be opened; `APITimeoutError` after `Timing.connect`.
        """
        # What failed is raised here and not in a handler: aiohttp's exceptions carry the request's headers, and
        # with them the key, which must not hang on ours as its context, nor be in a frame of its traceback.
        outcome = await self._handshake("ws" + self.base_url.removeprefix("http") + path)
        if isinstance(outcome, SmallestAIError):
            raise outcome
        return outcome

    async def _handshake(self, url: str) -> aiohttp.ClientWebSocketResponse | SmallestAIError:
        try:
            async with asyncio.timeout(self._timing.connect):
                return await self.client().ws_connect(
                    url,
                    headers=self.headers,
                    proxy=self.proxy(url),
                    autoping=False,  # `Connection` must see the answers to its pings
                    timeout=aiohttp.ClientWSTimeout(ws_close=self._timing.close),
                    max_msg_size=MAX_FRAME,
                )
        except TimeoutError:
            return APITimeoutError(
                f"Opening the WebSocket took longer than {self._timing.connect:g} s. Check the network, or base_url"
            )
        except _RedirectError as redirect:
            return self.redirected(redirect.status, redirect.location)
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            if isinstance(failure, aiohttp.ClientResponseError) and _is_of_the_server(failure):
                return self._refused(failure)
            return self.translate(failure, "open the WebSocket")

    def _refused(self, failure: aiohttp.ClientResponseError) -> SmallestAIError:
        headers = failure.headers
        if 300 <= failure.status < 400:
            return self.redirected(failure.status, headers.get("Location") if headers else None)
        return error_mapping.json_error(
            failure.status,
            "the WebSocket handshake was refused",
            request_id=headers.get("X-Request-Id") if headers else None,
            retry_after=retry_after(headers.get("Retry-After") if headers else None),
            secret=self.secret,
        )

    def translate(self, failure: Exception, doing: str) -> APIConnectionError:
        """Our error for one of aiohttp's that is no answer, made of nothing but text without the key."""
        return APIConnectionError(
            f"Could not {doing} at {self.base_url}: {self._explain(failure)}",
            opening=isinstance(failure, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError),
        )

    def request_id(self, response: aiohttp.ClientResponse) -> str | None:
        """The server's id of a request, where it told one."""
        return self._id(response, "X-Request-Id")

    def session_id(self, response: aiohttp.ClientResponse) -> str | None:
        """The server's id of the session that a request was of, where it told one."""
        return self._id(response, "X-Session-Id")

    def _id(self, response: aiohttp.ClientResponse, header: str) -> str | None:
        # aiohttp makes surrogates of bytes that are no text: a log that is written as UTF-8 would fail on them.
        told = response.headers.get(header, "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return without_secret(told, self.secret)[: error_mapping.ID_LIMIT] or None

    def redirected(self, status: int, location: str | None, request_id: str | None = None) -> APIConnectionError:
        """The error for a redirect. It is not followed: the key goes where the user sends it, and nowhere else."""
        there = without_secret(network.origin(location or ""), self.secret) or "another address"
        return APIConnectionError(
            f"HTTP {status}: {self.base_url} redirects to {there}, where the key is not sent. Check base_url",
            status=status,
            request_id=request_id,
            opening=True,
        )

    def _explain(self, failure: Exception) -> str:
        """What went wrong, and what to do."""
        if isinstance(failure, aiohttp.ClientConnectorCertificateError):
            reason = getattr(failure.certificate_error, "verify_message", "") or self._reason(failure)
            return (
                f"its certificate is not trusted: {reason}. Check base_url; for an authority of your own, "
                f"name the file of its certificate in SSL_CERT_FILE"
            )
        if isinstance(failure, aiohttp.ClientHttpProxyError):
            return f"the proxy answered HTTP {failure.status}. Check HTTPS_PROXY and NO_PROXY"
        if isinstance(failure, aiohttp.ClientProxyConnectionError):
            return f"{self._reason(failure)}, which is the proxy. Check HTTPS_PROXY and NO_PROXY"
        return f"{self._reason(failure)}. Check the network, or base_url"

    def _reason(self, failure: Exception) -> str:
        said = without_secret(str(failure), self.secret).replace(" ssl:default", "")  # said without TLS too
        return said[: error_mapping.SERVER_TEXT_LIMIT] or type(failure).__name__

    def forget(self) -> None:
        """Forget the session that was made here, unclosed: its event loop is gone, so it cannot be closed."""
        if self._session is not None:
            self._session.detach()
            self._session = None
        self._answered_at = -math.inf

    async def aclose(self) -> None:
        """Close the session that was made here. It is made anew when it is needed again."""
        session, self._session = self._session, None
        self._answered_at = -math.inf
        if session is not None:
            await session.close()


def _is_of_the_server(failure: aiohttp.ClientResponseError) -> bool:
    """Whether the status is an answer to a handshake: not a proxy's, nor aiohttp's own for what is no HTTP.

    It is not always a `WSServerHandshakeError`: a session of the caller's may raise for a status by itself.
    """
    made_up = isinstance(failure.__cause__, aiohttp.http.HttpProcessingError)
    return not made_up and not isinstance(failure, aiohttp.ClientHttpProxyError)


class _RedirectError(Exception):
    """The server wants the handshake to be made elsewhere."""

    def __init__(self, status: int, location: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.location = location


def _follows_no_redirect() -> aiohttp.TraceConfig:
    """Makes a handshake's redirect an error: `ws_connect` has no argument for that."""

    async def refuse(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        params.response.close()
        raise _RedirectError(params.response.status, params.response.headers.get("Location"))

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def find_key(api_key: str | None) -> str:
    """The key that was given, else the environment's.

    Raises:
        ValueError: There is none.
    """
    key = api_key or os.environ.get("SMALLEST_API_KEY")
    if key and not isinstance(key, str):
        raise ValueError(f"api_key must be a str; got {type(key).__name__}")
    if not key or not key.strip():
        raise ValueError(
            "SmallestAI API key required: pass api_key=..., or set the environment variable SMALLEST_API_KEY"
        )
    return key.strip()


def find_base_url() -> str:
    """The base URL where none is given: the environment's ``SMALLEST_BASE_URL``, else the public service's."""
    return os.environ.get("SMALLEST_BASE_URL", "").strip() or DEFAULT_URL


def retry_after(header: str | None) -> float | None:
    """The seconds of a ``Retry-After`` header; ``None`` for a date, which no voice can wait for, or nonsense."""
    try:
        value = float(header or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _check_url(base_url: str) -> str:
    url = base_url.strip().rstrip("/") if isinstance(base_url, str) else ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    # A password would show in messages and take the place of the key; a path cannot be put behind a query.
    if not good or re.search(r"[\s@?#]", url):
        raise ValueError(
            f"base_url must be an http:// or https:// URL with a host, and without user, query or fragment; "
            f"got {base_url!r}"
        )
    return parts.scheme + url[len(parts.scheme) :]
