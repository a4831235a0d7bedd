"""The main job through a real worker: Valkey, SQLite, Docker, gateway and pages on loopback."""

import json
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from safeurl.model.attempt import PHASES, Attempt
from safeurl.model.audit import path_faults
from safeurl.model.report import Evidence
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.phase_figures import phase_ms
from safeurl.services.submit import Submission
from safeurl.state import Outcome, State
from tests.support.attempt_check import attempt_faults
from tests.support.pages import Handler, PageServer, Reply, Request, html, redirect
from tests.support.system import RunningWorker, System, bridge_gateway

SCANS = 200


def _sleep(request: Request) -> Reply:
    request.sleep(60)
    return html("late")


def _routes() -> dict[str, Handler]:
    return {
        "/": lambda _: html("<title>Hello</title><p>quiet</p>"),
        "/hop": lambda _: redirect("/"),
        "/forbidden": lambda _: html("<title>No</title>", status=403),
        "/broken": lambda _: html("<title>Oops</title>", status=500),
        "/sleep": _sleep,
        "/inside": lambda _: redirect("http://169.254.169.254/latest/meta-data/"),
    }


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    """Serve pages that the gateway can reach."""
    with PageServer(_routes()) as server:
        yield server


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    """Return an installation that may reach loopback."""
    return System(
        tmp_path_factory.mktemp("s"),
        EGRESS_ALLOW_CIDRS="127.0.0.1/32",
        CONTAINER_TIMEOUT_MS="8000",
    )


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[RunningWorker]:
    """Run one worker for all tests here."""
    with RunningWorker(system) as running:
        yield running


def _submit(system: System, urls: list[str]) -> list[str]:
    async def act(service: Service) -> Submission:
        return await service.submit(urls, source="test")

    submission = system.with_service(act)
    assert submission.queued
    return [scan.id for scan in submission.scans]


def _scan(system: System, url: str) -> tuple[Scan, Evidence]:
    [scan_id] = _submit(system, [url])
    [scan] = system.wait_final([scan_id], timeout_s=60)

    async def act(store: Store) -> str | None:
        return await store.evidence(scan_id)

    document = system.with_store(act)
    assert document is not None
    return scan, msgspec.json.decode(document, type=Evidence)


@pytest.mark.usefixtures("worker")
def test_two_hundred_scans(system: System, pages: PageServer) -> None:
    """All end COMPLETED with one result, a legal audit, and no container left."""
    ids = _submit(system, [pages.url(f"/?n={n}") for n in range(SCANS)])
    scans = system.wait_final(ids, timeout_s=240)
    assert {(s.state, s.outcome, s.version, s.attempt) for s in scans} == {
        (State.COMPLETED, Outcome.OK, 3, 1)
    }

    counted: list[tuple[int, float]] = []

    async def check(store: Store) -> None:
        for scan in scans:
            trail = await store.audit(scan.id)
            assert path_faults(trail) == []
            attempts = await store.attempts(scan.id)
            assert list(attempt_faults(attempts, trail)) == []
            [attempt] = attempts
            assert (attempt.outcome, attempt.counts_as_failure) == (Outcome.OK, False)
            # The report is complete before the container has ended.
            assert (attempt.exit_code, attempt.oom_killed) == (None, False)
            assert attempt.start_kind == "cold"
            assert attempt.container_id
            assert min(attempt.create_ms or 0, attempt.run_ms or 0, attempt.bytes_in or 0) > 0
            counted.append((attempt.peak_memory_bytes or 0, attempt.cpu_ms or 0.0))
            result = await store.result(scan.id)
            assert result is not None
            assert (result.title, result.http_status) == ("Hello", 200)

    system.with_store(check)
    # A container may have gone before its last output is read: then they are not known.
    assert any(memory > 1024 * 1024 and cpu_ms > 1 for memory, cpu_ms in counted)
    assert system.containers_left() == []


