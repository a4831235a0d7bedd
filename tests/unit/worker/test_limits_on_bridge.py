"""What a sandbox on Docker's bridge is told to refuse, which only its fetcher judges."""

from ipaddress import ip_network

from safeurl.address import AddressPolicy, judge_address
from safeurl.settings import Settings
from worker.egress.networks.local_addresses import host_networks
from worker.tasks import make_limits

_BRIDGE = {"CONTAINER_NETWORK": "bridge", "EGRESS_DENY_CIDRS": "8.8.8.0/24"}


def test_the_fetcher_is_told_the_hosts_networks() -> None:
    """From inside it cannot see them: own addresses, links and routes, beside what is denied."""
    host = host_networks()
    told = make_limits(Settings.read(_BRIDGE)).deny_cidrs
    assert told[0] == "8.8.8.0/24"
    assert {ip_network(each) for each in told} >= {*host.own, *host.neighbours}
    assert make_limits(Settings.read({})).deny_cidrs == ()


def test_an_exception_as_narrow_as_a_network_opens_it_there_too() -> None:
    """A wider one does not."""
    network = host_networks().neighbours[0]
    for allow, is_open in ((str(network), True), (str(network.supernet()), False)):
        limits = make_limits(Settings.read({**_BRIDGE, "EGRESS_ALLOW_CIDRS": allow}))
        policy = AddressPolicy.parse(limits.allow_cidrs, limits.deny_cidrs)
        own = {each.network_address for each in host_networks().own}
        inside = next(each for each in network.hosts() if each not in own)
        assert judge_address(inside, policy).allowed is is_open
