"""What the doctor asks gateways, what it concludes, and the DNS that lies to them."""

import dns.message
import dns.rcode

from safeurl.model.report import EgressDecision, EgressEvidence, Evidence, Hop, Refusal
from safeurl.url import parse
from worker.doctor.checks import gateway_checks
from worker.doctor.fake_dns import LYING, OPEN, PRIVATE, PUBLIC, REBINDING, LyingDns
from worker.doctor.finding import Status
from worker.doctor.honeypot import REBOUND, REDIRECTED, Lure


def addresses(names: LyingDns, name: str, kind: str) -> list[str]:
    """Ask once; return the data of all records, aliases included."""
    reply = names.answer(dns.message.make_query(name, kind))
    return sorted(record.to_text() for rrset in reply.answer for record in rrset)


def test_the_rebinding_name_is_public_once() -> None:
    """Only questions for IPv4 count, since a resolver asks for both kinds."""
    names = LyingDns()
    assert addresses(names, REBINDING, "AAAA") == []
    asked = [addresses(names, REBINDING, "A") for _ in range(3)]
    assert asked == [[PUBLIC], [PRIVATE], [PRIVATE]]


def test_lying_names_lead_inside_each_in_its_way() -> None:
    """Every one holds an address that is refused; others do not exist."""
    names = LyingDns()
    told = {name: [*addresses(names, name, "A"), *addresses(names, name, "AAAA")] for name in LYING}
    assert all(set(data) - {PUBLIC} for data in told.values())
    assert [PRIVATE, PUBLIC] in told.values()
    missing = names.answer(dns.message.make_query("elsewhere.test", "A"))
    assert missing.rcode() == dns.rcode.NXDOMAIN


def test_only_a_refusal_by_rule_is_one() -> None:
    """What was dialled and failed, was capped, or never answered was not refused."""
    judge = gateway_checks.refused("things")
    assert judge({"x": ["403 loopback", "400 bad_request"], "y": ["405 method"]})[0] == []
    for answer in ("200", "502 connect_refused", "429 cap_connections", "TimeoutError", ""):
        faults, _ = judge({"x": ["403 loopback", answer]})
        assert len(faults) == 1


def test_rebinding_passes_only_where_the_bait_was_not_touched() -> None:
    """The first answer is opened, the second refused, and nothing reached the private address."""
    lure = Lure()
    good = {REBINDING: ["200", "403 loopback"]}
    assert gateway_checks.rebinding(lure)(good)[0] == []
    assert gateway_checks.rebinding(lure)({REBINDING: ["200", "200"]})[0] != []
    assert gateway_checks.rebinding(lure)({REBINDING: ["403 loopback", "403 loopback"]})[0] != []
    lure.hits[REBOUND] += 1
    assert gateway_checks.rebinding(lure)(good)[0] != []


def test_a_way_out_has_to_be_open() -> None:
    """A gateway that refuses everything would pass all the others."""
    assert gateway_checks.way_out({OPEN: ["200"]})[0] == []
    assert gateway_checks.way_out({OPEN: ["403 loopback"]})[0] != []


def test_a_resolver_passes_where_it_knows_that_a_name_does_not_exist() -> None:
    """No answer, an error and an invented address keep scans from their pages; it is a warning."""
    [(name, heads)] = gateway_checks.resolver_requests("1f")["resolver"].items()
    assert parse(f"http://{name}/").host == name
    assert heads == [f"CONNECT {name}:80 HTTP/1.1\r\nHost: {name}:80\r\n\r\n"]
    assert gateway_checks.resolver({name: ["502 dns_nxdomain"]}).status is Status.PASS
    for answer in ("502 dns_failed", "TimeoutError", "200", "403 private", ""):
        found = gateway_checks.resolver({name: [answer]})
        assert found.status is Status.WARN
        assert answer in found.detail
        assert "EGRESS_RESOLVER" in found.advice


def test_a_redirect_is_stopped_by_one_wall_or_the_other() -> None:
    """Whoever refused it, there is a record, and the bait was not touched."""
    seen = Evidence(hops=(Hop(url=f"http://{OPEN}/", status=302),))
    refused = Evidence(hops=seen.hops, refusals=(Refusal(host=PRIVATE, port=80, rule="loopback"),))
    record = EgressEvidence(decisions=(EgressDecision(name=PRIVATE, port=80, rule="loopback"),))
    lure = Lure()
    assert gateway_checks.redirect("x", refused, EgressEvidence(), lure).status is Status.PASS
    assert gateway_checks.redirect("x", seen, record, lure).detail.endswith("the gateway")
    assert gateway_checks.redirect("x", seen, EgressEvidence(), lure).status is Status.FAIL
    assert gateway_checks.redirect("x", Evidence(), record, lure).status is Status.FAIL
    lure.hits[REDIRECTED] += 1
    assert gateway_checks.redirect("x", refused, record, lure).status is Status.FAIL


def test_the_names_of_the_lure_are_fit_to_be_scanned() -> None:
    """A name that the fetcher refused by itself would prove nothing about the gateway."""
    for name in (OPEN, REBINDING, *LYING):
        assert parse(f"http://{name}/").host == name
