"""The steward: one process per host that signs for the worker, rescues, reaps, and may lead."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from safeurl.bootstrap import make_artefacts, make_queue, open_store, utc_now
from safeurl.errors import QueueUnavailableError, UnavailableError
from safeurl.ports.queue import WakeQueue
from safeurl.ports.sandbox import Sandbox
from safeurl.ports.store import Store
from safeurl.services.health import WORKER_SILENCE
from safeurl.settings import Settings
from safeurl.state import State
from worker.identity import owner_name, process_name
from worker.leader.election import Candidate, leader_lease
from worker.leader.rescuer import Rescuer
from worker.leader.sealer import Sealer
from worker.runtime.heartbeat import BEAT_INTERVAL_S, Beat
from worker.runtime.log_limit import Said
from worker.sandbox.reaper import Reaper
from worker.tasks import make_egress, make_sandbox

_log = logging.getLogger("safeurl.steward")

#: A duty that fails is done less and less often, yet soon after what it lacks is back.
_MAX_PAUSE_S = 10.0

SWEEP_INTERVAL_S = 2.0
REAP_INTERVAL_S = 15.0
SEAL_INTERVAL_S = 15.0
FORGET_INTERVAL_S = 600.0
#: A leader that finds no queue so often in a row lets another lead.
_QUEUELESS_SWEEPS = 2
#: A worker that was killed is told of for so long, then its row goes.
FORGOTTEN_AFTER = timedelta(hours=1)

Duty = Callable[[], Awaitable[object]]


async def run_steward(settings: Settings) -> None:
    """Do the duties until SIGTERM; a part that does not answer is tried again at the next turn."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    sandbox = make_sandbox(settings)
    queue = make_queue(settings)
    try:
        async with open_store(settings, migrate=False) as store:
            said = Said()
            await _until_done(store.migrate, stopping, said)
            steward = _Steward(settings, store, queue, sandbox)
            await asyncio.gather(
                *(_every(interval_s, duty, stopping, said) for interval_s, duty in steward.duties())
            )
            await steward.leave()
    finally:
        await queue.close()
        await sandbox.close()


class _Steward:
    """The duties of one host, and of all hosts while this one leads."""

    def __init__(
        self, settings: Settings, store: Store, queue: WakeQueue, sandbox: Sandbox
    ) -> None:
        self._name = name = owner_name(os.getppid())
        self._store = store
        self._queueless = 0
        self._beat = Beat(settings, store, sandbox, name)
        self._stand_interval_s = leader_lease(settings.lease).total_seconds() / 3
        self._candidate = Candidate(
            store,
            process_name(os.getppid()),
            lease=leader_lease(settings.lease),
            clock=utc_now,
        )
        self._reaper = Reaper(str(settings.docker_socket_path), settings.instance)
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

    def duties(self) -> list[tuple[float, Duty]]:
        """Return each duty with the seconds between its turns."""
        return [
            (BEAT_INTERVAL_S, self._beat.send),
            (self._stand_interval_s, self._candidate.stand),
            (SWEEP_INTERVAL_S, self._sweep),
            (SWEEP_INTERVAL_S, self._rescuer.reap),
            (REAP_INTERVAL_S, self._reap),
            (REAP_INTERVAL_S, self._close_sockets),
            (SEAL_INTERVAL_S, self._seal),
            (FORGET_INTERVAL_S, self._forget_workers),
            (FORGET_INTERVAL_S, self._artefacts.sweep),
        ]

    async def leave(self) -> None:
        """Leave nothing behind that another would have to find out about."""
        for duty in (
            # What ended here after the last sweep, killed at the end of its grace perhaps.
            lambda: self._rescuer.sweep(None),
            self._rescuer.reap,
            self._reap,
            self._seal,
            self._candidate.resign,
            self._beat.retire,
        ):
            await _tried(duty)

    async def _sweep(self) -> None:
        try:
            await self._rescuer.sweep(self._candidate.term)
        except QueueUnavailableError:
            self._queueless += 1
            if self._queueless >= _QUEUELESS_SWEEPS and await self._has_company():
                # It may be our way to the queue that is broken, and no wake-up would be sent.
                _log.warning("steward.steps_aside reason=queue")
                await self._candidate.step_aside()
            raise
        self._queueless = 0

    async def _has_company(self) -> bool:
        beats = await self._store.workers(since=utc_now() - WORKER_SILENCE)
        return any(beat.id != self._name for beat in beats)

    async def _reap(self) -> None:
        await self._reaper.sweep(utc_now, self._is_over)

    async def _close_sockets(self) -> None:
        if self._egress is not None:
            await self._egress.sweep(self._is_over)

    async def _is_over(self, scan_id: str, attempt: int) -> bool:
        scan = await self._store.get(scan_id)
        return scan is None or (scan.state, scan.attempt) != (State.FETCHING, attempt)

    async def _seal(self) -> None:
        if (term := self._candidate.term) is not None:
            await self._sealer.seal(term)

    async def _forget_workers(self) -> None:
        if self._candidate.term is not None:
            await self._store.forget_workers(silent_since=utc_now() - FORGOTTEN_AFTER)


async def _until_done(duty: Duty, stopping: asyncio.Event, said: Said) -> None:
    """Try until it works once, or until the end."""
    pause_s = 1.0
    while not stopping.is_set() and not await _tried(duty, said):
        await _pause(pause_s, stopping)
        pause_s = min(_MAX_PAUSE_S, pause_s * 2)


async def _every(interval_s: float, duty: Duty, stopping: asyncio.Event, said: Said) -> None:
    """Do the duty now and then at this interval, less often while it fails, until the end."""
    pause_s = interval_s
    while not stopping.is_set():
        if await _tried(duty, said):
            pause_s = interval_s
            await _pause(interval_s, stopping)
        else:
            await _pause(pause_s, stopping)
            pause_s = max(interval_s, min(_MAX_PAUSE_S, pause_s * 2))


async def _tried(duty: Duty, said: Said | None = None) -> bool:
    try:
        await duty()
    except UnavailableError as error:
        if said is None or said.is_due(str(error), time.monotonic()):
            _log.warning("steward.unavailable error=%s", error)
        return False
    return True


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
