"""The sentence for each outcome."""

from collections.abc import Mapping
from types import MappingProxyType

from safeurl.state import Outcome

#: The meaning of each outcome, in one sentence for the person who submitted the URL.
OUTCOME_MESSAGES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: "The page was opened and read.",
        Outcome.DNS_NXDOMAIN: "The host name does not exist.",
        Outcome.DNS_FAILED: "The host name could not be resolved.",
        Outcome.ADDRESS_REFUSED: "The URL leads to an address that SafeURL does not connect to.",
        Outcome.CONNECT_REFUSED: "The server did not accept the connection.",
        Outcome.CONNECT_TIMEOUT: "The server did not answer in time.",
        Outcome.TLS_INVALID: "No TLS connection could be made with the server.",
        Outcome.HTTP_ERROR: "The server's answer was not valid HTTP.",
        Outcome.TOO_MANY_REDIRECTS: "The URL redirects too many times.",
        Outcome.BODY_TOO_LARGE: "The page is larger than the limit; what was read of it is kept.",
        Outcome.FETCH_TIMEOUT: "The page took longer to load than the fetch deadline.",
        Outcome.WALL_TIMEOUT: "The sandbox reached its deadline and was ended.",
        Outcome.OUT_OF_MEMORY: "The page used up the sandbox's memory.",
        Outcome.SANDBOX_CRASHED: "The sandbox ended without a report.",
        Outcome.REPORT_MALFORMED: "The sandbox wrote something that is not a report.",
        Outcome.REPORT_TOO_LARGE: "The sandbox wrote more than a report may hold.",
        Outcome.CANCELLED: "The scan was cancelled.",
        Outcome.SANDBOX_UNAVAILABLE: "No sandbox could be started.",
        Outcome.LEASE_LOST: "The worker that ran the scan was lost.",
    }
)
