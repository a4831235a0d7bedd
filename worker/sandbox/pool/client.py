"""The worker's side of the pool's socket: blocking calls, each in limited time."""

import fcntl
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from safeurl.ports.egress import EgressEndpoint
from worker.egress.unix_socket import short_path
from worker.sandbox.pool import protocol

#: A claim may wait in the pool for a member that is being started (`pool.WAIT_S`); the rest is for
#: the engine, which renames the container. Then a sandbox is started without the pool.
_CLAIM_TIMEOUT_S: Final = 7.0
#: More than the pool needs for a container that is removed in the last try.
_RELEASE_TIMEOUT_S: Final = 60.0
_QUESTION_TIMEOUT_S: Final = 2.0
_RECV_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class HandedMember:
    """A sandbox of the pool that belongs to this process until its connection is closed."""

    container_id: str
    #: The engine's time of its start, as it wrote it.
    started_at: str | None
    endpoint: EgressEndpoint
    #: The container's streams.
    attached: socket.socket
    _connection: socket.socket

    def __enter__(self) -> Self:
        """Own it."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Give it up, if it was not released."""
        self.give_up()

    def give_up(self) -> None:
        """Close the connection: the pool removes the container and its gateway socket."""
        self.attached.close()
        self._connection.close()

    def release(self) -> bool:
        """Let the pool kill and remove the container; return False if it did not confirm that."""
        with self._connection as connection:
            try:
                _send(connection, protocol.Release(), _RELEASE_TIMEOUT_S)
                response, _ = _receive(connection, _RELEASE_TIMEOUT_S)
            except (OSError, msgspec.DecodeError):
                return False
        return isinstance(response, protocol.Released) and response.is_removed


class PoolClient:
    """Asks the pool of one folder; keeps nothing between calls, so it may be used after a fork."""

    def __init__(self, directory: Path) -> None:
        """Take the pool's folder, which need not exist."""
        self._dir = directory

    def claim(self, key: str, scan: str, attempt: int) -> HandedMember | str:
        """Return a sandbox for this attempt, or the reason why there is none; never raises."""
        try:
            connection = self._connect(_CLAIM_TIMEOUT_S)
        except OSError:
            return protocol.NO_POOL
        descriptors: list[int] = []
        try:
            request = protocol.Claim(key=key, scan=scan, attempt=attempt)
            _send(connection, request, _CLAIM_TIMEOUT_S)
            response, descriptors = _receive(connection, _CLAIM_TIMEOUT_S)
        except (OSError, msgspec.DecodeError):
            response = protocol.Missed(reason=protocol.NO_POOL)
        if isinstance(response, protocol.Claimed) and len(descriptors) == 1:
            return HandedMember(
                response.container_id,
                response.started_at,
                EgressEndpoint(id=response.egress, directory=response.egress_dir),
                socket.socket(fileno=descriptors[0]),
                connection,
            )
        connection.close()  # by this the pool removes what it may have handed out
        for descriptor in descriptors:
            socket.close(descriptor)
        return response.reason if isinstance(response, protocol.Missed) else protocol.FAILED

    def facts(self) -> protocol.PoolFacts | None:
        """Return the pool's size and counters; None if no pool answers."""
        response = self._ask(protocol.Facts())
        return response if isinstance(response, protocol.PoolFacts) else None

    def names(self) -> frozenset[str] | None:
        """Return the containers that a pool takes care of; None if that is not known.

        Empty if no process holds the lock of the folder, so that there is no pool.
        """
        response = self._ask(protocol.Names())
        if isinstance(response, protocol.NameList):
            return frozenset(response.names)
        return frozenset() if self._is_unlocked() else None

    def pool_id(self) -> str | None:
        """Return the id of the pools of this folder; None if there was none yet."""
        return protocol.stored_id(self._dir)

    def _is_unlocked(self) -> bool:
        try:
            with (self._dir / protocol.LOCK_NAME).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _ask(self, request: protocol.Request) -> protocol.Response | None:
        try:
            with self._connect(_QUESTION_TIMEOUT_S) as connection:
                _send(connection, request, _QUESTION_TIMEOUT_S)
                return _receive(connection, _QUESTION_TIMEOUT_S)[0]
        except (OSError, msgspec.DecodeError):
            return None

    def _connect(self, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout_s)
            with short_path(self._dir, protocol.SOCKET_NAME) as path:
                connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection


def _send(connection: socket.socket, request: protocol.Request, timeout_s: float) -> None:
    connection.settimeout(timeout_s)
    connection.sendall(protocol.encode(request))


def _receive(connection: socket.socket, timeout_s: float) -> tuple[protocol.Response, list[int]]:
    """Return the response and the descriptors that came with it; close these if it fails."""
    until_s = time.monotonic() + timeout_s
    line, descriptors = b"", list[int]()
    try:
        while not line.endswith(b"\n"):
            connection.settimeout(max(0.001, until_s - time.monotonic()))
            data, more, _, _ = socket.recv_fds(connection, _RECV_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            descriptors += more
            line += data
            if not data or len(line) > protocol.MAX_LINE_BYTES:
                break
        return protocol.RESPONSES.decode(line), descriptors
    except BaseException:
        for descriptor in descriptors:
            socket.close(descriptor)
        raise
