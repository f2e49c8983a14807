"""Ctrl-C, from the first import on: these programs import for seconds, and a traceback would be the answer.

While a program works, Ctrl-C is an exception as usual, so that everything is closed. Before and after that there is
nothing to close, and the process ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STOPPED_BY_CTRL_C = 130
"""The exit code that a shell expects: 128 and the number of SIGINT."""

_HERE = os.path.dirname(os.path.abspath(__file__))


def _leave(*_: Any) -> None:
    os.write(2, b"Stopped.\n")
    os._exit(STOPPED_BY_CTRL_C)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it Ctrl-C raises KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        sys.stdout.flush()  # `_leave` would not
        signal.signal(signal.SIGINT, _leave)


# Not where somebody else's program imports an example, such as a test; and one that ignores Ctrl-C shall go on to.
if os.path.abspath(sys.argv[0]).startswith(_HERE) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
