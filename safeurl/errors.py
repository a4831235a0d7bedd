"""The errors a caller can act on; how a fetch ended is a value, never one of these."""

from typing import ClassVar


class SafeURLError(Exception):
    """Any failure that SafeURL names; `code` is stable, the message one sentence for a person."""

    code: ClassVar[str] = "error"


class RequestError(SafeURLError):
    """What was asked for is wrong and asking again will not help (HTTP 4xx, exit 2)."""

    code = "bad_request"


class UrlRefusedError(RequestError):
    """The URL can never be scanned; `reason` is a stable word such as `scheme` or `loopback`."""

    code = "url_refused"

    def __init__(self, reason: str, message: str) -> None:
        """Keep the machine-readable reason beside the sentence."""
        super().__init__(message)
        self.reason = reason


class ScanNotFoundError(RequestError):
    """No scan has this id."""

    code = "scan_not_found"

    def __init__(self, scan_id: str) -> None:
        """Name the id that was asked for."""
        super().__init__(f"No scan has the id {scan_id!r}. `safeurl list` shows the newest ones.")


class ScanFinishedError(RequestError):
    """What was asked for needs a scan that has not ended, and this one has."""

    code = "scan_finished"

    def __init__(self, scan_id: str, state: str) -> None:
        """Name the scan and the end that it reached."""
        super().__init__(f"The scan {scan_id} has ended already: it is {state}.")


class UnavailableError(SafeURLError):
    """A part that SafeURL needs does not answer now; trying later may help (HTTP 503, exit 75)."""

    code = "unavailable"


class StoreUnavailableError(UnavailableError):
    """The database does not answer, or cannot do what it is asked."""

    code = "store_unavailable"


class StoreBusyError(StoreUnavailableError):
    """The failure may pass by itself: locked, disconnected, or the answer was lost.

    Whether the batch took effect is not known, so only batches that bear repeating are repeated.
    """


class StoreFullError(StoreUnavailableError):
    """The disk that holds the database or the artefacts has no room: no row can be written."""


class RowUnreadableError(StoreUnavailableError):
    """A row holds what this version cannot read; the others may be well."""


class RowRefusedError(SafeURLError):
    """A constraint or trigger refused a row; the caller has a bug, and nothing was written."""

    code = "row_refused"


class StoreAbsentError(StoreUnavailableError):
    """There is no database yet: SafeURL was never started with these settings."""


class QueueUnavailableError(UnavailableError):
    """Redis does not answer."""

    code = "queue_unavailable"

    def __init__(self, message: str, *, is_embedded: bool = False) -> None:
        """Say whether it is the embedded server, which only SafeURL itself starts."""
        super().__init__(message)
        self.is_embedded = is_embedded


class SandboxUnavailableError(UnavailableError):
    """Docker does not answer or cannot make the sandbox."""

    code = "sandbox_unavailable"


class EgressUnavailableError(UnavailableError):
    """The egress gateway does not answer, or cannot do what it is asked now."""

    code = "egress_unavailable"


class EgressLostError(EgressUnavailableError):
    """The gateway does not know this socket: it was started again since, or the socket expired."""

    code = "egress_lost"


class ConfigError(SafeURLError):
    """The settings are wrong, so nothing starts (exit 78); `faults` holds every fault found."""

    code = "config"

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Show all faults at once, one per line."""
        super().__init__("\n".join(faults))
        self.faults = faults
