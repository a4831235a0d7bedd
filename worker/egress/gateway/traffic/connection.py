"""Serves one connection of a sandbox: read the request, decide, connect, transfer."""

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
from worker.egress.gateway.traffic.accounting import Accounting, Entry
from worker.egress.gateway.traffic.client_hello_check import ClientHelloCheck
from worker.egress.gateway.traffic.dial import DialError, dial
from worker.egress.gateway.traffic.forward import RequestForward
from worker.egress.gateway.traffic.request import (
    HEAD_TIMEOUT_S,
    ProxyRequest,
    ProxyRequestError,
    read_request,
)
from worker.egress.gateway.traffic.tunnel import BUFFER_BYTES, Tunnel
from worker.egress.networks.local_addresses import HostNetworkMonitor

_UNBOUND: Final = "unbound"


@dataclass(frozen=True, slots=True)
class SharedResources:
    """The objects that all connections of the gateway share."""

    resolver: Resolver
    #: The networks of this host, which are refused.
    networks: HostNetworkMonitor = field(default_factory=HostNetworkMonitor)
    #: How long a sandbox may take to send the head of its request.
    head_timeout_s: float = HEAD_TIMEOUT_S
    #: Shared by all transfers: see `worker.egress.gateway.traffic.tunnel`.
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(BUFFER_BYTES)))
    #: What the gateway's own settings deny to every scan, in addition to the worker's policy.
    deny_cidrs: tuple[str, ...] = ()
    deny_ports: tuple[int, ...] = ()


@dataclass(slots=True)
class SocketState:
    """The state that all connections of one socket share; binding the socket changes it once."""

    accounting: Accounting = field(default_factory=Accounting)
    #: Called for each decision, because the host's networks can change while a scan runs.
    current_policy: Callable[[], AddressPolicy] = lambda: DEFAULT_POLICY
    allow_sni_mismatch: bool = False

    @property
    def policy(self) -> AddressPolicy:
        """The current policy; raises `EgressUnavailableError` if the networks are unknown."""
        return self.current_policy()


class _RefusedError(Exception):
    """The request is refused; the entry holds the reason, `head` is the response."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.head = head


class Connection:
    """Serves one accepted connection to its end; the caller closes the socket."""

    def __init__(
        self, client: socket.socket, state: SocketState, resources: SharedResources
    ) -> None:
        """Take the non-blocking socket."""
        self._client = client
        self._state = state
        self._resources = resources
        #: The record of this connection; part of the accounting once the head was read.
        self.entry = Entry()
        self._is_recorded = False

    async def serve(self) -> None:
        """Serve one request; return when both sides have ended."""
        try:
            request = await self._read()
            if request is not None:
                await self._open(request)
        except _RefusedError as refusal:
            await self._send(refusal.head)
        except OSError:
            # The sandbox closed the connection before it had the response.
            self.entry.outcome = self.entry.outcome or "left"
        finally:
            self.entry.end()

    def note_fault(self) -> None:
        """Record that the gateway itself failed while it served the connection."""
        self.entry.outcome = "gateway_failed"
        if not self._is_recorded:
            self._record()

    def _record(self) -> None:
        self._is_recorded = True
        self._state.accounting.record(self.entry)

    async def _read(self) -> ProxyRequest | None:
        try:
            request = await read_request(self._client, self._resources.head_timeout_s)
        except ProxyRequestError as error:
            self._record()
            raise self._refusal(error.status, error.rule) from None
        if request is not None:
            self.entry.name, self.entry.port = request.name, request.port
            self._record()
        return request

    async def _open(self, request: ProxyRequest) -> None:
        accounting = self._state.accounting
        if rule := accounting.refusing_rule():
            raise self._refusal(403 if rule == _UNBOUND else 429, rule)
        accounting.open += 1
        try:
            target = self._target(request)
            await self._resolve(target)
            with await self._dial(target.port) as server:
                await self._carry(request, target, server)
        finally:
            accounting.open -= 1

    def _target(self, request: ProxyRequest) -> ParsedUrl:
        try:
            target = request.target(self._state.policy)
        except UrlRefusedError as error:
            self.entry.addresses = request.literal
            raise self._refusal(403, error.reason) from None
        # The normalised destination, which the gateway connects to.
        self.entry.name, self.entry.port = target.host, target.port
        self._state.accounting.allow(self.entry)
        return target

    async def _resolve(self, target: ParsedUrl) -> None:
        started_s = time.monotonic()
        try:
            self.entry.addresses = (
                (target.host,)
                if target.is_literal
                else await self._resources.resolver.addresses(target.host)
            )
        except ResolveError as error:
            raise self._failure(error.outcome) from None
        finally:
            self.entry.dns_ms = _since(started_s)
        ruling = judge_all(self.entry.addresses, self._state.policy)
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

    async def _carry(self, request: ProxyRequest, target: ParsedUrl, server: socket.socket) -> None:
        accounting, buffer = self._state.accounting, self._resources.buffer
        if request.forwarded is not None:
            forward = RequestForward(request, target, self._client, server)
            self._record_outcome(await forward.carry(accounting, self.entry, buffer))
            return
        head = response.tunnel_open(self.entry.freeze())
        await asyncio.get_running_loop().sock_sendall(self._client, head)
        allow = self._state.allow_sni_mismatch
        check = ClientHelloCheck(target.host, self.entry, allow_mismatch=allow)
        tunnel = Tunnel(self._client, server, accounting, self.entry, buffer, check)
        self._record_outcome(await tunnel.carry(request.rest()))

    def _record_outcome(self, outcome: str) -> None:
        self.entry.outcome = self.entry.outcome or outcome

    def _refusal(self, status: int, rule: str) -> _RefusedError:
        self.entry.allowed, self.entry.rule = False, rule
        return _RefusedError(response.refused(status, self.entry.freeze()))

    def _failure(self, outcome: str) -> _RefusedError:
        self.entry.outcome = outcome
        return _RefusedError(response.failed(self.entry.freeze()))

    async def _send(self, head: bytes) -> None:
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._client, head)


def _since(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 3)
