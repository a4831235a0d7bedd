"""Serves the pool's socket: each connection claims at most one member, and owns it until it ends.

The sockets are used without asyncio's streams, which cannot send descriptors.
"""

import asyncio
import logging
import socket
import time
from typing import Final

import msgspec

from safeurl.errors import SandboxUnavailableError
from worker.runtime.log_limit import LogLimit
from worker.sandbox import labels
from worker.sandbox.pool import protocol
from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.members import Member
from worker.sandbox.pool.pool import Pool

_log = logging.getLogger("safeurl.pool")

_RECV_BYTES: Final = 4096
_ACCEPT_PAUSE_S: Final = 0.1


class PoolServer:
    """Accepts connections of workers of this host; belongs to one event loop."""

    def __init__(self, pool: Pool, threads: EngineThreads) -> None:
        """Take the pool, and the threads that rename containers."""
        self._pool = pool
        self._threads = threads
        self._tasks: set[asyncio.Task[None]] = set()
        self._log_limit = LogLimit()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; connections that own a member are closed with it."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as error:
                    # Without a descriptor left, this may go on for as long as clients like.
                    if self._log_limit.is_due(str(error), time.monotonic()):
                        _log.warning("pool.not_accepted error=%r", str(error))
                    await asyncio.sleep(_ACCEPT_PAUSE_S)
                    continue
                task = asyncio.create_task(_Connection(connection, self._pool, self._threads).run())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


class _Connection:
    """One connection, and the member that it owns."""

    def __init__(self, connection: socket.socket, pool: Pool, threads: EngineThreads) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        self._socket = connection
        self._pool = pool
        self._threads = threads
        self._unread = b""
        self._member: Member | None = None
        self._is_handed_over = False

    async def run(self) -> None:
        with self._socket:
            try:
                while line := await self._read_line():
                    await self._do(protocol.REQUESTS.decode(line))
            except (OSError, msgspec.DecodeError) as error:
                _log.info("pool.connection_lost error=%r", str(error))
            except asyncio.CancelledError:
                if self._is_handed_over:
                    # The pool ends; the owner goes on, and removes the container by itself.
                    self._member = None
                raise
            finally:
                if self._member is not None:
                    _log.warning("pool.owner_lost name=%s", self._member.container.name)
                    self._pool.discard(self._member)

    async def _read_line(self) -> bytes:
        """Return the next line; empty at the end, or if the line is too long."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._unread:
            data = await loop.sock_recv(self._socket, _RECV_BYTES)
            self._unread += data
            if not data or len(self._unread) > protocol.MAX_LINE_BYTES:
                return b""
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    async def _do(self, request: protocol.Request) -> None:
        match request:
            case protocol.Claim():
                await self._claim(request)
            case protocol.Release():
                await self._release()
            case protocol.Names():
                await self._send(protocol.NameList(names=self._pool.names()))
            case protocol.Facts():
                await self._send(self._pool.facts())

    async def _send(self, response: protocol.Response) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, protocol.encode(response))

    async def _claim(self, request: protocol.Claim) -> None:
        if self._member is not None:
            await self._send(protocol.Missed(reason=protocol.FAILED))
            return
        taken = await self._pool.take(request.key)
        if isinstance(taken, str):
            await self._send(protocol.Missed(reason=taken))
            return
        # From here on the connection owns it: whatever fails, the member is removed.
        self._member = taken
        name = labels.container_name(request.scan, request.attempt)
        container = taken.container
        try:
            await self._threads.run(lambda client: client.rename(container.id, name))
        except SandboxUnavailableError as error:
            _log.warning("pool.not_renamed name=%s error=%r", name, str(error))
            self._pool.count_failed_claim()
            self._member = None
            self._pool.discard(taken)
            await self._send(protocol.Missed(reason=protocol.FAILED))
            return
        self._hand_over(taken)

    def _hand_over(self, member: Member) -> None:
        """Send the member with the descriptor of its stream; the pool closes its own copy."""
        container = member.container
        response = protocol.Claimed(
            container_id=container.id,
            started_at=container.started_at,
            egress=member.endpoint.id,
            egress_dir=member.endpoint.directory,
        )
        line = protocol.encode(response)
        # One message, which fits into the buffer of a socket that has sent nothing yet.
        sent = socket.send_fds(self._socket, [line], [container.attached.fileno()])
        if sent != len(line):
            raise OSError("the socket of the client is full")
        self._is_handed_over = True
        container.attached.close()

    async def _release(self) -> None:
        if self._member is None:
            await self._send(protocol.Released(is_removed=False))
            return
        member, self._member = self._member, None
        is_removed = await self._pool.release(member)
        await self._send(protocol.Released(is_removed=is_removed))
