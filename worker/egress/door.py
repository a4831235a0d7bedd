"""The port `Egress` on the gateway: opens a door per attempt with the operator's policy."""

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.ports import EgressRoom
from safeurl.report import EgressEvidence, FetchRequest
from worker.egress.client import EgressClient
from worker.egress.protocol import EgressPolicy


class GatewayEgress:
    """Makes, binds and closes sockets of one gateway; holds nothing between calls."""

    def __init__(
        self, client: EgressClient, policy: EgressPolicy, *, patience_s: float = 10.0
    ) -> None:
        """Take the policy that every attempt is bound to, and how long to wait for the gateway."""
        self._client = client
        self._policy = policy
        self._patience_s = patience_s

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressRoom:
        """Make a socket and bind it to the request's attempt.

        A gateway that is being started again is waited for: no attempt is spent on that.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(EgressUnavailableError),
            wait=wait_fixed(0.25),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        )
        return await retrying(self._open, request, deadline_s)

    async def _open(self, request: FetchRequest, deadline_s: float) -> EgressRoom:
        made = await self._client.create()
        await self._client.bind(
            made.id,
            scan=request.scan,
            attempt=request.attempt,
            deadline_s=deadline_s,
            policy=self._policy,
        )
        return EgressRoom(id=made.id, directory=made.directory)

    async def close(self, room: EgressRoom) -> EgressEvidence:
        """Remove the socket and return its record; one that expired has none to trust."""
        evidence = await self._client.close(room.id)
        if evidence.expired:
            raise EgressLostError("The gateway closed the sandbox's socket by itself.")
        return evidence