@pytest.mark.usefixtures("worker")
def test_the_phases_explain_the_whole_time(system: System, pages: PageServer) -> None:
    """Each is known, and there is no considerable time between them; `safeurl bench` agrees."""
    ids = _submit(system, [pages.url(f"/?p={n}") for n in range(10)])
    scans = system.wait_final(ids, timeout_s=120)

    async def read(store: Store) -> list[Attempt]:
        return [attempt for each in ids for attempt in await store.attempts(each)]

    attempts = system.with_store(read)
    for attempt in attempts:
        assert [phase for phase in PHASES if phase_ms(attempt, phase) is None] == []
    # From the submission to the time of the final write, as the scans themselves have it.
    whole_s = sum(
        ((scan.finished_at or scan.created_at) - scan.created_at).total_seconds() for scan in scans
    )
    explained_ms = sum(phase_ms(attempt, phase) or 0.0 for attempt in attempts for phase in PHASES)
    assert explained_ms == pytest.approx(whole_s * 1000, rel=0.02)
    shown = system.run("bench", "--last", str(len(ids)), "--json")
    (kind,) = json.loads(shown.stdout)["kinds"]
    assert (kind["start_kind"], kind["attempts"]) == ("cold", len(ids))
    assert [phase["phase"] for phase in kind["phases"]] == [*PHASES, "other"]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("path", "status"), [("/forbidden", 403), ("/broken", 500)])
def test_an_error_page_was_seen(system: System, pages: PageServer, path: str, status: int) -> None:
    """A page that answers 4xx or 5xx is COMPLETED; its status is evidence."""
    scan, evidence = _scan(system, pages.url(path))
    assert (scan.state, scan.outcome) == (State.COMPLETED, Outcome.OK)
    assert evidence.hops[-1].status == status


@pytest.mark.usefixtures("worker")
def test_a_sleeping_page_times_out(system: System, pages: PageServer) -> None:
    """A page that sleeps past the deadline ends TIMED_OUT."""
    scan, evidence = _scan(system, pages.url("/sleep"))
    assert (scan.state, scan.outcome) == (State.TIMED_OUT, Outcome.FETCH_TIMEOUT)
    assert evidence.hops[-1].address == "127.0.0.1"


@pytest.mark.usefixtures("worker")
def test_a_redirect_inside_is_refused_and_recorded(system: System, pages: PageServer) -> None:
    """A redirect to cloud metadata ends FAILED `address_refused`, with the target as evidence."""
    scan, evidence = _scan(system, pages.url("/inside"))
    assert (scan.state, scan.outcome) == (State.FAILED, Outcome.ADDRESS_REFUSED)
    [refusal] = evidence.refusals
    assert refusal.host == "169.254.169.254"


@pytest.mark.usefixtures("worker")
def test_a_closed_port_says_so(system: System, pages: PageServer) -> None:
    """A URL that cannot be reached ends FAILED with the right outcome."""
    del pages
    scan, _ = _scan(system, "http://127.0.0.1:1999/")
    assert (scan.state, scan.outcome) == (State.FAILED, Outcome.CONNECT_REFUSED)


@pytest.mark.usefixtures("worker")
def test_redirects_are_hops(system: System, pages: PageServer) -> None:
    """Each redirect is a hop with its own status."""
    scan, evidence = _scan(system, pages.url("/hop"))
    assert scan.state is State.COMPLETED
    assert [hop.status for hop in evidence.hops] == [302, 200]


def test_the_bridge_still_works(tmp_path: Path) -> None:
    """With CONTAINER_NETWORK=bridge the fetcher connects by itself and judges every address."""
    host = bridge_gateway()
    system = System(tmp_path, EGRESS_ALLOW_CIDRS=f"{host}/32", CONTAINER_NETWORK="bridge")
    with PageServer(_routes(), host=host) as pages, RunningWorker(system):
        scan, evidence = _scan(system, pages.url("/hop"))
        assert (scan.state, evidence.egress) == (State.COMPLETED, None)
        scan, evidence = _scan(system, pages.url("/inside"))
        assert scan.outcome is Outcome.ADDRESS_REFUSED


def test_a_lab_on_the_bridge_does_not_open_this_host(tmp_path: Path) -> None:
    """An exception as wide as the bridge's range leaves the host's own addresses refused."""
    host = bridge_gateway()
    around = str(ip_network(f"{host}/12", strict=False))
    system = System(tmp_path, EGRESS_ALLOW_CIDRS=around, CONTAINER_NETWORK="bridge")
    with PageServer(_routes(), host=host) as pages, RunningWorker(system):
        scan, _ = _scan(system, pages.url("/hop"))
        assert scan.outcome is Outcome.ADDRESS_REFUSED
