"""The maintenance process: one per host; it runs the periodic tasks of the host and of the leader.

What SafeURL is to do at intervals is a new line in `Maintenance.tasks`.
"""

import asyncio
import logging
import os
import signal
from datetime import timedelta

from safeurl.bootstrap import make_artefacts, make_queue, open_store, utc_now
from safeurl.errors import QueueUnavailableError
from safeurl.ports.queue import WakeQueue
from safeurl.ports.sandbox import Sandbox
from safeurl.ports.store import Store
from safeurl.services.health import WORKER_SILENCE
from safeurl.settings import Settings
from safeurl.state import State
from worker.bootstrap import make_egress, make_sandbox
from worker.identity import owner_name, process_name
from worker.leader.election import Candidate, leader_lease
from worker.leader.rescuer import Rescuer
from worker.leader.sealer import Sealer
from worker.runtime.heartbeat import HEARTBEAT_INTERVAL_S, Heartbeat
from worker.runtime.periodic import PeriodicRunner, PeriodicTask, Run, Scope
from worker.sandbox.pool.client import PoolClient
from worker.sandbox.reaper import MIN_AGE, Reaper

_log = logging.getLogger("safeurl.steward")

RESCUE_INTERVAL_S = 2.0
REAP_INTERVAL_S = 15.0
SEAL_INTERVAL_S = 15.0
CLEAN_INTERVAL_S = 600.0
#: The first pause between two tries to bring the schema up to date.
_MIGRATE_PAUSE_S = 1.0
#: A migration may rewrite a large table, and begins again when it was cancelled.
_MIGRATE_DEADLINE_S = 3600.0
#: A run over many rows or containers on a slow host takes minutes, and the next run goes on where
#: a cancelled one stopped.
_BATCH_DEADLINE_S = 300.0
#: The supervisor kills this process when the grace of a stop is over.
_LAST_DEADLINE_S = 30.0
#: The leader resigns after so many rescues in a row that found no queue.
_RESCUES_WITHOUT_QUEUE = 2
#: A killed worker is shown as lost for so long, then its row is deleted.
FORGOTTEN_AFTER = timedelta(hours=1)


