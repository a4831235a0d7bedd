"""A user who can write to Redis runs no code in a worker: the whole system under attack."""

import os
from datetime import UTC, datetime
from pathlib import Path

from safeurl.model.scan import new_scan_id
from safeurl.state import State
from tests.support.hostile_jobs import ON_THE_QUEUE, plant_beside_the_queue, plant_module
from tests.support.pages import PageServer, html
from tests.support.system import RunningWorker, System
from tests.support.tcp_valkey import TcpValkey


def test_hostile_jobs_run_nothing_and_an_honest_scan_completes(tmp_path: Path) -> None:
    """Every attack waits when the worker starts; no canary is made, and the next scan runs."""
    canary, modules = tmp_path / "canary", tmp_path / "modules"
    modules.mkdir()
    plant_module(modules, canary)
    with TcpValkey(tmp_path) as valkey, PageServer({"/": lambda _: html("Hi")}) as pages:
        given = {"WORKER_CONCURRENCY": "1", "EGRESS_ALLOW_CIDRS": "127.0.0.1/32"}
        system = System(tmp_path / "state", **given, **valkey.settings)
        paths = [str(modules), *filter(None, [system.environ.get("PYTHONPATH")])]
        system.environ["PYTHONPATH"] = os.pathsep.join(paths)
        client = valkey.client()
        for plant in ON_THE_QUEUE.values():
            plant(client, new_scan_id(datetime.now(UTC)), canary)
        plant_beside_the_queue(client, new_scan_id(datetime.now(UTC)))
        client.close()
        with RunningWorker(system) as run:
            scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
            [scan] = system.wait_final([scan_id], timeout_s=60)
            log = run.log.read_text()
            health = system.with_service(lambda service: service.health())
    assert not canary.exists()
    assert (scan.state, scan.attempt) == (State.COMPLETED, 1)
    assert log.count("worker.refused_job") == len(ON_THE_QUEUE)
    assert "Traceback" not in log
    assert health.refused_jobs == len(ON_THE_QUEUE)
    assert health.status == "degraded"
