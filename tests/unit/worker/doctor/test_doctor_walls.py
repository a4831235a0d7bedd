"""What the doctor concludes from a probe's facts, wall by wall."""

import json
from typing import Any

import pytest

from safeurl.ports.sandbox import SandboxExit, Stop
from worker.doctor.checks import resource_checks
from worker.doctor.checks.isolation_checks import NEIGHBOUR, WALLS, Expected, connection_walls
from worker.doctor.finding import Status
from worker.doctor.probe_runner import Tried

_NONE = ["0" * 16]
_OWN = ["60706"] * 4
_STATUS = {
    "Uid": _OWN,
    "Gid": _OWN,
    "Groups": ["60706"],
    **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), _NONE),
    "NoNewPrivs": ["1"],
    "Seccomp": ["2"],
}
_MOUNTS = {"/": "ro,relatime", "/proc": "rw", "/dev/mqueue": "rw", "/run/egress": "ro"}
#: What a sandbox sees that is as it should be.
_GOOD: dict[str, Any] = {
    "interfaces": ["lo"],
    "routes": [],
    "dns": "unanswered",
    "identity": _STATUS,
    "root": {"options": ["ro", "relatime"], "written": []},
    "kernel_files": [],
    "mounts": {"mounts": _MOUNTS, "create": False, "rename": False},
    "devices": {"found": [], "made": "EPERM", "used": False},
    "sockets": {
        "found": ["/run/egress/egress.sock"],
        "knocked": {"/var/run/docker.sock": "ENOENT"},
    },
    "environment": ["HOME=/tmp"],
    "processes": [],
    "ptrace": [],
    "mount": {"tmpfs": "EPERM"},
    "system_calls": {"unshare": "EPERM", "clone3": "ENOSYS", "vsock": "EAFNOSUPPORT"},
    "socket_families": {"plain": [1], "high_bit": []},
    "connections": {"127.0.0.1 80": "ECONNREFUSED", "192.0.2.1 80": "ENETUNREACH"},
    "neighbour": {"knocked": {"/x/egress.sock": "ENOENT"}, "folder": ["egress.sock"]},
}
_EXPECTED = Expected(environment=frozenset({"HOME=/tmp"}), secrets=("canary",))
_ALL = (
    *WALLS,
    *connection_walls((("127.0.0.1", 80),), (("192.0.2.1", 80),), (("192.0.2.1", 80),)),
    NEIGHBOUR,
)


def tried(facts: dict[str, Any], **ended: Any) -> Tried:
    """Return a trial whose probe saw this."""
    lines = [json.dumps({"vector": name, "seen": seen}) for name, seen in facts.items()]
    return Tried(SandboxExit(**{"exit_code": 0, **ended}), "\n".join(lines).encode())


def fallen(facts: dict[str, Any], expected: Expected = _EXPECTED) -> set[str]:
    """Return the names of the walls that fail."""
    found = [wall.find(tried(facts), expected) for wall in _ALL]
    return {each.name for each in found if each.status is Status.FAIL}


def test_a_sandbox_as_it_should_be_passes_every_wall() -> None:
    """No line fails, and each has a name of its own."""
    assert fallen(_GOOD) == set()
    assert len({wall.name for wall in _ALL}) == len(_ALL)


@pytest.mark.parametrize(
    ("vector", "seen", "wall"),
    [
        ("interfaces", ["lo", "eth0"], "sandbox-interfaces"),
        ("routes", ["eth0 00000000 010011AC"], "sandbox-routes"),
        ("dns", "answered", "sandbox-dns"),
        ("identity", _STATUS | {"Gid": ["0"] * 4}, "sandbox-user"),
        ("identity", _STATUS | {"Groups": ["60706", "999"]}, "sandbox-user"),
        ("identity", _STATUS | {"Groups": []}, "sandbox-user"),
        ("identity", _STATUS | {"Gid": ["60707"] * 4}, "sandbox-user"),
        ("identity", _STATUS | dict.fromkeys(("Uid", "Gid"), ["65534"] * 4), "sandbox-user"),
        ("identity", _STATUS | {"Uid": ["60706", "60707", "60706", "60706"]}, "sandbox-user"),
        ("identity", _STATUS | {"CapBnd": ["0000000000002000"]}, "sandbox-capabilities"),
        ("identity", _STATUS | {"NoNewPrivs": ["0"]}, "sandbox-no-new-privileges"),
        ("identity", _STATUS | {"Seccomp": ["0"]}, "sandbox-seccomp"),
        ("root", {"options": ["rw"], "written": []}, "sandbox-root"),
        ("root", {"options": ["ro"], "written": ["/etc/hosts"]}, "sandbox-root"),
        ("kernel_files", ["/proc/sysrq-trigger"], "sandbox-kernel-files"),
        ("mounts", _GOOD["mounts"] | {"mounts": {"/srv": "ro"}}, "sandbox-mounts"),
        ("mounts", _GOOD["mounts"] | {"mounts": {"/run/egress": "rw"}}, "sandbox-mounts"),
        ("mounts", _GOOD["mounts"] | {"rename": True}, "sandbox-mounts"),
        ("devices", {"found": ["/dev/sda"], "made": "EPERM", "used": False}, "sandbox-devices"),
        ("devices", {"found": [], "made": "done", "used": False}, "sandbox-devices"),
        ("sockets", {"found": ["/x/docker.sock"], "knocked": {}}, "sandbox-docker-socket"),
        ("sockets", {"found": [], "knocked": {"/x": "connected"}}, "sandbox-docker-socket"),
        ("environment", ["HOME=/root"], "sandbox-environment"),
        ("processes", ["7 sshd"], "sandbox-processes"),
        ("ptrace", [7], "sandbox-ptrace"),
        ("mount", {"tmpfs": "done"}, "sandbox-mount"),
        ("system_calls", {"unshare": "done"}, "sandbox-syscalls"),
        # The kernel looked at it, so that no filter was before it.
        ("system_calls", {"bpf": "EINVAL"}, "sandbox-syscalls"),
        ("socket_families", {"plain": [1, 40], "high_bit": []}, "sandbox-socket-families"),
        ("socket_families", {"plain": [1], "high_bit": [40]}, "sandbox-socket-families"),
        ("neighbour", {"knocked": {"/x": "connected"}, "folder": []}, "sandbox-neighbour"),
        ("neighbour", {"knocked": {}, "folder": ["other"]}, "sandbox-neighbour"),
    ],
)
def test_each_gap_fails_its_own_wall(vector: str, seen: Any, wall: str) -> None:
    """One changed fact, one failed line."""
    assert fallen(_GOOD | {vector: seen}) == {wall}


