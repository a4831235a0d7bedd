"""The accounting: the rules that refuse requests, and the evidence at the end."""

import msgspec
import pytest

from safeurl.model.egress_evidence import EgressEvidence
from worker.egress.gateway.traffic.accounting import MAX_ENTRIES, Accounting, Entry
from worker.egress.protocol import Caps


def _bound(**caps: int) -> Accounting:
    return Accounting(scan="s", attempt=2, caps=Caps(**caps), refusal_rule="")


def test_nothing_is_allowed_before_a_socket_is_bound() -> None:
    """A new accounting refuses every request and belongs to no scan."""
    assert Accounting().refusing_rule() == "unbound"


def test_each_cap_has_its_own_rule() -> None:
    """The first request within all caps is allowed; beyond a cap, its rule refuses the request."""
    assert not _bound().refusing_rule()
    for rule, accounting in (
        ("cap_connections", _bound(max_connections=1)),
        ("cap_concurrent", _bound(max_concurrent=1)),
        ("cap_bytes", _bound(max_bytes_in=0)),
        ("cap_bytes", _bound(max_bytes_out=0)),
    ):
        accounting.record(Entry())
        accounting.record(Entry())
        accounting.open = 1
        assert accounting.refusing_rule() == rule


def test_time_beats_every_other_cap() -> None:
    """After the deadline, every request is refused by the same rule."""
    accounting = _bound(max_bytes_in=0)
    accounting.refusal_rule = "cap_time"
    assert accounting.refusing_rule() == "cap_time"


def test_sums_count_what_single_entries_leave_out() -> None:
    """Only the first entries are stored; requests and bytes of the others are still counted."""
    accounting = _bound()
    for _ in range(MAX_ENTRIES + 3):
        entry = Entry(name="a.test", port=80)
        accounting.record(entry)
        accounting.add_in(entry, 5)
        accounting.add_out(entry, 2)
    evidence = accounting.evidence()
    assert (len(evidence.decisions), evidence.dropped) == (MAX_ENTRIES, 3)
    assert evidence.requests == MAX_ENTRIES + 3
    assert (evidence.bytes_in, evidence.bytes_out) == (5 * 515, 2 * 515)
    assert (evidence.scan, evidence.attempt) == ("s", 2)


def test_what_was_let_through_is_kept_however_full_the_book_is() -> None:
    """A connection after any number of refused requests replaces a refused entry."""
    accounting = _bound()
    for _ in range(MAX_ENTRIES):
        accounting.record(Entry(rule="private"))
    dialled = Entry(name="a.test", port=80)
    accounting.record(dialled)
    accounting.allow(dialled)
    evidence = accounting.evidence()
    assert [each.name for each in evidence.decisions if each.allowed] == ["a.test"]
    assert (len(evidence.decisions), evidence.dropped) == (MAX_ENTRIES, 1)


def test_requests_far_beyond_the_cap_are_not_worth_reading() -> None:
    """Some more requests get a response with the rule; then the accounting is exhausted."""
    accounting = _bound(max_connections=2)
    for _ in range(65):
        accounting.record(Entry())
    assert not accounting.is_exhausted
    accounting.count_unread()
    assert accounting.is_exhausted
    assert accounting.evidence().requests == 66


def test_a_full_accounting_is_evidence_that_strict_readers_accept() -> None:
    """The limits of the entries are those of the report's fields."""
    accounting = _bound()
    for _ in range(MAX_ENTRIES + 1):
        entry = Entry(name="a" * 512, addresses=tuple(f"192.0.2.{n}" for n in range(100)))
        accounting.record(entry)
    encoded = msgspec.json.encode(accounting.evidence())
    decoded = msgspec.json.decode(encoded, type=EgressEvidence)
    assert len(decoded.decisions[0].addresses) == 64


def test_an_entry_keeps_the_time_of_its_first_end() -> None:
    """Evidence that is taken later shows the same duration."""
    entry = Entry()
    entry.end()
    first = entry.freeze().duration_ms
    entry.end()
    assert entry.freeze().duration_ms == first


@pytest.mark.parametrize("direction", ["in", "out"])
def test_what_is_spent_is_no_longer_left(direction: str) -> None:
    """The two directions have separate limits."""
    accounting = _bound(max_bytes_in=10, max_bytes_out=10)
    spend = accounting.add_in if direction == "in" else accounting.add_out
    spend(Entry(), 4)
    left = {"in": accounting.remaining_in(), "out": accounting.remaining_out()}
    assert left.pop(direction) == 6
    assert set(left.values()) == {10}
