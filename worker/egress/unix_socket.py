"""Unix sockets by folder and name: a folder may be longer than a socket's address can hold.

`sun_path` ends after 107 bytes; the folder's open descriptor stands in for its path (unix(7),
proc(5): `/proc/self/fd`).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Yield a short path of the file, good while the context lasts; OSError without the folder."""
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def listen_in(directory: Path, name: str, mode: int, backlog: int) -> socket.socket:
    """Listen on a new unix socket with this mode; it does not block."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with short_path(directory, name) as path:
            listener.bind(path)
        # Before it listens, so that nobody connects under another mode.
        (directory / name).chmod(mode)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener
