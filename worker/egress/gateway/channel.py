"""The socket of one sandbox: listens, accepts connections, and ends them."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from safeurl.address import AddressPolicy
from safeurl.model.egress_evidence import EgressEvidence
from worker.egress.gateway.traffic.accounting import Entry
from worker.egress.gateway.traffic.connection import Connection, SharedResources, SocketState
from worker.egress.protocol import Bind, EgressPolicy

_log = logging.getLogger("safeurl.egress")

#: Connections accepted in one event; and connections beyond the open ones that may wait while
#: their head is read or their refusal is sent.
_MAX_ACCEPTS: Final = 16
MAX_WAITING: Final = 64
#: How long the process stops accepting when it has no descriptor or memory left.
_PAUSE_S: Final = 0.2
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Channel:
    """One socket: made for a sandbox, bound to its attempt, closed once."""

    def __init__(self, listener: socket.socket, resources: SharedResources) -> None:
        """Take the listening socket; `close` closes it."""
        self._loop = asyncio.get_running_loop()
        self._resources = resources
        self._state = SocketState()
        self._listener: socket.socket | None = listener
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self._has_logged_fault = False

    def open(self) -> None:
        """Start to accept connections."""
        self._resume()

    @property
    def owner(self) -> tuple[str, int] | None:
        """The scan and the attempt that the socket is assigned to, if it is."""
        accounting = self._state.accounting
        return (accounting.scan, accounting.attempt) if accounting.scan else None

    def bind(self, request: Bind) -> None:
        """Allow requests from now until the deadline; raise `ConfigError` for a bad policy."""
        self._state.current_policy = _address_policy(request.policy, self._resources)
        self._state.allow_sni_mismatch = request.policy.allow_sni_mismatch
        accounting = self._state.accounting
        accounting.scan, accounting.attempt = request.scan, request.attempt
        accounting.set_caps(request.policy.caps)
        accounting.refusal_rule = ""
        self._deadline = self._loop.call_later(request.deadline_s, self.expire)

    def evidence(self) -> EgressEvidence:
        """Return the evidence so far."""
        return self._state.accounting.evidence()

    async def close(self) -> EgressEvidence:
        """Cut open connections, stop listening, and return all evidence."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._close_listener()
        self._cut("closed")
        if self._connections:
            await asyncio.wait(self._connections)
        return self.evidence()

    def expire(self) -> None:
        """Cut open connections and refuse new ones, because the deadline has passed."""
        self._state.accounting.refusal_rule = "cap_time"
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
                    self._pause(listener)
                return
            if self._state.accounting.is_exhausted:
                client.close()
                self._state.accounting.count_unread()
            elif len(self._connections) < self._state.accounting.caps.max_concurrent + MAX_WAITING:
                self._start(client)
            else:
                client.close()
                self._drop()

    def _start(self, client: socket.socket) -> None:
        client.settimeout(0)
        connection = Connection(client, self._state, self._resources)
        task = self._loop.create_task(_serve(connection, client))
        self._connections[task] = connection
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        connection = self._connections.pop(task)
        fault = None if task.cancelled() else task.exception()
        if fault is None:
            return
        # A defect of the gateway: recorded each time, logged once.
        connection.note_fault()
        if not self._has_logged_fault:
            self._has_logged_fault = True
            scan = self._state.accounting.scan
            _log.error("egress.connection_failed scan=%s", scan, exc_info=fault)

    def _drop(self) -> None:
        entry = Entry(rule="cap_concurrent")
        entry.end()
        self._state.accounting.record(entry)

    def _pause(self, listener: socket.socket) -> None:
        """Stop accepting for a moment; the backlog waits, open connections continue."""
        self._loop.remove_reader(listener)
        self._loop.call_later(_PAUSE_S, self._resume)

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


def _address_policy(
    policy: EgressPolicy, resources: SharedResources
) -> Callable[[], AddressPolicy]:
    """Return a function that returns the policy with the host's current networks."""
    parsed = AddressPolicy.parse(
        replace(
            policy,
            deny_cidrs=(*policy.deny_cidrs, *resources.deny_cidrs),
            deny_ports=(*policy.deny_ports, *resources.deny_ports),
        )
    )
    # Read now too, so that the bind fails if the kernel does not list them.
    resources.networks.networks(anew=True)

    def current() -> AddressPolicy:
        networks = resources.networks.networks()
        return replace(parsed, own=networks.own, neighbours=networks.neighbours)

    return current
