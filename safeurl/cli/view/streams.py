"""Standard output and error, made to take every character and to say when they fail."""

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
    """The file below standard error: what it does not take is lost, and ends nothing."""

    # Any, because Python has no name for what holds bytes before 3.12.
    def write(self, data: Any, /) -> int:
        """Write it all: who has no buffer above us would not look how much was taken."""
        left = memoryview(data).cast("B")
        size = len(left)
        with suppress(OSError):
            self._write_all(left)
        return size

    def _write_all(self, left: memoryview) -> None:
        while left:
            if (count := super().write(left)) is None:
                select([], [self], [])  # somebody who shares it has made it non-blocking
            else:
                left = left[count:]


class _Output(_Errors):
    """The file below standard output: the one place where its errors cannot be taken for others.

    OutputError is no OSError, so that nobody on the way translates it as some other file's.
    """

    def write(self, data: Any, /) -> int:
        """Write it all, or raise."""
        left = memoryview(data).cast("B")
        try:
            self._write_all(left)
        except BrokenPipeError:
            raise  # typer and rich know it
        except OSError as error:
            raise OutputError(f"Standard output cannot be written: {error.strerror}.") from error
        return len(left)


def prepare_output() -> None:
    """Escape what an encoding lacks, and let each stream fail in its own way.

    Standard output's errors become OutputError. Those of standard error are nobody's: it holds the
    log, without which everything goes on. Streams that the command was started without are opened
    on /dev/null first.
    """
    _open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with suppress(io.UnsupportedOperation):  # no file, as where a test captures the output
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout = _wrapped(sys.stdout, _Output)
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr = _wrapped(sys.stderr, _Errors)


def _open_missing() -> None:
    """Open closed standard streams, or the next file or socket would get their numbers.

    What is written to one is lost, which is what was asked for.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, hence this one; programs that we start have it too.
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
    """Let what is still buffered go nowhere, else the interpreter would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
