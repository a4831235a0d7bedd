"""The errors that a caller can act on. The end of a fetch is an outcome, never one of these."""

from typing import ClassVar


class SafeURLError(Exception):
    """Any error of SafeURL. `code` is stable; the message is one sentence for a person."""

    code: ClassVar[str] = "error"


class RequestError(SafeURLError):
    """The request is wrong, and repeating it does not help (HTTP 4xx, exit 2)."""

    code = "bad_request"


class UrlRefusedError(RequestError):
    """The URL can never be scanned. `reason` is a stable value such as `scheme` or `loopback`."""

    code = "url_refused"

    def __init__(self, reason: str, message: str) -> None:
        """Store the machine-readable reason in addition to the message."""
        super().__init__(message)
        self.reason = reason


class ScanNotFoundError(RequestError):
    """No scan has this id."""

    code = "scan_not_found"

    def __init__(self, scan_id: str) -> None:
        """Put the requested id into the message."""
        super().__init__(f"No scan has the id {scan_id!r}.")


class ScanFinishedError(RequestError):
    """The request needs a scan that has not ended, but this scan has ended."""

    code = "scan_finished"

    def __init__(self, scan_id: str, state: str) -> None:
        """Put the scan and its final state into the message."""
        super().__init__(f"The scan {scan_id} has ended already: it is {state}.")


class UnavailableError(SafeURLError):
    """A part that SafeURL needs does not answer; a later try may succeed (HTTP 503, exit 75)."""

    code = "unavailable"


class StoreUnavailableError(UnavailableError):
    """The database does not answer, or cannot execute the request."""

    code = "store_unavailable"


class StoreBusyError(StoreUnavailableError):
    """The failure may be temporary: a lock, a lost connection or a lost response.

    It is not known whether the batch took effect. Only a batch that may run twice is repeated.
    """


class StoreFullError(StoreUnavailableError):
    """The disk of the database or of the artefacts is full: no row can be written."""


class RowUnreadableError(StoreUnavailableError):
    """A row cannot be read by this version; other rows may be readable."""


class RowRefusedError(SafeURLError):
    """A constraint or trigger refused a row. The caller has a bug. Nothing was written."""

    code = "row_refused"


class StoreAbsentError(StoreUnavailableError):
    """There is no database yet: SafeURL was never started with these settings."""


class QueueUnavailableError(UnavailableError):
    """Redis does not answer."""

    code = "queue_unavailable"

    def __init__(self, message: str, *, is_embedded: bool = False) -> None:
        """Store whether this is the embedded server, which only SafeURL itself starts."""
        super().__init__(message)
        self.is_embedded = is_embedded


class SandboxUnavailableError(UnavailableError):
    """Docker does not answer or cannot make the sandbox."""

    code = "sandbox_unavailable"


class EgressUnavailableError(UnavailableError):
    """The egress gateway does not answer, or cannot execute the request now."""

    code = "egress_unavailable"


class EgressLostError(EgressUnavailableError):
    """The gateway does not know this socket: the gateway restarted, or the socket expired."""

    code = "egress_lost"


class ConfigError(SafeURLError):
    """The settings are wrong, so nothing starts (exit 78); `faults` holds every fault found."""

    code = "config"

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Put all faults into the message, one per line."""
        super().__init__("\n".join(faults))
        self.faults = faults
