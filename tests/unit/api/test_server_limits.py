"""The limits of the server, from the settings and within the limits of the system."""

import re
from pathlib import Path

import pytest

from api.server import limits_of
from safeurl.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("files", "total"), [(20_000, 1024), (8192, 1024), (1024, 768), (300, 44), (64, 16)]
)
def test_connections_leave_file_descriptors_for_the_rest(files: int, total: int) -> None:
    """Database, queue and the page's files have theirs, whatever clients do."""
    assert limits_of(Settings.read({}), files).total == total


def test_times_follow_the_setting() -> None:
    """One setting makes all of them longer for slow links; a pause between requests stays short."""
    limits = limits_of(Settings.read({"API_CLIENT_TIMEOUT_SECONDS": "20"}), 8192)
    assert (limits.head_s, limits.body_s, limits.body_stall_s) == (20, 60, 20)
    assert (limits.answer_s, limits.answer_stall_s, limits.idle_s) == (120, 20, 5)


def test_unit_and_compose_allow_the_connections() -> None:
    """The default number of connections needs fewer open files than both allow."""
    unit = (ROOT / "docker/systemd/safeurl-api.service").read_text()
    compose = (ROOT / "docker/compose.yaml").read_text()
    allowed = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    allowed += re.findall(r"ulimits: \{nofile: \{soft: (\d+), hard: \1\}\}", compose)
    assert len(allowed) == 2
    default = Settings.read({}).api_max_connections
    assert [limits_of(Settings.read({}), int(files)).total for files in allowed] == [default] * 2
