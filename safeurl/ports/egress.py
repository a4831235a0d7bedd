"""The interface of the egress gateway for workers."""

from dataclasses import dataclass
from typing import Protocol

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import FetchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressEndpoint:
    """The gateway socket of one sandbox."""

    id: str
    #: The folder of the socket, which is mounted into the sandbox.
    directory: str


class Egress(Protocol):
    """The gateway that makes the connections of a sandbox."""

    async def create(self) -> EgressEndpoint:
        """Make a socket, which refuses every request until it is bound.

        Wait while the gateway restarts; raise EgressUnavailableError if that takes too long.
        """

    async def bind(
        self, endpoint: EgressEndpoint, request: FetchRequest, *, deadline_s: float
    ) -> None:
        """Assign the socket to the request's attempt, once, for `deadline_s` seconds.

        Raise EgressLostError if the gateway has restarted since it made the socket, and
        EgressUnavailableError if it does not answer.
        """

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return the evidence of its connections.

        Raise EgressLostError if the gateway has restarted meanwhile.
        """
