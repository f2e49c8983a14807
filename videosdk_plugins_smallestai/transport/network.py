"""Reads the environment's network settings: proxies, and the certificate authorities that are trusted."""

from __future__ import annotations

import functools
import ipaddress
import os
import ssl
import urllib.request
from urllib.parse import urlsplit

__all__ = ["is_loopback", "origin", "proxy_for", "trusted_authorities"]


def proxy_for(url: str) -> str | None:
    """The proxy through which the environment has a host reached: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``.

    A loopback host is never reached through a proxy. Nor is a plain ``ws``: it needs a tunnel, and aiohttp makes
    one for TLS only.

    Args:
        url: ``http``, ``https``, ``ws`` or ``wss``.

    Returns:
        An ``http`` or ``https`` URL, possibly with a password; ``None`` for the direct way.

    Raises:
        ValueError: The environment names something else. The message does not repeat it: it may hold a password.
    """
    parts = urlsplit(url)
    scheme = "https" if parts.scheme == "wss" else parts.scheme
    proxy = urllib.request.getproxies_environment().get(scheme) if scheme != "ws" else None
    if proxy is None or is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_proxy(proxy):
        raise ValueError(f"The environment's {scheme.upper()}_PROXY must be an http:// URL of a proxy")
    return proxy


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host does not leave this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".").split(".")[-1] == "localhost"


def origin(url: str) -> str:
    """The scheme, host and port of a URL, and nothing that could be a secret; empty where there is no host."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}" if parts.scheme and host else ""


def trusted_authorities() -> ssl.SSLContext:
    """The certificate authorities that this machine trusts, or else ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    aiohttp's own context is made when it is imported: what a program loads into its environment later, from a
    ``.env`` file, would come too late for it.
    """
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _context(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Reading some hundred certificates takes 20 ms: once for each environment, not for each session."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context
