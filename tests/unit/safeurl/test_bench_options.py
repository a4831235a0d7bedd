"""The options of `safeurl bench`: their meanings, and refusals before anything is read."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from safeurl.cli.app import app
from safeurl.cli.commands.bench import begin_of
from safeurl.errors import RequestError
from safeurl.model.scan import first_scan_id, new_scan_id
from tests.support.builders import NOW


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        (" 2h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta(0)),
    ],
)
def test_a_distance_is_counted_from_now(text: str, ago: timedelta) -> None:
    """In seconds, minutes, hours or days."""
    assert begin_of(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    "text", ["2026-01-01", "2026-01-01T00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00"]
)
def test_a_time_is_taken_as_it_is(text: str) -> None:
    """Without a time zone it is UTC, as all times that SafeURL prints."""
    assert begin_of(text, NOW) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1y",
        "-1h",
        "1.5h",
        "\u0663h",
        "999999999d",
        "2999-01-01",
        "0000-01-01",
        "0001-01-01T00:00:00+23:59",
        "2026-02-30",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    """Times that do not exist or are in the future are refused too."""
    with pytest.raises(RequestError, match=r"^`--since` "):
        begin_of(text, NOW)


def test_all_scans_are_younger_than_a_time_before_1970() -> None:
    """Ids of scans count from there."""
    begin = begin_of("1969-12-31", NOW)
    assert first_scan_id(begin) <= first_scan_id(datetime(1970, 1, 1, tzinfo=UTC))
    assert first_scan_id(begin) < new_scan_id(NOW)


@pytest.mark.parametrize("count", ["0", "-5", "10001", "many", ""])
def test_a_number_of_attempts_has_bounds(count: str) -> None:
    """The command then takes about a second at most."""
    done = CliRunner().invoke(app, ["bench", "--last", count])
    assert done.exit_code == 2
    assert "--last" in done.stderr
