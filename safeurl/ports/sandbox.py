"""The sandbox: one disposable container per attempt."""

from collections.abc import Callable
from typing import Protocol

from safeurl.model.sandbox import SandboxExit, SandboxOrder

#: Takes stdout as it comes; returning False ends the sandbox at once.
Sink = Callable[[bytes], bool]


class Sandbox(Protocol):
    """Runs one fetcher in a disposable container."""

    async def run(self, order: SandboxOrder, sink: Sink) -> SandboxExit:
        """Run to the end and remove the container; `sink` is called from another thread.

        Docker's failures come back in `SandboxExit.error`. When the call is cancelled the
        container is killed and removed before it returns.
        """

    def record_result(self, *, failed: bool) -> None:
        """Record what a run shows of the engine: that it failed, or that it works."""

    async def ping(self) -> str:
        """Return the engine's version, else raise `SandboxUnavailableError`."""

    async def check_image(self) -> None:
        """Raise `SandboxUnavailableError` if the engine does not have the fetcher's image."""

    async def close(self) -> None:
        """Release connections; running containers stay the reaper's."""
