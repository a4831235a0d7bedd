"""Vectors that exhaust processes, memory and disk space. Each runs in its own container."""

import mmap
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from worker.doctor.probe.syscall_result import Task, errno_name, result_of

_MIB = 1024 * 1024
_TMP = Path("/tmp")  # noqa: S108 - inside the sandbox


def fork_bomb(task: Task) -> dict[str, Any]:
    """Fork until the kernel refuses or the task's limit is met; the children end with PID 1."""
    forked = 0
    try:
        while forked < task["most_processes"]:
            if os.fork() == 0:
                signal.pause()
                os._exit(0)
            forked += 1
    except OSError as error:
        return {"forked": forked, "refused": errno_name(error)}
    return {"forked": forked, "refused": ""}


def memory_bomb(task: Task) -> dict[str, int]:
    """Allocate and write memory until killed, or until the task's limit is met."""
    blocks = []
    for _ in range(task["most_memory_mb"]):
        block = mmap.mmap(-1, _MIB)
        for offset in range(0, _MIB, mmap.PAGESIZE):
            block[offset] = 1
        blocks.append(block)
    return {"allocated_mb": len(blocks)}


def tmpfs(task: Task) -> dict[str, Any]:
    """Run a program from /tmp, then fill /tmp until the kernel refuses or the limit is met."""
    executed = _execute(_TMP / "program")
    written, refused = 0, ""
    try:
        while written < task["most_space_mb"] * _MIB:
            with (_TMP / str(written)).open("wb", buffering=0) as file:
                written += sum(file.write(bytes(_MIB)) for _ in range(4))
    except OSError as error:
        refused = errno_name(error)
    filled = shutil.disk_usage(_TMP)
    return {"size": filled.total, "refused": refused, "executed": executed}


def _execute(program: Path) -> str:
    # Created with the executable bit: the seccomp filter does not allow a later chmod.
    with open(program, "xb", opener=_executable) as file:
        file.write(f"#!{sys.executable}\n".encode())
    # In a child process, because execv replaces the process.
    child = os.fork()
    if child == 0:
        result_of(lambda: os.execv(program, [str(program)]))  # noqa: S606 - the test is that this is refused
        os._exit(1)
    return "refused" if os.waitpid(child, 0)[1] else "done"


def _executable(path: str, flags: int) -> int:
    return os.open(path, flags, 0o700)


VECTORS = {each.__name__: each for each in (fork_bomb, memory_bomb, tmpfs)}
