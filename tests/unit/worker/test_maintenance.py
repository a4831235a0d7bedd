"""The list of periodic tasks: its contents, and its start and end in order."""

import asyncio
from datetime import timedelta
from pathlib import Path

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.bootstrap import utc_now
from safeurl.settings import Settings
from tests.support.sandbox import ScriptedSandbox
from worker.runtime.maintenance import Maintenance
from worker.runtime.periodic import PeriodicRunner, Scope


def _maintenance(folder: Path, store: MemoryStore) -> Maintenance:
    settings = Settings.read(
        {
            "SAFEURL_STATE_DIR": str(folder),
            "CONTAINER_NETWORK": "bridge",
            "DOCKER_SOCKET_PATH": str(folder / "no-engine.sock"),
        }
    )
    return Maintenance(settings, store, MemoryQueue(), ScriptedSandbox())


def test_the_tasks_have_names_of_their_own(tmp_path: Path) -> None:
    """The runner counts runs and threads by name."""
    names = [task.name for task in _maintenance(tmp_path, MemoryStore()).tasks()]
    assert len(set(names)) == len(names)
    assert {"heartbeat", "election", "rescue", "reap", "seal", "forget-workers"} <= set(names)


def test_what_is_done_once_for_all_hosts_is_the_leaders(tmp_path: Path) -> None:
    """Each host does the rest for itself."""
    tasks = _maintenance(tmp_path, MemoryStore()).tasks()
    leaders = {task.name for task in tasks if task.scope is Scope.LEADER}
    assert leaders == {"seal", "forget-workers"}


async def test_an_engine_that_is_away_holds_up_no_other_task(tmp_path: Path) -> None:
    """The worker is listed and leads meanwhile; at the end neither is left."""
    store = MemoryStore()
    maintenance = _maintenance(tmp_path, store)
    stopping = asyncio.Event()
    runner = PeriodicRunner(stopping, term=lambda: maintenance.term)
    running = asyncio.create_task(runner.run(maintenance.tasks()))
    since = utc_now() - timedelta(minutes=1)
    async with asyncio.timeout(30):
        while maintenance.term is None or not await store.workers(since=since):  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.01)
    stopping.set()
    await running
    for task in maintenance.last_tasks():
        await runner.run_once(task)
    assert maintenance.term is None
    assert await store.workers(since=since) == []
