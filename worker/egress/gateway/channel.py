"""One sandbox's socket: listens, accepts, and ends all that came of it."""

import asyncio
import dataclasses
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from safeurl.address import AddressPolicy
from safeurl.model.report import EgressEvidence
from worker.egress.gateway.traffic.accounting import Entry
from worker.egress.gateway.traffic.connection import Connection, Means, Standing
from worker.egress.protocol import Bind, EgressPolicy

_log = logging.getLogger("safeurl.egress")

#: Accepted at a time before others get their turn; and held beyond those that may be open, while
#: they say what they want or are told why not.
_MAX_ACCEPTS: Final = 16
MAX_WAITING: Final = 64
#: How long accepting rests when the process has no descriptor or memory left.
_REST_S: Final = 0.2
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Channel:
    """Made when a sandbox is; bound when its scan is known; closed once."""

    def __init__(self, listener: socket.socket, means: Means) -> None:
        """Take the socket that listens, which is closed with the channel."""
        self._loop = asyncio.get_running_loop()
        self._means = means
        self._standing = Standing()
        self._listener: socket.socket | None = listener
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self._has_failed = False

    def open(self) -> None:
        """Accept from now on."""
        self._resume()

    @property
    def owner(self) -> tuple[str, int] | None:
        """The scan and the attempt that the socket was given to, if it was."""
        ledger = self._standing.ledger
        return (ledger.scan, ledger.attempt) if ledger.scan else None

    def bind(self, request: Bind) -> None:
        """Let it connect from now until the deadline; raises `ConfigError` on a bad policy."""
        self._standing.current_policy = _address_policy(request.policy, self._means)
        self._standing.allow_sni_mismatch = request.policy.allow_sni_mismatch
        ledger = self._standing.ledger
        ledger.scan, ledger.attempt = request.scan, request.attempt
        ledger.limit(request.policy.caps)
        ledger.shut = ""
        self._deadline = self._loop.call_later(request.deadline_s, self.expire)

    def evidence(self) -> EgressEvidence:
        """Return the record so far."""
        return self._standing.ledger.evidence()

    async def close(self) -> EgressEvidence:
        """Cut what is open, listen no more, and return the whole record."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._close_listener()
        self._cut("closed")
        if self._connections:
            await asyncio.wait(self._connections)
        return self.evidence()

    def expire(self) -> None:
        """Cut what is open and refuse more, because the time is up."""
        self._standing.ledger.shut = "cap_time"
        self._cut("cap_time")

    def _cut(self, outcome: str) -> None:
        for task, connection in self._connections.items():
            if connection.entry.ended_s is None:
                connection.entry.outcome = connection.entry.outcome or outcome
                task.cancel()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_MAX_ACCEPTS):
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    _log.warning("egress.overloaded error=%s", error)
                    self._rest(listener)
                return
            if self._standing.ledger.is_spent:
                client.close()
                self._standing.ledger.count()
            elif len(self._connections) < self._standing.ledger.caps.max_concurrent + MAX_WAITING:
                self._start(client)
            else:
                client.close()
                self._drop()

    def _start(self, client: socket.socket) -> None:
        client.settimeout(0)
        connection = Connection(client, self._standing, self._means)
        task = self._loop.create_task(_serve(connection, client))
        self._connections[task] = connection
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        fault = None if task.cancelled() else task.exception()
        if fault is None:
            return
        # Ours, found by a sandbox: on record each time, in the log once.
        connection.note_fault()
        if not self._has_failed:
            self._has_failed = True
            scan = self._standing.ledger.scan
            _log.error("egress.connection_failed scan=%s", scan, exc_info=fault)

    def _drop(self) -> None:
        entry = Entry(rule="cap_concurrent")
        entry.end()
        self._standing.ledger.record(entry)

    def _rest(self, listener: socket.socket) -> None:
        """Stop accepting for a moment: the backlog waits, the open connections go on."""
        self._loop.remove_reader(listener)
        self._loop.call_later(_REST_S, self._resume)

    def _resume(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._accept, self._listener)

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None


async def _serve(connection: Connection, client: socket.socket) -> None:
    with client:
        await connection.serve()


def _address_policy(policy: EgressPolicy, means: Means) -> Callable[[], AddressPolicy]:
    """Return what tells the policy as the host's networks are at that moment."""
    parsed = AddressPolicy.parse(
        policy.allow_cidrs,
        (*policy.deny_cidrs, *means.deny_cidrs),
        policy.allow_ports,
        (*policy.deny_ports, *means.deny_ports),
        dns64=policy.dns64,
    )
    # Read here too, so that a kernel that does not tell them fails the bind.
    means.host.networks(anew=True)

    def current() -> AddressPolicy:
        host = means.host.networks()
        return dataclasses.replace(parsed, own=host.own, neighbours=host.neighbours)

    return current
