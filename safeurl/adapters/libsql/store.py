"""`LibSQLStore`: the shared store over a libSQL server."""

from dataclasses import replace

from safeurl.adapters.libsql.address import Address, Transport, parse_address
from safeurl.adapters.sql.database import Database
from safeurl.adapters.sql.store import SQLStore
from safeurl.errors import ConfigError

_NO_EXTRA = "A libSQL database needs more packages: pip install 'safeurl[turso]'."


class LibSQLStore(SQLStore):
    """Scans in a libSQL database that several hosts share.

    `libsql://` and `https://` mean TLS and the pipeline transport, as Turso Cloud wants it;
    `http://`, `ws://` and `wss://` mean libsql-client for a self-hosted sqld, and fall over to the
    pipeline transport where the server asks for it. Nothing is opened before the first call; the
    store belongs to the event loop of that call.
    """

    def __init__(
        self,
        url: str,
        *,
        auth_token: str | None = None,
        transport: str | None = None,
        patience_s: float = 20.0,
    ) -> None:
        """Check the URL; `transport` (`client` or `pipeline`) overrides what its scheme says."""
        address = parse_address(url)
        if transport is not None:
            address = replace(address, transport=Transport(transport))
        # Half of our patience for one answer, so that a lost one leaves time to ask again.
        database = _database(address, auth_token=auth_token, timeout_s=patience_s / 2)
        super().__init__(database, patience_s=patience_s)


def _database(address: Address, *, auth_token: str | None, timeout_s: float) -> Database:
    try:
        # Here and not above, because most installations come without the extra.
        from safeurl.adapters.libsql.database import LibSQLDatabase  # noqa: PLC0415 - see above
    except ImportError as exc:
        raise ConfigError((_NO_EXTRA,)) from exc
    return LibSQLDatabase(address, auth_token=auth_token, timeout_s=timeout_s)
