"""The tasks that a job on the queue can start, each run in a fork of the worker."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial

from safeurl.bootstrap import make_artefacts, open_store, utc_now
from safeurl.model.records.wakeup import TASK, Wakeup
from safeurl.settings import Settings
from worker.attempt.executor import Executor
from worker.bootstrap import make_egress, make_limits, make_sandbox
from worker.identity import owner_name

_log = logging.getLogger("safeurl.task")


def run_scan(settings: Settings, wakeup: Wakeup) -> None:
    """Run one attempt of the scan; if it fails, the rescuer takes the scan after its lease ends."""
    try:
        asyncio.run(_run(wakeup, settings))
    except Exception:
        # The exit status of this fork reports the failure; the worker itself goes on.
        _log.exception("task.failed scan=%s", wakeup.scan_id)
        raise


def make_tasks(settings: Settings) -> Mapping[str, Callable[[Wakeup], None]]:
    """Return the only functions that a job on the queue can call, by the job's name.

    They have the settings that the worker has read, so that no job reads them again.
    """
    return {TASK: partial(run_scan, settings)}


async def _run(wakeup: Wakeup, settings: Settings) -> None:
    sandbox = make_sandbox(settings)
    stopping = asyncio.Event()
    try:
        async with open_store(settings, migrate=False) as store:
            executor = Executor(
                store=store,
                sandbox=sandbox,
                egress=make_egress(settings),
                artefacts=make_artefacts(settings),
                limits=make_limits(settings),
                clock=utc_now,
                owner=owner_name(os.getpid()),
                is_stopping=stopping.is_set,
            )
            await _run_until_stopped(executor, wakeup, stopping)
    finally:
        await sandbox.close()


async def _run_until_stopped(executor: Executor, wakeup: Wakeup, stopping: asyncio.Event) -> None:
    """Run the attempt. SIGTERM cancels it; the attempt then hands its scan back before it ends.

    The job's deadline cancels the attempt too, but does not set `stopping`: the rescuer counts
    such an attempt as a failure.
    """
    attempt = asyncio.create_task(executor.run(wakeup.scan_id, wakeup.arrival))

    def stop() -> None:
        # Once only: a repeated signal must not interrupt the hand-back that the first one began.
        if not stopping.is_set():
            stopping.set()
            attempt.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        await attempt
    except asyncio.CancelledError:
        _log.warning("task.stopped scan=%s", wakeup.scan_id)
