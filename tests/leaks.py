"""Whether something that a caller sees holds the key."""

from __future__ import annotations

from collections.abc import Iterator

KEY = "sk_1234567890abcdef"


def chain(error: BaseException) -> Iterator[BaseException]:
    """An exception, its causes and contexts, and what they group."""
    found = [error]
    for each in found:
        yield each
        inner = [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
        found += [other for other in inner if other is not None and other not in found]


def assert_has_no_key(error: BaseException) -> None:
    """Look at an exception and all that hangs on it as a crash report would."""
    for each in chain(error):
        for shown in (str(each), repr(each), repr(vars(each)), repr(each.args), *getattr(each, "__notes__", ())):
            assert KEY not in shown
        for value in vars(each).values():
            assert KEY not in repr(getattr(value, "__dict__", ""))
