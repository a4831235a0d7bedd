"""Destinations that the gateway refuses, requested over a real socket of a real gateway."""

import socket
from pathlib import Path

from safeurl.address import Rule
from tests.support.egress import (
    GatewayProcess,
    Response,
    ask,
    connect_head,
    lab_policy,
    refusal,
    tunnel,
)
from tests.support.pages import PageServer, html
from tests.support.vectors import LITERALS
from worker.egress.networks.local_addresses import host_networks
from worker.egress.protocol import EgressPolicy


def _plain(directory: Path, url: str) -> Response:
    return ask(directory, f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def _is_here(address: str) -> bool:
    """Distinguish an interface's address from a next hop's, where no test can listen."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def test_no_spelling_of_an_inner_address_is_dialled(gateway: GatewayProcess) -> None:
    """Every literal of the vectors, by CONNECT and by http URL, is refused with a rule."""
    directory = gateway.open(EgressPolicy())[1]
    for literal, reason in LITERALS.items():
        rules = {reason, "host_invalid", "single_label", "bad_request", "method"}
        assert refusal(directory, f"{literal}:80") in rules, literal
        answer = _plain(directory, f"http://{literal}/")
        assert (answer.status in {400, 403, 405}, answer.reason in rules) == (True, True), literal


def test_inner_ports_are_refused_on_any_host(gateway: GatewayProcess) -> None:
    """A public name with the port of an internal service is refused before the look-up."""
    socket_id, directory = gateway.open(EgressPolicy(deny_ports=(8080,)))
    assert refusal(directory, "site.test:22") == Rule.PORT_PRIVILEGED
    assert refusal(directory, "site.test:6379") == Rule.PORT_SERVICE
    assert refusal(directory, "site.test:8080") == Rule.DENIED_BY_SETTING
    decisions = gateway.evidence(socket_id).decisions
    assert {(each.dns_ms, each.addresses) for each in decisions} == {(None, ())}


def test_settings_deny_what_they_name(gateway: GatewayProcess) -> None:
    """A denied range takes precedence over the exception around it."""
    policy = EgressPolicy(allow_cidrs=("127.0.0.0/8",), deny_cidrs=("127.0.0.9/32",))
    directory = gateway.open(policy)[1]
    assert refusal(directory, "127.0.0.9:8080") == Rule.DENIED_BY_SETTING


def test_the_gateways_own_settings_deny_more(tmp_path: Path) -> None:
    """They extend every scan's policy, and no worker can undo it."""
    settings = {"EGRESS_DENY_CIDRS": "127.0.0.9/32", "EGRESS_DENY_PORTS": "8088"}
    with GatewayProcess(tmp_path, settings) as strict:
        policy = EgressPolicy(
            allow_cidrs=("127.0.0.0/8", "127.0.0.9/32"), allow_ports=(8088,), deny_ports=(8089,)
        )
        directory = strict.open(policy)[1]
        for where in ("127.0.0.9:8080", "127.0.0.1:8088", "127.0.0.1:8089"):
            assert refusal(directory, where) == Rule.DENIED_BY_SETTING, where


def test_the_host_itself_is_refused_unless_named(gateway: GatewayProcess) -> None:
    """An exception for the whole Internet does not allow this host; its own address does."""
    hosts = [str(each.network_address) for each in host_networks().own if each.version == 4]
    own = next(filter(_is_here, hosts))
    wide = EgressPolicy(allow_cidrs=("0.0.0.0/0",))
    assert refusal(gateway.open(wide)[1], f"{own}:8080") == Rule.OWN_ADDRESS
    exact = EgressPolicy(allow_cidrs=(f"{own}/32",))
    with PageServer({"/": lambda _: html("mine")}, host=own) as pages:
        assert _plain(gateway.open(exact)[1], pages.url("/")).rest == b"mine"


def test_an_unbound_socket_refuses_everything(gateway: GatewayProcess) -> None:
    """An unbound socket refuses every request and records it."""
    with PageServer({"/": lambda _: html("hi")}) as pages:
        made = gateway.create()
        where = f"127.0.0.1:{pages.port}"
        answer = ask(Path(made.directory), connect_head(where))
        assert (answer.status, answer.reason) == (403, "unbound")
        gateway.bind(made.id, lab_policy())
        assert _plain(Path(made.directory), pages.url("/")).rest == b"hi"
        first, second = gateway.evidence(made.id).decisions
        assert (first.rule, first.allowed, second.allowed) == ("unbound", False, True)
        assert len(pages.requests) == 1


def test_nothing_but_a_proxy_is_served(gateway: GatewayProcess) -> None:
    """Origin form, other schemes and invalid bytes are answered, recorded and refused."""
    socket_id, directory = gateway.open()
    for request, status in (
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"GET ftp://site.test/ HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"TRACE * HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x00" * 10_000, 400),
        (b"CONNECT a.test:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\nzz\r\n", 400),
    ):
        assert ask(directory, request).status == status
    rules = [each.rule for each in gateway.evidence(socket_id).decisions]
    assert rules == ["method"] * 3 + ["bad_request"] * 3


def test_refusals_are_evidence_with_the_address_that_was_meant(gateway: GatewayProcess) -> None:
    """The evidence of a page that probes a network shows each destination as it was spelled."""
    socket_id, directory = gateway.open(EgressPolicy())
    answer = ask(directory, connect_head("3232235777:8080"))
    assert answer.headers["x-safeurl-addresses"] == "192.168.1.1"
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.name, decision.port) == ("3232235777", 8080)
    assert (decision.addresses, decision.address) == (("192.168.1.1",), "")
    assert (decision.allowed, decision.rule, decision.outcome) == (False, "private", "")


def test_one_sandbox_says_nothing_about_another(gateway: GatewayProcess) -> None:
    """Each socket has its own policy and its own evidence."""
    with PageServer({"/": lambda _: html("hi")}) as pages:
        lab_id, lab = gateway.open()
        strict_id, strict = gateway.open(EgressPolicy())
        where = f"127.0.0.1:{pages.port}"
        with tunnel(lab, where)[0]:
            assert refusal(strict, where) == Rule.LOOPBACK
        assert [each.allowed for each in gateway.evidence(lab_id).decisions] == [True]
        assert [each.allowed for each in gateway.evidence(strict_id).decisions] == [False]
