"""Runs a task in a child process that can be killed: for parsers that meet hostile input."""

import contextlib
import math
import os
import resource
import select
import signal
from collections.abc import Callable
from typing import NoReturn

from fetcher.deadline import Deadline
from fetcher.streams import say_why

_MAX_RESULT_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_MEMORY_BYTES = 256 * 1024 * 1024
_LATE = "took too long"
_PAGE_BYTES = resource.getpagesize()


class TaskFailedError(Exception):
    """The child did not deliver; the message says why, in a few words."""


def run_apart(task: Callable[[], bytes], seconds: float, cpu_s: float | None = None) -> bytes:
    """Return what the task returns; raise `TaskFailedError` when it takes too much of anything.

    `seconds` is its limit by the clock, `cpu_s` that of its computing, the same where it is not
    given: on a busy host a child can wait for long. The child inherits memory as it is now, and
    nothing it does comes back but the bytes.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(task, reader, writer, seconds if cpu_s is None else cpu_s)
    os.close(writer)
    try:
        result = _collect(reader, Deadline.after(seconds))
    finally:
        # Harmless where it has ended already: it stays a zombie until it is waited for.
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        _, status = os.waitpid(child, 0)
    if not result:
        raise TaskFailedError(_words(status))
    return result


def _child(task: Callable[[], bytes], reader: int, writer: int, cpu_s: float) -> NoReturn:
    """Work and leave, without ever returning to the parent's code."""
    code = 1
    try:
        os.close(reader)
        _limit(cpu_s)
        data = memoryview(task())
        while data:
            data = data[os.write(writer, data) :]
        code = 0
    except BaseException:  # noqa: BLE001 - the child's last act is to say why it ended
        say_why()
    finally:
        # In a block of its own: nothing that is raised above comes past it.
        os._exit(code)


def _limit(cpu_s: float) -> None:
    # The kernel counts whole seconds. At the second limit it kills, which looks like a crash.
    cpu = max(1, math.ceil(cpu_s))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    # A sandbox has this limit already, and may not set it. Not 0: with that, what a crash leaves is
    # still given to a program that `kernel.core_pattern` may name.
    if resource.getrlimit(resource.RLIMIT_CORE)[1] not in {0, 1}:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib is not loaded
        used = int(statm.read().split()[0]) * _PAGE_BYTES
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = used + _MEMORY_BYTES
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # If the sandbox runs out of memory nevertheless, this process is the one to go.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - see above
        score.write("1000")


def _collect(reader: int, deadline: Deadline) -> bytes:
    """Return all that the child wrote before it closed the pipe."""
    parts: list[bytes] = []
    room = _MAX_RESULT_BYTES
    while room >= 0:
        if not select.select([reader], [], [], deadline.left())[0]:
            raise TaskFailedError(_LATE)
        part = os.read(reader, _PIECE_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
        room -= len(part)
    raise TaskFailedError("gave too much")


def _words(status: int) -> str:
    """Say how a child ended that wrote nothing."""
    if not os.WIFSIGNALED(status):
        return "failed"
    return _LATE if os.WTERMSIG(status) == signal.SIGXCPU else "crashed"
