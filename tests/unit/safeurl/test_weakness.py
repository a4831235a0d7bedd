"""The settings about which every command warns, and the texts of the warnings."""

import pytest

from safeurl.settings import Settings
from safeurl.settings.weakness import weaknesses

_REACH = ": pages reach these addresses, which includes "
_METADATA = "cloud metadata and its credentials"
_LOOPBACK = "this host's own services (loopback)"
_BRIDGE = "code that breaks the fetcher reaches this host and its networks."
_DNS64 = "addresses in 64:ff9b::/96 are judged by the IPv4 address in them."
_SNI = "a page may speak TLS to another host than the one that is on record."
_CLEAR = "is used without TLS: who is on the way reads its password."


@pytest.mark.parametrize(
    ("environ", "sentences"),
    [
        ({}, []),
        ({"EGRESS_DENY_CIDRS": "10.0.0.0/8", "EGRESS_DENY_PORTS": "8080"}, []),
        (
            {"EGRESS_ALLOW_CIDRS": "192.168.1.0/24"},
            ["EGRESS_ALLOW_CIDRS=192.168.1.0/24: pages reach these addresses."],
        ),
        (
            {"EGRESS_ALLOW_CIDRS": "169.254.0.0/16,::1/128"},
            [f"EGRESS_ALLOW_CIDRS=169.254.0.0/16,::1/128{_REACH}{_METADATA}, {_LOOPBACK}."],
        ),
        (
            {"EGRESS_ALLOW_CIDRS": "::/0"},
            [f"EGRESS_ALLOW_CIDRS=::/0{_REACH}every address, {_METADATA}, {_LOOPBACK}."],
        ),
        (
            {"EGRESS_ALLOW_PORTS": "22,25"},
            ["EGRESS_ALLOW_PORTS=22,25: pages reach these ports of public hosts."],
        ),
        (
            {"CONTAINER_NETWORK": "bridge"},
            [f"CONTAINER_NETWORK=bridge: {_BRIDGE}"],
        ),
        (
            {"EGRESS_DNS64": "true"},
            [f"EGRESS_DNS64=true: {_DNS64}"],
        ),
        (
            {"EGRESS_ALLOW_SNI_MISMATCH": "true"},
            [f"EGRESS_ALLOW_SNI_MISMATCH=true: {_SNI}"],
        ),
        (
            {"API_HOST": "0.0.0.0"},
            ["API_HOST=0.0.0.0: other hosts can reach the API, which has no keys."],
        ),
        ({"API_HOST": "::1"}, []),
        ({"API_HOST": "localhost"}, []),
        ({"REDIS_HOST": "127.0.0.1"}, []),
        ({"REDIS_URL": "unix:///run/v.sock"}, []),
        ({"REDIS_URL": "rediss://u:p@queue.example"}, []),
        (
            {"REDIS_URL": "redis://u:hunter2@queue.example"},
            [f"Redis at queue.example:6379 {_CLEAR}"],
        ),
        (
            {"REDIS_URL": "rediss://queue.example"},
            ["Redis at queue.example:6379 is used without a password: who reaches it, writes."],
        ),
    ],
)
def test_what_is_weaker_than_by_default(environ: dict[str, str], sentences: list[str]) -> None:
    """There is one sentence for each weakness, and none contains a password."""
    found = weaknesses(Settings.read(environ))
    assert [str(each) for each in found] == sentences


def test_each_weakness_is_told_once() -> None:
    """All at the same time, in the order of the checks."""
    environ = {"EGRESS_ALLOW_CIDRS": "10.0.0.0/8", "EGRESS_DNS64": "true", "REDIS_HOST": "queue"}
    found = weaknesses(Settings.read(environ))
    assert [each.setting for each in found] == [
        "EGRESS_ALLOW_CIDRS",
        "EGRESS_DNS64",
        "Redis",
        "Redis",
    ]
