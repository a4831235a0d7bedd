"""Counts in text for people."""

import pytest

from safeurl.printable import counted


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 duplicates"), (1, "1 duplicate"), (2, "2 duplicates"), (1_001, "1,001 duplicates")],
)
def test_a_noun_has_the_number_of_its_count(count: int, words: str) -> None:
    """Only one is singular."""
    assert counted(count, "duplicate") == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 scans wait"), (1, "1 scan waits")])
def test_the_verb_follows_too(count: int, words: str) -> None:
    """A given plural is used."""
    assert counted(count, "scan waits", "scans wait") == words
