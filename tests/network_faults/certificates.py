"""A certificate authority of the tests' own."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import pytest
import trustme

HOST = "voice.test"
"""A name that only a proxy can resolve."""


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def tls(*names: str) -> ssl.SSLContext:
    """What a server needs to speak TLS under these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("127.0.0.1", HOST))).configure_cert(context)
    return context


def trust(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have the environment say that the authority is trusted."""
    file = folder / "authority.pem"
    authority().cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
