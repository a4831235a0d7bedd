"""The doctor's requests to gateways, their evaluation, and the fake DNS server."""

import dns.message
import dns.rcode

from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from safeurl.model.report import Evidence, Hop, Refusal
from safeurl.url import parse
from worker.doctor.checks import gateway_checks
from worker.doctor.fake_dns import (
    PRIVATE,
    PRIVATE_NAMES,
    PUBLIC,
    PUBLIC_NAME,
    REBINDING_NAME,
    FakeDns,
)
from worker.doctor.finding import Status
from worker.doctor.honeypot import REBOUND, REDIRECTED, Honeypot


def addresses(names: FakeDns, name: str, kind: str) -> list[str]:
    """Query once; return the data of all records, aliases included."""
    reply = names.respond(dns.message.make_query(name, kind))
    return sorted(record.to_text() for rrset in reply.answer for record in rrset)


def test_the_rebinding_name_is_public_once() -> None:
    """Only IPv4 queries count, because a resolver queries both types."""
    names = FakeDns()
    assert addresses(names, REBINDING_NAME, "AAAA") == []
    asked = [addresses(names, REBINDING_NAME, "A") for _ in range(3)]
    assert asked == [[PUBLIC], [PRIVATE], [PRIVATE]]


def test_each_private_name_has_a_private_address() -> None:
    """Every name has an address that is refused; other names do not exist."""
    names = FakeDns()
    told = {
        name: [*addresses(names, name, "A"), *addresses(names, name, "AAAA")]
        for name in PRIVATE_NAMES
    }
    assert all(set(data) - {PUBLIC} for data in told.values())
    assert [PRIVATE, PUBLIC] in told.values()
    missing = names.respond(dns.message.make_query("elsewhere.test", "A"))
    assert missing.rcode() == dns.rcode.NXDOMAIN


def test_only_a_refusal_by_a_rule_counts() -> None:
    """A failed connection, a cap and a missing response are not refusals."""
    evaluate = gateway_checks.all_refused("things")
    assert evaluate({"x": ["403 loopback", "400 bad_request"], "y": ["405 method"]})[0] == []
    for answer in ("200", "502 connect_refused", "429 cap_connections", "TimeoutError", ""):
        faults, _ = evaluate({"x": ["403 loopback", answer]})
        assert len(faults) == 1


def test_rebinding_passes_only_without_a_connection_to_the_decoy() -> None:
    """The first request opens, the second is refused, and nothing reaches the private address."""
    honeypot = Honeypot()
    good = {REBINDING_NAME: ["200", "403 loopback"]}
    assert gateway_checks.rebinding(honeypot)(good)[0] == []
    assert gateway_checks.rebinding(honeypot)({REBINDING_NAME: ["200", "200"]})[0] != []
    assert (
        gateway_checks.rebinding(honeypot)({REBINDING_NAME: ["403 loopback", "403 loopback"]})[0]
        != []
    )
    honeypot.connection_counts[REBOUND] += 1
    assert gateway_checks.rebinding(honeypot)(good)[0] != []


def test_an_allowed_connection_has_to_open() -> None:
    """A gateway that refuses everything would pass all other checks."""
    assert gateway_checks.allowed_connection({PUBLIC_NAME: ["200"]})[0] == []
    assert gateway_checks.allowed_connection({PUBLIC_NAME: ["403 loopback"]})[0] != []


def test_a_resolver_passes_if_it_answers_that_a_name_does_not_exist() -> None:
    """No response, an error and an invented address are warnings: scans would fail."""
    [(name, heads)] = gateway_checks.resolver_requests("1f")["resolver"].items()
    assert parse(f"http://{name}/").host == name
    assert heads == [f"CONNECT {name}:80 HTTP/1.1\r\nHost: {name}:80\r\n\r\n"]
    assert gateway_checks.resolver({name: ["502 dns_nxdomain"]}).status is Status.PASS
    for answer in ("502 dns_failed", "TimeoutError", "200", "403 private", ""):
        found = gateway_checks.resolver({name: [answer]})
        assert found.status is Status.WARN
        assert answer in found.detail
        assert "EGRESS_RESOLVER" in found.advice


def test_a_redirect_is_refused_by_the_fetcher_or_the_gateway() -> None:
    """A refusal of either is recorded, and nothing connects to the decoy."""
    facts = Evidence(hops=(Hop(url=f"http://{PUBLIC_NAME}/", status=302),))
    refused = Evidence(hops=facts.hops, refusals=(Refusal(host=PRIVATE, port=80, rule="loopback"),))
    record = EgressEvidence(decisions=(EgressDecision(name=PRIVATE, port=80, rule="loopback"),))
    honeypot = Honeypot()
    assert gateway_checks.redirect("x", refused, EgressEvidence(), honeypot).status is Status.PASS
    assert gateway_checks.redirect("x", facts, record, honeypot).detail.endswith("the gateway")
    assert gateway_checks.redirect("x", facts, EgressEvidence(), honeypot).status is Status.FAIL
    assert gateway_checks.redirect("x", Evidence(), record, honeypot).status is Status.FAIL
    honeypot.connection_counts[REDIRECTED] += 1
    assert gateway_checks.redirect("x", refused, record, honeypot).status is Status.FAIL


def test_the_names_of_the_honeypot_can_be_scanned() -> None:
    """A name that the fetcher refused by itself would prove nothing about the gateway."""
    for name in (PUBLIC_NAME, REBINDING_NAME, *PRIVATE_NAMES):
        assert parse(f"http://{name}/").host == name
