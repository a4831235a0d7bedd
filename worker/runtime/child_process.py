"""Forked child processes that never run their parent's code, whatever fails in them.

`multiprocessing` also keeps a child from that. But it gives the child an end of a pipe for each
process that it knows, another standard input, and exit handlers: roles and jobs must have none.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

_log = logging.getLogger("safeurl.daemon")

#: Blocked during a fork. A signal that arrived before the child's first step would run the parent's
#: handler in the child, and be lost.
_BLOCKED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

#: A signal mask as `signal.pthread_sigmask` returns it.
SignalMask: TypeAlias = set[int | signal.Signals]

#: What a child runs. It sets its signal handlers, restores the mask that it is given, works, and
#: returns its exit code.
ChildMain: TypeAlias = Callable[[SignalMask], int]


def start_child(main: ChildMain) -> int:
    """Run `main` in a forked child, which exits after it, and return the child's process id."""
    flush_output()  # the child would write again what is still in a buffer
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    try:
        pid = os.fork()
        if not pid:
            exit_after(lambda: main(before))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def exit_after(main: Callable[[], int]) -> NoReturn:
    """Run `main` and exit this process, which was just forked, whatever is raised."""
    code = 1
    try:
        try:
            code = main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # noqa: BLE001 - the last act of the child is to log why it ends
            _log.exception("process.crashed pid=%d", os.getpid())
        flush_output()
    finally:
        # In a `finally` block of its own: nothing that is raised above gets past it.
        os._exit(code)


def flush_output() -> None:
    """Flush stdout and stderr; an output that is full or closed does not end the process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # None if the process was started with a closed stream
                stream.flush()
        except Exception:  # noqa: BLE001, S110 - no output is left to report it to
            pass