async def run_maintenance(settings: Settings) -> None:
    """Run the periodic tasks until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    sandbox = make_sandbox(settings)
    queue = make_queue(settings)
    try:
        async with open_store(settings, migrate=False) as store:
            maintenance = Maintenance(settings, store, queue, sandbox)
            runner = PeriodicRunner(stopping, term=lambda: maintenance.term)
            await runner.run_until_success(
                PeriodicTask(
                    "migrate", _MIGRATE_PAUSE_S, store.migrate, deadline_s=_MIGRATE_DEADLINE_S
                )
            )
            await runner.run(maintenance.tasks())
            for task in maintenance.last_tasks():
                await runner.run_once(task)
    finally:
        await queue.close()
        await sandbox.close()


class Maintenance:
    """What this host does for itself, and for all hosts while this process leads."""

    def __init__(
        self, settings: Settings, store: Store, queue: WakeQueue, sandbox: Sandbox
    ) -> None:
        """Take the parts that the tasks use; the worker is the parent of this process."""
        self._name = name = owner_name(os.getppid())
        self._store = store
        self._rescues_without_queue = 0
        self._heartbeat = Heartbeat(settings, store, sandbox, name)
        self._election_interval_s = leader_lease(settings.lease).total_seconds() / 3
        self._candidate = Candidate(
            store,
            process_name(os.getppid()),
            lease=leader_lease(settings.lease),
            clock=utc_now,
        )
        self._pool = PoolClient(settings.pool_dir)
        self._reaper = Reaper(str(settings.docker_socket_path), settings.instance, self._pool)
        self._egress = make_egress(settings)
        self._artefacts = make_artefacts(settings)
        self._sealer = Sealer(store, clock=utc_now)
        self._rescuer = Rescuer(
            store,
            queue,
            clock=utc_now,
            actor=name,
            lease=settings.lease,
            max_retries=settings.max_retries,
            reap=self._reaper.remove_attempt,
        )

    @property
    def term(self) -> int | None:
        """The number of the term in which this process leads; None while it does not."""
        return self._candidate.term

    def tasks(self) -> list[PeriodicTask]:
        """Return the tasks that run while the worker runs."""
        return [
            PeriodicTask("heartbeat", HEARTBEAT_INTERVAL_S, self._heartbeat.send),
            PeriodicTask("election", self._election_interval_s, self._candidate.stand),
            # Each host takes back what was lost on it; the leader also what was lost elsewhere.
            _batch("rescue", RESCUE_INTERVAL_S, self._rescue),
            _batch("reap-rescued", RESCUE_INTERVAL_S, self._rescuer.reap),
            _batch("reap", REAP_INTERVAL_S, self._reap),
            _batch("close-sockets", REAP_INTERVAL_S, self._close_sockets),
            _batch("seal", SEAL_INTERVAL_S, self._seal, Scope.LEADER),
            _batch("forget-workers", CLEAN_INTERVAL_S, self._forget_workers, Scope.LEADER),
            _batch("clean-artefacts", CLEAN_INTERVAL_S, self._artefacts.sweep),
        ]

    def last_tasks(self) -> list[PeriodicTask]:
        """Return the tasks that run once at the end, in this order.

        The first takes back scans whose processes ended here after the last run, perhaps because
        they were killed.
        """
        return [
            _last("rescue", lambda: self._rescuer.sweep(None)),
            _last("reap-rescued", self._rescuer.reap),
            # The workers of this process tree have ended, so none removes its container any more.
            _last("reap", lambda: self._reap(min_age=timedelta(0))),
            _last("seal", self._seal, Scope.LEADER),
            _last("resign", self._candidate.resign),
            _last("heartbeat", self._heartbeat.remove),
        ]

    async def _rescue(self) -> None:
        try:
            await self._rescuer.sweep(self.term)
        except QueueUnavailableError:
            self._rescues_without_queue += 1
            if self._rescues_without_queue >= _RESCUES_WITHOUT_QUEUE and await self._has_peers():
                # This host's own connection to the queue may be broken; then nobody is woken.
                _log.warning("steward.steps_aside reason=queue")
                await self._candidate.step_aside()
            raise
        self._rescues_without_queue = 0

    async def _has_peers(self) -> bool:
        """Return True if another worker lives, which could lead."""
        living = await self._store.workers(since=utc_now() - WORKER_SILENCE)
        return any(worker.id != self._name for worker in living)

    async def _reap(self, min_age: timedelta = MIN_AGE) -> None:
        await self._reaper.sweep(utc_now, self._is_over, min_age=min_age)

    async def _close_sockets(self) -> None:
        if self._egress is not None:
            await self._egress.sweep(self._is_over)

    async def _is_over(self, scan_id: str, attempt: int) -> bool:
        """Return True if the attempt does not fetch, so that nothing of it may still run."""
        scan = await self._store.get(scan_id)
        return scan is None or (scan.state, scan.attempt) != (State.FETCHING, attempt)

    async def _seal(self) -> None:
        if (term := self.term) is not None:
            await self._sealer.seal(term)

    async def _forget_workers(self) -> None:
        await self._store.forget_workers(silent_since=utc_now() - FORGOTTEN_AFTER)


def _batch(name: str, interval_s: float, run: Run, scope: Scope = Scope.HOST) -> PeriodicTask:
    """Return a task whose runs do many things, each of which the next run may take up."""
    return PeriodicTask(name, interval_s, run, scope, deadline_s=_BATCH_DEADLINE_S)


def _last(name: str, run: Run, scope: Scope = Scope.HOST) -> PeriodicTask:
    """Return a task that runs once; its name prevents a concurrent run of the same task."""
    return PeriodicTask(name, 0.0, run, scope, deadline_s=_LAST_DEADLINE_S)
