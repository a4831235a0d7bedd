"""The chaos in small: a hundred scans while everything around them is killed at random."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.fetching import ROOT

_SCANS, _SEED = 100, 1
#: For hanging only; a run takes about a minute and a half.
_BOUND_S = 400
#: The time for the run to end its engines after SIGTERM.
_STOP_S = 60


@pytest.mark.timeout(_BOUND_S + 2 * _STOP_S)
def test_nothing_accepted_is_lost_while_all_is_killed_at_random() -> None:
    """All checks of the run pass: one end each, legal trails, one sandbox each, nothing left."""
    command = [sys.executable, "-m", "tests.chaos.main", str(_SCANS), str(_SEED), "sqlite"]
    with subprocess.Popen(
        [*command, "--lease", "6"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            said, _ = run.communicate(timeout=_BOUND_S)
        except BaseException:
            # After SIGTERM it ends what it started; after SIGKILL it would leave engines behind.
            run.send_signal(signal.SIGTERM)
            run.wait(_STOP_S)
            raise
    assert run.returncode == 0, said
