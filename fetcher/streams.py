"""Standard streams, which may be closed, full or broken: log lines are lost then, not the fetch."""

import contextlib
import os
import sys

_STANDARD = (0, 1, 2)


class ReportUnwrittenError(Exception):
    """The report cannot be written. Not an OSError, so that it is not taken for a network error."""


def open_closed_streams() -> None:
    """Open each closed standard stream on /dev/null.

    Otherwise the next socket would get the number of a standard stream. The streams are opened for
    reading only, so that writing to one fails instead of losing the data without a sign.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # `open` returns the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDONLY)


def log(line: str) -> None:
    """Write a line to the log; it is dropped if the log cannot be written."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the log


def log_exception() -> None:
    """Write the traceback of the current exception to the log; dropped if that is not possible."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            import traceback  # noqa: PLC0415 - only after an error

            traceback.print_exc()
            sys.stderr.flush()
