"""Names are looked up once, judged by every address, and dialled at a judged address."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from safeurl.address import Rule
from tests.support.dns import DnsServer
from tests.support.egress import (
    GatewayProcess,
    ask,
    connect,
    connect_head,
    read_head,
    refusal,
    tunnel,
)
from tests.support.pages import PageServer, html
from worker.egress.protocol import EgressPolicy

#: Represents the public Internet: only this address of loopback.
_PUBLIC = "127.0.0.1"
_ONE = EgressPolicy(allow_cidrs=(f"{_PUBLIC}/32",))


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    """Start the only DNS server of the gateway."""
    with DnsServer() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Iterator[GatewayProcess]:
    """One gateway for all tests here; each test has its own sockets."""
    settings = {"EGRESS_RESOLVER": f"127.0.0.1:{dns.port}"}
    with GatewayProcess(tmp_path_factory.mktemp("egress"), settings) as running:
        yield running


@pytest.fixture
def pages() -> Iterator[PageServer]:
    """Serve a page at the allowed address."""
    with PageServer({"/": lambda _: html("<p>hi")}, host=_PUBLIC) as server:
        yield server


def test_a_rebinding_name_is_dialled_where_it_was_judged(
    gateway: GatewayProcess, dns: DnsServer, pages: PageServer
) -> None:
    """The first answer is public, the second private: the second connection is refused."""
    dns.sequence("rebinds.test", [_PUBLIC], ["127.0.0.2"])
    socket_id, directory = gateway.open(_ONE)
    where = f"rebinds.test:{pages.port}"
    connection, answer = tunnel(directory, where)
    connection.close()
    assert answer.headers["x-safeurl-address"] == _PUBLIC
    assert refusal(directory, where) == Rule.LOOPBACK
    first, second = gateway.evidence(socket_id).decisions
    assert (first.addresses, first.address, first.allowed) == ((_PUBLIC,), _PUBLIC, True)
    assert (second.addresses, second.address, second.allowed) == (("127.0.0.2",), "", False)
    asked = [kind for name, kind, _ in dns.questions if name == "rebinds.test"]
    assert sorted(asked) == ["A", "A", "AAAA", "AAAA"]


def test_dns64_is_looked_through_where_the_policy_says_so(
    gateway: GatewayProcess, dns: DnsServer
) -> None:
    """The address is refused because of the IPv4 address in it; without the setting, always."""
    dns.add("wrapped.test", "64:ff9b::a00:1")
    knowing = gateway.open(EgressPolicy(dns64=True))[1]
    assert refusal(knowing, "wrapped.test:80") == Rule.PRIVATE
    assert refusal(gateway.open()[1], "wrapped.test:80") == Rule.NAT64


@pytest.mark.parametrize(
    ("addresses", "rule"),
    [
        ((_PUBLIC, "10.0.0.1"), Rule.PRIVATE),
        (("10.0.0.1", _PUBLIC), Rule.PRIVATE),
        ((_PUBLIC, "169.254.169.254"), Rule.METADATA),
        ((_PUBLIC, "::1"), Rule.LOOPBACK),
        ((_PUBLIC, "::ffff:a00:1"), Rule.PRIVATE),
        (("fd00:ec2::254",), Rule.METADATA),
    ],
)
def test_one_inner_address_refuses_the_name(
    gateway: GatewayProcess, dns: DnsServer, addresses: tuple[str, ...], rule: str
) -> None:
    """Mixed responses are refused completely, in any order and family, and recorded completely."""
    dns.add("mixed.test", *addresses)
    socket_id, directory = gateway.open(_ONE)
    assert refusal(directory, "mixed.test:8080") == rule
    (decision,) = gateway.evidence(socket_id).decisions
    assert set(map(ip_address, decision.addresses)) == set(map(ip_address, addresses))
    assert decision.address == ""


def test_aliases_are_followed_to_where_they_lead(
    gateway: GatewayProcess, dns: DnsServer, pages: PageServer
) -> None:
    """A chain of aliases to a public address is dialled, one to a private address is refused."""
    for start, end in (("good", _PUBLIC), ("bad", "10.0.0.1")):
        dns.add(f"{start}3.test", end)
        dns.alias(f"{start}2.test", f"{start}3.test")
        dns.alias(f"{start}1.test", f"{start}2.test")
    directory = gateway.open(_ONE)[1]
    connection, answer = tunnel(directory, f"good1.test:{pages.port}")
    connection.close()
    assert (answer.status, answer.headers["x-safeurl-addresses"]) == (200, _PUBLIC)
    assert refusal(directory, f"bad1.test:{pages.port}") == Rule.PRIVATE


def test_a_name_with_ipv6_only_is_dialled_there(gateway: GatewayProcess, dns: DnsServer) -> None:
    """AAAA alone is enough, under the policy for IPv6."""
    dns.add("six.test", "::1")
    with PageServer({"/": lambda _: html("six")}, host="::1") as six:
        allowed = gateway.open(EgressPolicy(allow_cidrs=("::1/128",)))[1]
        connection, answer = tunnel(allowed, f"six.test:{six.port}")
        connection.close()
        assert answer.headers["x-safeurl-address"] == "::1"
        assert refusal(gateway.open(_ONE)[1], f"six.test:{six.port}") == Rule.LOOPBACK


def test_each_result_of_a_look_up_is_reported(gateway: GatewayProcess, dns: DnsServer) -> None:
    """No such name, a failing server, no address, and a loop of aliases."""
    dns.fail("broken.test", "SERVFAIL")
    dns.fail("unwilling.test", "REFUSED")
    dns.add("empty.test")
    dns.alias("round.test", "about.test")
    dns.alias("about.test", "round.test")
    socket_id, directory = gateway.open(_ONE)
    for name, outcome in (
        ("missing.test", "dns_nxdomain"),
        ("broken.test", "dns_failed"),
        ("unwilling.test", "dns_failed"),
        ("empty.test", "dns_failed"),
        ("round.test", "dns_failed"),
    ):
        answer = ask(directory, connect_head(f"{name}:80"))
        assert (name, answer.status, answer.reason) == (name, 502, outcome)
    for decision in gateway.evidence(socket_id).decisions:
        assert (decision.allowed, decision.rule, decision.address) == (True, "", "")
        assert decision.outcome
        assert decision.dns_ms is not None


def test_long_answers_come_over_tcp_and_huge_ones_not_at_all(
    gateway: GatewayProcess, dns: DnsServer, pages: PageServer
) -> None:
    """Truncation leads to TCP; more addresses than the evidence can contain are refused."""
    dns.add("long.test", _PUBLIC, truncate=True)
    dns.add("many.test", *(f"192.0.2.{n}" for n in range(100)), truncate=True)
    dns.add("huge.test", *(f"10.{n // 250}.{n % 250}.1" for n in range(900)), truncate=True)
    directory = gateway.open(_ONE)[1]
    connection, answer = tunnel(directory, f"long.test:{pages.port}")
    connection.close()
    assert answer.headers["x-safeurl-address"] == _PUBLIC
    assert refusal(directory, "many.test:80") == "dns_failed"
    assert refusal(directory, "huge.test:80") == "dns_failed"
    assert ("long.test", "A", "tcp") in dns.questions


def test_names_are_asked_as_they_are(gateway: GatewayProcess, dns: DnsServer) -> None:
    """No search list completes a name; local names and single labels are never looked up."""
    directory = gateway.open(_ONE)[1]
    before = len(dns.questions)
    for name in ("intranet", "localhost", "printer.local", "a.localhost"):
        assert refusal(directory, f"{name}:80") in {"single_label", "local_name"}
    assert len(dns.questions) == before
    assert refusal(directory, "no.such.test.:80") == "dns_nxdomain"
    assert {name for name, _, _ in dns.questions[before:]} == {"no.such.test"}


@pytest.mark.parametrize("silent", [True, False])
def test_a_slow_dns_ends_in_time(tmp_path: Path, *, silent: bool) -> None:
    """No answer, or one after ten seconds, fails much earlier, and other look-ups continue."""
    with DnsServer() as slow:
        if silent:
            slow.ignore("slow.test")
        else:
            slow.add("slow.test", "127.0.0.1", delay_s=10.0)
        settings = {"EGRESS_RESOLVER": f"127.0.0.1:{slow.port}"}
        with (
            GatewayProcess(tmp_path, settings) as gateway,
            PageServer({"/": lambda _: html("hi")}) as pages,
        ):
            socket_id, directory = gateway.open(_ONE)
            with connect(directory) as waiting:
                waiting.sendall(connect_head("slow.test:80"))
                connection, other = tunnel(directory, f"127.0.0.1:{pages.port}")
                connection.close()
                answer = read_head(waiting)
            assert (answer.status, answer.reason, other.status) == (502, "dns_failed", 200)
            decision = gateway.evidence(socket_id).decisions[0]
            assert 1_000 < (decision.dns_ms or 0) < 9_000


def test_a_dead_resolver_is_a_failure(tmp_path: Path) -> None:
    """A server that refuses datagrams makes look-ups fail; literals still work."""
    with DnsServer() as gone:
        port = gone.port
    with (
        GatewayProcess(tmp_path, {"EGRESS_RESOLVER": f"127.0.0.1:{port}"}) as gateway,
        PageServer({"/": lambda _: html("hi")}) as pages,
    ):
        directory = gateway.open(_ONE)[1]
        assert refusal(directory, "site.test:80") == "dns_failed"
        connection, answer = tunnel(directory, f"127.0.0.1:{pages.port}")
        connection.close()
        assert answer.status == 200
