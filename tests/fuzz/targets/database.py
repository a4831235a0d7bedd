"""The database of a backup: any bytes are judged within limits, and only ours are taken."""

import sqlite3
import tempfile
from pathlib import Path

from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.snapshot import blobs, open_copy
from safeurl.adapters.backup.validation import validate
from safeurl.adapters.backup.validation_process import harden

#: Small, so that an input which runs into a limit does so at once.
_LIMITS = Limits(base_steps=2_000_000, max_value_bytes=1024 * 1024)


def fuzz_database(data: bytes) -> None:
    """Check that a database gets a result, and that an accepted one names its blobs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "safeurl.db"
        path.write_bytes(data)
        try:
            with open_copy(path) as database:
                harden(database, _LIMITS, len(data))
                judgement = validate(database)
                if judgement.inventory is not None:
                    assert list(blobs(database)) == []
                    return
        except sqlite3.DatabaseError:
            return  # ends the process that examines it, and the restore with it
        assert judgement.foreign or judgement.damage or judgement.exceeded
