"""A worker that tests or the bench start does not outlive them, whatever happens at its start."""

from pathlib import Path

import psutil
import pytest

from tests.support.system import RunningWorker, System


class _Unasked(RunningWorker):
    """A worker whose health cannot be read."""

    def _is_beating(self) -> bool:
        raise LookupError("nobody can tell")


def test_a_worker_is_stopped_where_its_start_is_cut_off(tmp_path: Path) -> None:
    """An error or Ctrl-C during the wait for its first beat stops it, too."""
    system = System(tmp_path / "state", DOCKER_SOCKET_PATH="/nowhere")
    worker = _Unasked(system)
    with pytest.raises(LookupError), worker:
        pass
    assert not psutil.pid_exists(worker.pid)
