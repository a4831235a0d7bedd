"""The findings of the doctor about Docker, the settings and the host."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from safeurl.settings import Settings
from worker.doctor.all_checks import overall_status
from worker.doctor.checks import docker_facts, services
from worker.doctor.checks.configuration import check_settings
from worker.doctor.finding import Status, failed, finding_from_faults, passed, warned

_NOW = datetime(2030, 1, 1, tzinfo=UTC)
_INFO: dict[str, Any] = {
    "CgroupVersion": "2",
    **dict.fromkeys(("MemoryLimit", "SwapLimit", "PidsLimit", "CpuCfsQuota"), True),
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    "Runtimes": {"runc": {"path": "runc"}, "runsc": {"path": "runsc"}},
    "DefaultRuntime": "runc",
    "SystemTime": "2030-01-01T00:00:00.123456789Z",
}


def settings(**given: str) -> Settings:
    """Return settings with these set."""
    return Settings.read(given)


def status_of(name: str, **given: str) -> Status:
    """Return how the settings' line of this name ends."""
    return {each.name: each.status for each in check_settings(settings(**given))}[name]


def test_the_defaults_weaken_nothing() -> None:
    """As shipped, no setting is complained of."""
    assert {each.status for each in check_settings(settings())} == {Status.PASS}


@pytest.mark.parametrize(
    ("name", "variable", "value", "status"),
    [
        ("network", "CONTAINER_NETWORK", "bridge", Status.FAIL),
        ("egress-exceptions", "EGRESS_ALLOW_CIDRS", "10.0.0.0/8", Status.FAIL),
        ("egress-exceptions", "EGRESS_ALLOW_PORTS", "22", Status.WARN),
        ("api", "API_HOST", "0.0.0.0", Status.WARN),
        ("api", "API_HOST", "safeurl.example", Status.WARN),
        ("api", "API_HOST", "localhost", Status.PASS),
        ("api", "API_HOST", "::1", Status.PASS),
    ],
)
def test_a_setting_that_weakens_is_named(
    name: str, variable: str, value: str, status: Status
) -> None:
    """Each on its own line."""
    assert status_of(name, **{variable: value}) is status


@pytest.mark.parametrize(
    ("missing", "status"),
    [
        ("MemoryLimit", Status.FAIL),
        ("PidsLimit", Status.FAIL),
        ("CpuCfsQuota", Status.FAIL),
        ("SwapLimit", Status.WARN),
        ("nothing", Status.PASS),
    ],
)
def test_caps_that_the_kernel_does_not_keep(missing: str, status: Status) -> None:
    """Without swap accounting memory is capped still, without the others nothing is."""
    assert docker_facts.cgroups(_INFO | {missing: False}).status is status


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["name=seccomp,profile=builtin"], Status.PASS),
        (["name=seccomp,profile=default"], Status.PASS),
        (["name=seccomp,profile=unconfined"], Status.PASS),
        (["name=apparmor"], Status.FAIL),
        (None, Status.FAIL),
    ],
)
def test_system_calls_have_to_be_filtered(options: list[str] | None, status: Status) -> None:
    """By whichever name the engine calls its profile."""
    assert docker_facts.seccomp(_INFO | {"SecurityOptions": options}).status is status


@pytest.mark.parametrize(
    ("option", "text"),
    [("name=rootless", "without root"), ("name=userns", "maps"), ("name=cgroupns", "not used")],
)
def test_user_namespaces_are_told_and_judged_by_nobody(option: str, text: str) -> None:
    """It is an additional boundary that SafeURL does not need."""
    finding = docker_facts.user_namespaces(_INFO | {"SecurityOptions": [option]})
    assert (finding.status, text in finding.detail) == (Status.PASS, True)


@pytest.mark.parametrize(
    ("option", "uids", "accounts", "status", "text"),
    [
        ("name=cgroupns", "", {0: "root", 1000: "alice"}, Status.PASS, "60706-61183 on this host"),
        ("name=cgroupns", "70000-71000", {70000: "bob"}, Status.WARN, "belongs to bob"),
        ("name=cgroupns", "", {61183: "bob", 60800: "carol"}, Status.WARN, "belongs to carol"),
        ("name=userns", "", {60800: "carol"}, Status.PASS, "in the engine's user namespace"),
        ("name=rootless", "", {}, Status.PASS, "in the engine's user namespace"),
        ("name=userns", "70000-71000", {}, Status.FAIL, "none above 65535"),
        ("name=rootless", "70000-71000", {}, Status.FAIL, "none above 65535"),
    ],
)
def test_the_users_of_sandboxes_are_shown_and_have_to_be_theirs_alone(
    option: str, uids: str, accounts: dict[int, str], status: Status, text: str
) -> None:
    """An account with such an id would share its limits and its files with sandboxes."""
    given = settings(**({"SANDBOX_UIDS": uids} if uids else {}))
    info = _INFO | {"SecurityOptions": [option]}
    finding = docker_facts.sandbox_users(given, info, accounts)
    assert (finding.status, text in finding.detail) == (status, True)


