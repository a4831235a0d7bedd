"""How a vector says what became of an attempt: `done`, `connected`, or the errno's name."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What the doctor tells the probe: plain JSON, so of any type.
Task = dict[str, Any]

#: The C library, for calls that Python has no function for.
LIBC = ctypes.CDLL(None, use_errno=True)

_CONNECT_S = 3.0


def word(error: OSError) -> str:
    """Return the errno's name, or the error's where it has none."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def said(act: Callable[[], object]) -> str:
    """Return what became of an act that raises where it is refused."""
    try:
        act()
    except OSError as error:
        return word(error)
    return "done"


def called(call: Callable[[], int]) -> str:
    """Return what became of a C call that answers with a negative number where it is refused."""
    ctypes.set_errno(0)
    if call() >= 0:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "failed")


def knocked(family: int, address: tuple[str, int] | str) -> str:
    """Return what became of connecting to an address, or to a path."""
    try:
        with socket.socket(family) as connection:
            connection.settimeout(_CONNECT_S)
            connection.connect(address)
    except OSError as error:
        return word(error)
    return "connected"


def opened(path: str, flags: int = os.O_WRONLY | os.O_APPEND) -> bool:
    """Tell whether the file could be opened; nothing is written to it."""
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def created(path: str) -> bool:
    """Tell whether the file could be made."""
    return opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def lines(path: str) -> list[str]:
    """Return a file's lines; none where it cannot be read."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
