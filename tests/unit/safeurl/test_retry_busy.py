"""Repeated calls of a database: their number and their final error."""

import asyncio

import pytest

from safeurl.adapters.sql.retry_busy import retry_busy
from safeurl.errors import StoreBusyError, StoreFullError


class _Database:
    """Refuses so many times, and answers then with the number of the call."""

    def __init__(self, refusals: list[Exception]) -> None:
        """Store the errors to raise, in their order."""
        self.refusals = refusals
        self.calls = 0

    async def ask(self) -> int:
        """Answer or refuse."""
        self.calls += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return self.calls


@pytest.mark.parametrize("refusals", [0, 1, 2])
async def test_what_passes_is_asked_again_until_it_answers(refusals: int) -> None:
    """Each attempt is one call, the first one too."""
    database = _Database([StoreBusyError(str(number)) for number in range(refusals)])
    assert await retry_busy(60, database.ask) == refusals + 1


async def test_what_does_not_pass_is_asked_once() -> None:
    """A full disk is as full the next time."""
    database = _Database([StoreFullError("full")])
    with pytest.raises(StoreFullError):
        await retry_busy(60, database.ask)
    assert database.calls == 1


async def test_what_does_not_pass_ends_the_asking_later_too() -> None:
    """After temporary errors, another error is raised unchanged."""
    database = _Database([StoreBusyError("locked"), StoreFullError("full")])
    with pytest.raises(StoreFullError):
        await retry_busy(60, database.ask)
    assert database.calls == len(["locked", "full"])


async def test_without_time_the_first_error_is_raised() -> None:
    """With no time for retries there is one attempt."""
    database = _Database([StoreBusyError("first"), StoreBusyError("second")])
    with pytest.raises(StoreBusyError, match="first"):
        await retry_busy(0, database.ask)
    assert database.calls == 1


async def test_the_time_counts_from_the_first_attempt() -> None:
    """If one attempt uses the whole time, for example for a lock, it is the only one."""
    retry_for_s = 0.01
    database = _Database([StoreBusyError("first"), StoreBusyError("second")])

    async def slow() -> int:
        await asyncio.sleep(2 * retry_for_s)
        return await database.ask()

    with pytest.raises(StoreBusyError, match="first"):
        await retry_busy(retry_for_s, slow)
    assert database.calls == 1


async def test_the_last_error_is_raised_when_the_time_is_over() -> None:
    """The last error describes the present situation."""
    database = _Database([StoreBusyError(str(number)) for number in range(1000)])
    with pytest.raises(StoreBusyError) as caught:
        await retry_busy(0.2, database.ask)
    assert database.calls > 1
    assert str(caught.value) == str(database.calls - 1)
