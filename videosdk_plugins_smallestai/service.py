"""The service's address and key, the one HTTP session, and what aiohttp's failures mean."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import aiohttp

from . import protocol
from .errors import APIConnectionError, APITimeoutError, SmallestAIError

__all__ = ["Service"]

CONNECT_TIMEOUT = 5.0
"""Seconds that opening a connection may take: a listener hears silence meanwhile, and a backup may be waiting."""

CLOSE_TIMEOUT = 1.0
"""Seconds to wait for the server's side of the closing handshake before the socket is dropped."""

HEARTBEAT = 30.0
"""Seconds between WebSocket pings: finds out that the peer is gone, and keeps middleboxes from forgetting us."""

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of one message. The largest real ones carry a second of audio, about 120 kB."""


class Service:
    """Where the service is and how to speak to it. Holds the key; never shows it.

    Args:
        base_url: Base URL of the API, ``http`` or ``https``.
        api_key: The key, sent as a bearer token.
        session: A session that the caller owns; it is used and never closed.

    Raises:
        ValueError: The URL or the key cannot be used.
    """

    def __init__(self, base_url: str, api_key: str, session: aiohttp.ClientSession | None = None) -> None:
        self.base_url = _check_url(base_url)
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("api_key must be printable ASCII without white space (it is sent in a header)")
        self.secret = api_key
        self._callers_session = session
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Service({self.base_url!r})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request and handshake carries."""
        return {"Authorization": f"Bearer {self.secret}"}

    def session(self) -> aiohttp.ClientSession:
        """The session, made at its first use and again after a close."""
        if self._callers_session is not None:
            return self._callers_session
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession()
        return self._session

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket.

        Raises:
            SmallestAIError: It could not be opened; `APITimeoutError` after `CONNECT_TIMEOUT`.
        """
        url = "ws" + self.base_url.removeprefix("http") + path
        # The error is raised outside the handler: aiohttp's exceptions carry the request's headers, and with them
        # the key, which must not hang on ours as its context.
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self.session().ws_connect(
                    url,
                    headers=self.headers,
                    heartbeat=HEARTBEAT,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                    max_msg_size=MAX_FRAME,
                )
        except TimeoutError:
            error: SmallestAIError = APITimeoutError(
                f"Opening the WebSocket took longer than {CONNECT_TIMEOUT:g} s. Check the network, or base_url"
            )
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = self.translate(failure, "open the WebSocket")
        raise error

    def translate(self, failure: Exception, doing: str) -> SmallestAIError:
        """Our error for one of aiohttp's, made of nothing but text without the key."""
        if isinstance(failure, aiohttp.WSServerHandshakeError):
            headers = failure.headers
            return protocol.error_from(
                failure.status,
                "",
                "the WebSocket handshake was refused",
                request_id=headers.get("X-Request-Id") if headers else None,
                retry_after=seconds(headers.get("Retry-After") if headers else None),
                secret=self.secret,
            )
        reason = str(failure).replace(self.secret, "***")[: protocol.SERVER_TEXT_LIMIT] or type(failure).__name__
        if isinstance(failure, TimeoutError):
            return APITimeoutError(f"Took too long to {doing}: {reason}")
        return APIConnectionError(
            f"Could not {doing} at {self.base_url}: {reason}. Check the network, or base_url",
            opening=isinstance(failure, aiohttp.ClientConnectorError),
        )

    async def aclose(self) -> None:
        """Close the session that was made here. It is made anew when it is needed again."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def seconds(header: str | None) -> float | None:
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
