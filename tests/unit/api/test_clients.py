"""The connections that are closed if there are too many: the rules, without a socket."""

import random

import pytest

from api.clients import Admission, Clients, Limits, Over, client_key

_A, _B, _C = "198.51.100.1", "198.51.100.2", "198.51.100.3"


def _clients(per_client: int = 2, total: int = 4) -> Clients[str]:
    return Clients(Limits(per_client=per_client, total=total))


def test_a_client_over_its_cap_loses_what_waits_longest() -> None:
    """A wait that began anew is short again."""
    clients = _clients()
    clients.admit("a1", _A)
    clients.admit("a2", _A)
    clients.waits("a1")
    assert clients.admit("a3", _A) == Admission(None, (("a2", Over.CLIENT),))
    assert len(clients) == 2


def test_what_the_server_works_on_is_not_dropped() -> None:
    """With work for all of them a new one is refused, and the refused ones have a cap, too."""
    clients = _clients(total=99)
    for name in ("a1", "a2"):
        clients.admit(name, _A)
        clients.works(name)
    assert clients.admit("a3", _A) == Admission(Over.CLIENT)
    assert clients.admit("a4", _A) == Admission(Over.CLIENT)
    assert clients.admit("a5", _A) == Admission(Over.CLIENT, (("a3", Over.CLIENT),))
    assert clients.admit("b1", _B) == Admission()


def test_over_the_total_the_largest_client_loses_one() -> None:
    """A client with one connection keeps it, even if it waits long."""
    clients = _clients(per_client=3)
    clients.admit("b1", _B)
    for name in ("a1", "a2", "a3"):
        clients.admit(name, _A)
    assert clients.admit("c1", _C) == Admission(None, (("a1", Over.TOTAL),))
    assert len(clients) == 4


def test_with_work_for_all_of_the_total_nobody_else_is_taken() -> None:
    """The new connection is itself the one that goes."""
    clients = _clients(total=2)
    for name, address in (("a1", _A), ("b1", _B)):
        clients.admit(name, address)
        clients.works(name)
    assert clients.admit("c1", _C) == Admission(Over.TOTAL, (("c1", Over.TOTAL),))
    assert len(clients) == 2


def test_a_client_that_left_is_forgotten() -> None:
    """A second leave, also after a drop, is not an error."""
    clients = _clients()
    clients.admit("a1", _A)
    for _ in range(2):
        clients.leave("a1")
        clients.waits("a1")
        clients.works("a1")
    assert len(clients) == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_caps_hold_whatever_happens(seed: int) -> None:
    """Never more than the total, never more than twice a client's cap."""
    chance = random.Random(seed)  # noqa: S311 - a test's choices, the same each time
    clients, held = _clients(per_client=3, total=10), dict[str, str]()
    for number in range(2000):
        name, address = f"c{number}", chance.choice([_A, _B, _C, *map(str, range(9))])
        admission = clients.admit(name, address)
        held[name] = address
        for dropped, _ in admission.dropped:
            del held[dropped]
        if held:
            act = chance.choice([clients.waits, clients.works, clients.works, clients.leave])
            chosen = chance.choice(list(held))
            act(chosen)
            if act == clients.leave:
                del held[chosen]
        assert len(clients) == len(held) <= 10
        assert max(map(list(held.values()).count, held.values()), default=0) <= 6


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("198.51.100.1", "198.51.100.2", False),
        ("198.51.100.1", "::ffff:198.51.100.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_a_client_is_an_address_or_a_network(one: str, other: str, *, are_same: bool) -> None:
    """One subscriber has an IPv6 network; both spellings of an IPv4 address are one client."""
    assert (client_key(one) == client_key(other)) == are_same
