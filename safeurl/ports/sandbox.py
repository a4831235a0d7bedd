"""The sandbox: one disposable container per attempt.

An attempt prepares a sandbox, binds its gateway socket, executes its request, records what came of
it, and releases the sandbox. Only the release may follow after the scan is final.
"""

from collections.abc import Callable
from typing import Protocol

from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SinkResult, StartKind
from safeurl.ports.egress import Egress, EgressEndpoint

#: Takes stdout as it comes, and returns what it wants next; it is called from another thread.
Sink = Callable[[bytes], SinkResult]


class PreparedSandbox(Protocol):
    """A started sandbox that waits for its request; it is used once and then released."""

    @property
    def endpoint(self) -> EgressEndpoint | None:
        """Its gateway socket, not bound yet; None where it has a network. The caller closes it."""

    @property
    def start_kind(self) -> StartKind:
        """Whether it was started for this attempt or before."""

    async def execute(self, request: FetchRequest, *, deadline_s: float, sink: Sink) -> SandboxExit:
        """Send the request, and read stdout until the sink has enough or the container has ended.

        A container that gives no complete report in `deadline_s` seconds, or is refused, is killed.
        Docker's failures come back in `SandboxExit.error`. A call that is cancelled leaves the
        container to `release`.
        """

    async def release(self) -> None:
        """Kill what still runs, and remove the container; for a sandbox in any state.

        It takes limited time, does nothing the second time and never raises; a cancellation does
        not interrupt it.
        """


class Sandbox(Protocol):
    """Prepares sandboxes, each for one run of the fetcher."""

    async def prepare(
        self, scan: str, attempt: int, *, egress: Egress | None, deadline_s: float
    ) -> PreparedSandbox:
        """Return a started sandbox for this attempt, which needs it for `deadline_s` seconds.

        `egress` makes its gateway socket; it is None where sandboxes have a network of their own.
        Raises SandboxUnavailableError or EgressUnavailableError. When it raises or is cancelled,
        neither a container nor a socket is left.
        """

    def record_result(self, *, failed: bool) -> None:
        """Record what a run shows of the engine: that it failed, or that it works."""

    async def ping(self) -> str:
        """Return the engine's version, else raise `SandboxUnavailableError`."""

    async def check_image(self) -> None:
        """Raise `SandboxUnavailableError` if the engine does not have the fetcher's image."""

    async def close(self) -> None:
        """Release connections; running containers stay the reaper's."""
