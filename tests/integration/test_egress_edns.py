"""DNS servers that do not support EDNS get a second query without it."""

from collections.abc import Callable

import dns.message
import pytest
from dns.asyncbackend import get_default_backend
from dnslib import (  # type: ignore[import-untyped]  # the package ships no types
    EDNS0,
    QTYPE,
    RCODE,
    RR,
    A,
    DNSRecord,
)

from safeurl.state import Outcome
from tests.support.dns import DnsServer
from worker.egress.gateway.dns.nameserver import WITHOUT_EDNS_S, Nameserver
from worker.egress.gateway.dns.resolver import ResolveError, Resolver

_ADDRESS = "192.0.2.7"
#: BADVERS is 16: its upper bits are in the OPT record (RFC 6891, 6.1.3).
_BADVERS = 1

_OnEdns = Callable[[DNSRecord, str], bytes | None]


def _code(rcode: str, *, echo: bool = True, opt: bool = False) -> _OnEdns:
    """Return a response with this code; without the question if the server has not parsed it."""

    def answer(question: DNSRecord, _transport: str) -> bytes:
        reply = question.reply()
        reply.header.rcode = getattr(RCODE, rcode)
        if opt:
            reply.add_ar(EDNS0(udp_len=512))
        if not echo:
            reply.questions = []
        return bytes(reply.pack())

    return answer


def _badvers(question: DNSRecord, _transport: str) -> bytes:
    reply = question.reply()
    reply.add_ar(EDNS0(ext_rcode=_BADVERS, version=0, udp_len=512))
    return bytes(reply.pack())


def _two_opts(question: DNSRecord, _transport: str) -> bytes:
    """Return a malformed response (RFC 6891, 6.1.1)."""
    reply = question.reply()
    reply.add_ar(EDNS0(udp_len=512), EDNS0(udp_len=512))
    return bytes(reply.pack())


def _silent(_question: DNSRecord, _transport: str) -> None:
    return None


def _noise(question: DNSRecord, _transport: str) -> bytes:
    return bytes(question.pack()[:2]) + b"\xff" * 7


def _truncated(over_tcp: _OnEdns) -> _OnEdns:
    """Return a truncated response, which leads to TCP, for this query."""

    def answer(question: DNSRecord, transport: str) -> bytes | None:
        if transport == "tcp":
            return over_tcp(question, transport)
        reply = question.reply()
        reply.header.tc = 1
        return bytes(reply.pack())

    return answer


async def _ask(name: str, *servers: DnsServer, resolver: Resolver | None = None) -> tuple[str, ...]:
    made = resolver or _resolver(*servers)
    return await made.addresses(name)


def _resolver(*servers: DnsServer) -> Resolver:
    return Resolver([f"127.0.0.1:{server.port}" for server in servers])


@pytest.mark.parametrize(
    "on_edns",
    [
        _code("FORMERR"),
        _code("FORMERR", echo=False),
        _code("FORMERR", opt=True),
        _code("NOTIMP"),
        _code("NOTIMP", echo=False),
        _code("SERVFAIL"),
        _code("REFUSED"),
        _badvers,
        _silent,
        _two_opts,
        _noise,
        _truncated(_code("FORMERR")),
        _truncated(_code("SERVFAIL", echo=False)),
        _truncated(_badvers),
        _truncated(_silent),
        _truncated(_noise),
    ],
)
async def test_a_server_that_does_not_take_edns_is_asked_without(on_edns: _OnEdns) -> None:
    """After such a server was found, the next look-ups do not try EDNS first."""
    with DnsServer(on_edns=on_edns) as server:
        server.add("site.test", _ADDRESS)
        server.add("long.test", _ADDRESS, truncate=True)
        resolver = _resolver(server)
        assert await _ask("site.test", resolver=resolver) == (_ADDRESS,)
        tried = len(server.with_edns)
        assert tried
        assert await _ask("site.test", resolver=resolver) == (_ADDRESS,)
        assert await _ask("long.test", resolver=resolver) == (_ADDRESS,)
        with pytest.raises(ResolveError) as caught:
            await _ask("missing.test", resolver=resolver)
    assert caught.value.outcome is Outcome.DNS_NXDOMAIN
    assert len(server.with_edns) == tried


