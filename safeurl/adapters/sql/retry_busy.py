"""Repeats a call after a temporary failure: a lock, a lost connection or a lost response."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from safeurl.errors import StoreBusyError

Returned = TypeVar("Returned")


async def retry_busy(retry_for_s: float, call: Callable[[], Awaitable[Returned]]) -> Returned:
    """Repeat the call until it succeeds or the time is over; then raise the last error."""
    began_s = time.monotonic()
    # The first call almost always succeeds. tenacity would add a thirtieth to the time of a write.
    try:
        return await call()
    except StoreBusyError as error:
        refusals = [error]
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreBusyError),
        wait=wait_exponential_jitter(multiplier=0.05, max=2.0, jitter=0.05),
        stop=stop_after_delay(retry_for_s - (time.monotonic() - began_s)),
        reraise=True,
    )

    # tenacity awaits only functions made with `async def`. Its first attempt is the call above.
    async def once() -> Returned:
        if refusals:
            raise refusals.pop()
        return await call()

    return await retrying(once)
