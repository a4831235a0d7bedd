"""The ledger: what is refused when, and what evidence says in the end."""

import msgspec
import pytest

from safeurl.model.report import EgressEvidence
from worker.egress.gateway.traffic.accounting import MAX_ENTRIES, Entry, Ledger
from worker.egress.protocol import Caps


def _bound(**caps: int) -> Ledger:
    return Ledger(scan="s", attempt=2, caps=Caps(**caps), shut="")


def test_nothing_is_allowed_before_a_socket_is_bound() -> None:
    """A fresh ledger refuses, and says that it belongs to no scan."""
    assert Ledger().exceeded() == "unbound"


def test_each_cap_has_its_own_rule() -> None:
    """The first request within all caps passes; beyond any of them its rule speaks."""
    assert not _bound().exceeded()
    for rule, ledger in (
        ("cap_connections", _bound(max_connections=1)),
        ("cap_concurrent", _bound(max_concurrent=1)),
        ("cap_bytes", _bound(max_bytes_in=0)),
        ("cap_bytes", _bound(max_bytes_out=0)),
    ):
        ledger.record(Entry())
        ledger.record(Entry())
        ledger.open = 1
        assert ledger.exceeded() == rule


def test_time_beats_every_other_cap() -> None:
    """After the deadline the answer is always the same."""
    ledger = _bound(max_bytes_in=0)
    ledger.shut = "cap_time"
    assert ledger.exceeded() == "cap_time"


def test_sums_count_what_single_entries_leave_out() -> None:
    """Only the first entries are kept; requests and bytes of the others are still counted."""
    ledger = _bound()
    for _ in range(MAX_ENTRIES + 3):
        entry = Entry(name="a.test", port=80)
        ledger.record(entry)
        ledger.spend_in(entry, 5)
        ledger.spend_out(entry, 2)
    evidence = ledger.evidence()
    assert (len(evidence.decisions), evidence.dropped) == (MAX_ENTRIES, 3)
    assert evidence.requests == MAX_ENTRIES + 3
    assert (evidence.bytes_in, evidence.bytes_out) == (5 * 515, 2 * 515)
    assert (evidence.scan, evidence.attempt) == ("s", 2)


def test_what_was_let_through_is_kept_however_full_the_book_is() -> None:
    """A connection made after any number of refused requests takes a refused one's place."""
    ledger = _bound()
    for _ in range(MAX_ENTRIES):
        ledger.record(Entry(rule="private"))
    dialled = Entry(name="a.test", port=80)
    ledger.record(dialled)
    ledger.allow(dialled)
    evidence = ledger.evidence()
    assert [each.name for each in evidence.decisions if each.allowed] == ["a.test"]
    assert (len(evidence.decisions), evidence.dropped) == (MAX_ENTRIES, 1)


def test_requests_far_beyond_the_cap_are_not_worth_reading() -> None:
    """Some more are told why they are refused; then the ledger is spent."""
    ledger = _bound(max_connections=2)
    for _ in range(65):
        ledger.record(Entry())
    assert not ledger.is_spent
    ledger.count()
    assert ledger.is_spent
    assert ledger.evidence().requests == 66


def test_a_full_ledger_is_evidence_that_strict_readers_take() -> None:
    """The caps of the entries are those of the report's own fields."""
    ledger = _bound()
    for _ in range(MAX_ENTRIES + 1):
        entry = Entry(name="a" * 512, addresses=tuple(f"192.0.2.{n}" for n in range(100)))
        ledger.record(entry)
    encoded = msgspec.json.encode(ledger.evidence())
    decoded = msgspec.json.decode(encoded, type=EgressEvidence)
    assert len(decoded.decisions[0].addresses) == 64


def test_an_entry_keeps_the_time_of_its_first_end() -> None:
    """Evidence taken later shows the same duration."""
    entry = Entry()
    entry.end()
    first = entry.freeze().duration_ms
    entry.end()
    assert entry.freeze().duration_ms == first


@pytest.mark.parametrize("direction", ["in", "out"])
def test_what_is_spent_is_no_longer_left(direction: str) -> None:
    """The two directions have budgets of their own."""
    ledger = _bound(max_bytes_in=10, max_bytes_out=10)
    spend = ledger.spend_in if direction == "in" else ledger.spend_out
    spend(Entry(), 4)
    left = {"in": ledger.left_in(), "out": ledger.left_out()}
    assert left.pop(direction) == 6
    assert set(left.values()) == {10}
