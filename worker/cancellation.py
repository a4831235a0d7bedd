"""Completes work that must not be left incomplete when its caller is cancelled."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

Answer = TypeVar("Answer")


async def await_uncancelled(work: Awaitable[Answer]) -> Answer:
    """Return the result of the work, however often the caller is cancelled meanwhile.

    Only for work that ends soon by itself. The cancellations are lost: a caller that must end
    afterwards sees to it.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    return task.result()