@pytest.mark.parametrize(
    ("wanted", "arguments", "status"),
    [
        ("runc", [], Status.PASS),
        ("", [], Status.PASS),
        ("auto", ["--network=none", "--host-uds=open"], Status.PASS),
        ("auto", [], Status.WARN),
        ("kata", [], Status.FAIL),
    ],
)
def test_the_runtime_is_one_that_the_engine_has(
    wanted: str, arguments: list[str], status: Status
) -> None:
    """A runtime with which sandboxes cannot work gives a warning."""
    listed = {"runc": {}, "runsc": {"runtimeArgs": arguments}}
    given = {"CONTAINER_RUNTIME": wanted} if wanted else {}
    chosen = settings(**given).model_copy(update={} if wanted else {"container_runtime": ""})
    assert docker_facts.runtime(chosen, _INFO | {"Runtimes": listed}).status is status


@pytest.mark.parametrize(
    ("now", "time", "status"),
    [
        (_NOW, "2030-01-01T00:00:01.123456789Z", Status.PASS),
        (_NOW, "2030-01-01T01:00:02+01:00", Status.PASS),
        (_NOW, "2030-01-01T00:01:00Z", Status.WARN),
        (_NOW, "", Status.WARN),
        (_NOW - timedelta(days=60 * 365), "1970-01-01T00:00:00Z", Status.FAIL),
    ],
)
def test_clocks_have_to_agree_and_make_sense(now: datetime, time: str, status: Status) -> None:
    """The engine returns nanoseconds, perhaps in another time zone."""
    assert docker_facts.clock(_INFO | {"SystemTime": time}, now).status is status


@pytest.mark.parametrize(
    ("mode", "status"), [(0o660, Status.PASS), (0o600, Status.PASS), (0o666, Status.WARN)]
)
def test_a_socket_for_everybody_is_warned_of(tmp_path: Path, mode: int, status: Status) -> None:
    """Every user who may write to it has the rights of root."""
    path = tmp_path / "docker.sock"
    path.touch()
    path.chmod(mode)
    assert services.socket_mode(path).status is status


@pytest.mark.parametrize(
    ("free_mib", "status"), [(2048, Status.PASS), (512, Status.WARN), (100, Status.FAIL)]
)
def test_the_fuller_disk_decides(free_mib: int, status: Status) -> None:
    """The line names both disks."""
    finding = services.space({"/state": 10 * 2**30, "/docker": free_mib * 2**20})
    assert (finding.status, "/state" in finding.detail) == (status, True)


def test_a_state_folder_that_is_not_made_yet_has_a_disk(tmp_path: Path) -> None:
    """The nearest folder that exists is looked at."""
    there = settings(SAFEURL_STATE_DIR=str(tmp_path / "not" / "yet"))
    assert str(tmp_path / "not" / "yet") in services.disk(there, None).detail


@pytest.mark.parametrize(
    ("driver", "looked_at"),
    [
        ([["driver-type", "io.containerd.snapshotter.v1"]], True),
        ([["Backing Filesystem", "extfs"]], False),
        (None, False),
    ],
)
def test_images_may_lie_on_containerds_disk(
    tmp_path: Path, driver: list[list[str]] | None, *, looked_at: bool
) -> None:
    """Engines from 29 on leave their images to containerd, outside of their own folder."""
    info = _INFO | {"DockerRootDir": str(tmp_path / "docker"), "DriverStatus": driver}
    detail = services.disk(settings(SAFEURL_STATE_DIR=str(tmp_path)), info).detail
    assert f"for {tmp_path}/docker" in detail
    assert ("for /var/lib/containerd" in detail) == looked_at


def test_the_worst_finding_speaks_for_all() -> None:
    """A failure decides before a warning, a warning before a success; no finding is a success."""
    good, odd, bad = passed("a", ""), warned("b", "", ""), failed("c", "", "")
    assert [overall_status(each) for each in ([good], [good, odd], [bad, odd, good], [])] == [
        *(Status.PASS, Status.WARN, Status.FAIL, Status.PASS)
    ]


def test_a_line_lists_a_few_faults_and_counts_the_rest() -> None:
    """A line with forty faults is not longer than one with eight."""
    detail = finding_from_faults("x", [str(number) for number in range(40)], "", "").detail
    assert detail.endswith("7; and 32 more")
    assert finding_from_faults("x", [], "fine", "").detail == "fine"
