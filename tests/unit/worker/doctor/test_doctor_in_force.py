"""The settings that the doctor checks: the running system's, with the differences to ours."""

from pathlib import Path

import pytest

from safeurl.adapters.files.running import announced
from safeurl.in_force import describe, differences, in_force
from safeurl.settings import Settings
from worker.doctor.finding import Status
from worker.doctor.in_force import choose_settings


def _settings(folder: Path, **given: str) -> Settings:
    return Settings.read({"SAFEURL_STATE_DIR": str(folder), **given})


def test_without_a_running_system_its_own_are_examined(tmp_path: Path) -> None:
    """The finding names the file of these settings; the doctor's own record does not count."""
    own = _settings(tmp_path)
    assert choose_settings(own, "/x/.env")[0] is own
    running = describe(_settings(tmp_path, EGRESS_DNS64="1"), command="up", pid=1, file="")
    with announced(tmp_path, running):  # this process holds it, and asks about others
        examined, finding = choose_settings(own, "/x/.env")
    assert (examined, finding.status) == (own, Status.PASS)
    assert finding.detail == (
        f"no worker uses {tmp_path}; the checks use this command's, from /x/.env"
    )


@pytest.mark.parametrize(
    ("here", "there", "names"),
    [
        ({}, {}, []),
        ({"EGRESS_DENY_CIDRS": "10.1.0.0/16,10.2.0.0/16"}, {}, ["EGRESS_DENY_CIDRS"]),
        ({}, {"EGRESS_DIR": "/run/x", "EGRESS_DNS64": "1"}, ["EGRESS_DIR", "EGRESS_DNS64"]),
        ({"REDIS_HOST": "a", "REDIS_PASSWORD": "b"}, {"REDIS_HOST": "a"}, ["REDIS_PASSWORD"]),
        ({"REDIS_URL": "redis://u:p@h:1/2"}, {"REDIS_URL": "redis://u:q@h:1/2"}, []),
        ({"REDIS_HOST": "a"}, {"REDIS_URL": "rediss://u:q@[::1]"}, ["REDIS_HOST", "REDIS_URL"]),
        ({}, {"REDIS_URL": "unix:///run/a%20b.sock?db=3", "REDIS_USERNAME": "u"}, None),
        ({"RETRY_BACKOFF_SECONDS": "1"}, {"API_HOST": "::1", "SANDBOX_UIDS": "70000-70100"}, None),
    ],
)
def test_differences_are_named_and_the_running_values_examined(
    tmp_path: Path, here: dict[str, str], there: dict[str, str], names: list[str] | None
) -> None:
    """Every kind of value is recorded, and no password is in the record or in the output."""
    own, other = _settings(tmp_path, **here), _settings(tmp_path, **there)
    running = describe(other, command="worker", pid=7, file="/x/.env")
    found = differences(own, running)
    if names is not None:
        assert [each.name for each in found] == names
    examined = in_force(own, running)
    assert not [each for each in differences(examined, running) if each.here != ""]
    assert (examined.redis.host, examined.redis.path) == (other.redis.host, other.redis.path)
    assert examined.egress_deny_cidrs == other.egress_deny_cidrs
    assert not {":p@", ":q@"} & {text[-6:-3] for text in (str(running), *map(str, found))}
    assert "q@" not in str(running)


def test_a_secret_of_this_shell_is_used_where_the_system_has_one(tmp_path: Path) -> None:
    """It is the only place to have it from; one for another server is not sent there."""
    own = _settings(tmp_path, REDIS_URL="redis://u:p@h:1/2")
    same = describe(own, command="up", pid=1, file="")
    assert in_force(own, same).redis.password == "p"  # noqa: S105 - a test's
    other = _settings(tmp_path, REDIS_URL="redis://u:q@elsewhere")
    elsewhere = describe(other, command="up", pid=1, file="")
    examined = in_force(own, elsewhere)
    assert (examined.redis.host, examined.redis.password) == ("elsewhere", "")
