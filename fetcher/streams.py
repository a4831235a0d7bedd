"""Standard streams that may be closed, full or dead: the log is lost then, never the fetch."""

import contextlib
import os
import sys
import traceback

_STANDARD = (0, 1, 2)


class ReportUnwrittenError(Exception):
    """The report cannot be written. No OSError, so that nobody takes it for the network's."""


def open_missing() -> None:
    """Open closed standard streams on /dev/null, or the next socket would get their numbers.

    For reading only: who writes to one learns that it goes nowhere.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, hence this one.
            os.open(os.devnull, os.O_RDONLY)


def say(line: str) -> None:
    """Write a line of the log, if there is one."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the log


def say_why() -> None:
    """Write the traceback of the exception at hand to the log, if there is one."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            traceback.print_exc()
            sys.stderr.flush()
