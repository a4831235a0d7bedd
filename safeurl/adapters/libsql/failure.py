"""Translates the errors of a libSQL server into ours: pure functions of code and message."""

from safeurl.adapters.sql.database import NO_SCHEMA
from safeurl.errors import (
    RowRefusedError,
    SafeURLError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)

#: The codes of temporary failures. sqld and libsql-client each have their own codes.
_TEMPORARY = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_PROTOCOL",
    "TRANSACTION_",
    "STREAM_",
    "HRANA_",
    "CLIENT_CLOSED",
)


class OtherTransportError(Exception):
    """The server does not know this transport, so nothing was done; only `database` handles it."""


def sql_failure(code: str, message: str) -> SafeURLError:
    """Return our error for a statement that the server refused."""
    if code.startswith("SQLITE_CONSTRAINT"):
        return RowRefusedError(f"The database refused a row: {message}.")
    if code.startswith(_TEMPORARY):
        return StoreBusyError(f"The database is busy ({code}).")
    if code.startswith("SQLITE_FULL"):
        return StoreFullError("The disk of the database server is full.")
    if code.startswith("AUTH"):
        return http_failure(401)
    if "no such table" in message or "no such column" in message:
        return StoreUnavailableError(NO_SCHEMA)
    return StoreUnavailableError(f"The database failed with {code}: {message}.")


def http_failure(status: int) -> StoreUnavailableError:
    """Return our error for an HTTP status that is not a success."""
    if status in {401, 403}:
        return StoreUnavailableError(
            f"The database refuses our token (HTTP {status}); see TURSO_AUTH_TOKEN."
        )
    if status in {408, 429} or status >= 500:  # noqa: PLR2004 - HTTP's classes
        return StoreBusyError(f"The database server reports an error (HTTP {status}).")
    return StoreUnavailableError(f"The database server answers HTTP {status}.")
