"""The meaning of libSQL's URLs, refusals and statuses, without a server."""

import subprocess
import sys

import pytest

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.libsql.address import Transport, parse_address
from safeurl.adapters.libsql.failure import http_failure, sql_failure
from safeurl.errors import (
    ConfigError,
    RowRefusedError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)


def test_the_scheme_chooses_the_transport() -> None:
    """TLS URLs of Turso Cloud go to the pipeline, those of a self-hosted sqld to the client."""
    chosen = {
        "libsql://db.example": ("https://db.example", Transport.PIPELINE),
        "https://db.example/path/": ("https://db.example/path", Transport.PIPELINE),
        "http://db.example:8080": ("http://db.example:8080", Transport.CLIENT),
        "ws://db.example:8080": ("http://db.example:8080", Transport.CLIENT),
        "wss://db.example": ("https://db.example", Transport.CLIENT),
    }
    for url, (http_url, transport) in chosen.items():
        address = parse_address(url)
        assert (address.http_url, address.transport) == (http_url, transport)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:data.db",
        "https://",
        "https:///path",
        "http://db.example:99999",
        "https://[::1",
        "https://user:secret@db.example",
        "libsql://db.example?authToken=secret",
        "libsql://db.example#secret",
    ],
)
def test_a_wrong_url_does_not_start(url: str) -> None:
    """The fault is found at once, and a possible secret is not quoted."""
    with pytest.raises(ConfigError) as caught:
        LibSQLStore(url)
    assert "secret" not in str(caught.value)


def test_without_the_extra_the_fault_names_it() -> None:
    """In an interpreter without libsql-client, SQLite works and a URL names the missing package."""
    code = (
        "import sys; sys.modules['libsql_client'] = None\n"
        "from safeurl.adapters.libsql import LibSQLStore\n"
        "from safeurl.errors import ConfigError\n"
        "try: LibSQLStore('http://127.0.0.1:1')\n"
        "except ConfigError as exc: print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "pip install 'safeurl[turso]'" in done.stdout


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("SQLITE_CONSTRAINT", "CHECK", RowRefusedError),
        ("SQLITE_CONSTRAINT_PRIMARYKEY", "UNIQUE", RowRefusedError),
        ("SQLITE_BUSY", "locked", StoreBusyError),
        ("TRANSACTION_TIMEOUT", "", StoreBusyError),
        ("STREAM_EXPIRED", "", StoreBusyError),
        ("HRANA_WEBSOCKET_ERROR", "", StoreBusyError),
        ("SQLITE_FULL", "disk", StoreFullError),
        ("SQLITE_UNKNOWN", "no such table: x", StoreUnavailableError),
        ("AUTH_JWT_INVALID", "", StoreUnavailableError),
    ],
)
def test_a_refusal_has_one_meaning(code: str, message: str, kind: type) -> None:
    """Only a temporary error leads to another try."""
    assert type(sql_failure(code, message)) is kind


def test_a_status_has_one_meaning() -> None:
    """A failure of the server leads to another try, a refusal does not."""
    kinds = {status: type(http_failure(status)) for status in (302, 400, 401, 403, 429, 500, 503)}
    passing = {status for status, kind in kinds.items() if kind is StoreBusyError}
    assert passing == {429, 500, 503}
