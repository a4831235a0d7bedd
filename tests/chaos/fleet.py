"""All that runs: pages, queue, database, one engine per host, and two workers' trees."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.chaos import processes
from tests.chaos.engine import Engine, release_mounts, save_image
from tests.chaos.record import Record, Row, SqldRecord, SQLiteRecord
from tests.chaos.servers import TcpValkey
from tests.chaos.tree import Kind, Tree
from tests.support.sqld import Sqld
from tests.support.system import System
from worker.egress.protocol import SOCKETS_NAME
from worker.leader.election import leader_lease

IMAGE = "safeurl-fetcher:latest"
_CONCURRENCY = 3
_TEND_S = 0.2
_STOP_TIMEOUT_S = 90.0
#: How long an attempt may take: the sandbox's time and that to end it.
_ATTEMPT_S = 20.0
#: A server's pause and start, the pause of a periodic task that found it down, the next sweep.
_LONGEST_DOWN_S = 15.0
#: A stalled leader's, which is followed within two and let go one later.
_LONGEST_KEPT_TERMS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The options of a run, from the command line."""

    scans: int
    seed: int
    mode: str
    lease_s: int
    backoff_s: tuple[int, ...]
    folder: Path
    max_retries: int = 3
    pool_size: str = "0"

    @property
    def term_s(self) -> float:
        """How long a leader leads without renewing its term."""
        return leader_lease(timedelta(seconds=self.lease_s)).total_seconds()

    @property
    def longest_idle_s(self) -> float:
        """Return the longest allowed time of a scan without owner, leader and server."""
        return _LONGEST_KEPT_TERMS * self.term_s + _LONGEST_DOWN_S

    @property
    def longest_hold_s(self) -> float:
        """How long a scan may stay with one worker: all but a lease, lost, and then it idles."""
        return _ATTEMPT_S + self.lease_s + self.longest_idle_s

    @property
    def drain_s(self) -> float:
        """Return the longest allowed time of the last scan after all faults have ended."""
        return self.lease_s * (self.max_retries + 2) + sum(self.backoff_s) + 90.0


class Fleet:
    """Starts all parts, keeps the trees running, and leaves nothing behind."""

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing runs before `start`.

        With SQLite both trees share one state folder and one engine; with sqld each has its own,
        as two hosts have.
        """
        self.plan = plan
        self.valkey = TcpValkey(plan.folder / "valkey")
        self.sqld = Sqld(plan.folder / "sqld") if plan.mode == "sqld" else None
        self.sqld_is_up = False
        hosts = 2 if self.sqld else 1
        self.engines = [Engine(plan.folder / f"engine-{n}") for n in range(1, hosts + 1)]
        self.systems: list[System] = []
        self.trees: list[Tree] = []
        self._tending: asyncio.Task[None] | None = None

    @property
    def record(self) -> Record:
        """The database, to read from."""
        if self.sqld:
            return SqldRecord(self.sqld.authority)
        return SQLiteRecord(self.systems[0].settings.database_path)

    @property
    def is_whole(self) -> bool:
        """Whether every server is up."""
        return (
            self.valkey.is_up
            and all(engine.is_up for engine in self.engines)
            and (self.sqld is None or self.sqld_is_up)
        )

    async def start(self) -> None:
        """Start servers and engines, then the trees."""
        archive = self.plan.folder / "image.tar"
        await asyncio.to_thread(save_image, IMAGE, archive)
        for engine in self.engines:
            await asyncio.to_thread(engine.start)
            await asyncio.to_thread(engine.load, archive)
        archive.unlink()
        await asyncio.to_thread(self.valkey.start)
        if self.sqld:
            await self.start_sqld()
        self.systems = [
            System(self.plan.folder / f"host-{n}", **self._settings(engine))
            for n, engine in enumerate(self.engines, 1)
        ]
        for number in (1, 2):
            system = self.systems[(number - 1) % len(self.systems)]
            system.settings.state_dir.mkdir(parents=True, exist_ok=True)
            self.trees.append(Tree(number, system.environ, self.plan.folder))
        self._tending = asyncio.create_task(self._tend())

    def _settings(self, engine: Engine) -> dict[str, str]:
        sqld = {"TURSO_CONNECTION_URL": f"http://{self.sqld.authority}"} if self.sqld else {}
        return {
            **sqld,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.valkey.port),
            "DOCKER_SOCKET_PATH": str(engine.socket),
            "WORKER_CONCURRENCY": str(_CONCURRENCY),
            "LEASE_SECONDS": str(self.plan.lease_s),
            "RETRY_BACKOFF_SECONDS": ",".join(map(str, self.plan.backoff_s)),
            "MAX_RETRIES": str(self.plan.max_retries),
            "CONTAINER_TIMEOUT_MS": "15000",
            "EGRESS_ALLOW_CIDRS": "127.0.0.1/32",
            "POOL_SIZE": self.plan.pool_size,
        }

    async def start_sqld(self) -> None:
        """Start the database server if there is one; its port must not change."""
        if self.sqld:
            port = self.sqld.port
            await asyncio.to_thread(self.sqld.start)
            if port not in {0, self.sqld.port}:
                raise RuntimeError("sqld did not come back at its port.")
            self.sqld_is_up = True

    async def kill_sqld(self) -> None:
        """Kill the database server."""
        if self.sqld:
            self.sqld_is_up = False
            await asyncio.to_thread(self.sqld.stop)

    async def _tend(self) -> None:
        bury_at_s = 0.0
        while True:
            for tree in self.trees:
                tree.tend()
            if time.monotonic() >= bury_at_s:
                self.bury()
                bury_at_s = time.monotonic() + 1.0
            await asyncio.sleep(_TEND_S)

    def bury(self) -> None:
        """Wait for orphans that have ended."""
        sqld_pid = self.sqld.pid if self.sqld else 0
        own = [tree.pid for tree in self.trees] + [engine.pid for engine in self.engines]
        processes.bury([*own, self.valkey.pid, sqld_pid])

    def has_maintenance(self) -> bool:
        """Return True if at least one maintenance process lives."""
        return any(tree.by_kind()[Kind.MAINTENANCE] for tree in self.trees)

    async def leader(self) -> tuple[Tree | None, Row | None]:
        """Return the newest term and the tree that leads in it; None for a missing one."""
        sql = "SELECT * FROM leader_terms ORDER BY term DESC LIMIT 1"
        try:
            rows = await asyncio.to_thread(self.record.rows, sql)
        except OSError:
            return None, None
        if not rows:
            return None, None
        pid = rows[0]["holder"].rpartition(":")[2].partition("+")[0]
        return next((tree for tree in self.trees if str(tree.pid) == pid), None), rows[0]

    async def replaceable_leader(self) -> tuple[Tree, Row] | None:
        """Return the leader, if it leads and another tree could do so at once."""
        if self.sqld and not self.sqld_is_up:
            return None
        tree, term = await self.leader()
        if tree is None or term is None:
            return None
        kinds = [await asyncio.to_thread(each.by_kind) for each in self.trees]
        return (tree, term) if all(each[Kind.MAINTENANCE] for each in kinds) else None

    async def next_term(self, after: int, timeout_s: float) -> Row | None:
        """Wait for a term after this one, and return it; None if it does not come in time."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            _, newest = await self.leader()
            if newest and newest["term"] > after:
                return newest
            await asyncio.sleep(0.2)
        return None

    async def wait_until_whole(self, timeout_s: float) -> None:
        """Return once every tree has all its roles; a starting tree just ends on SIGTERM."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            kinds = [await asyncio.to_thread(tree.by_kind) for tree in self.trees]
            if all(
                each[Kind.MAINTENANCE] and len(each[Kind.WORKER]) == _CONCURRENCY for each in kinds
            ):
                return
            await asyncio.sleep(0.5)

    async def stop_trees(self) -> list[int | None]:
        """Send SIGTERM to every tree; return their statuses, None for one that had to be killed."""
        if self._tending:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
            self._tending = None
        stops = [asyncio.to_thread(tree.stop, _STOP_TIMEOUT_S) for tree in self.trees]
        return await asyncio.gather(*stops)

    def leftovers(self) -> list[str]:
        """Return the remains of ended trees: processes, and sockets of sandboxes."""
        processes_left = [
            f"process {each.pid} of tree {tree.mark} is left"
            for tree in self.trees
            for each in processes.members(tree.mark)
        ]
        folders = [system.settings.gateway_dir / SOCKETS_NAME for system in self.systems]
        sockets = [each for folder in folders if folder.is_dir() for each in folder.iterdir()]
        return [*processes_left, *(f"{each} is left" for each in sockets)]

    def close(self) -> None:
        """End what is left, with SIGKILL if necessary."""
        steps: list[Callable[[], object]] = [
            *(tree.kill_all for tree in self.trees),
            *(lambda engine=engine: engine.stop(kill=False) for engine in self.engines),
            lambda: self.valkey.stop(kill=True),
        ]
        if self.sqld:
            steps.append(self.sqld.stop)
        for step in steps:
            # Whatever one of them says, the others are ended too.
            with contextlib.suppress(Exception):
                step()
        processes.kill(each.pid for each in processes.descendants())
        self.bury()
        release_mounts(self.plan.folder)


def stop_on_signals(task: asyncio.Task[int]) -> None:
    """Have SIGTERM and SIGINT cancel the task, so that it cleans up."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