@pytest.mark.parametrize("on_edns", [_code("FORMERR"), _silent, _code("NOTIMP", echo=False)])
async def test_a_name_that_is_missing_is_found_missing_without_edns(on_edns: _OnEdns) -> None:
    """The result of the second query counts, also if it has no address."""
    with DnsServer(on_edns=on_edns) as server, pytest.raises(ResolveError) as caught:
        await _ask("missing.test", server)
    assert caught.value.outcome is Outcome.DNS_NXDOMAIN


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
async def test_a_name_that_fails_either_way_says_nothing_of_the_server(rcode: str) -> None:
    """The next name is looked up with EDNS again."""
    with DnsServer() as server:
        server.fail("broken.test", rcode)
        server.add("site.test", _ADDRESS)
        resolver = _resolver(server)
        with pytest.raises(ResolveError) as caught:
            await _ask("broken.test", resolver=resolver)
        tried = len(server.with_edns)
        assert await _ask("site.test", resolver=resolver) == (_ADDRESS,)
    assert caught.value.outcome is Outcome.DNS_FAILED
    assert len(server.with_edns) == tried + 2
    assert [asked for asked in server.questions if asked[0] == "site.test"] == server.with_edns[-2:]


@pytest.mark.parametrize("first", [True, False])
async def test_only_the_server_that_drops_edns_is_asked_without(*, first: bool) -> None:
    """Of two servers, the good one is still queried with EDNS, in either order."""
    with DnsServer(on_edns=_silent) as old, DnsServer() as new:
        for server in (old, new):
            server.add("site.test", _ADDRESS)
            server.fail("other.test", "REFUSED")
        resolver = _resolver(*((old, new) if first else (new, old)))
        for _ in range(2):
            assert await _ask("site.test", resolver=resolver) == (_ADDRESS,)
        # The first server refuses this name, so both are queried.
        with pytest.raises(ResolveError):
            await _ask("other.test", resolver=resolver)
    assert len(old.with_edns) == 2
    assert ("other.test", "A", "udp") in new.with_edns


async def test_a_server_that_only_answers_with_edns_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow response to the first query is accepted after the second one was sent."""
    monkeypatch.setattr("worker.egress.gateway.dns.nameserver._FALLBACK_SHARE", 0.0)

    def answer(question: DNSRecord, _transport: str) -> bytes:
        reply = question.reply()
        if question.q.qtype == QTYPE.A:
            reply.add_answer(RR(question.q.qname, QTYPE.A, rdata=A(_ADDRESS)))
        return bytes(reply.pack())

    with DnsServer(on_edns=answer) as server:
        server.ignore("site.test")
        resolver = _resolver(server)
        for _ in range(2):
            assert await _ask("site.test", resolver=resolver) == (_ADDRESS,)
    assert len(server.with_edns) == 4


async def test_a_server_gets_another_chance_with_edns() -> None:
    """The server may have been replaced by then, or a packet was lost."""
    now_s = 1000.0
    asked = []
    with DnsServer(on_edns=_code("FORMERR")) as server:
        server.add("site.test", _ADDRESS)
        nameserver = Nameserver("127.0.0.1", server.port, monotonic=lambda: now_s)
        for step_s in (0.0, WITHOUT_EDNS_S - 1.0, 2.0, 1.0):
            now_s += step_s
            request = dns.message.make_query("site.test", "A", use_edns=0)
            answer = await nameserver.async_query(
                request, 2.0, None, 0, max_size=False, backend=get_default_backend()
            )
            assert [rrset.to_text() for rrset in answer.answer] == [f"site.test. 0 IN A {_ADDRESS}"]
            asked.append(len(server.with_edns))
    assert asked == [1, 1, 2, 2]
