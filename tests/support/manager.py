"""systemd's side of sd_notify: a real datagram socket that receives the notifications."""

import contextlib
import socket
import time
from pathlib import Path
from typing import Self


class Manager:
    """Listens on a path, or in the abstract namespace, while it is open; a context manager."""

    def __init__(self, path: Path, *, abstract: bool = False, watchdog_s: float = 0.0) -> None:
        """Store the address and the watchdog interval; 0 means none."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{path}" if abstract else str(path))
        #: What the manager puts into a daemon's environment.
        self.environ = {"NOTIFY_SOCKET": f"@{path}" if abstract else str(path)}
        if watchdog_s:
            self.environ["WATCHDOG_USEC"] = str(int(watchdog_s * 1_000_000))
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Return every received line."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard.append(self._socket.recv(4096, socket.MSG_DONTWAIT).decode())
        return self._heard

    def wait_for(self, line: str, times: int = 1, timeout_s: float = 30.0) -> None:
        """Return once the line was received that often; TimeoutError names the received lines."""
        deadline = time.monotonic() + timeout_s
        while self.heard().count(line) < times:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{line} was not told: {self._heard}")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        """Be open from the start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._socket.close()
