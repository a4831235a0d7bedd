"""Runs the vectors that a task names, and prints one line of JSON for each."""

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
    """Run the vectors one after the other; report one that fails; end the process."""
    # Like the fetcher: the worker begins to watch the memory before it sends the request.
    sys.stdin.buffer.read()
    for name in task["vectors"]:
        try:
            line = {"vector": name, "facts": _VECTORS[name](task)}
        except (OSError, ValueError, LookupError, AttributeError) as error:
            line = {"vector": name, "error": repr(error)}
        print(json.dumps(line), flush=True)  # noqa: T201 - this is the probe's output
    # Processes that a vector left running end with PID 1.
    os._exit(0)
