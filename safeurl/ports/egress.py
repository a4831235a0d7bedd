"""The egress gateway, as a worker uses it."""

from dataclasses import dataclass
from typing import Protocol

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import FetchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressEndpoint:
    """The gateway socket of one sandbox."""

    id: str
    #: The folder that holds the socket; it is mounted into the sandbox.
    directory: str


class Egress(Protocol):
    """The gateway that makes the connections of a sandbox."""

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Make a socket and bind it to the attempt; raise EgressUnavailableError."""

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return the evidence of its connections.

        Raises EgressLostError if the gateway has restarted meanwhile.
        """
