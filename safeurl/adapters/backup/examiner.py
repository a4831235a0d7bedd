"""A process of its own opens the database of a backup, so that this one cannot hang or be harmed.

Whatever that database holds, and whatever SQLite makes of it: after a time the process is killed.
"""

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import msgspec

from safeurl.adapters.backup.examination import Order
from safeurl.adapters.backup.judgement import Judgement
from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.snapshot import Census
from safeurl.errors import RequestError

Answer = TypeVar("Answer")

#: What Python and SQLite need of the environment; the rest may hold secrets.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: No line of the answer is longer.
_MAX_LINE = 64 * 1024
_CHUNK = 64 * 1024


class Examiner:
    """Starts when it is first asked, or before that, and ends with the `with` block."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits; nothing runs yet."""
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._wait_s = limits.base_s
        self._pending = b""

    def __enter__(self) -> Self:
        """Begin without a process."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Kill it, wherever it is."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()

    def start(self) -> None:
        """Start the process now: root has to, before it acts as somebody who may not read our code.

        It waits for its order, and gives up root's rights before it opens anything.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "safeurl.adapters.backup.examination"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is ours to handle, and then to end it.
            start_new_session=True,
            cwd="/",
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )

    def census(self, path: Path, size_bytes: int) -> Census:
        """Have the database judged; RequestError says why it is not taken."""
        if self._process is None:
            self.start()
        owner = path.parent.stat()
        self._order(
            Order(
                path=str(path),
                size_bytes=size_bytes,
                uid=owner.st_uid,
                gid=owner.st_gid,
                parent=os.getpid(),
                limits=self._limits,
            )
        )
        self._wait_s = self._limits.seconds(size_bytes)
        judgement = self._answer(Judgement)
        if judgement.foreign is not None:
            raise RequestError(f"The backup's database is none of SafeURL's: {judgement.foreign}")
        if judgement.damage is not None:
            raise RequestError(f"The backup's database is damaged: {judgement.damage}.")
        if judgement.census is None:
            raise RequestError(
                f"The backup's database costs more to check than one of its size may: "
                f"{judgement.exceeded}."
            )
        return judgement.census

    def blobs(self) -> Iterator[str]:
        """Return the SHA-256 of every blob that the database names, in ascending order."""
        while sha256 := self._answer(str):
            if not _SHA256.fullmatch(sha256):
                raise _no_answer()
            yield sha256

    def _order(self, order: Order) -> None:
        pipe = _pipe(self._running().stdin)
        try:
            pipe.write(msgspec.json.encode(order) + b"\n")
            pipe.close()
        except BrokenPipeError as exc:
            raise _no_answer() from exc

    def _answer(self, kind: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(self._line(), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise _no_answer() from exc

    def _line(self) -> bytes:
        """Return the next line; RequestError when it does not come in time, or is none."""
        deadline = time.monotonic() + self._wait_s
        while b"\n" not in self._pending:
            chunk = self._chunk(deadline)
            if not chunk or len(self._pending) > _MAX_LINE:
                raise _no_answer()
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
                    "which is more than one of its size may take."
                )
        return os.read(pipe.fileno(), _CHUNK)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise _no_answer()
        return self._process


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("The examiner has no pipe.")
    return pipe


def _no_answer() -> RequestError:
    """Return the error for a process that ended, or was ended by a limit, before its answer."""
    return RequestError(
        "The backup's database could not be checked: the process that opened it ended, or reached "
        "the limits of time and memory for a database of this size."
    )
