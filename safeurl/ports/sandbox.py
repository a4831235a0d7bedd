"""The sandbox: one disposable container per attempt.

An attempt prepares a sandbox, binds its gateway socket, executes its request, records the result,
and releases the sandbox. Only the release may come after the scan is final.
"""

from collections.abc import Callable
from typing import Protocol

from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SinkResult, StartKind
from safeurl.ports.egress import Egress, EgressEndpoint

#: Gets each part of stdout, and returns whether to continue; it is called from another thread.
Sink = Callable[[bytes], SinkResult]


class PreparedSandbox(Protocol):
    """A started sandbox that waits for its request; it is used once and then released."""

    @property
    def endpoint(self) -> EgressEndpoint | None:
        """Its gateway socket, not bound yet; None if it has a network. The caller closes it."""

    @property
    def start_kind(self) -> StartKind:
        """`cold` if it was started for this attempt, `warm` if it was started before."""

    async def execute(self, request: FetchRequest, *, deadline_s: float, sink: Sink) -> SandboxExit:
        """Send the request, and read stdout until the sink stops it or the container has ended.

        A container without a complete report after `deadline_s` seconds is killed, and so is one
        whose report the sink refuses. Docker's failures are returned in `SandboxExit.error`. If
        this call is cancelled, `release` ends the container.
        """

    async def release(self) -> None:
        """Kill and remove the container, in any state of the sandbox.

        This takes limited time and never raises an error. A second call does nothing. A
        cancellation does not interrupt it.
        """


class Sandbox(Protocol):
    """Prepares sandboxes, each for one run of the fetcher."""

    async def prepare(
        self,
        scan: str,
        attempt: int,
        *,
        egress: Egress | None,
        deadline_s: float,
        cold_only: bool = False,
    ) -> PreparedSandbox:
        """Return a started sandbox for this attempt, which needs it for `deadline_s` seconds.

        With `cold_only` it is started for this attempt, whatever was started before.
        `egress` makes its gateway socket; it is None if sandboxes have their own network. Raise
        SandboxUnavailableError or EgressUnavailableError. After an error or a cancellation, neither
        a container nor a socket is left.
        """

    def record_result(self, *, failed: bool) -> None:
        """Record whether the engine has failed or worked in a run."""

    async def ping(self) -> str:
        """Return the engine's version; raise `SandboxUnavailableError` if it does not answer."""

    async def check_image(self) -> None:
        """Raise `SandboxUnavailableError` if the engine does not have the fetcher's image."""

    async def close(self) -> None:
        """Close the connections; the reaper removes containers that still run."""
