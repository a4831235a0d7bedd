"""docs/security.md and SECURITY.md name only existing things."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")


def test_each_file_that_the_page_names_is_there() -> None:
    """A boundary whose test was renamed or removed is found here."""
    named = set(re.findall(r"`((?:tests|docker)/[\w./-]+\.\w+)`", PAGE)) - {
        "docker/base-image.digest"  # pins a base if the user creates it
    }
    assert len(named) > 40
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_each_row_of_a_table_names_what_shows_it() -> None:
    """No boundary is only asserted."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count(" | ") == 2]
    assert len(rows) > 30
    unshown = [row for row in rows if not re.search(r"`(?:tests/|pyproject)", row.split(" | ")[2])]
    assert [row for row in unshown if not row.startswith("| Attack ")] == []


def test_the_redis_commands_are_those_of_the_shipped_users() -> None:
    """Every command that the page lists is granted, and no other."""
    granted = set(re.findall(r"\+([a-z|-]+)", (ROOT / "docker/valkey/users.acl").read_text()))
    listed = re.findall(r"^- (?:both|the worker besides): (.*)", PAGE, re.MULTILINE)
    named = {word.lower() for line in listed for word in re.findall(r"[A-Z][A-Z|]+", line)}
    assert named == granted
