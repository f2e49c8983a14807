"""A source is read to its end, whoever stops reading; what came is given in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from videosdk_plugins_smallestai.text.read_ahead import ReadAhead


class Source:
    """Yields numbers through a queue of two, as the framework does through one of 50."""

    def __init__(self, count: int, error: BaseException | None = None) -> None:
        self._queue: asyncio.Queue[int | None] = asyncio.Queue(maxsize=2)
        self._count = count
        self._error = error
        self.producer = asyncio.ensure_future(self._produce())

    async def _produce(self) -> None:
        for number in range(self._count):
            await self._queue.put(number)
        await self._queue.put(None)

    async def __aiter__(self) -> AsyncIterator[int]:
        while (number := await self._queue.get()) is not None:
            yield number
        if self._error is not None:
            raise self._error


async def test_all_of_it_comes_in_order() -> None:
    assert [number async for number in ReadAhead(aiter(Source(20)))] == list(range(20))


async def test_the_source_is_read_to_its_end_before_anybody_reads() -> None:
    source = Source(20)
    ahead = ReadAhead(aiter(source))
    async with asyncio.timeout(5):
        await source.producer
    assert [number async for number in ahead] == list(range(20))


async def test_the_source_is_read_to_its_end_when_its_reader_has_stopped() -> None:
    source = Source(20)
    ahead = ReadAhead(aiter(source))
    assert await anext(ahead) == 0
    await ahead.aclose()
    assert [number async for number in ahead] == []
    async with asyncio.timeout(5):
        await source.producer


async def test_on_demand_nothing_is_read_before_it_is_asked_for_and_all_of_it_when_the_reader_has_stopped() -> None:
    taken: list[int] = []
    ended = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        for number in range(5):
            taken.append(number)
            yield number
        ended.set()

    ahead = ReadAhead(source(), at_once=False)
    for _ in range(10):
        await asyncio.sleep(0)
    assert taken == []
    assert [await anext(ahead), await anext(ahead)] == [0, 1]
    for _ in range(10):
        await asyncio.sleep(0)
    assert taken == [0, 1]
    await ahead.aclose()
    async with asyncio.timeout(5):
        await ended.wait()
    assert taken == [0, 1, 2, 3, 4]


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    began = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        await began.wait()
        for number in range(3):
            yield number

    ahead = ReadAhead(source())
    reading = asyncio.ensure_future(anext(ahead))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()
    began.set()
    assert [number async for number in ahead] == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("the model's own"), asyncio.CancelledError()])
async def test_the_source_s_error_is_raised_after_what_came_before_it(error: BaseException) -> None:
    ahead = ReadAhead(aiter(Source(2, error)))
    assert [await anext(ahead), await anext(ahead)] == [0, 1]
    with pytest.raises(type(error)):
        await anext(ahead)
    with pytest.raises(StopAsyncIteration):
        await anext(ahead)


async def test_it_can_be_told_to_leave_the_source() -> None:
    source = Source(20)
    ahead = ReadAhead(aiter(source))
    ahead.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(ahead)
    source.producer.cancel()
