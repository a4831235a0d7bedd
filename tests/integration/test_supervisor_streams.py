"""The supervisor, its roles and their jobs with unwritable streams: a fault has no other effect.

Each role that ends writes this to a file, which shows a child that continued as its parent.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.broken_streams import start

_PROGRAM = """
import logging, os, signal, sys, time
from pathlib import Path
from safeurl.cli.logs import log_to
from safeurl.cli.view.streams import prepare_output
from worker.runtime.job_process import run_job
from worker.runtime.supervisor import Role, Supervisor
prepare_output()
log_to("INFO")
folder = Path(sys.argv[1])

def tell(word):
    with (folder / "deeds").open("a") as deeds: deeds.write(f"{word} {os.getpid()}\\n")

def steady():
    tell("steady")
    while True: time.sleep(0.05)

def faulty():
    tell("faulty")
    print("what stays in a buffer")
    logging.getLogger().warning("a line")
    if sys.argv[2] == "raises": raise RuntimeError("a fault")
    if sys.argv[2] == "exits": raise SystemExit(3)
    if sys.argv[2] == "returns": return
    def job():
        print("what stays in a buffer")
        raise RuntimeError("a fault")
    tell(f"job-{run_job(job, deadline_s=20)}")

Supervisor([Role("steady", steady), Role("faulty", faulty)], grace_s=10).run()
tell("stopped")
os._exit(0)  # not as Python ends, which would complain of the streams
"""


def _deeds(folder: Path) -> list[list[str]]:
    file = folder / "deeds"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize("ending", ["raises", "exits", "returns", "job"])
@pytest.mark.parametrize("streams", ["none", "full both", "dead stderr"])
def test_a_role_that_ends_leaves_the_others_alone(
    tmp_path: Path, streams: str, ending: str
) -> None:
    """It is started again and again, and the other role is the same process all the while."""
    with start(["-c", _PROGRAM, str(tmp_path), ending], dict(os.environ), streams) as process:
        deadline = time.monotonic() + 60
        while sum(word == "faulty" for word, _ in _deeds(tmp_path)) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    deeds = _deeds(tmp_path)
    assert sum(word == "steady" for word, _ in deeds) == 1
    assert [pid for word, pid in deeds if word == "stopped"] == [str(process.pid)]
    if ending == "job":
        assert {word for word, _ in deeds if word.startswith("job")} == {"job-1"}
