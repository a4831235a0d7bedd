"""The port `Egress` on the gateway: opens a door per attempt with the operator's policy."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.report import EgressEvidence, FetchRequest
from safeurl.ports.egress import EgressEndpoint
from worker.egress.client.client import EgressClient
from worker.egress.protocol import EgressPolicy

#: How long after it was bound a socket's attempt may be not yet, or no longer, on record while its
#: own worker still deals with it.
YOUTH_S: Final = 15.0

#: Tells whether a scan's attempt is over, from the database.
IsOver = Callable[[str, int], Awaitable[bool]]


class GatewayEgress:
    """Makes, binds and closes sockets of one gateway; holds nothing between calls."""

    def __init__(
        self,
        client: EgressClient,
        policy: EgressPolicy,
        *,
        instance: str = "",
        patience_s: float = 10.0,
    ) -> None:
        """Take the policy that every attempt is bound to, and how long to wait for the gateway."""
        self._client = client
        self._policy = policy
        self._instance = instance
        self._patience_s = patience_s

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
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

    async def _open(self, request: FetchRequest, deadline_s: float) -> EgressEndpoint:
        made = await self._client.create()
        await self._client.bind(
            made.id,
            scan=request.scan,
            attempt=request.attempt,
            deadline_s=deadline_s,
            policy=self._policy,
            instance=self._instance,
        )
        return made

    async def close(self, room: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return its record; one that expired has none to trust."""
        evidence = await self._client.close(room.id)
        if evidence.expired:
            raise EgressLostError("The gateway closed the sandbox's socket by itself.")
        return evidence

    async def sweep(self, is_over: IsOver, *, youth_s: float = YOUTH_S) -> list[str]:
        """Close the instance's sockets whose attempt is over; return their ids."""
        bound = await self._client.bound_to(self._instance)
        old = [each for each in bound if each.age_s >= youth_s]
        over = [each.id for each in old if await is_over(each.scan, each.attempt)]
        for socket_id in over:
            # Its own worker, or its deadline, may have closed it just now.
            with suppress(EgressLostError):
                await self._client.close(socket_id)
        return over
