"""The workers that an older version recorded are read after the migration."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from safeurl.adapters.sqlite import SQLiteStore
from safeurl.model.worker import PartStatus, WorkerParts

#: A database of migration 4, in which one worker runs.
_DUMP = Path(__file__).parents[1] / "support" / "databases" / "migration_4.sql"
#: Another one, whose engine does not answer.
_NO_DOCKER = """
INSERT INTO workers VALUES (
    'host-b/1:8', 'host-b', 8, 3, '2026-11-01T09:00:00.000000Z', '2026-11-01T09:01:00.000000Z',
    0, 'Docker "does not" answer.', 1000
)
"""


async def test_older_heartbeats_have_parts(tmp_path: Path) -> None:
    """The former data about Docker is kept: its version, or the reason why it does not answer."""
    path = tmp_path / "safeurl.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_DUMP.read_text(encoding="utf-8"))
        with database:
            database.execute(_NO_DOCKER)
    store = SQLiteStore(path)
    assert 6 in await store.migrate()
    first, second = await store.workers(since=datetime(2026, 11, 1, tzinfo=UTC))
    await store.close()
    assert (first.id, first.docker_version) == ("host-a/0a1b2c3d:7", "28.0")
    assert first.parts == WorkerParts()
    assert first.disk_free_bytes == 34359738368
    assert (second.id, second.pid, second.docker_version) == ("host-b/1:8", 8, "")
    silent = PartStatus(ok=False, reason='Docker "does not" answer.')
    assert second.parts == WorkerParts(docker=silent)
