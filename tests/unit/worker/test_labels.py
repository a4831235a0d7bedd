"""Labels identify our containers; a container without all of them is not ours."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from worker.sandbox import labels

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_OURS = labels.SandboxLabels(instance="main", scan="0197", attempt=3, deadline_at=_AT)


def test_what_is_built_reads_back_the_same() -> None:
    """Parsing the built labels returns the same value."""
    assert labels.read(labels.build(_OURS)) == _OURS


def test_deadline_is_written_in_utc() -> None:
    """A deadline in another time zone is the same moment in the label."""
    east = _AT.astimezone(timezone(timedelta(hours=5)))
    built = labels.build(
        labels.SandboxLabels(instance="main", scan="0197", attempt=3, deadline_at=east)
    )
    assert built[labels.DEADLINE] == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize("missing", sorted(labels.build(_OURS)))
def test_a_missing_label_makes_it_not_ours(missing: str) -> None:
    """Each label is required."""
    raw = labels.build(_OURS)
    del raw[missing]
    assert labels.read(raw) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (labels.MANAGED, "false"),
        (labels.ATTEMPT, "second"),
        (labels.DEADLINE, "soon"),
        (labels.DEADLINE, "2026-01-02T03:04:05"),
    ],
)
def test_a_label_of_another_form_makes_it_not_ours(name: str, value: str) -> None:
    """Other uses of our label names are ignored; so is a deadline without a time zone."""
    assert labels.read({**labels.build(_OURS), name: value}) is None


@pytest.mark.parametrize("raw", [None, {}, {"com.example": "x"}])
def test_foreign_containers_are_not_ours(raw: dict[str, str] | None) -> None:
    """A container without our labels, or without any, returns None."""
    assert labels.read(raw) is None


def test_name_comes_from_scan_and_attempt() -> None:
    """One attempt has one name, so Docker itself refuses a second sandbox for it."""
    assert labels.container_name("0197", 3) == "safeurl-0197-3"
