"""A consistent copy of a live SQLite database, and what can be said of such a copy."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from safeurl.errors import StoreUnavailableError
from safeurl.permissions import obstacle
from safeurl.state import FINAL_STATES, State

#: How much is done, of how much.
Tell = Callable[[int, int], None]

#: 8 MiB of the usual pages: often enough to tell of progress and to hear Ctrl-C.
_PAGES = 2048
_BUSY_TIMEOUT_S = 10.0
#: Told where Python cannot read a message of SQLite about a schema, because that quotes the schema.
SCHEMA_NOT_UTF8 = "malformed database schema that is not UTF-8"
#: Told where Python says MemoryError for SQLITE_NOMEM.
NO_MEMORY = "SQLite had too little memory for it, or a length in the file is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What a database holds."""

    migrations: tuple[int, ...]
    #: Different blobs that artefact rows name.
    artefacts: int
    queued: int
    in_progress: int
    final: int

    @property
    def scans(self) -> int:
        """Return how many scans there are."""
        return self.queued + self.in_progress + self.final


def copy_database(source: Path, target: Path, tell: Tell, *, pages: int = _PAGES) -> None:
    """Copy the database as it is at this moment, while others read and write it.

    One read transaction is held from the first page to the last. In WAL mode it stops no writer,
    and unlike the backup API by itself, which begins anew whenever somebody wrote between two
    steps, it ends under any load. Until then the WAL cannot be cut short.
    """
    # Not mode=ro: a reader of a WAL database may have to make the shared memory file beside it.
    with (
        closing(_connect(source, "mode=rw")) as live,
        closing(_connect(target, "mode=rwc")) as copy,
    ):
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        copy.execute("PRAGMA synchronous = OFF")  # who uses the copy sees to the disk
        live.backup(
            copy, pages=pages, progress=lambda _status, left, total: tell(total - left, total)
        )


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that nobody else has open, for reading; no file is made beside it."""
    with closing(_connect(path, "mode=ro&immutable=1")) as database:
        # Functions that a schema calls by itself are not run: the file may be anybody's.
        database.execute("PRAGMA trusted_schema = OFF")
        yield database


def fault(database: sqlite3.Connection) -> str | None:
    """Return the first thing that is wrong with the file or its links, or None.

    Opened read-only, SQLite leaves the CHECKs out.
    """
    (word,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    link = database.execute("PRAGMA foreign_key_check").fetchone()
    if word != "ok":
        return str(word)
    return f"a row of {link[0]} belongs to no row of {link[2]}" if link else None


def census(database: sqlite3.Connection) -> Census:
    """Count what the database holds; `sqlite3.DatabaseError` when it is not one of ours."""
    numbers = database.execute("SELECT number FROM schema_migrations ORDER BY number").fetchall()
    states = dict(database.execute("SELECT state, count(*) FROM scan_jobs GROUP BY state"))
    (blobs,) = database.execute("SELECT count(DISTINCT sha256) FROM artefacts").fetchone()
    return Census(
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
def reading(path: Path) -> Iterator[None]:
    """Translate SQLite's errors about the live database, or the copy of it, into ours."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise StoreUnavailableError(f"The database {path} is locked.") from exc
        if code == sqlite3.SQLITE_CANTOPEN and (wrong := obstacle(path)):
            raise StoreUnavailableError(f"The database file cannot be opened: {wrong}") from exc
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            sentence = "The copy of the database cannot be written: the disk is full or fails."
            raise StoreUnavailableError(sentence) from exc
        raise damaged(path, str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise damaged(path, SCHEMA_NOT_UTF8) from exc
    except MemoryError as exc:
        raise damaged(path, NO_MEMORY) from exc


def damaged(path: Path, wrong: str) -> StoreUnavailableError:
    """Return the error for a database of which no copy could be restored."""
    return StoreUnavailableError(
        f"The database {path} cannot be saved ({wrong}), and no backup was written. "
        "Keep the older ones: `safeurl restore` puts one back."
    )


def _connect(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
    )
