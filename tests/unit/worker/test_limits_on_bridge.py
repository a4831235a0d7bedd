"""The policy of a fetcher on Docker's bridge, which refuses addresses by itself."""

from ipaddress import ip_network

from safeurl.address import AddressPolicy, judge_address
from safeurl.settings import Settings
from worker.bootstrap import make_limits
from worker.egress.networks.local_addresses import host_networks

_BRIDGE = {"CONTAINER_NETWORK": "bridge", "EGRESS_DENY_CIDRS": "8.8.8.0/24"}


def test_the_fetcher_gets_the_hosts_networks() -> None:
    """It contains the host's addresses, links and routes, which the fetcher cannot see."""
    host = host_networks()
    told = make_limits(Settings.read(_BRIDGE)).policy.deny_cidrs
    assert told[0] == "8.8.8.0/24"
    assert {ip_network(each) for each in told} >= {*host.own, *host.neighbours}
    assert make_limits(Settings.read({})).policy.deny_cidrs == ()


def test_an_exception_as_narrow_as_a_network_opens_it_there_too() -> None:
    """A wider exception opens nothing."""
    network = host_networks().neighbours[0]
    for allow, is_open in ((str(network), True), (str(network.supernet()), False)):
        limits = make_limits(Settings.read({**_BRIDGE, "EGRESS_ALLOW_CIDRS": allow}))
        policy = AddressPolicy.parse(limits.policy)
        own = {each.network_address for each in host_networks().own}
        inside = next(each for each in network.hosts() if each not in own)
        assert judge_address(inside, policy).allowed is is_open
