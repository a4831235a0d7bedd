"""A job's process shares the modules of its worker: it imports no further ones."""

import os
import subprocess
import sys
from pathlib import Path

#: Runs one scan with a simulated sandbox as a worker does: in a fork, after the worker's preloads.
_WORKER = """
import asyncio, os, sys
from functools import partial
from safeurl.bootstrap import open_store
from safeurl.model.records.wakeup import TASK, Wakeup
from safeurl.settings import Settings
from tests.support.builders import make_scan
from tests.support.sandbox import ScriptedEgress, ScriptedSandbox
from worker import tasks
from worker.daemon import load_before_forks
from worker.runtime.job_process import run_job

settings = Settings.read(os.environ)
tasks.make_sandbox = lambda _: ScriptedSandbox()
tasks.make_egress = lambda _: ScriptedEgress()
load_before_forks(settings)
scan = make_scan()

async def add():
    async with open_store(settings) as store:
        await store.add([scan])

async def state():
    async with open_store(settings) as store:
        return (await store.get(scan.id)).state

def job():
    tasks.run_scan(settings, Wakeup(scan_id=scan.id, task=TASK))
    print(sorted(set(sys.modules) - before), flush=True)

def add_elsewhere():
    asyncio.run(add())

assert run_job(add_elsewhere, deadline_s=60) == 0
before = set(sys.modules)
assert run_job(job, deadline_s=60) == 0
print(asyncio.run(state()))
"""


def test_a_job_imports_nothing(tmp_path: Path) -> None:
    """Imports after the fork would be repeated by each scan; they took a third of its time."""
    done = subprocess.run(
        [sys.executable, "-c", _WORKER],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SAFEURL_ENV_FILE": "none",
            "SAFEURL_STATE_DIR": str(tmp_path),
        },
    )
    assert done.stdout.splitlines() == ["[]", "COMPLETED"], done.stderr
