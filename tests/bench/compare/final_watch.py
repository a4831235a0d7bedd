"""Sees when scans become final, as somebody who waits for them would: by asking the database.

The row of a scan cannot hold the time at which its last write was done, since that write would have
to come after itself. So the database is asked every two milliseconds; most of the time that is one
look at a counter of SQLite's.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_POLL_S = 0.002
_FOUND = "SELECT id FROM scan_jobs WHERE finished_at IS NOT NULL AND id IN (%s)"


@dataclass(slots=True)
class FinalWatch:
    """Notes the time at which each scan is seen to be final."""

    #: By id, in seconds of the wall clock, which the rows have, too.
    seen_s: dict[str, float] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _is_new: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def add(self, scan_id: str) -> None:
        """Wait for this scan, too."""
        with self._lock:
            self._waiting.add(scan_id)
            self._is_new = True

    def run(self, path: Path) -> None:
        """Ask until it is stopped."""
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            last = None
            while not self._ended.wait(_POLL_S):
                (version,) = database.execute("PRAGMA data_version").fetchone()
                with self._lock:
                    must_look = bool(self._waiting) and (version != last or self._is_new)
                    waiting, self._is_new = tuple(self._waiting), False
                last = version
                if must_look:
                    self._look(database, waiting)

    def _look(self, database: sqlite3.Connection, waiting: tuple[str, ...]) -> None:
        marks = ",".join("?" * len(waiting))
        found = [row[0] for row in database.execute(_FOUND % marks, waiting)]
        now_s = time.time()
        with self._lock:
            self.seen_s |= dict.fromkeys(found, now_s)
            self._waiting.difference_update(found)

    def stop(self) -> None:
        """End `run`."""
        self._ended.set()


@contextmanager
def final_watch(path: Path) -> Iterator[FinalWatch]:
    """Watch the database at this path from a thread until the block ends."""
    watch = FinalWatch()
    thread = threading.Thread(target=watch.run, args=(path,), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
