"""Find what a run of the tests left behind.

python -m tests.support.leftovers run COMMAND…    run it; fail if a process of it outlives it
python -m tests.support.leftovers list            print containers, image tags and namespaces
python -m tests.support.leftovers check FILE      fail if there is one that FILE does not list

`--grace SECONDS` before these words changes how long something may still be on its way out. What
names a process that is still at work, as an image, a namespace or the folder of pytest does,
belongs to another run of the tests.
"""

import ctypes
import os
import re
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
#: The process in the name of an image or a namespace that a test makes.
_MAKER = re.compile(r"safeurl-(?:test-[0-9a-f]+:(?P<image>\d+)|(?P<namespace>\d+)-[0-9a-f]+)")
#: The file in which pytest notes the process that uses a folder of temporary files.
_LOCK_NAME = ".lock"
#: What is being removed when the tests end is not left behind.
_GRACE_S = 5.0
_POLL_S = 0.2


def resources(*, in_use: bool = True) -> set[str]:
    """Return our containers, and the image tags and named network namespaces of this host.

    Without `in_use`, those of a run of the tests that is still at work are left out.
    """
    with docker_client() as client:
        ours = client.api.containers(all=True, filters={"label": f"{labels.MANAGED}=true"})
        tags = image_tags(client.api.images())
    found = {f"container {_name(each)}" for each in ours if in_use or not is_in_use(_paths(each))}
    found |= {f"image {tag}" for tag in tags if in_use or not is_at_work(tag)}
    with suppress(FileNotFoundError):
        names = [path.name for path in _NAMESPACES.iterdir()]
        found |= {f"network namespace {each}" for each in names if in_use or not is_at_work(each)}
    return found


def is_at_work(name: str) -> bool:
    """Tell whether the process in the name of an image or a namespace is alive."""
    match = _MAKER.fullmatch(name)
    return match is not None and psutil.pid_exists(int(match["image"] or match["namespace"]))


def is_in_use(paths: Iterable[Path]) -> bool:
    """Tell whether a path lies in a folder of temporary files of a pytest that is alive."""
    for folder in (folder for path in paths for folder in path.parents):
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            lock = folder / _LOCK_NAME
            # A younger process only has the number of the one that wrote the note.
            if psutil.Process(int(lock.read_text())).create_time() <= lock.stat().st_mtime:
                return True
    return False


def _name(container: Mapping[str, Any]) -> str:
    # Any: Docker's JSON. A container that is being removed may have no name any more.
    return str((container["Names"] or [container["Id"]])[0]).removeprefix("/")


def _paths(container: Mapping[str, Any]) -> list[Path]:
    # Any: Docker's JSON. A mount without a source, as a tmpfs, is of no folder.
    return [Path(mount["Source"]) for mount in container["Mounts"] if mount.get("Source")]


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


def run(command: Sequence[str], grace_s: float = _GRACE_S) -> int:
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
            left = _report(processes, grace_s)
            remaining = psutil.Process().children(recursive=True)
            for process in remaining:
                process.kill()
            psutil.wait_procs(remaining, timeout=_GRACE_S)
            return os.waitstatus_to_exitcode(status) or left


def _report(find: Callable[[], set[str]], grace_s: float) -> int:
    """Print the remains after the grace time; return 1 if there are any."""
    end_s = time.monotonic() + grace_s
    while (left := find()) and time.monotonic() < end_s:
        time.sleep(_POLL_S)
    for each in sorted(left):
        sys.stdout.write(f"The tests left behind: {each}\n")
    return int(bool(left))


def main(words: Sequence[str]) -> int:
    """Run the action of the command line."""
    grace_s = _GRACE_S
    if words[0] == "--grace":
        grace_s, words = float(words[1]), words[2:]
    if words[0] == "run":
        return run(words[1:], grace_s)
    if words[0] == "list":
        sys.stdout.writelines(f"{each}\n" for each in sorted(resources()))
        return 0
    before = set(Path(words[1]).read_text().splitlines())
    return _report(lambda: resources(in_use=False) - before, grace_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
