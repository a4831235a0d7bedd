"""`safeurl status` and `safeurl cancel` as a person or a script uses them."""

import json
from pathlib import Path

import pytest

from safeurl.ports.store import Store
from safeurl.state import Outcome
from tests.support.installation import installation, running, without_own_warning
from tests.support.system import System


def _outcomes(system: System) -> list[Outcome | None]:
    async def ask(store: Store) -> list[Outcome | None]:
        return [scan.outcome for scan in await store.page(limit=10)]

    return system.with_store(ask)


def test_status_tells_how_the_system_does(tmp_path: Path) -> None:
    """Its exit code is for scripts; as JSON it is the document of `GET /health`."""
    with installation(tmp_path, start=False) as site:
        [scan_id] = site.submit("/").ids
        waiting = site.system.run("status")
        assert waiting.returncode == 75
        assert waiting.stdout.startswith(
            "status: unhealthy\n"
            "issue: No worker is running, and 1 scan waits.\n"
            "issue: The embedded queue does not answer: "
        )
        assert "\nrecommendation: Run `safeurl worker` on a host" in waiting.stdout
        assert "\nrecommendation: Run `safeurl up` or `safeurl worker` on this" in waiting.stdout
        with running(site):
            site.expect_completed([scan_id])
            site.expect_health("healthy")
            well = site.system.run("status", "--json")
            assert (well.returncode, without_own_warning(well.stderr)) == (0, "")
            said, served = json.loads(well.stdout), site.api.get("/health").json()
        assert said["health"] == {"status": "healthy", "issues": []}
        assert said["metrics"]["recentlyCompleted"] == 1
        assert list(said) == list(served)
        assert said["metrics"] == served["metrics"]


def test_status_is_degraded_while_scans_would_wait(tmp_path: Path) -> None:
    """No scan waits yet, but there is no worker: exit 1."""
    system = System(tmp_path)
    assert system.run("migrate").returncode == 0
    done = system.run("status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "status: degraded")


@pytest.mark.parametrize("folder", ["state", "not/yet/there"])
def test_before_the_first_start_it_is_not_running(tmp_path: Path, folder: str) -> None:
    """The message names the start command; nothing is called broken, and nothing is created."""
    system = System(tmp_path / folder)
    done = system.run("status")
    assert (done.returncode, done.stderr) == (75, "")
    status, issue, advice, *_ = done.stdout.splitlines()
    assert status == "status: not running"
    assert issue.startswith("issue: SafeURL is not running. There is no database at ")
    assert advice.startswith("recommendation: Start it with `safeurl up`")
    assert "disk" not in done.stdout
    assert not (tmp_path / folder).exists()


def test_status_says_when_the_database_is_down(tmp_path: Path) -> None:
    """It is a finding and not an error: exit 75 with the complete health."""
    system = System(tmp_path)
    system.settings.database_path.mkdir()
    done = system.run("status")
    assert (done.returncode, done.stderr) == (75, "")
    assert done.stdout.startswith("status: unhealthy\nissue: The database file cannot be opened")


def test_a_person_who_names_an_unknown_scan_is_told_where_to_look(tmp_path: Path) -> None:
    """The command that lists them; over HTTP that would say nothing."""
    system = System(tmp_path)
    assert system.run("migrate").returncode == 0
    done = system.run("status", "nope")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "Error: No scan has the id 'nope'. `safeurl list` shows the newest ones.\n"
    )
    done = system.run("list", "--before", "nope")
    assert done.returncode == 2
    assert done.stderr.endswith("Error: The value of --before must be the id of a scan.\n")


def test_cancel_takes_several_and_names_those_it_cannot(tmp_path: Path) -> None:
    """An unknown id gives exit 2 and a message, and the others are still cancelled."""
    system = System(tmp_path)
    urls = [f"https://www.example.com/{number}" for number in range(2)]
    first, second = system.run(*urls, program="submit-scan").stdout.split()
    done = system.run("cancel", "--json", first, "nope", second)
    assert done.returncode == 2
    assert "No scan has the id 'nope'" in done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": scan_id, "state": "FAILED", "outcome": "cancelled"} for scan_id in (first, second)
    ]
    assert _outcomes(system) == [Outcome.CANCELLED] * 2
    assert system.run("cancel", first).returncode == 0
