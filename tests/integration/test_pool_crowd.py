"""Many claims while claimers and pools are killed: no two live sandboxes share anything."""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import combinations, count
from pathlib import Path

import requests
from docker.errors import DockerException  # type: ignore[import-not-found]  # - see tests/support/images.py

from tests.support.images import SOCKET_PATH, docker_client
from tests.support.pool import WAIT_S, PoolProcess, pool_process
from tests.support.sandbox_lab import instance_name
from tests.support.user import needs_root
from worker.sandbox import labels
from worker.sandbox.reaper import MIN_AGE, Reaper

_CLAIMS, _CLAIMERS = 40, 8
#: After so many claims, the pool is killed and started again.
_POOL_KILLS = (10, 22)

#: Claims a member, says what it has, and then does what it is told: `die` is SIGKILL.
_CLAIMER = """
import os, signal, sys
from pathlib import Path
from worker.sandbox.pool.client import HandedMember, PoolClient

folder, key, scan, ending = sys.argv[1:]
handed = PoolClient(Path(folder)).claim(key, scan, 1)
if not isinstance(handed, HandedMember):
    sys.exit(f"missed: {handed}")
print(handed.container_id, handed.endpoint.id, flush=True)
if ending == "write and die":
    handed.attached.send(b"{")
if ending != "release":
    os.kill(os.getpid(), signal.SIGKILL)
handed.release()
"""


class _Watch:
    """Looks again and again which sandboxes run, and in which network namespaces."""

    def __init__(self, instance: str) -> None:
        self._filter = {"label": [*labels.instance_filter(instance), labels.EGRESS]}
        self._ended = threading.Event()
        self.shared: list[str] = []
        self.most = self.looks = 0

    def run(self) -> None:
        with docker_client() as client:
            while not self._ended.wait(0.02):
                with suppress(DockerException, requests.RequestException):
                    self._look(client)

    def stop(self) -> None:
        self._ended.set()

    def _look(self, client: object) -> None:
        listed = client.api.containers(filters=self._filter)  # type: ignore[attr-defined]  # - no types
        live = dict(self._live(client, [each["Id"] for each in listed]))
        self.looks += 1
        self.most = max(self.most, len(live))
        for (one, its), (other, others) in combinations(live.items(), 2):
            # A namespace is used again after its sandbox has ended: both must still run.
            if set(its) & set(others) and len(dict(self._live(client, [one, other]))) == 2:
                self.shared.append(f"{one[:12]} {its} and {other[:12]} {others}")

    @staticmethod
    def _live(client: object, ids: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
        for each in ids:
            with suppress(DockerException, OSError):
                facts = client.api.inspect_container(each)  # type: ignore[attr-defined]  # - no types
                if facts["State"]["Running"]:
                    space = Path(f"/proc/{facts['State']['Pid']}/ns/net").readlink()
                    yield each, (str(space), facts["Config"]["Labels"][labels.EGRESS])


@needs_root
def test_no_two_live_sandboxes_share_anything_whatever_is_killed(tmp_path: Path) -> None:
    """Eight at a time claim forty members; claimers and pools are killed in between."""
    with pool_process(tmp_path, instance_name(), size="4") as pool:
        pool.wait_for(4)
        watch = _Watch(pool.settings.instance)
        watching = threading.Thread(target=watch.run)
        watching.start()
        try:
            claimed = _claim_all(pool)
        finally:
            watch.stop()
            watching.join()
        assert watch.shared == []
        assert watch.most > 1
        containers, sockets = [c for c, _ in claimed], [s for _, s in claimed]
        assert len(set(containers)) == len(containers) >= _CLAIMS
        assert len(set(sockets)) == len(sockets)
        # What a killed pool and a killed claimer have left is the reaper's; it leaves the rest.
        pool.wait_for(4)
        _reap_until_gone(pool, set(containers))
        assert (facts := pool.client.facts()) is not None
        assert facts.size == 4


def _claim_all(pool: PoolProcess) -> list[tuple[str, str]]:
    """Claim until there were enough claims; return containers and sockets in no order."""
    endings = random.Random(7)  # noqa: S311 - a seed is what is wanted
    numbers, lock = count(), threading.Lock()
    claimed: list[tuple[str, str]] = []
    kills = list(_POOL_KILLS)
    until_s = time.monotonic() + 2 * WAIT_S

    def claimer() -> None:
        while len(claimed) < _CLAIMS and time.monotonic() < until_s:
            with lock:
                scan = f"crowd-{os.getpid()}-{next(numbers)}"
                ending = endings.choice(["release", "die", "write and die"])
            found = _run_claimer(pool, scan, ending)
            with lock:
                claimed.extend(found)
                if kills and len(claimed) >= kills[0]:
                    del kills[0]
                    pool.kill()
                    pool.start()

    with ThreadPoolExecutor(_CLAIMERS) as threads:
        for done in [threads.submit(claimer) for _ in range(_CLAIMERS)]:
            done.result()
    assert not kills
    return claimed


def _run_claimer(pool: PoolProcess, scan: str, ending: str) -> list[tuple[str, str]]:
    ran = subprocess.run(
        [sys.executable, "-c", _CLAIMER, str(pool.folder), pool.key, scan, ending],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    words = ran.stdout.split()
    assert words or ran.stderr.startswith("missed: "), ran.stderr
    return [(words[0], words[1])] if words else []


def _reap_until_gone(pool: PoolProcess, containers: set[str]) -> None:
    """Let the reaper remove the containers of the ended claimers, until none is left."""
    reaper = Reaper(SOCKET_PATH, pool.settings.instance, pool.client)

    async def is_over(scan: str, _attempt: int) -> bool:
        return scan.startswith("crowd-")

    left, until_s = containers, time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        asyncio.run(reaper.sweep(lambda: datetime.now(UTC) + MIN_AGE, is_over))
        with docker_client() as client:
            left = {each["Id"] for each in client.api.containers(all=True)} & containers
        if not left:
            return
    raise AssertionError(left)
