"""Validates the database of a backup in a separate process, which cannot block or damage this one.

Whatever the database contains, the process is killed after a time limit.
"""

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.validation import ValidationResult
from safeurl.adapters.backup.validation_process import ValidationRequest
from safeurl.errors import RequestError
from safeurl.model.records.backup import Inventory

Answer = TypeVar("Answer")

#: The variables that Python and SQLite need; the others may hold secrets.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: The limit of a line of the response.
_MAX_LINE = 64 * 1024
_CHUNK = 64 * 1024


class DatabaseValidator:
    """The validation process: starts with the first request, or earlier; `close` ends it."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits; no process runs yet."""
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._wait_s = limits.base_s
        self._pending = b""

    def close(self) -> None:
        """Kill the process, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def start(self) -> None:
        """Start the process now: root must, before it acts as a user who may not read our code.

        The process waits for its request, and drops root's rights before it opens anything.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "safeurl.adapters.backup.validation_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C ends this process, which then ends the child.
            start_new_session=True,
            cwd="/",
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )

    def inventory(self, path: Path, size_bytes: int) -> Inventory:
        """Validate the database and return its inventory; raise RequestError if it is refused."""
        if self._process is None:
            self.start()
        owner = path.parent.stat()
        self._send(
            ValidationRequest(
                path=str(path),
                size_bytes=size_bytes,
                uid=owner.st_uid,
                gid=owner.st_gid,
                parent=os.getpid(),
                limits=self._limits,
            )
        )
        self._wait_s = self._limits.seconds(size_bytes)
        result = self._receive(ValidationResult)
        if result.foreign is not None:
            raise RequestError(f"The backup's database is not SafeURL's: {result.foreign}")
        if result.damage is not None:
            raise RequestError(f"The backup's database is damaged: {result.damage}.")
        if result.inventory is None:
            raise RequestError(
                f"The backup's database exceeds the limits of the check for its size: "
                f"{result.exceeded}."
            )
        return result.inventory

    def blobs(self) -> Iterator[str]:
        """Return the SHA-256 of every blob that the database names, in ascending order."""
        while sha256 := self._receive(str):
            if not _SHA256.fullmatch(sha256):
                raise _process_failed()
            yield sha256

    def _send(self, request: ValidationRequest) -> None:
        pipe = _pipe(self._running().stdin)
        try:
            pipe.write(msgspec.json.encode(request) + b"\n")
            pipe.close()
        except BrokenPipeError as exc:
            raise _process_failed() from exc

    def _receive(self, kind: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(self._line(), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise _process_failed() from exc

    def _line(self) -> bytes:
        """Return the next line; raise RequestError if it is late or too long."""
        deadline = time.monotonic() + self._wait_s
        while b"\n" not in self._pending:
            chunk = self._chunk(deadline)
            if not chunk or len(self._pending) > _MAX_LINE:
                raise _process_failed()
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _chunk(self, deadline: float) -> bytes:
        pipe = _pipe(self._running().stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise RequestError(
                    f"The backup's database was not checked within {self._wait_s:.0f} seconds, "
                    "the limit for a database of its size."
                )
        return os.read(pipe.fileno(), _CHUNK)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise _process_failed()
        return self._process


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("The validation process has no pipe.")
    return pipe


def _process_failed() -> RequestError:
    """Return the error for a process that ended before its response, perhaps by a limit."""
    return RequestError(
        "The backup's database could not be checked: the process that opened it ended, or reached "
        "the limits of time and memory for a database of this size."
    )
