"""Threads that call the engine, each with a connection that it keeps open."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from safeurl.errors import SandboxUnavailableError
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient, NameTakenError

T = TypeVar("T")

#: Errors after which the connection is still good: the engine has answered.
_ANSWERED = (ContainerGoneError, NameTakenError)


class EngineThreads:
    """A fixed number of threads; a call waits while all of them are busy.

    The SDK's clients are not thread-safe. So each thread has one of its own, and opens another one
    after a call that failed.
    """

    def __init__(self, engine: Engine, count: int, name: str) -> None:
        """Take how many threads there are; none runs yet."""
        self._engine = engine
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._local = threading.local()
        #: What closes the connections of the threads.
        self._opened: list[ExitStack] = []

    async def run(self, work: Callable[[EngineClient], T]) -> T:
        """Call `work` in a thread; a call that has begun is never interrupted."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, work)

    def close(self) -> None:
        """Wait for the calls that run, and end the threads and their connections."""
        self._pool.shutdown()
        for stack in self._opened:
            stack.close()

    def _call(self, work: Callable[[EngineClient], T]) -> T:
        try:
            return work(self._client())
        except _ANSWERED:
            raise
        except SandboxUnavailableError:
            self._drop()
            raise

    def _client(self) -> EngineClient:
        client: EngineClient | None = getattr(self._local, "client", None)
        if client is None:
            stack = ExitStack()
            client = stack.enter_context(self._engine.client())
            self._local.client, self._local.stack = client, stack
            self._opened.append(stack)
        return client

    def _drop(self) -> None:
        stack: ExitStack | None = getattr(self._local, "stack", None)
        self._local.client = self._local.stack = None
        if stack is not None:
            self._opened.remove(stack)
            stack.close()
