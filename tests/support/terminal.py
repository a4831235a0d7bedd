"""A command in its own terminal, into which a person types or which is closed."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

_SAFEURL: Final = "from safeurl.cli import main; main()"
_CTRL_C: Final = b"\x03"
_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02


class Terminal:
    """Runs a command as the foreground job of a new session; a context manager."""

    def __init__(self, environ: Mapping[str, str], *arguments: str) -> None:
        """Start it."""
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SAFEURL, *arguments],
            env={**environ, "TERM": "xterm-256color", "COLUMNS": "200"},
            pass_fds=(theirs,),
            preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - no other way to a terminal
        )
        os.close(theirs)
        self._got = bytearray()
        self._is_closed = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the command if it still runs, and close the terminal."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(_TIMEOUT_S)
        self.close()

    @property
    def text(self) -> str:
        """Return its output so far, with all its colours."""
        return self._got.decode(errors="replace")

    def press_ctrl_c(self) -> None:
        """Have the kernel send SIGINT to the foreground's processes, as for a key."""
        with contextlib.suppress(OSError):  # EIO, when the command has just ended
            os.write(self._ours, _CTRL_C)

    def close(self) -> None:
        """Close the terminal as a window is closed: SIGHUP, and nothing can be written to it."""
        if not self._is_closed.is_set():
            self._is_closed.set()
            os.close(self._ours)

    def wait_for(self, condition: Callable[[], bool], *, may_end: bool = False) -> None:
        """Wait until the condition is true, or until the command has ended."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not condition():
            if self.process.poll() is not None:
                assert may_end, self.text
                return
            assert time.monotonic() < deadline_s, self.text
            time.sleep(_POLL_S)

    def ended(self) -> int:
        """Return the exit code, with which all that it had started has ended."""
        return self.process.wait(_TIMEOUT_S)

    def _read(self) -> None:
        while not self._is_closed.is_set():
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # EIO, when the last process has closed it
                return
            if not piece:
                return
            self._got += piece
