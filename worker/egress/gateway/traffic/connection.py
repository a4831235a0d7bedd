"""One connection of a sandbox: read what it asks, decide, dial, carry; in that order."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from safeurl.address import DEFAULT_POLICY, AddressPolicy, judge_all
from safeurl.errors import UrlRefusedError
from safeurl.url import ParsedUrl
from worker.egress.gateway.dns.resolver import ResolveError, Resolver
from worker.egress.gateway.traffic import response
from worker.egress.gateway.traffic.accounting import Entry, Ledger
from worker.egress.gateway.traffic.client_hello_check import HelloGate
from worker.egress.gateway.traffic.dial import DialError, dial
from worker.egress.gateway.traffic.forward import PlainForward
from worker.egress.gateway.traffic.request import HEAD_TIMEOUT_S, Ask, RequestError, read_ask
from worker.egress.gateway.traffic.tunnel import BUFFER_BYTES, Tunnel
from worker.egress.networks.local_addresses import Host

_UNBOUND: Final = "unbound"


@dataclass(frozen=True, slots=True)
class Means:
    """What all connections of the gateway share."""

    resolver: Resolver
    #: What is on and beside this host.
    host: Host = field(default_factory=Host)
    #: How long a sandbox may take to say what it wants.
    head_timeout_s: float = HEAD_TIMEOUT_S
    #: See `worker.egress.gateway.traffic.tunnel`.
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(BUFFER_BYTES)))
    #: What the gateway's own settings deny to every scan, whatever its worker says.
    deny_cidrs: tuple[str, ...] = ()
    deny_ports: tuple[int, ...] = ()


@dataclass(slots=True)
class Standing:
    """What a socket's connections go by; changed once, when the socket is bound."""

    ledger: Ledger = field(default_factory=Ledger)
    #: Asked for each judgement, because the host's networks change while a scan runs.
    current_policy: Callable[[], AddressPolicy] = lambda: DEFAULT_POLICY
    allow_sni_mismatch: bool = False

    @property
    def policy(self) -> AddressPolicy:
        """The policy as it is now; raises `EgressUnavailableError` as `Host.networks` does."""
        return self.current_policy()


class _RefusedError(Exception):
    """The request goes no further; the entry says why."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.head = head


class Connection:
    """Serves one accepted connection to its end; the caller closes the socket."""

    def __init__(self, client: socket.socket, standing: Standing, means: Means) -> None:
        """Take the non-blocking socket."""
        self._client = client
        self._standing = standing
        self._means = means
        #: What is known of it; in the ledger from when its head was read.
        self.entry = Entry()
        self._is_recorded = False

    async def serve(self) -> None:
        """Answer one request; returns when both ends are done with each other."""
        try:
            ask = await self._read()
            if ask is not None:
                await self._open(ask)
        except _RefusedError as refusal:
            await self._say(refusal.head)
        except OSError:
            # The sandbox left before it was answered.
            self.entry.outcome = self.entry.outcome or "left"
        finally:
            self.entry.end()

    def note_fault(self) -> None:
        """Put on record that the gateway itself failed to serve it."""
        self.entry.outcome = "gateway_failed"
        if not self._is_recorded:
            self._record()

    def _record(self) -> None:
        self._is_recorded = True
        self._standing.ledger.record(self.entry)

    async def _read(self) -> Ask | None:
        try:
            ask = await read_ask(self._client, self._means.head_timeout_s)
        except RequestError as error:
            self._record()
            raise self._refusal(error.status, error.rule) from None
        if ask is not None:
            self.entry.name, self.entry.port = ask.name, ask.port
            self._record()
        return ask

    async def _open(self, ask: Ask) -> None:
        ledger = self._standing.ledger
        if rule := ledger.exceeded():
            raise self._refusal(403 if rule == _UNBOUND else 429, rule)
        ledger.open += 1
        try:
            target = self._target(ask)
            await self._resolve(target)
            with await self._dial(target.port) as server:
                await self._carry(ask, target, server)
        finally:
            ledger.open -= 1

    def _target(self, ask: Ask) -> ParsedUrl:
        try:
            target = ask.target(self._standing.policy)
        except UrlRefusedError as error:
            self.entry.addresses = ask.literal
            raise self._refusal(403, error.reason) from None
        # What is dialled, whatever the sandbox called it.
        self.entry.name, self.entry.port = target.host, target.port
        self._standing.ledger.allow(self.entry)
        return target

    async def _resolve(self, target: ParsedUrl) -> None:
        started_s = time.monotonic()
        try:
            self.entry.addresses = (
                (target.host,)
                if target.is_literal
                else await self._means.resolver.addresses(target.host)
            )
        except ResolveError as error:
            raise self._failure(error.outcome) from None
        finally:
            self.entry.dns_ms = _since(started_s)
        ruling = judge_all(self.entry.addresses, self._standing.policy)
        if not ruling.allowed:
            raise self._refusal(403, ruling.rule)
        self.entry.rule = ruling.rule

    async def _dial(self, port: int) -> socket.socket:
        started_s = time.monotonic()
        try:
            server, self.entry.address = await dial(self.entry.addresses, port)
        except DialError as error:
            raise self._failure(error.outcome) from None
        finally:
            self.entry.connect_ms = _since(started_s)
        return server

    async def _carry(self, ask: Ask, target: ParsedUrl, server: socket.socket) -> None:
        ledger, buffer = self._standing.ledger, self._means.buffer
        if ask.plain is not None:
            forward = PlainForward(ask, target, self._client, server)
            self._ended(await forward.carry(ledger, self.entry, buffer))
            return
        head = response.tunnel_open(self.entry.freeze())
        await asyncio.get_running_loop().sock_sendall(self._client, head)
        allow = self._standing.allow_sni_mismatch
        gate = HelloGate(target.host, self.entry, allow_mismatch=allow)
        tunnel = Tunnel(self._client, server, ledger, self.entry, buffer, gate)
        self._ended(await tunnel.carry(ask.rest()))

    def _ended(self, outcome: str) -> None:
        self.entry.outcome = self.entry.outcome or outcome

    def _refusal(self, status: int, rule: str) -> _RefusedError:
        self.entry.allowed, self.entry.rule = False, rule
        return _RefusedError(response.refused(status, self.entry.freeze()))

    def _failure(self, outcome: str) -> _RefusedError:
        self.entry.outcome = outcome
        return _RefusedError(response.failed(self.entry.freeze()))

    async def _say(self, head: bytes) -> None:
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._client, head)


def _since(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 3)
