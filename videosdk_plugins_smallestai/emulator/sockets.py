"""Ways to drop a TCP connection."""

from __future__ import annotations

import asyncio
import socket
import struct


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Drop a connection with a TCP reset. What has not been sent yet is lost."""
    if not isinstance(transport, asyncio.Transport):
        return
    try:
        raw = transport.get_extra_info("socket")
    except AttributeError:  # CPython 3.12's TLS transport, once its connection has ended
        return
    if raw is not None and raw.fileno() >= 0:
        # Lingering for zero seconds turns the close into a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
