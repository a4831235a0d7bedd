"""The range of user ids that belong to sandboxes."""

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings
from safeurl.settings.uids import DEFAULT_UIDS, read_uids, write_uids


def test_the_default_reads_back_and_holds_nobody_elses_ids() -> None:
    """It is between systemd's ranges, and in every user namespace of 65,536 ids."""
    assert read_uids(write_uids(DEFAULT_UIDS)) == DEFAULT_UIDS
    assert Settings.read({}).uids == DEFAULT_UIDS
    others = {
        "accounts": range(60001),
        "systemd, homes and greeters": range(60001, 60706),
        "systemd, DynamicUser": range(61184, 65520),
        "nobody": range(65534, 65536),
        "subordinate ids and directories": range(65536, 2**31),
    }
    assert not [name for name, ids in others.items() if set(DEFAULT_UIDS) & set(ids[:70000])]


def test_the_default_is_enough_for_every_concurrency() -> None:
    """Twice as many as the largest WORKER_CONCURRENCY would hardly meet."""
    assert Settings.read({"WORKER_CONCURRENCY": "256"}).uids == DEFAULT_UIDS


@pytest.mark.parametrize(
    ("text", "uids"),
    [("7-7", range(7, 8)), ("1-65533", range(1, 65534)), ("65536-2147483647", range(65536, 2**31))],
)
def test_both_ends_are_included(text: str, uids: range) -> None:
    """As in /etc/login.defs."""
    assert read_uids(text) == uids


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "7", "7-", "-7", "7-6", "7-8-9", "7..9", "7,9", "a-b", "0x7-0x9"),
        *(" 7-9", "7 - 9", "7-9\n", "+7-9", "7_0-7_9", "\u0667-\u0669", "\u00b2-\u00b3"),
        *("0-9", "65534-65534", "65000-65533-", "65535-65540", "1-65534", "60000-70000"),
        *("2147483648-2147483649", "7-99999999999999999999"),
    ],
)
def test_what_is_no_range_for_sandboxes_is_refused(text: str) -> None:
    """Other spellings, root, nobody, -1 of 16 bits, and ids that no engine accepts."""
    with pytest.raises(ValueError, match=r"range of ids|first-last|not for sandboxes"):
        read_uids(text)
    if text:  # an empty setting is none
        with pytest.raises(ConfigError, match="SANDBOX_UIDS"):
            Settings.read({"SANDBOX_UIDS": text})


def test_fewer_ids_than_sandboxes_at_a_time_are_refused() -> None:
    """Scans would fail for want of a user."""
    given = {"WORKER_CONCURRENCY": "8"}
    assert len(Settings.read({**given, "SANDBOX_UIDS": "70001-70008"}).uids) == 8
    with pytest.raises(ConfigError, match="SANDBOX_UIDS: fewer"):
        Settings.read({**given, "SANDBOX_UIDS": "70001-70007"})
