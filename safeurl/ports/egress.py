"""The egress gateway, as a worker uses it."""

from dataclasses import dataclass
from typing import Protocol

from safeurl.model.report import EgressEvidence, FetchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressEndpoint:
    """A sandbox's own door to the gateway."""

    id: str
    #: Folder that holds the socket; the sandbox gets it mounted.
    directory: str


class Egress(Protocol):
    """The gateway that makes a sandbox's connections."""

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Make a socket and bind it to the attempt; raise EgressUnavailableError."""

    async def close(self, room: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return what went through it.

        Raises EgressLostError when the gateway was started anew meanwhile.
        """
