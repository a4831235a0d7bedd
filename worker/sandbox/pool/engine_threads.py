"""Threads that call the engine with connections that are kept open."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from worker.sandbox.engine import Engine, EngineClient

T = TypeVar("T")


class EngineThreads:
    """A fixed number of threads; a call waits while all of them are busy.

    For each call a thread borrows a client. The engine keeps it for the next call, and closes one
    that has failed.
    """

    def __init__(self, engine: Engine, count: int, name: str) -> None:
        """Take how many threads there are; none runs yet."""
        self._engine = engine
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[[EngineClient], T]) -> T:
        """Call `work` in a thread; a call that has begun is never interrupted."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, work)

    def close(self) -> None:
        """Wait for the calls that run, and end the threads and their connections."""
        self._pool.shutdown()
        self._engine.close()

    def _call(self, work: Callable[[EngineClient], T]) -> T:
        with self._engine.client() as client:
            return work(client)
