"""Unix sockets whose path may be longer than a socket's address allows.

`sun_path` holds 107 bytes. A path through the folder's open descriptor is short in any case
(unix(7), proc(5): `/proc/self/fd`).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Yield a short path of the file, valid in the context; raise OSError without the folder."""
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{name}"
    finally:
        os.close(folder)


def listen_in(directory: Path, name: str, mode: int, backlog: int) -> socket.socket:
    """Return a new, non-blocking unix socket that listens and has this mode."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with short_path(directory, name) as path:
            listener.bind(path)
        # Before it listens, so that nobody connects while the mode is another one.
        (directory / name).chmod(mode)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener
