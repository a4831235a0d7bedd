"""The faults, and the loop that draws them: one every two seconds on average."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime

import requests
from docker.errors import DockerException  # type: ignore[import-not-found]  # - docker/ hides the SDK
from redis.exceptions import RedisError

from tests.chaos import processes
from tests.chaos.fleet import Fleet
from tests.chaos.record import time_of
from tests.chaos.tree import Kind
from worker.sandbox import labels

_MEAN_GAP_S = 2.0
#: Draws until one finds something to break: a server that is down cannot be killed again.
_TRIES = 5
#: How many of its terms a leader is kept away: another is promised to lead within two.
_HOLD_TERMS = 3


@dataclass(frozen=True, slots=True)
class Kill:
    """Processes that were killed, and when."""

    at: datetime
    pids: frozenset[int]


class Chaos:
    """Draws faults from a seed until it is stopped, then repairs everything."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        """Store the targets; nothing happens before `run`."""
        self._fleet = fleet
        self._random = random.Random(seed)  # noqa: S311 - a seed is what is wanted
        self._mending: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        self.kills: list[Kill] = []
        #: Servers that are being stopped or started.
        self._away: set[object] = set()
        #: A server that did not come back; without it nothing can be shown.
        self._failure: BaseException | None = None
        #: From the end of a leader's tree to another's election; as long as was waited for none.
        self.failovers: list[float] = []
        #: How often another was elected while the leader was stopped.
        self.deposed = 0
        #: The time of the last fault of a leader or its parts.
        self.shaken_at = datetime.now(UTC)
        self._faults: dict[str, tuple[int, Callable[[], Awaitable[bool]]]] = {
            "supervisor": (2, self._kill_supervisor),
            "tree": (1, self._kill_tree),
            "machine": (1, self._reboot),
            "worker": (4, lambda: self._kill_one(Kind.WORKER)),
            "job": (7, self._kill_job),
            "gateway": (3, lambda: self._kill_one(Kind.GATEWAY)),
            "maintenance": (1, lambda: self._kill_one(Kind.MAINTENANCE)),
            "leader": (2, self._kill_leader),
            "stalled leader": (1, self._stall_leader),
            "sigterm storm": (2, self._storm),
            "valkey": (2, self._kill_valkey),
            "flushall": (1, self._flush),
            "dockerd": (1, self._break_engine),
        }
        if fleet.plan.pool_size != "0":
            self._faults |= {
                "pool": (4, lambda: self._kill_one(Kind.POOL)),
                "anchor": (2, lambda: self._kill_container(labels.ANCHOR_PREFIX)),
                "member": (2, lambda: self._kill_container(labels.AHEAD_PREFIX)),
            }
        if fleet.sqld:
            self._faults["sqld"] = (2, self._kill_sqld)

    async def run(self, stopping: asyncio.Event) -> None:
        """Break things until the event is set."""
        names = list(self._faults)
        weights = [self._faults[name][0] for name in names]
        next_at_s = time.monotonic()
        while not stopping.is_set() and not self._failure:
            gap_s = self._random.expovariate(1 / _MEAN_GAP_S)
            next_at_s += gap_s
            for name in self._random.choices(names, weights, k=_TRIES):
                if await self._faults[name][1]():
                    self.counts[name] += 1
                    break
            with contextlib.suppress(TimeoutError):
                # What came due while a leader was followed comes after that, but not all at once.
                async with asyncio.timeout(max(next_at_s - time.monotonic(), gap_s / 4)):
                    await stopping.wait()
        if self._mending:
            await asyncio.wait(self._mending)
        if self._failure:
            raise self._failure

    def _note(self, pids: list[int]) -> bool:
        if pids:
            self.kills.append(Kill(datetime.now(UTC), frozenset(pids)))
        return bool(pids)

    def _shake(self) -> None:
        self.shaken_at = datetime.now(UTC)

    async def _kill_supervisor(self) -> bool:
        self._shake()
        return self._note(self._random.choice(self._fleet.trees).kill_supervisor())

    async def _kill_tree(self) -> bool:
        self._shake()
        return self._note(self._random.choice(self._fleet.trees).kill_all())

    async def _reboot(self) -> bool:
        self._shake()
        return self._note(self._random.choice(self._fleet.trees).reboot())

    async def _kill_one(self, kind: Kind) -> bool:
        found = [pid for tree in self._fleet.trees for pid in tree.by_kind()[kind]]
        if not found:
            return False
        if kind is Kind.MAINTENANCE:
            self._shake()
        return self._note(processes.kill([self._random.choice(found)]))

    async def _kill_container(self, prefix: str) -> bool:
        """Kill a container that a pool has, under the pool's hands."""
        engine = self._random.choice(self._fleet.engines)
        with contextlib.suppress(DockerException, requests.RequestException, OSError):
            names = await asyncio.to_thread(engine.sandboxes)
            if found := sorted(name for name in names if name.startswith(prefix)):
                return await asyncio.to_thread(engine.kill_container, self._random.choice(found))
        return False

    async def _kill_job(self) -> bool:
        """Kill the owner of a lease if one is known, else any job."""
        with contextlib.suppress(OSError):
            sql = "SELECT lease_owner FROM scan_jobs WHERE lease_owner IS NOT NULL"
            rows = await asyncio.to_thread(self._fleet.record.rows, sql)
            owners = {int(row["lease_owner"].rpartition(":")[2]) for row in rows}
            ours = {pid for tree in self._fleet.trees for pid in tree.pids()}
            if held := sorted(owners & ours):
                return self._note(processes.kill([self._random.choice(held)]))
        return await self._kill_one(Kind.JOB)

    async def _kill_leader(self) -> bool:
        """Kill the leader's complete tree; no other fault occurs before another host leads."""
        found = await self._fleet.replaceable_leader()
        if found is None:
            return False
        (tree, term), term_s = found, self._fleet.plan.term_s
        self._shake()
        killed_at = datetime.now(UTC)
        self._note(tree.hold_down(_HOLD_TERMS * term_s))
        newest = await self._fleet.next_term(term["term"], _HOLD_TERMS * term_s)
        elected_at = time_of(newest["elected_at"]) if newest else datetime.now(UTC)
        self.failovers.append((elected_at - killed_at).total_seconds())
        self._shake()
        return True

    async def _stall_leader(self) -> bool:
        """Suspend the leader's maintenance process until long after its term, as a host can be."""
        found = await self._fleet.replaceable_leader()
        if found is None:
            return False
        (tree, term), term_s = found, self._fleet.plan.term_s
        suspended = tree.by_kind()[Kind.MAINTENANCE]
        self._shake()
        try:
            processes.send(signal.SIGSTOP, suspended)
            newest = await self._fleet.next_term(term["term"], _HOLD_TERMS * term_s)
            # Let there be traces of the new leader for what the old one still writes to follow.
            await asyncio.sleep(term_s)
        finally:
            processes.send(signal.SIGCONT, suspended)
        self.deposed += newest is not None
        self._shake()
        return True

    async def _storm(self) -> bool:
        tree = self._random.choice(self._fleet.trees)
        self._shake()
        for _ in range(self._random.randint(1, 3)):
            tree.tell()
            await asyncio.sleep(self._random.uniform(0.05, 1.0))
        return True

    async def _flush(self) -> bool:
        try:
            await asyncio.to_thread(self._fleet.valkey.flush)
        except RedisError:
            return False
        return True

    async def _kill_valkey(self) -> bool:
        valkey = self._fleet.valkey
        if not valkey.is_up or valkey in self._away:
            return False
        self._shake()
        await asyncio.to_thread(lambda: valkey.stop(kill=True))
        pause_s = self._random.uniform(0.2, 3.0)
        self._later(valkey, pause_s, lambda: asyncio.to_thread(valkey.start))
        return True

    async def _break_engine(self) -> bool:
        engine = self._random.choice(self._fleet.engines)
        if not engine.is_up or engine in self._away:
            return False
        kill = self._random.random() < 0.5
        pause_s = self._random.uniform(0.2, 2.0)

        async def restart() -> None:
            await asyncio.to_thread(lambda: engine.stop(kill=kill))
            await asyncio.sleep(pause_s)
            await asyncio.to_thread(engine.start)

        self._later(engine, 0.0, restart)
        return True

    async def _kill_sqld(self) -> bool:
        if not self._fleet.sqld_is_up:
            return False
        self._shake()
        await self._fleet.kill_sqld()
        self._later(self._fleet.sqld, self._random.uniform(0.2, 3.0), self._fleet.start_sqld)
        return True

    def _later(
        self, what: object, pause_s: float, mend: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        """Start it again after the pause; until it works there is no other fault of it."""
        self._away.add(what)

        async def wait_and_mend() -> None:
            await asyncio.sleep(pause_s)
            await mend()
            self._away.discard(what)
            self._shake()

        task = asyncio.create_task(wait_and_mend())
        self._mending.add(task)
        task.add_done_callback(self._mended)

    def _mended(self, task: asyncio.Task[None]) -> None:
        self._mending.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()
