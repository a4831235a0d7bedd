"""Builds a database with any number of finished scans, within minutes for a million.

`python -m tests.bench.growth.builder FILE SCANS` writes one. The rows are what a finished scan
leaves: job, result, evidence, artefact, attempt, and the lines of its audit trail; these have no
seals. The triggers are left out while the rows are written, and what they would have counted is
written at the end.
"""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from safeurl.adapters.sqlite import SQLiteStore
from tests.support.builders import make_scan
from tests.support.finished_scan import phishing_evidence

#: Rows of one transaction.
_CHUNK = 100_000
#: The scans end one after the other, the last one an hour before now.
_BEFORE = timedelta(hours=1)
_SPACING_MS = 250
#: A third of the real evidence, so that a million fits into a few gigabytes.
_EVIDENCE_BYTES = 1_000

#: `n` counts the scans; ids and times grow with it, as those of real scans do.
_NUMBERS = """
CREATE TEMP TABLE made AS
WITH RECURSIVE counter(n) AS (
    SELECT :first UNION ALL SELECT n + 1 FROM counter WHERE n + 1 < :end
)
SELECT
    n,
    :began_ms + n * :spacing AS ms,
    printf(
        '%08x-%04x-7000-8000-%012x',
        (:began_ms + n * :spacing) >> 16, (:began_ms + n * :spacing) & 65535, n
    ) AS id,
    strftime('%Y-%m-%dT%H:%M:%S', (:began_ms + n * :spacing) / 1000, 'unixepoch')
        || printf('.%03d000Z', (:began_ms + n * :spacing) % 1000) AS at
FROM counter
"""

_ROWS = (
    """
    INSERT INTO scan_jobs (
        id, url, submitted_url, profile, state, version, attempt, source, created_at, updated_at,
        run_after, outcome, finished_at, actor, change_id
    )
    SELECT
        id, 'https://example.com/page/' || n, 'hxxps://example[.]com/page/' || n, 'http',
        'COMPLETED', 3, 1, 'bench', at, at, at, 'ok', at, 'host-1:7', 'change-' || n
    FROM made
    """,
    """
    INSERT INTO scan_results (
        scan_id, attempt, outcome, score, verdict, categories, verdict_json, ruleset, final_url,
        http_status, title, created_at
    )
    SELECT
        id, 1, 'ok', n % 100, 'benign', '[]', '{"score":1}', 'core-1',
        'https://example.com/page/' || n, 200, 'Page ' || n, at
    FROM made
    """,
    "INSERT INTO scan_evidence (scan_id, attempt, document) SELECT id, 1, :document FROM made",
    """
    INSERT INTO artefacts (scan_id, kind, sha256, size_bytes, media_type)
    SELECT id, 'body', printf('%064x', n), 48213, 'text/html' FROM made
    """,
    """
    INSERT INTO attempts (
        scan_id, attempt, owner, started_at, ended_at, outcome, counts_as_failure, container_id,
        start_kind, exit_code, oom_killed
    )
    SELECT id, 1, 'host-1:7', at, at, 'ok', 0, printf('%064x', n), 'cold', 0, 0 FROM made
    """,
    """
    INSERT INTO audit_logs (
        scan_id, event, version, attempt, from_state, to_state, actor, outcome, detail, at
    )
    SELECT
        id, event, version, min(version, 1), from_state, to_state, 'host-1:7',
        CASE WHEN version > 1 THEN 'ok' END, detail, at
    FROM made, (
        SELECT 'submitted' AS event, 0 AS version, NULL AS from_state, 'QUEUED' AS to_state,
            NULL AS detail
        UNION ALL SELECT 'transition', 1, 'QUEUED', 'FETCHING', NULL
        UNION ALL SELECT 'sandbox', 1, NULL, NULL, '{"exit_code":0,"start":"cold"}'
        UNION ALL SELECT 'transition', 2, 'FETCHING', 'ANALYZING', NULL
        UNION ALL SELECT 'transition', 3, 'ANALYZING', 'COMPLETED', NULL
    ) ORDER BY n, version
    """,
)

_COUNTS = (
    "DELETE FROM scan_counts",
    "INSERT INTO scan_counts SELECT state, count(*) FROM scan_jobs GROUP BY state",
    """
    INSERT INTO scan_endings
    SELECT substr(finished_at, 1, 16), state, outcome, count(*) FROM scan_jobs
    WHERE finished_at > strftime('%Y-%m-%dT%H:%M', 'now', '-2 hours') GROUP BY 1, 2, 3
    """,
)


def build(path: Path, scans: int) -> None:
    """Make a database of the present schema with so many finished scans."""
    asyncio.run(_migrate(path))
    began = datetime.now(UTC) - _BEFORE - scans * timedelta(milliseconds=_SPACING_MS)
    facts = {
        "began_ms": int(began.timestamp() * 1000),
        "spacing": _SPACING_MS,
        "document": _document(),
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA temp_store=MEMORY")
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for first in range(0, scans, _CHUNK):
            _write(database, {**facts, "first": first, "end": min(first + _CHUNK, scans)})
        for statement in (*_COUNTS, *(sql for _, sql in triggers)):
            database.execute(statement)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _migrate(path: Path) -> None:
    store = SQLiteStore(path)
    await store.migrate()
    await store.close()


def _write(database: sqlite3.Connection, facts: dict[str, object]) -> None:
    database.execute("BEGIN")
    database.execute(_NUMBERS, facts)
    for statement in _ROWS:
        database.execute(statement, facts)
    database.execute("DROP TABLE made")
    database.execute("COMMIT")


def _document() -> str:
    """Return real evidence with the longest text cut."""
    document = msgspec.json.encode(phishing_evidence(make_scan(), "Sign in")).decode()
    if len(document) <= _EVIDENCE_BYTES:
        return document
    facts = json.loads(document)
    largest = sorted(facts, key=lambda name: len(json.dumps(facts[name])))
    while len(json.dumps(facts)) > _EVIDENCE_BYTES and largest:
        del facts[largest.pop()]
    return json.dumps(facts)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.bench.growth.builder FILE SCANS")
    build(Path(sys.argv[1]), int(sys.argv[2]))
