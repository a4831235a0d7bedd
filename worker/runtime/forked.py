"""Forked children that never run their parent's code, whatever fails in them.

`multiprocessing` leaves the child alike, but gives it an end of a pipe for each process that it
knows, another standard input and exit handlers, none of which a role or a job may have.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

_log = logging.getLogger("safeurl.daemon")

#: A signal that came between the fork and the child's first step would run the parent's handler in
#: the child, and be lost.
_HELD_BACK: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

#: What `signal.pthread_sigmask` gives back.
Mask: TypeAlias = set[int | signal.Signals]

#: The whole life of a child: sets its handlers, takes back the mask, works, returns its exit code.
Life: TypeAlias = Callable[[Mask], int]


def fork(life: Life) -> int:
    """Run the life in a child, which ends with it, and return the child's id."""
    flush()  # or the child would write again what is still in a buffer
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        pid = os.fork()
        if not pid:
            end_after(lambda: life(before))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def end_after(life: Callable[[], int]) -> NoReturn:
    """Be a child that was just forked: live, then end this process, whatever was raised."""
    code = 1
    try:
        try:
            code = life()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # noqa: BLE001 - the child's last act is to say why it ended
            _log.exception("process.crashed pid=%d", os.getpid())
        flush()
    finally:
        # In a block of its own: nothing that is raised above comes past it.
        os._exit(code)


def flush() -> None:
    """Write what is buffered of either output, if that can be: a full or dead one ends nobody."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # None where the process was started with it closed
                stream.flush()
        except Exception:  # noqa: BLE001, S110 - there is no place left to say it
            pass
