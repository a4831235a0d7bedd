"""A complete SafeURL for its users: pages to scan, a worker, the API, and the commands.

with installation(tmp_path, {"WORKER_CONCURRENCY": "2"}) as site:
    [scan_id] = site.submit("/").ids
    site.expect_completed([scan_id])
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from safeurl.model.audit import path_faults
from safeurl.model.scan import AuditEntry, Scan
from safeurl.ports.store import Store
from safeurl.state import State
from tests.support.live_api import api_process, client_of
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import RunningWorker, System

#: A page that is held stays so no longer than this.
_LONGEST_HOLD_S = 60.0
_TIMEOUT_S = 60.0
_OWN_WARNING = "Warning: EGRESS_ALLOW_CIDRS=127.0.0.1/32: "


@dataclass(frozen=True, slots=True)
class Health:
    """The response of `GET /health`."""

    code: int
    status: str
    issues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submitted:
    """The output of `submit-scan`."""

    code: int
    ids: list[str]
    #: Warnings and errors, as printed, without the one of the lab's own exception.
    said: str


class Installation:
    """One installation, its pages and its faces; made by `installation`."""

    def __init__(self, system: System) -> None:
        """Store the system; `installation` sets pages and API."""
        self.system = system
        self.worker = RunningWorker(system)
        self.pages = PageServer(fallback=self._page)
        self.api = httpx.Client()
        #: Paths in the order in which sandboxes asked for them.
        self.asked: list[str] = []
        self._go_on = threading.Event()

    def _page(self, request: Request) -> Reply:
        if request.path != "/favicon.ico":  # every sandbox requests this too
            self.asked.append(request.path)
        if request.path.startswith("/held"):
            self._go_on.wait(_LONGEST_HOLD_S)
        return html("<title>Hi</title>")

    def release(self) -> None:
        """Let every page under `/held` respond, now and later."""
        self._go_on.set()

    def hold(self) -> None:
        """Let no page under `/held` respond before `release`."""
        self._go_on.clear()

    def submit(self, *paths: str) -> Submitted:
        """Submit pages with `submit-scan`."""
        urls = [self.pages.url(path) for path in paths]
        done = self.system.run(*urls, program="submit-scan")
        return Submitted(done.returncode, done.stdout.split(), without_own_warning(done.stderr))

    def begin_held(self, path: str) -> str:
        """Submit a held page, and return the scan's id once its sandbox waits for it."""
        self.hold()
        submitted = self.submit(path)
        assert submitted.code == 0, submitted.said
        until(lambda: path in self.asked)
        return submitted.ids[0]

    def post(self, path: str) -> httpx.Response:
        """Submit a page over HTTP."""
        return self.api.post("/api/scans", json={"url": self.pages.url(path)})

    def health(self) -> Health:
        """Request `GET /health`."""
        answer = self.api.get("/health")
        said = answer.json()["health"]
        return Health(answer.status_code, said["status"], tuple(said["issues"]))

    def expect_health(self, status: str, sentence: str = "") -> Health:
        """Wait until the status is this and one of its issues has the sentence; return it."""
        seen: list[Health] = []

        def is_so() -> bool:
            seen.append(self.health())
            said = any(sentence in issue for issue in seen[-1].issues) or not sentence
            return seen[-1].status == status and said

        until(is_so, told=lambda: f"never {status} with {sentence!r}: {seen[-1]}")
        return seen[-1]

    def scan(self, scan_id: str) -> Scan:
        """Look a scan up in the database."""

        async def get(store: Store) -> Scan | None:
            return await store.get(scan_id)

        found = self.system.with_store(get)
        assert found is not None, f"the scan {scan_id} is lost"
        return found

    def trail(self, scan_id: str) -> list[AuditEntry]:
        """Return the scan's audit trail."""
        return self.system.with_store(lambda store: store.audit(scan_id))

    def expect_completed(self, scan_ids: list[str], timeout_s: float = _TIMEOUT_S) -> list[Scan]:
        """Wait until all are COMPLETED, each by a legal path and with one result; return them."""
        scans = self.system.wait_final(scan_ids, timeout_s)
        told = [(scan.state, scan.outcome, scan.detail) for scan in scans]
        assert {scan.state for scan in scans} == {State.COMPLETED}, told

        async def faults(store: Store) -> list[str]:
            found = []
            for scan in scans:
                found += path_faults(await store.audit(scan.id))
                result = await store.result(scan.id)
                found += [] if result and result.attempt == scan.attempt else [f"{scan.id}: result"]
            return found

        assert self.system.with_store(faults) == []
        return scans


def without_own_warning(said: str) -> str:
    """Remove the warning of every command about the exception for the lab's pages."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_OWN_WARNING))


@contextmanager
def installation(
    folder: Path,
    settings: Mapping[str, str] = MappingProxyType({}),
    *,
    environ: Mapping[str, str] = MappingProxyType({}),
    start: bool = True,
) -> Iterator[Installation]:
    """Yield an installation in the folder; `environ` adds variables that are not settings.

    Without `start` neither worker nor API run yet.
    """
    given = {"EGRESS_ALLOW_CIDRS": "127.0.0.1/32", "WORKER_CONCURRENCY": "1", "API_PORT": "0"}
    system = System(folder, **{**given, **settings})
    system.environ.update(environ)
    site = Installation(system)
    with ExitStack() as stack:
        stack.enter_context(site.pages)
        stack.callback(site.release)
        if start:
            stack.enter_context(running(site))
        yield site


@contextmanager
def running(site: Installation) -> Iterator[None]:
    """Run the installation's worker and API."""
    with site.worker, serving(site):
        yield


@contextmanager
def serving(site: Installation) -> Iterator[None]:
    """Run the installation's API."""
    with api_process(site.system.environ) as (_, address), client_of(address) as client:
        site.api = client
        yield


def until(
    is_true: Callable[[], bool], timeout_s: float = 40.0, told: Callable[[], str] = str
) -> None:
    """Wait until the condition is true; fail with `told` if it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, told() or "it never came true"
        time.sleep(0.1)
