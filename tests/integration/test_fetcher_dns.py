"""A name is resolved once, all its addresses are checked, and a checked one is used."""

import pytest

from safeurl.state import Outcome
from tests.support.fetching import request_line
from tests.support.lab import PUBLIC_V4, PUBLIC_V6, Scenario, run_in_lab


def _request(url: str, **fields: object) -> bytes:
    return request_line(url, allow_cidrs=(), **fields)


def test_a_public_name_is_opened() -> None:
    """The default policy allows a public address; resolver and page get one request each."""
    lab = run_in_lab(Scenario(names={"site.test": [PUBLIC_V4]}), _request("http://site.test/"))
    assert lab.run.report.outcome is Outcome.OK
    assert lab.run.page.title == "A quiet page"
    assert lab.run.hops[0].addresses == (PUBLIC_V4,)
    assert lab.run.hops[0].address == PUBLIC_V4
    asked = [(name, kind) for name, kind, _ in lab.questions]
    assert sorted(asked[:2]) == [("site.test", "A"), ("site.test", "AAAA")]
    assert ["site.test", "/"] in lab.requests


def test_a_name_that_does_not_exist_is_dns_nxdomain() -> None:
    """NXDOMAIN has its own outcome, and search domains are not tried."""
    scenario = Scenario(
        names={"nowhere.test.corp.test": [PUBLIC_V4]}, resolver_lines=["search corp.test"]
    )
    lab = run_in_lab(scenario, _request("http://nowhere.test/"))
    assert lab.run.report.outcome is Outcome.DNS_NXDOMAIN
    assert "nowhere.test does not exist" in lab.run.report.detail
    assert {name for name, _, _ in lab.questions} == {"nowhere.test"}
    assert lab.run.hops[0].error == lab.run.report.detail


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(failures={"broken.test": "SERVFAIL"}),
        Scenario(failures={"broken.test": "REFUSED"}),
        Scenario(names={"broken.test": []}),
        Scenario(ignored=["broken.test"]),
    ],
    ids=["servfail", "refused", "no address", "silent"],
)
def test_a_name_that_cannot_be_resolved_is_dns_failed(scenario: Scenario) -> None:
    """Errors, empty responses and timeouts are not the outcome of a name that does not exist."""
    lab = run_in_lab(scenario, _request("http://broken.test/", timeout_s=3.0))
    assert lab.run.report.outcome is Outcome.DNS_FAILED


@pytest.mark.parametrize(
    ("addresses", "rule"),
    [
        (["127.0.0.1"], "loopback"),
        (["10.1.2.3"], "private"),
        (["169.254.169.254"], "metadata"),
        (["::1"], "loopback"),
        (["fe80::1"], "link_local"),
        (["64:ff9b::7f00:1"], "nat64"),
        ([PUBLIC_V4, "127.0.0.1"], "loopback"),
        ([PUBLIC_V4, "fd00::1"], "private"),
    ],
)
def test_one_refused_address_refuses_the_name(addresses: list[str], rule: str) -> None:
    """No connection is made, and the refusal contains host, port, address and rule."""
    lab = run_in_lab(Scenario(names={"inside.test": addresses}), _request("http://inside.test/"))
    assert lab.run.report.outcome is Outcome.ADDRESS_REFUSED
    (refusal,) = lab.run.refusals
    assert (refusal.host, refusal.port, refusal.rule) == ("inside.test", 80, rule)
    assert refusal.address == addresses[-1]
    assert refusal.url == "http://inside.test/"
    assert set(lab.run.hops[0].addresses) == set(addresses)
    assert lab.run.hops[0].address is None
    assert lab.requests == []


def test_dns_rebinding_does_not_reach_internal_addresses() -> None:
    """The addresses of the first look-up are used; a second look-up is checked again."""
    scenario = Scenario(sequences={"rebinds.test": [[PUBLIC_V4], ["127.0.0.1"]]})
    lab = run_in_lab(scenario, _request("http://rebinds.test/redirect?n=1"))
    assert [hop.address for hop in lab.run.hops] == [PUBLIC_V4, None]
    assert lab.run.report.outcome is Outcome.ADDRESS_REFUSED
    assert lab.requests == [["rebinds.test", "/redirect?n=1"]]


def test_the_address_at_the_end_of_a_cname_chain_is_checked() -> None:
    """The resolver follows aliases; the address at the end is checked."""
    scenario = Scenario(
        names={"end.test": [PUBLIC_V4], "inner.test": ["192.168.0.1"]},
        aliases={"a.test": "b.test", "b.test": "end.test", "x.test": "inner.test"},
    )
    good = run_in_lab(scenario, _request("http://a.test/login"))
    assert good.run.report.outcome is Outcome.OK
    bad = run_in_lab(scenario, _request("http://x.test/"))
    assert bad.run.report.outcome is Outcome.ADDRESS_REFUSED


def test_a_name_with_only_ipv6_is_opened() -> None:
    """An AAAA record is sufficient."""
    lab = run_in_lab(Scenario(names={"six.test": [PUBLIC_V6]}), _request("http://six.test/"))
    assert lab.run.report.outcome is Outcome.OK
    assert lab.run.hops[0].address == PUBLIC_V6


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    """A name with an unreachable first address is still opened."""
    unreachable = "2606:4700::1111"
    scenario = Scenario(names={"both.test": [unreachable, PUBLIC_V4]})
    lab = run_in_lab(scenario, _request("http://both.test/"))
    assert lab.run.report.outcome is Outcome.OK
    assert lab.run.hops[0].address == PUBLIC_V4
    assert set(lab.run.hops[0].addresses) == {unreachable, PUBLIC_V4}