@pytest.mark.parametrize("how", ["connected", "route"])
def test_an_address_that_can_be_reached_fails(how: str) -> None:
    """A route is enough: nothing has to be sent to prove it."""
    assert fallen(_GOOD | {"connections": {"127.0.0.1 80": how, "192.0.2.1 80": "EPERM"}}) == {
        "sandbox-loopback"
    }


def test_a_secret_fails_though_the_variable_is_expected() -> None:
    """A constant that holds a secret of the settings is none."""
    expected = Expected(environment=frozenset({"TERM=xcanary"}), secrets=("canary",))
    assert fallen(_GOOD | {"environment": ["TERM=xcanary"]}, expected) == {"sandbox-environment"}
    assert "canary" not in repr(expected).replace("xcanary", "")


def test_gvisors_own_kernel_is_not_taken_for_the_hosts() -> None:
    """What gVisor gives out or does not tell is no gap there, and is one elsewhere."""
    told = {name: value for name, value in _STATUS.items() if name not in {"NoNewPrivs", "CapAmb"}}
    facts = _GOOD | {
        "identity": told | {"Seccomp": ["0"]},
        "devices": {"found": ["/dev/fuse", "/dev/net/tun"], "made": "done", "used": False},
        "system_calls": {"mmap_wx": "done", "keyctl": "EACCES"},
        "socket_families": {"plain": [1, 2, 10, 16, 17], "high_bit": [1]},
    }
    gvisor = Expected(_EXPECTED.environment, gvisor=True)
    assert fallen(facts, gvisor) == set()
    assert fallen(facts | {"system_calls": {"vsock": "done"}}, gvisor) == {"sandbox-syscalls"}
    assert fallen(facts) == {
        *("sandbox-capabilities", "sandbox-no-new-privileges", "sandbox-seccomp"),
        *("sandbox-devices", "sandbox-syscalls", "sandbox-socket-families"),
    }


@pytest.mark.parametrize("output", [b"", b"not json\n", b'{"vector": "routes", "error": "boom"}\n'])
def test_a_vector_without_facts_proves_nothing(output: bytes) -> None:
    """Silence, noise and a broken probe fail every wall."""
    silent = Tried(SandboxExit(exit_code=1, stderr_tail="no python3 here\n"), output)
    found = [wall.find(silent, _EXPECTED) for wall in _ALL]
    assert {each.status for each in found} == {Status.FAIL}


def test_a_fork_bomb_is_judged_by_what_it_bore() -> None:
    """It has to be stopped below the limit, or by gVisor's death where that is its way."""

    def status(facts: dict[str, Any], *, gvisor: bool = False, **ended: Any) -> Status:
        return resource_checks.fork_bomb(tried(facts, **ended), 64, gvisor=gvisor).status

    assert status({"fork_bomb": {"born": 63, "refused": "EAGAIN"}}) is Status.PASS
    assert status({"fork_bomb": {"born": 256, "refused": ""}}) is Status.FAIL
    assert status({"fork_bomb": {"born": 100, "refused": "ENOMEM"}}) is Status.FAIL
    assert status({}, gvisor=True, exit_code=2) is Status.PASS
    assert status({}, exit_code=2) is Status.FAIL
    # Its own kernel's share of each process counts as the sandbox's memory, and may fill it first.
    assert status({}, gvisor=True, oom_killed=True) is Status.PASS
    assert status({}, oom_killed=True) is Status.FAIL


def test_a_memory_bomb_has_to_be_told_as_such() -> None:
    """A death for another reason, or none, fails."""
    assert resource_checks.memory_bomb(tried({}, oom_killed=True), 64).status is Status.PASS
    assert resource_checks.memory_bomb(tried({}, exit_code=137), 64).status is Status.FAIL
    assert resource_checks.memory_bomb(tried({}, stopped=Stop.DEADLINE), 64).status is Status.FAIL
    assert (
        resource_checks.memory_bomb(tried({"memory_bomb": {"held_mb": 128}}), 64).status
        is Status.FAIL
    )


def test_tmp_has_to_be_full_at_its_size_and_run_nothing() -> None:
    """Each of the three is a fault of its own."""
    good = {"size": 64 * 2**20, "refused": "ENOSPC", "executed": "refused"}
    assert resource_checks.tmpfs(tried({"tmpfs": good}), 64).status is Status.PASS
    for fault in ({"refused": ""}, {"size": 65 * 2**20}, {"executed": "done"}):
        assert resource_checks.tmpfs(tried({"tmpfs": good | fault}), 64).status is Status.FAIL
    assert resource_checks.tmpfs(tried({}), 64).status is Status.FAIL
