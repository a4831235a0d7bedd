"""The data of the database, read with plain SQL and without our own store's code."""

import json
import sqlite3
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from safeurl.model.attempt import Attempt
from safeurl.model.scan import AuditEntry
from safeurl.state import Outcome, State

_TIMEOUT_S = 10.0

Row = dict[str, Any]


class Record(Protocol):
    """A database to read from."""

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a query; OSError when the database does not answer."""


class SQLiteRecord:
    """A file."""

    def __init__(self, path: Path) -> None:
        """Store the path; the file may not exist yet."""
        self._path = path

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a query."""
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
                database.row_factory = sqlite3.Row
                return [dict(row) for row in database.execute(sql)]
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


class SqldRecord:
    """A libSQL server, over its HTTP pipeline."""

    def __init__(self, authority: str) -> None:
        """Store host and port."""
        self._url = f"http://{authority}/v2/pipeline"

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a query."""
        asked = {"requests": [{"type": "execute", "stmt": {"sql": sql}}, {"type": "close"}]}
        request = urllib.request.Request(self._url, data=json.dumps(asked).encode())  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the same
            said = json.load(answer)["results"][0]
        if said["type"] != "ok":
            raise OSError(str(said))
        found = said["response"]["result"]
        names = [column["name"] for column in found["cols"]]
        return [dict(zip(names, map(_value, row), strict=True)) for row in found["rows"]]


def _value(cell: dict[str, str]) -> int | str | None:
    if cell["type"] == "null":
        return None
    return int(cell["value"]) if cell["type"] == "integer" else cell["value"]


def time_of(text: str) -> datetime:
    """Return the time of a stored text."""
    return datetime.fromisoformat(text).astimezone(UTC)


def attempt(row: Row) -> Attempt:
    """Return a row of `attempts` as the core's type, without the facts of its sandbox."""
    return Attempt(
        scan_id=row["scan_id"],
        attempt=row["attempt"],
        owner=row["owner"],
        started_at=time_of(row["started_at"]),
        ended_at=time_of(row["ended_at"]) if row["ended_at"] else None,
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        counts_as_failure=None
        if row["counts_as_failure"] is None
        else bool(row["counts_as_failure"]),
        term=row["term"],
    )


def entry(row: Row) -> AuditEntry:
    """Return a row of `audit_logs` as the core's type."""
    return AuditEntry(
        id=row["id"],
        scan_id=row["scan_id"],
        event=row["event"],
        version=row["version"],
        attempt=row["attempt"],
        from_state=State(row["from_state"]) if row["from_state"] else None,
        to_state=State(row["to_state"]) if row["to_state"] else None,
        actor=row["actor"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        detail=row["detail"],
        at=time_of(row["at"]),
    )
