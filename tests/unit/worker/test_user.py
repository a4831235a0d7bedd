"""The user id of a sandbox."""

from collections import Counter

import pytest

from safeurl.errors import SandboxUnavailableError
from worker.sandbox.user import choose_uid


def test_a_free_one_is_found_wherever_it_lies() -> None:
    """The only free id is found, whichever it is."""
    uids = range(100, 110)
    for free in uids:
        assert choose_uid(uids, set(uids) - {free}) == free


def test_none_is_preferred() -> None:
    """Sandboxes that start at the same time rarely collide: 500 draws use each of ten ids."""
    drawn = Counter(choose_uid(range(100, 110), set()) for _ in range(500))
    assert sorted(drawn) == list(range(100, 110))


def test_without_a_free_one_the_setting_is_named() -> None:
    """Other ids outside of the range do not count."""
    with pytest.raises(SandboxUnavailableError, match="All 3 user ids of SANDBOX_UIDS"):
        choose_uid(range(100, 103), {99, 100, 101, 102, 103})
