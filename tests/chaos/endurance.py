"""A worker that never recycles, looked at after a few scans and again after very many.

    python -m tests.chaos.endurance SCANS

Every process of the worker's tree is compared with itself: resident memory, open files, threads.
There is one worker process, so that it has run every one of the scans.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from safeurl.service import Service
from safeurl.services.submit import Submission
from safeurl.state import State
from tests.chaos.tree import Kind, kind_of
from tests.support.pages import PageServer, html
from tests.support.system import RunningWorker, System

_EARLY = 50
#: A process may have grown by so much.
_MOST = 1.10
_SETTLE_S = 3.0
#: Far above what a scan takes, so that a stuck system ends the run.
_SCAN_S = 5.0


@dataclass(frozen=True, slots=True)
class _Look:
    """The resources of one process."""

    name: str
    rss_bytes: int
    files: int
    threads: int

    def has_grown_from(self, early: "_Look") -> bool:
        """Return whether this is more than an early look allows."""
        return (
            self.rss_bytes > early.rss_bytes * _MOST
            or self.files > early.files
            or self.threads > early.threads
        )


def main(scans: int) -> int:
    """Run the scans and print the resources of each process; return the exit code."""
    routes = {"/": lambda _request: html("<title>Hello</title><p>Nothing to see.</p>")}
    with PageServer(routes) as server, tempfile.TemporaryDirectory(prefix="safeurl-") as folder:
        url = server.url("/")
        system = System(
            Path(folder),
            EGRESS_ALLOW_CIDRS=f"{urlsplit(url).hostname}/32",
            WORKER_CONCURRENCY="1",
            MAX_SCANS_PER_WORKER="0",
            WORKER_MAX_LIFETIME="0",
            LOG_LEVEL="WARNING",
        )
        with RunningWorker(system) as worker:
            _run(system, url, _EARLY)
            early = _look(worker.pid)
            _run(system, url, scans - _EARLY)
            late = _look(worker.pid)
    return _tell(early, late, scans)


def _run(system: System, url: str, count: int) -> None:
    # Never more at once than before the early look: the queue's server keeps its peak memory.
    for begin in range(0, count, _EARLY):
        urls = [f"{url}?{n}" for n in range(begin, min(count, begin + _EARLY))]

        async def submit(service: Service, urls: list[str] = urls) -> Submission:
            return await service.submit(urls, source="endurance")

        ids = [scan.id for scan in system.with_service(submit).scans]
        done = system.wait_final(ids, timeout_s=60 + _SCAN_S * len(ids))
        unseen = [scan.id for scan in done if scan.state is not State.COMPLETED]
        if unseen:
            raise RuntimeError(f"{len(unseen)} scans did not complete, {unseen[0]} among them.")


def _look(supervisor: int) -> dict[int, _Look]:
    time.sleep(_SETTLE_S)
    root = psutil.Process(supervisor)
    return {
        each.pid: _Look(
            name=_name(each, root),
            rss_bytes=each.memory_info().rss,
            files=each.num_fds(),
            threads=each.num_threads(),
        )
        for each in (root, *root.children(recursive=True))
    }


def _name(process: psutil.Process, root: psutil.Process) -> str:
    if Path(process.exe()) != Path(root.exe()):
        return process.name()
    return kind_of(process, root.pid).value


def _tell(early: dict[int, _Look], late: dict[int, _Look], scans: int) -> int:
    table = Table(title=f"After {_EARLY} and after {scans} scans, recycling off")
    for column in ("Process", "Pid", "RSS MiB", "", "Ratio", "Files", "", "Threads", ""):
        table.add_column(column, justify="left" if column == "Process" else "right")
    for pid, before in early.items():
        after = late.get(pid)
        if after is None:
            continue
        table.add_row(
            before.name,
            str(pid),
            *(f"{look.rss_bytes / 2**20:.1f}" for look in (before, after)),
            f"{after.rss_bytes / before.rss_bytes:.3f}",
            *(str(look.files) for look in (before, after)),
            *(str(look.threads) for look in (before, after)),
        )
    Console().print(table)
    workers = [look for look in early.values() if look.name == Kind.WORKER]
    if len(workers) != 1:
        print(f"{len(workers)} workers ran, not one.")  # noqa: T201 - the command's output
        return 1
    gone = early.keys() ^ late.keys()
    grown = [pid for pid in early.keys() & late.keys() if late[pid].has_grown_from(early[pid])]
    for pid in gone:
        print(f"Process {pid} came or went meanwhile.")  # noqa: T201 - the command's output
    for pid in grown:
        print(f"{early[pid].name} {pid} has grown.")  # noqa: T201 - the command's output
    return 1 if gone or grown else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
