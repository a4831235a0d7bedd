"""Taking all there is: processes, memory, space. Each in a container of its own."""

import mmap
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from worker.doctor.probe.syscall_result import Task, said, word

_MIB = 1024 * 1024
_TMP = Path("/tmp")  # noqa: S108 - inside the sandbox


def fork_bomb(task: Task) -> dict[str, Any]:
    """Fork until the kernel refuses, or as often as the task says; the children end with PID 1."""
    born = 0
    try:
        while born < task["most_processes"]:
            if os.fork() == 0:
                signal.pause()
                os._exit(0)
            born += 1
    except OSError as error:
        return {"born": born, "refused": word(error)}
    return {"born": born, "refused": ""}


def memory_bomb(task: Task) -> dict[str, int]:
    """Take and touch memory until killed, or as much as the task says."""
    hoard = []
    for _ in range(task["most_memory_mb"]):
        block = mmap.mmap(-1, _MIB)
        for offset in range(0, _MIB, mmap.PAGESIZE):
            block[offset] = 1
        hoard.append(block)
    return {"held_mb": len(hoard)}


def tmpfs(task: Task) -> dict[str, Any]:
    """Run a program from /tmp, then fill it until the kernel refuses, or as the task says."""
    executed = _execute(_TMP / "program")
    written, refused = 0, ""
    try:
        while written < task["most_space_mb"] * _MIB:
            with (_TMP / str(written)).open("wb", buffering=0) as file:
                written += sum(file.write(bytes(_MIB)) for _ in range(4))
    except OSError as error:
        refused = word(error)
    filled = shutil.disk_usage(_TMP)
    return {"size": filled.total, "refused": refused, "executed": executed}


def _execute(program: Path) -> str:
    # Made executable as it is made: nothing that a sandbox does needs to change a file's mode.
    with open(program, "xb", opener=_executable) as file:
        file.write(f"#!{sys.executable}\n".encode())
    # In a child, since where it can be run it takes the process over.
    child = os.fork()
    if child == 0:
        said(lambda: os.execv(program, [str(program)]))  # noqa: S606 - that it is refused is what is tried
        os._exit(1)
    return "refused" if os.waitpid(child, 0)[1] else "done"


def _executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o700)


VECTORS = {each.__name__: each for each in (fork_bomb, memory_bomb, tmpfs)}
