"""Runs a task in a child process that can be killed: for parsers of hostile input."""

import contextlib
import math
import os
import resource
import select
import signal
from collections.abc import Callable, Iterator
from typing import NoReturn

from fetcher.deadline import Deadline
from fetcher.streams import log_exception

_MAX_RESULT_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_MEMORY_BYTES = 256 * 1024 * 1024
_TIMED_OUT = "took too long"
_PAGE_BYTES = resource.getpagesize()


class TaskFailedError(Exception):
    """The child has returned no result; the message is a short reason, such as "crashed"."""


class CpuTimeOverError(BaseException):
    """The CPU time of the child is over; no handler of ordinary exceptions takes it."""


@contextlib.contextmanager
def stop_when_cpu_time_is_over() -> Iterator[None]:
    """End the block with `CpuTimeOverError` when the child has no more CPU time.

    After the block the child has one second to return what it has found before.
    """

    def stop(_number: int, _frame: object) -> NoReturn:
        raise CpuTimeOverError

    before = signal.signal(signal.SIGXCPU, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGXCPU, before)


def run_in_subprocess(
    task: Callable[[], bytes], seconds: float, cpu_s: float | None = None
) -> bytes:
    """Return the bytes that the task returns; raise `TaskFailedError` if it exceeds a limit.

    `seconds` limits the elapsed time and `cpu_s` the CPU time (by default the same). They differ
    because a child may wait for a CPU on a busy host. The child inherits the memory of this
    process. Only the returned bytes come back from it.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _run_child(task, reader, writer, seconds if cpu_s is None else cpu_s)
    os.close(writer)
    try:
        result = _collect(reader, Deadline.after(seconds))
    finally:
        # If the child has ended, it is a zombie until `waitpid`, so its id cannot belong to another
        # process.
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        _, status = os.waitpid(child, 0)
    if not result:
        raise TaskFailedError(_failure_reason(status))
    return result


def _run_child(task: Callable[[], bytes], reader: int, writer: int, cpu_s: float) -> NoReturn:
    """Run the task and exit, without returning to the parent's code."""
    code = 1
    try:
        os.close(reader)
        _set_limits(cpu_s)
        data = memoryview(task())
        while data:
            data = data[os.write(writer, data) :]
        code = 0
    except BaseException:  # noqa: BLE001 - logged; the child ends in any case
        log_exception()
    finally:
        # In `finally`, so that no exception can pass this line.
        os._exit(code)


def _set_limits(cpu_s: float) -> None:
    # The limit has whole seconds. At the hard limit the kernel sends SIGKILL, which would look like
    # a crash.
    cpu = max(1, math.ceil(cpu_s))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    # A sandbox sets this limit already and does not allow another. The limit is not 0: with 0, the
    # kernel still gives the core dump to a program that `kernel.core_pattern` may name.
    if resource.getrlimit(resource.RLIMIT_CORE)[1] not in {0, 1}:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib is not imported
        used = int(statm.read().split()[0]) * _PAGE_BYTES
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = used + _MEMORY_BYTES
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # If the sandbox runs out of memory all the same, the kernel ends this process first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - see above
        score.write("1000")


def _collect(reader: int, deadline: Deadline) -> bytes:
    """Return all bytes that the child wrote before it closed the pipe."""
    parts: list[bytes] = []
    bytes_left = _MAX_RESULT_BYTES
    while bytes_left >= 0:
        if not select.select([reader], [], [], deadline.left())[0]:
            raise TaskFailedError(_TIMED_OUT)
        part = os.read(reader, _PIECE_BYTES)
        if not part:
            return b"".join(parts)
        parts.append(part)
        bytes_left -= len(part)
    raise TaskFailedError("returned too much data")


def _failure_reason(status: int) -> str:
    """Return the reason why a child ended without a result."""
    if not os.WIFSIGNALED(status):
        return "failed"
    return _TIMED_OUT if os.WTERMSIG(status) == signal.SIGXCPU else "crashed"
