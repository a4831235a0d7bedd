"""Makes a consistent copy of a live SQLite database, and reads the contents of such a copy."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from safeurl.errors import StoreUnavailableError
from safeurl.model.records.backup import Inventory
from safeurl.permissions import explain
from safeurl.state import FINAL_STATES, State

#: Reports progress: the finished amount, and the total.
ReportProgress = Callable[[int, int], None]

#: 8 MiB of the usual pages: small enough for smooth progress and a quick reaction to Ctrl-C.
_PAGES = 2048
_BUSY_TIMEOUT_S = 10.0
#: Used if Python cannot decode an error message of SQLite that quotes the schema.
SCHEMA_NOT_UTF8 = "malformed database schema that is not UTF-8"
#: Used if Python raises MemoryError for SQLITE_NOMEM.
NO_MEMORY = "SQLite had too little memory for it, or a length in the file is damaged"


def copy_database(
    source: Path, target: Path, report: ReportProgress, *, pages: int = _PAGES
) -> None:
    """Copy the present state of the database while other processes read and write it.

    One read transaction lasts from the first page to the last. In WAL mode it blocks no writer.
    The backup API alone would start again after each write of another process; with the
    transaction it ends under any load. Until then the WAL cannot be truncated.
    """
    # Not mode=ro: a reader of a WAL database may have to create the shared memory file.
    with (
        closing(_connect(source, "mode=rw")) as live,
        closing(_connect(target, "mode=rwc")) as copy,
    ):
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        copy.execute("PRAGMA synchronous = OFF")  # the caller flushes the copy
        live.backup(
            copy, pages=pages, progress=lambda _status, left, total: report(total - left, total)
        )


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that no other process has open, for reading; create no other file."""
    with closing(_connect(path, "mode=ro&immutable=1")) as database:
        # Functions in the schema do not run: the file is not trusted.
        database.execute("PRAGMA trusted_schema = OFF")
        yield database


def first_fault(database: sqlite3.Connection) -> str | None:
    """Return the first fault of the file or its foreign keys, or None.

    SQLite does not evaluate CHECK constraints in a read-only database.
    """
    (status,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    link = database.execute("PRAGMA foreign_key_check").fetchone()
    if status != "ok":
        return str(status)
    return f"a row of {link[0]} refers to no row of {link[2]}" if link else None


def inventory(database: sqlite3.Connection) -> Inventory:
    """Count the contents of the database; raise `sqlite3.DatabaseError` if it is not ours."""
    numbers = database.execute("SELECT number FROM schema_migrations ORDER BY number").fetchall()
    states = dict(database.execute("SELECT state, count(*) FROM scan_jobs GROUP BY state"))
    (blobs,) = database.execute("SELECT count(DISTINCT sha256) FROM artefacts").fetchone()
    return Inventory(
        migrations=tuple(number for (number,) in numbers),
        artefacts=blobs,
        queued=states.get(State.QUEUED, 0),
        in_progress=states.get(State.FETCHING, 0) + states.get(State.ANALYZING, 0),
        final=sum(states.get(state, 0) for state in FINAL_STATES),
    )


def blobs(database: sqlite3.Connection) -> Iterator[str]:
    """Return the SHA-256 of every blob that the database names, in ascending order."""
    for (sha256,) in database.execute("SELECT DISTINCT sha256 FROM artefacts ORDER BY sha256"):
        yield str(sha256)


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's errors about the live database or its copy into ours."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise StoreUnavailableError(f"The database {path} is locked.") from exc
        if code == sqlite3.SQLITE_CANTOPEN and (wrong := explain(path)):
            raise StoreUnavailableError(f"The database file cannot be opened: {wrong}") from exc
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            sentence = "The copy of the database cannot be written: the disk is full or fails."
            raise StoreUnavailableError(sentence) from exc
        raise unsavable(path, str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise unsavable(path, SCHEMA_NOT_UTF8) from exc
    except MemoryError as exc:
        raise unsavable(path, NO_MEMORY) from exc


def unsavable(path: Path, wrong: str) -> StoreUnavailableError:
    """Return the error for a database whose copy could not be restored."""
    return StoreUnavailableError(
        f"The database {path} cannot be saved ({wrong}), and no backup was written. "
        "Keep the older ones: `safeurl restore` restores one of them."
    )


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
    )
