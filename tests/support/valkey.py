"""A real Valkey on a unix socket, started and stopped as tests need it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.embedded import answers

_START_TIMEOUT_S = 10.0


class Valkey:
    """The embedded Valkey as its own process, in the folder that a worker would use."""

    def __init__(self, directory: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self.directory = directory
        self.socket = directory / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> RedisServer:
        """How clients reach it."""
        return RedisServer(socket_path=self.socket)

    def start(self) -> None:
        """Start it and return when it answers."""
        code = (
            "import sys; from pathlib import Path; "
            "from safeurl.adapters.redis.embedded import serve; "
            "serve(Path(sys.argv[1]), Path(sys.argv[2]))"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(self.directory), str(self.socket)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=dict(os.environ),
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not answers(self.socket):
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise RuntimeError("Valkey did not start")
            time.sleep(0.02)

    def stop(self, *, kill: bool = False) -> None:
        """End it; with `kill` as the machine would in a crash."""
        if self._process is None:
            return
        (self._process.kill if kill else self._process.terminate)()
        self._process.wait(timeout=_START_TIMEOUT_S)
        self._process = None

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
        """Stop it."""
        self.stop()
