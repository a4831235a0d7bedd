"""`safeurl bench` over an installation's stored attempts."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safeurl.ports.store import Store
from tests.support.attempt_rows import COLD, WARM, make_attempt, store_attempt
from tests.support.installation import without_own_warning
from tests.support.system import System


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return an installation with a cold attempt of two hours ago, and two warm ones of now."""
    system = System(tmp_path)
    now = datetime.now(UTC)

    async def fill(store: Store) -> None:
        await store.migrate()
        for times, ago in ((COLD, timedelta(hours=2)), (WARM, timedelta(0)), (WARM, timedelta(0))):
            await store_attempt(store, make_attempt(times, now - ago))

    system.with_store(fill)
    return system


def _kinds(system: System, *options: str) -> dict[str, int]:
    done = system.run("bench", "--json", *options)
    assert (done.returncode, without_own_warning(done.stderr)) == (0, "")
    return {kind["start_kind"]: kind["attempts"] for kind in json.loads(done.stdout)["kinds"]}


def test_it_reads_the_newest_attempts(system: System) -> None:
    """So many, or of so long; for people and for programs."""
    assert _kinds(system) == {"warm": 2, "cold": 1}
    assert _kinds(system, "--last", "2") == {"warm": 2}
    begin = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    assert _kinds(system, "--since", begin) == {"warm": 2}
    done = system.run("bench")
    assert done.returncode == 0
    assert "warm\tfetch\t30.00\t30.00\t" in done.stdout
    assert "cold\ttotal\t414.00\t414.00\t1.000" in done.stdout
    assert "limit: workers" in done.stdout
    wrong = system.run("bench", "--since", "yesterday")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Error: `--since` is a number with s, m, h or d")


def test_before_the_first_scan_it_says_so(tmp_path: Path) -> None:
    """An empty database has no figures; a missing database is not created."""
    system = System(tmp_path / "state")
    done = system.run("bench")
    assert (done.returncode, done.stdout) == (75, "")
    assert not (tmp_path / "state").exists()
    assert system.run("migrate").returncode == 0
    done = system.run("bench")
    assert done.returncode == 0
    assert done.stdout.startswith("There is no scan yet")
    empty = json.loads(system.run("bench", "--json").stdout)
    assert (empty["attempts"], empty["kinds"], empty["throughput"]) == (0, [], None)
