"""Repeating what may pass by itself: locked, disconnected, answer lost; nothing else."""

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

Answer = TypeVar("Answer")


async def retry_busy(patience_s: float, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer or patience ends; then the last `StoreBusyError` goes on."""
    began_s = time.monotonic()
    # Nearly always there is an answer, and counting attempts takes a thirtieth of a write.
    try:
        return await ask()
    except StoreBusyError as error:
        refusals = [error]
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreBusyError),
        wait=wait_exponential_jitter(multiplier=0.05, max=2.0, jitter=0.05),
        stop=stop_after_delay(patience_s - (time.monotonic() - began_s)),
        reraise=True,
    )

    # A function of its own, because tenacity awaits only what was made with `async def`. Its first
    # attempt is the one made above.
    async def once() -> Answer:
        if refusals:
            raise refusals.pop()
        return await ask()

    return await retrying(once)
