"""Implements the port `Egress` with the gateway: one endpoint per attempt."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import FetchRequest
from safeurl.ports.egress import EgressEndpoint
from worker.egress.client.client import EgressClient
from worker.egress.protocol import EgressPolicy

#: The sweep leaves younger sockets alone: the database may not show their attempt as running yet,
#: or the attempt has just ended and its worker is about to close the socket.
MIN_AGE_S: Final = 15.0

#: Asks the database whether a scan's attempt has ended.
IsOver = Callable[[str, int], Awaitable[bool]]


class GatewayEgress:
    """Makes, binds and closes sockets of one gateway; keeps no state between calls."""

    def __init__(
        self,
        client: EgressClient,
        policy: EgressPolicy,
        *,
        instance: str = "",
        open_timeout_s: float = 10.0,
    ) -> None:
        """Take the policy of every attempt, and how long a new socket waits for the gateway."""
        self._client = client
        self._policy = policy
        self._instance = instance
        self._open_timeout_s = open_timeout_s

    async def create(self) -> EgressEndpoint:
        """Make a socket; waits while the gateway restarts, so that no attempt fails by it."""
        return await self._retrying()(self._client.create)

    async def bind(
        self, endpoint: EgressEndpoint, request: FetchRequest, *, deadline_s: float
    ) -> None:
        """Bind the socket to the request's attempt."""
        await self._client.bind(
            endpoint.id,
            scan=request.scan,
            attempt=request.attempt,
            deadline_s=deadline_s,
            policy=self._policy,
            instance=self._instance,
        )

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Make a socket and bind it; waits while the gateway restarts."""
        return await self._retrying()(self._open, request, deadline_s)

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(EgressUnavailableError),
            wait=wait_fixed(0.25),
            stop=stop_after_delay(self._open_timeout_s),
            reraise=True,
        )

    async def _open(self, request: FetchRequest, deadline_s: float) -> EgressEndpoint:
        endpoint = await self._client.create()
        await self.bind(endpoint, request, deadline_s=deadline_s)
        return endpoint

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return its evidence; raise EgressLostError if it expired."""
        evidence = await self._client.close(endpoint.id)
        if evidence.expired:
            raise EgressLostError("The gateway closed the sandbox's socket by itself.")
        return evidence

    async def sweep(self, is_over: IsOver, *, min_age_s: float = MIN_AGE_S) -> list[str]:
        """Close the instance's sockets whose attempt has ended; return their ids."""
        bound = await self._client.bound_to(self._instance)
        old = [each for each in bound if each.age_s >= min_age_s]
        over = [each.id for each in old if await is_over(each.scan, each.attempt)]
        for socket_id in over:
            # Its worker may have closed it meanwhile, or it expired.
            with suppress(EgressLostError):
                await self._client.close(socket_id)
        return over
