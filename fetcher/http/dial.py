"""Opens connections, and only to addresses that were judged.

A name is resolved once, every address of it is judged, and the judged address itself is dialled:
there is no second look-up that could answer otherwise (DNS rebinding).
"""

import errno
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError
from fetcher.http.hop_recorder import HopRecorder
from safeurl.address import AddressPolicy, judge_all, judge_port
from safeurl.state import Outcome

_DNS_S = 10.0
_CONNECT_S = 10.0
_MAX_TRIES = 4

#: Names that glibc asks the DNS about; of any other it says, unasked, that it does not exist.
_ASKABLE = re.compile(r"[a-z0-9_][a-z0-9._-]*")

#: Returns every address of a host name, or raises `socket.gaierror`. May block.
Resolver = Callable[[str], tuple[str, ...]]


class Dialler(Protocol):
    """Where connections come from: this process, or a gateway that makes them for it."""

    def dial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect to the trace's host and port; note addresses, timings and refusal in it."""

    def redial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect once more to the address that `dial` reached."""


def system_resolver(host: str) -> tuple[str, ...]:
    """Ask the system's resolver, without its search domains: `host` is a full name."""
    # Both are read by glibc when it first resolves. A search domain would turn a name that does
    # not exist into one of the local network.
    os.environ.setdefault("LOCALDOMAIN", ".")
    os.environ.setdefault("RES_OPTIONS", "timeout:3 attempts:2")
    # Bytes, since Python would load its IDNA codec for text.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class DirectDialler:
    """Connects from this process."""

    policy: AddressPolicy
    resolver: Resolver = system_resolver

    def dial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Resolve, judge and connect."""
        started = time.monotonic()
        trace.addresses = _resolve(self.resolver, trace.host, deadline)
        trace.dns_ms = milliseconds_since(started)
        self._judge(trace)
        return _connect_any(trace, deadline)

    def redial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect to the address that was judged and dialled before."""
        if trace.address is None:
            raise ValueError("redial before dial")
        return _connect(trace.address, trace.port, deadline.within(_CONNECT_S))

    def _judge(self, trace: HopRecorder) -> None:
        for ruling, address in (
            (judge_port(trace.port, self.policy), ""),
            *((judge_all((each,), self.policy), each) for each in trace.addresses),
        ):
            if not ruling.allowed:
                trace.refuse(ruling.rule, address)
                what = f"the address {address}" if address else f"port {trace.port}"
                raise FetchFailedError(
                    Outcome.ADDRESS_REFUSED,
                    f"{trace.host} was not opened: {what} is refused ({ruling.rule}).",
                )


def _resolve(resolver: Resolver, host: str, deadline: Deadline) -> tuple[str, ...]:
    answer: list[tuple[str, ...] | socket.gaierror] = []

    def ask() -> None:
        try:
            answer.append(resolver(host))
        except socket.gaierror as error:
            answer.append(error)

    # getaddrinfo cannot be interrupted, so it runs in a thread that is left behind when late.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(deadline.within(_DNS_S).left())
    if not answer:
        raise FetchFailedError(Outcome.DNS_FAILED, f"The DNS did not answer about {host} in time.")
    if isinstance(answer[0], socket.gaierror):
        raise _dns_failure(host, answer[0])
    return answer[0]


def _dns_failure(host: str, error: socket.gaierror) -> FetchFailedError:
    if error.errno == socket.EAI_NONAME and not _ASKABLE.fullmatch(host):
        return FetchFailedError(
            Outcome.DNS_FAILED,
            f"The system's resolver does not ask for names such as {host}. "
            "The egress gateway does (CONTAINER_NETWORK=none).",
        )
    if error.errno == socket.EAI_NONAME:
        return FetchFailedError(Outcome.DNS_NXDOMAIN, f"The host name {host} does not exist.")
    if error.errno == socket.EAI_NODATA:
        return FetchFailedError(Outcome.DNS_FAILED, f"The host name {host} has no address.")
    return FetchFailedError(
        Outcome.DNS_FAILED, f"The host name {host} could not be resolved: {error.strerror}."
    )


def _connect_any(trace: HopRecorder, deadline: Deadline) -> socket.socket:
    """Connect to the first address that accepts; raise the most telling failure if none does."""
    started = time.monotonic()
    failures: list[FetchFailedError] = []
    tries = trace.addresses[:_MAX_TRIES]
    for position, address in enumerate(tries):
        # Each gets its share of what is left, so that one dead address does not use it up.
        share = min(_CONNECT_S, deadline.left() / (len(tries) - position))
        trace.address = address
        try:
            connection = _connect(address, trace.port, deadline.within(share))
        except FetchFailedError as failure:
            failures.append(failure)
            continue
        trace.connect_ms = milliseconds_since(started)
        return connection
    if not failures:
        raise FetchFailedError(Outcome.DNS_FAILED, f"The host name {trace.host} has no address.")
    failures.sort(key=lambda failure: failure.ending.outcome is not Outcome.CONNECT_TIMEOUT)
    raise failures[0]


def _connect(address: str, port: int, deadline: Deadline) -> socket.socket:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if deadline.is_over():
        raise FetchFailedError(Outcome.CONNECT_TIMEOUT, f"No time was left to connect to {where}.")
    try:
        return socket.create_connection((address, port), timeout=deadline.left())
    except TimeoutError as error:
        raise FetchFailedError(
            Outcome.CONNECT_TIMEOUT, f"{where} did not accept the connection in time."
        ) from error
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else "no reason given"
        refused = error.errno == errno.ECONNREFUSED
        raise FetchFailedError(
            Outcome.CONNECT_REFUSED,
            f"{where} refused the connection." if refused else f"{where}: {words}.",
        ) from error
