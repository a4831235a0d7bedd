"""Runs one attempt and returns its result: `done`, `connected`, or the name of the errno."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The input of the probe: plain JSON, so of any type.
Task = dict[str, Any]

#: The C library, for calls that have no function in Python.
LIBC = ctypes.CDLL(None, use_errno=True)

_CONNECT_S = 3.0


def errno_name(error: OSError) -> str:
    """Return the name of the errno, or of the exception's class if it has no errno."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def result_of(act: Callable[[], object]) -> str:
    """Return the result of a Python call that raises OSError if it is refused."""
    try:
        act()
    except OSError as error:
        return errno_name(error)
    return "done"


def syscall_result(call: Callable[[], int]) -> str:
    """Return the result of a C call that returns a negative number if it is refused."""
    ctypes.set_errno(0)
    if call() >= 0:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "failed")


def connect_result(family: int, address: tuple[str, int] | str) -> str:
    """Return the result of connecting to an address or to a path."""
    try:
        with socket.socket(family) as connection:
            connection.settimeout(_CONNECT_S)
            connection.connect(address)
    except OSError as error:
        return errno_name(error)
    return "connected"


def can_open(path: str, flags: int = os.O_WRONLY | os.O_APPEND) -> bool:
    """Return whether the file can be opened; nothing is written to it."""
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def can_create(path: str) -> bool:
    """Return whether the file can be created."""
    return can_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def lines(path: str) -> list[str]:
    """Return the lines of a file; none if it cannot be read."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
