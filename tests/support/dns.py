"""A DNS server on loopback with scripted answers, over UDP and TCP.

    with DnsServer() as dns:
        dns.add("site.test", "127.0.0.1", "::1")
        dns.add("*.wild.test", "127.0.0.1")
    dns.add("*.wild.test", "127.0.0.1")
        dns.sequence("rebinds.test", ["192.0.2.1"], ["127.0.0.1"])
        dns.alias("www.site.test", "site.test")
        dns.fail("broken.test", "SERVFAIL")
        dns.ignore("silent.test")

Names that were not added do not exist (NXDOMAIN). `dns.questions` holds what was asked.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from dnslib import (  # type: ignore[import-untyped]  # the package ships no types
    AAAA,
    CNAME,
    QTYPE,
    RCODE,
    RR,
    A,
    DNSError,
    DNSRecord,
)

_MAX_UDP = 4096
_MAX_ALIASES = 16


@dataclass(slots=True)
class _Name:
    """The answers about one name."""

    #: One set of addresses per A question, in turn; the last set repeats.
    turns: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    alias: str = ""
    rcode: str = "NOERROR"
    silent: bool = False
    #: Answer over UDP with the truncation bit and no records, so that the client retries over TCP.
    truncate: bool = False
    ttl: int = 0
    delay_s: float = 0.0


@dataclass(slots=True)
class DnsServer:
    """A server that answers until it is closed; a context manager. Port 0 means a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    #: Every question as (name, type, transport).
    questions: list[tuple[str, str, str]] = field(default_factory=list)
    #: The questions that had EDNS.
    with_edns: list[tuple[str, str, str]] = field(default_factory=list)
    #: Answers questions with EDNS, from the question and the transport; None drops them.
    on_edns: Callable[[DNSRecord, str], bytes | None] | None = None
    _names: dict[str, _Name] = field(default_factory=dict)
    _udp: socket.socket = field(init=False)
    _tcp: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)

    def add(
        self,
        name: str,
        *addresses: str,
        ttl: int = 0,
        truncate: bool = False,
        delay_s: float = 0.0,
    ) -> None:
        """Give the name these IPv4 and IPv6 addresses; without addresses the response is empty.

        A delay also delays every other query, because the server answers one after another.
        """
        self._names[_key(name)] = _Name([addresses], ttl=ttl, truncate=truncate, delay_s=delay_s)

    def sequence(self, name: str, *turns: list[str]) -> None:
        """Answer each question for A with the next set of addresses: rebinding."""
        self._names[_key(name)] = _Name([tuple(turn) for turn in turns])

    def alias(self, name: str, target: str) -> None:
        """Make the name a CNAME of the target."""
        self._names[_key(name)] = _Name(alias=_key(target))

    def fail(self, name: str, rcode: str) -> None:
        """Answer with an error such as SERVFAIL or REFUSED."""
        self._names[_key(name)] = _Name(rcode=rcode)

    def ignore(self, name: str) -> None:
        """Never answer."""
        self._names[_key(name)] = _Name(silent=True)

    def start(self) -> None:
        """Listen on the same port over UDP and TCP."""
        self._tcp = socket.create_server((self.host, self.port))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.host, self.port))
        for target in (self._serve_udp, self._serve_tcp):
            thread = threading.Thread(target=target, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop and wait for the threads."""
        self._closing.set()
        for listener in (self._udp, self._tcp):
            # Shutdown wakes the blocked thread; on an unconnected UDP socket it also raises.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
        self._udp.close()
        self._tcp.close()

    def __enter__(self) -> Self:
        """Start answering."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _serve_udp(self) -> None:
        while True:
            try:
                data, peer = self._udp.recvfrom(_MAX_UDP)
            except OSError:
                return
            if not data:
                return
            answer = self._answer(data, "udp")
            if answer is not None:
                self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection:
                connection.settimeout(5)
                head = connection.recv(2, socket.MSG_WAITALL)
                data = connection.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
                answer = self._answer(data, "tcp")
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data: bytes, transport: str) -> bytes | None:
        try:
            question = DNSRecord.parse(data)
        except DNSError:
            return None
        kind = QTYPE[question.q.qtype]
        name = _key(str(question.q.qname))
        self.questions.append((name, kind, transport))
        if any(record.rtype == QTYPE.OPT for record in question.ar):
            self.with_edns.append((name, kind, transport))
            if self.on_edns is not None:
                return self.on_edns(question, transport)
        reply = question.reply()
        rule = self._names.get(name) or self._wildcard(name)
        for _ in range(_MAX_ALIASES):
            if rule is None or not rule.alias:
                break
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(rule.alias)))
            name, rule = rule.alias, self._names.get(rule.alias)
        if rule is None:
            reply.header.rcode = RCODE.NXDOMAIN
        elif rule.silent or self._closing.wait(rule.delay_s):
            return None
        elif rule.truncate and transport == "udp":
            reply.header.tc = 1
        else:
            reply.header.rcode = getattr(RCODE, rule.rcode)
            _add_addresses(reply, name, kind, rule)
        return bytes(reply.pack())

    def _wildcard(self, name: str) -> _Name | None:
        """Return the answers of `*` below the nearest parent name (RFC 4592)."""
        labels = name.split(".")
        above = (self._names.get(f"*.{'.'.join(labels[i:])}") for i in range(1, len(labels)))
        return next(filter(None, above), None)


def _add_addresses(reply: DNSRecord, name: str, kind: str, rule: _Name) -> None:
    for address in rule.turns[0]:
        if kind == "AAAA" and ":" in address:
            reply.add_answer(RR(name, QTYPE.AAAA, rdata=AAAA(address), ttl=rule.ttl))
        if kind == "A" and ":" not in address:
            reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=rule.ttl))
    if kind == "A" and len(rule.turns) > 1:
        rule.turns.pop(0)


def _key(name: str) -> str:
    return name.rstrip(".").lower()
