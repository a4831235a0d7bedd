"""Find what a run of the tests left behind.

python -m tests.support.leftovers run COMMAND…    run it; fail if a process of it outlives it
python -m tests.support.leftovers list            print containers, image tags and namespaces
python -m tests.support.leftovers check FILE      fail if there is one that FILE does not list
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.images import docker_client
from worker.sandbox import labels

_PR_SET_CHILD_SUBREAPER = 36
_NAMESPACES = Path("/run/netns")
#: What is being removed when the tests end is not left behind.
_GRACE_S = 5.0
_POLL_S = 0.2


def resources() -> set[str]:
    """Return our containers, and all image tags and named network namespaces of this host."""
    with docker_client() as client:
        ours = client.containers.list(
            all=True, filters={"label": f"{labels.MANAGED}=true"}, ignore_removed=True
        )
        found = {f"container {container.name}" for container in ours}
        found |= {f"image {tag}" for tag in image_tags(client.api.images())}
    with suppress(FileNotFoundError):
        found |= {f"network namespace {path.name}" for path in _NAMESPACES.iterdir()}
    return found


def image_tags(images: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the tags of the images that an engine lists."""
    # Any: Docker's JSON. Engines before version 24 list an image without a tag as this one.
    return {tag for image in images for tag in image["RepoTags"] or ()} - {"<none>:<none>"}


def processes() -> set[str]:
    """Return the descendants of this process, after those that have ended are reaped."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.add(f"process {process.pid} ({' '.join(process.cmdline())[:200]})")
    return found


def run(command: Sequence[str]) -> int:
    """Run the command and return its status; 1 if it passes but a process of it is left."""
    # Processes whose parent ends become children of this one.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = subprocess.Popen(command).pid
    # The command gets the same signals and ends by them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            left = _report(processes)
            remaining = psutil.Process().children(recursive=True)
            for process in remaining:
                process.kill()
            psutil.wait_procs(remaining, timeout=_GRACE_S)
            return os.waitstatus_to_exitcode(status) or left


def _report(find: Callable[[], set[str]]) -> int:
    """Print the remains after the grace time; return 1 if there are any."""
    end_s = time.monotonic() + _GRACE_S
    while (left := find()) and time.monotonic() < end_s:
        time.sleep(_POLL_S)
    for each in sorted(left):
        sys.stdout.write(f"The tests left behind: {each}\n")
    return int(bool(left))


def main(words: Sequence[str]) -> int:
    """Run the action of the command line."""
    if words[0] == "run":
        return run(words[1:])
    if words[0] == "list":
        sys.stdout.writelines(f"{each}\n" for each in sorted(resources()))
        return 0
    before = set(Path(words[1]).read_text().splitlines())
    return _report(lambda: resources() - before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
