"""Runs the vectors that a task names, and prints one JSON line for each."""

import json
import os
import sys

from worker.doctor.probe import calls, exhaustion, files, gateway, network, rights
from worker.doctor.probe.syscall_result import Task

_VECTORS = {
    **network.VECTORS,
    **gateway.VECTORS,
    **files.VECTORS,
    **rights.VECTORS,
    **calls.VECTORS,
    **exhaustion.VECTORS,
}


def run(task: Task) -> None:
    """Run them in turn; one that breaks does not keep the others. Ends the process."""
    # As the fetcher does: the worker watches a sandbox's memory from before the request is sent.
    sys.stdin.buffer.read()
    for name in task["vectors"]:
        try:
            line = {"vector": name, "seen": _VECTORS[name](task)}
        except (OSError, ValueError, LookupError, AttributeError) as error:
            line = {"vector": name, "error": repr(error)}
        print(json.dumps(line), flush=True)  # noqa: T201 - this is how the probe answers
    # Whatever a vector left running ends with PID 1.
    os._exit(0)
