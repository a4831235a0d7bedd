"""What a libSQL server's refusal means to us; a pure function of its code and message."""

from safeurl.adapters.sql.database import NO_SCHEMA
from safeurl.errors import (
    RowRefusedError,
    SafeURLError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)

#: They may pass by themselves. sqld and libsql-client each have codes of their own.
_PASSING = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_PROTOCOL",
    "TRANSACTION_",
    "STREAM_",
    "HRANA_",
    "CLIENT_CLOSED",
)


class OtherTransportError(Exception):
    """The server does not know this transport, so nothing has happened; never leaves the room."""


def sql_failure(code: str, message: str) -> SafeURLError:
    """Return the error of ours for one statement that the server refused."""
    if code.startswith("SQLITE_CONSTRAINT"):
        return RowRefusedError(f"The database refused a row: {message}.")
    if code.startswith(_PASSING):
        return StoreBusyError(f"The database is busy ({code}).")
    if code.startswith("SQLITE_FULL"):
        return StoreFullError("The disk of the database server is full.")
    if code.startswith("AUTH"):
        return http_failure(401)
    if "no such table" in message or "no such column" in message:
        return StoreUnavailableError(NO_SCHEMA)
    return StoreUnavailableError(f"The database failed with {code}: {message}.")


def http_failure(status: int) -> StoreUnavailableError:
    """Return the error of ours for an HTTP status that is no success."""
    if status in {401, 403}:
        return StoreUnavailableError(
            f"The database refuses our token (HTTP {status}); see TURSO_AUTH_TOKEN."
        )
    if status in {408, 429} or status >= 500:  # noqa: PLR2004 - HTTP's classes
        return StoreBusyError(f"The database server reports an error (HTTP {status}).")
    return StoreUnavailableError(f"The database server answers HTTP {status}.")
