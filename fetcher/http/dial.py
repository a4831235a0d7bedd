"""Opens connections, only to addresses that the policy allows.

A name is resolved once, the policy is applied to all its addresses, and the connection is made to
one of these addresses. No second look-up follows that could return another address (DNS rebinding).
"""

import errno
import os
import re
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError
from fetcher.http.hop_recorder import HopRecorder
from safeurl.address import AddressPolicy, judge_all, judge_port
from safeurl.state import Outcome

_DNS_S = 10.0
_CONNECT_S = 10.0
_MAX_TRIES = 4

#: Names that glibc sends to the DNS. For other names it returns "does not exist" without a query.
_RESOLVABLE = re.compile(r"[a-z0-9_][a-z0-9._-]*")

#: Returns all addresses of a host name, or raises `socket.gaierror`. May block.
Resolver = Callable[[str], tuple[str, ...]]


class Dialler(Protocol):
    """A source of connections: this process, or the gateway on its behalf."""

    def dial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect to the recorder's host and port; record addresses, timings and refusals."""

    def redial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect again to the address that `dial` has reached."""


def system_resolver(host: str) -> tuple[str, ...]:
    """Return the addresses from the system's resolver, without its search domains."""
    # glibc reads both variables at its first resolution. With a search domain, a name that does not
    # exist could become a name of the local network.
    os.environ.setdefault("LOCALDOMAIN", ".")
    os.environ.setdefault("RES_OPTIONS", "timeout:3 attempts:2")
    # As bytes, because Python would import its IDNA codec for a string.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class DirectDialler(Struct, frozen=True):
    """Connects from this process."""

    policy: AddressPolicy
    resolver: Resolver = system_resolver

    def dial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Resolve the name, apply the policy to its addresses, and connect."""
        started = time.monotonic()
        recorder.addresses = _resolve(self.resolver, recorder.host, deadline)
        recorder.dns_ms = milliseconds_since(started)
        self._check_policy(recorder)
        return _connect_any(recorder, deadline)

    def redial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Connect to the address that `dial` has checked and reached."""
        if recorder.address is None:
            raise ValueError("redial before dial")
        return _connect(recorder.address, recorder.port, deadline.within(_CONNECT_S))

    def _check_policy(self, recorder: HopRecorder) -> None:
        for decision, address in (
            (judge_port(recorder.port, self.policy), ""),
            *((judge_all((each,), self.policy), each) for each in recorder.addresses),
        ):
            if not decision.allowed:
                recorder.record_refusal(decision.rule, address)
                what = f"the address {address}" if address else f"port {recorder.port}"
                raise FetchFailedError(
                    Outcome.ADDRESS_REFUSED,
                    f"{recorder.host} was not opened: {what} is refused ({decision.rule}).",
                )


def _resolve(resolver: Resolver, host: str, deadline: Deadline) -> tuple[str, ...]:
    answers: list[tuple[str, ...] | socket.gaierror] = []

    def resolve() -> None:
        try:
            answers.append(resolver(host))
        except socket.gaierror as error:
            answers.append(error)

    import threading  # noqa: PLC0415 - not needed where the gateway resolves

    # getaddrinfo cannot be interrupted, so it runs in a thread that is abandoned at the deadline.
    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(deadline.within(_DNS_S).left())
    if not answers:
        raise FetchFailedError(Outcome.DNS_FAILED, f"The DNS did not answer for {host} in time.")
    if isinstance(answers[0], socket.gaierror):
        raise _dns_failure(host, answers[0])
    return answers[0]


def _dns_failure(host: str, error: socket.gaierror) -> FetchFailedError:
    if error.errno == socket.EAI_NONAME and not _RESOLVABLE.fullmatch(host):
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


def _connect_any(recorder: HopRecorder, deadline: Deadline) -> socket.socket:
    """Connect to the first address that accepts; if none does, raise the most specific failure."""
    started = time.monotonic()
    failures: list[FetchFailedError] = []
    tries = recorder.addresses[:_MAX_TRIES]
    for position, address in enumerate(tries):
        # Each address gets an equal share of the remaining time, so that one that does not answer
        # leaves time for the others.
        share = min(_CONNECT_S, deadline.left() / (len(tries) - position))
        recorder.address = address
        try:
            connection = _connect(address, recorder.port, deadline.within(share))
        except FetchFailedError as failure:
            failures.append(failure)
            continue
        recorder.connect_ms = milliseconds_since(started)
        return connection
    if not failures:
        raise FetchFailedError(Outcome.DNS_FAILED, f"The host name {recorder.host} has no address.")
    failures.sort(key=lambda failure: failure.result.outcome is not Outcome.CONNECT_TIMEOUT)
    raise failures[0]


def _connect(address: str, port: int, deadline: Deadline) -> socket.socket:
    endpoint = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if deadline.is_over():
        raise FetchFailedError(
            Outcome.CONNECT_TIMEOUT, f"No time was left to connect to {endpoint}."
        )
    try:
        # As bytes, because Python would import its IDNA codec for a string.
        host: Any = address.encode("ascii")
        return socket.create_connection((host, port), timeout=deadline.left())
    except TimeoutError as error:
        raise FetchFailedError(
            Outcome.CONNECT_TIMEOUT, f"{endpoint} did not accept the connection in time."
        ) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "no reason given"
        refused = error.errno == errno.ECONNREFUSED
        raise FetchFailedError(
            Outcome.CONNECT_REFUSED,
            f"{endpoint} refused the connection." if refused else f"{endpoint}: {reason}.",
        ) from error
