"""Prepares standard output and error: they accept every character and report their errors."""

import io
import os
import sys
from contextlib import suppress
from select import select
from typing import Any, TextIO

from safeurl.errors import UnavailableError


class OutputError(UnavailableError):
    """Standard output cannot be written."""


class _Errors(io.FileIO):
    """The file of standard error. Text that cannot be written is lost without an error."""

    # Any, because Python before 3.12 has no type for a buffer of bytes.
    def write(self, data: Any, /) -> int:
        """Write all bytes: a text stream without a buffer does not check for a partial write."""
        left = memoryview(data).cast("B")
        size = len(left)
        with suppress(OSError):
            self._write_all(left)
        return size

    def _write_all(self, left: memoryview) -> None:
        while left:
            if (count := super().write(left)) is None:
                select([], [self], [])  # another process has made the shared file non-blocking
            else:
                left = left[count:]


class _Output(_Errors):
    """The file of standard output. It turns its errors into OutputError.

    OutputError is not an OSError, so that no caller takes it for the error of another file.
    """

    def write(self, data: Any, /) -> int:
        """Write all bytes or raise an error."""
        left = memoryview(data).cast("B")
        try:
            self._write_all(left)
        except BrokenPipeError:
            raise  # typer and rich handle it
        except OSError as error:
            raise OutputError(f"Standard output cannot be written: {error.strerror}.") from error
        return len(left)


def prepare_output() -> None:
    """Escape characters that the encoding lacks, and define the errors of each stream.

    Errors of standard output become OutputError. Errors of standard error are ignored: it has only
    the log, and everything works without it. Streams that were closed at the start of the command
    are first opened on /dev/null.
    """
    _open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with suppress(io.UnsupportedOperation):  # not a file, for example if a test captures the output
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout = _wrapped(sys.stdout, _Output)
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr = _wrapped(sys.stderr, _Errors)


def _open_missing() -> None:
    """Open closed standard streams, because a later file or socket would get their numbers.

    Text for such a stream is lost, as the caller wanted by closing it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The kernel gives the lowest free number, so this one. Child processes inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - by position only
    sys.stdout = sys.stdout or _nowhere(1)
    sys.stderr = sys.stderr or _nowhere(2)


def _nowhere(descriptor: int) -> io.TextIOWrapper:
    output = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(output), errors="backslashreplace")


def _wrapped(stream: io.TextIOWrapper, kind: type[_Errors]) -> io.TextIOWrapper:
    output = kind(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        output if stream.write_through else io.BufferedWriter(output),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def silence(stream: TextIO) -> None:
    """Discard the buffered output, or the interpreter would report an error at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
