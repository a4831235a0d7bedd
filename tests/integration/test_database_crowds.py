"""Many processes at one database: each scan is won once, and the schema is made once."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.model.audit import path_faults
from safeurl.state import State
from tests.support.builders import make_scan
from tests.support.claimer import open_target
from tests.support.sqld import Sqld

_PROCESSES = 8
_SCANS = 1000
_TIMEOUT_S = 240

_MIGRATE = """
import asyncio, sys
from tests.support.claimer import open_target

async def main():
    store = open_target(sys.argv[1])
    sys.stdin.read()
    print(await store.migrate())
    await store.ping()
    await store.close()

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "sqld"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return a file or URL for `open_target`, with nothing in it yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "crowd.db")
        return
    with Sqld(tmp_path / "sqld") as server:
        yield f"ws://{server.authority}"


def _crowd(code: Sequence[str], owners: Sequence[str], stdin: str) -> list[str]:
    """Run one process per owner at the same time, and return the output of each."""
    processes = [
        subprocess.Popen(
            [sys.executable, *code, owner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for owner in owners
    ]
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return [process.communicate(timeout=_TIMEOUT_S)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def test_eight_processes_win_each_of_a_thousand_scans_once(target: str) -> None:
    """All processes try every scan; one claim of each counts, and the trail names its owner."""
    scans = [make_scan() for _ in range(_SCANS)]

    async def check(winners: dict[str, str]) -> None:
        store = open_target(target)
        for scan in scans[::25]:
            held = await store.get(scan.id)
            assert held is not None
            trail = await store.audit(scan.id)
            assert (held.state, held.version, held.attempt) == (State.FETCHING, 1, 1)
            assert held.lease_owner == winners[scan.id] == trail[-1].actor
            assert path_faults(trail) == []
        assert (await store.metrics(now=scans[0].created_at)).in_progress == _SCANS
        await store.close()

    store = open_target(target)
    await store.migrate()
    await store.add(scans)
    await store.close()
    owners = [f"process-{n}" for n in range(_PROCESSES)]
    ids = "\n".join(scan.id for scan in scans)
    printed = _crowd(["-m", "tests.support.claimer", target], owners, ids)
    won = [
        (scan_id, owner)
        for owner, out in zip(owners, printed, strict=True)
        for scan_id in out.split()
    ]
    assert Counter(scan_id for scan_id, _ in won) == Counter(scan.id for scan in scans)
    await check(dict(won))


def test_processes_that_start_together_make_the_schema_once(target: str) -> None:
    """One applies each migration, the others find it done; none fails."""
    printed = _crowd(["-c", _MIGRATE], [target] * 4, "")
    applied = [step.number for step in migrations()]
    assert sorted(printed) == sorted([f"{applied}\n", *["[]\n"] * 3])
