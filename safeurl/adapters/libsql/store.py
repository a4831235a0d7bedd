"""`LibSQLStore`: the shared store over a libSQL server."""

from dataclasses import replace

from safeurl.adapters.libsql.address import Address, Transport, parse_address
from safeurl.adapters.sql.database import Database
from safeurl.adapters.sql.store import SQLStore
from safeurl.errors import ConfigError

_NO_EXTRA = "A libSQL database needs more packages: pip install 'safeurl[turso]'."


class LibSQLStore(SQLStore):
    """Stores scans in a libSQL database, which several hosts share.

    `libsql://` and `https://` mean TLS and the pipeline transport, which Turso Cloud needs.
    `http://`, `ws://` and `wss://` mean libsql-client for a self-hosted sqld; it changes to the
    pipeline transport if the server needs that. Nothing is opened before the first call. The store
    belongs to the event loop of that call.
    """

    def __init__(
        self,
        url: str,
        *,
        auth_token: str | None = None,
        transport: str | None = None,
        retry_for_s: float = 20.0,
    ) -> None:
        """Check the URL; `transport` (`client` or `pipeline`) overrides the scheme's transport."""
        address = parse_address(url)
        if transport is not None:
            address = replace(address, transport=Transport(transport))
        # One response may take half of this time, so that there is time for a second try.
        database = _database(address, auth_token=auth_token, timeout_s=retry_for_s / 2)
        super().__init__(database, retry_for_s=retry_for_s)


def _database(address: Address, *, auth_token: str | None, timeout_s: float) -> Database:
    try:
        # Imported here, because most installations do not have these packages.
        from safeurl.adapters.libsql.database import LibSQLDatabase  # noqa: PLC0415 - see above
    except ImportError as exc:
        raise ConfigError((_NO_EXTRA,)) from exc
    return LibSQLDatabase(address, auth_token=auth_token, timeout_s=timeout_s)
