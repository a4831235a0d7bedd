"""The doctor's evaluation of a probe's facts, check by check."""

import json
from typing import Any

import pytest

from safeurl.model.sandbox import SandboxExit, Stop
from worker.doctor.checks import resource_checks
from worker.doctor.checks.isolation_checks import (
    ISOLATION_CHECKS,
    NEIGHBOUR_CHECK,
    ExpectedSandbox,
    connection_checks,
)
from worker.doctor.finding import Status
from worker.doctor.probe_runner import ProbeRun

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
#: The facts of an isolated sandbox.
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
        "connect": {"/var/run/docker.sock": "ENOENT"},
    },
    "environment": ["HOME=/tmp"],
    "processes": [],
    "ptrace": [],
    "mount": {"tmpfs": "EPERM"},
    "system_calls": {"unshare": "EPERM", "clone3": "ENOSYS", "vsock": "EAFNOSUPPORT"},
    "socket_families": {"plain": [1], "high_bit": []},
    "connections": {"127.0.0.1 80": "ECONNREFUSED", "192.0.2.1 80": "ENETUNREACH"},
    "neighbour": {"connect": {"/x/egress.sock": "ENOENT"}, "folder": ["egress.sock"]},
}
_EXPECTED = ExpectedSandbox(environment=frozenset({"HOME=/tmp"}), secrets=("canary",))
_ALL = (
    *ISOLATION_CHECKS,
    *connection_checks((("127.0.0.1", 80),), (("192.0.2.1", 80),), (("192.0.2.1", 80),)),
    NEIGHBOUR_CHECK,
)


def run(facts: dict[str, Any], **ended: Any) -> ProbeRun:
    """Return a probe run with these facts."""
    lines = [json.dumps({"vector": name, "facts": facts}) for name, facts in facts.items()]
    return ProbeRun(SandboxExit(**{"exit_code": 0, **ended}), "\n".join(lines).encode())


def failing(facts: dict[str, Any], expected: ExpectedSandbox = _EXPECTED) -> set[str]:
    """Return the names of the checks that fail."""
    found = [check.finding(run(facts), expected) for check in _ALL]
    return {each.name for each in found if each.status is Status.FAIL}


def test_an_isolated_sandbox_passes_every_check() -> None:
    """No check fails, and each has its own name."""
    assert failing(_GOOD) == set()
    assert len({check.name for check in _ALL}) == len(_ALL)


@pytest.mark.parametrize(
    ("vector", "facts", "check"),
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
        ("sockets", {"found": ["/x/docker.sock"], "connect": {}}, "sandbox-docker-socket"),
        ("sockets", {"found": [], "connect": {"/x": "connected"}}, "sandbox-docker-socket"),
        ("environment", ["HOME=/root"], "sandbox-environment"),
        ("processes", ["7 sshd"], "sandbox-processes"),
        ("ptrace", [7], "sandbox-ptrace"),
        ("mount", {"tmpfs": "done"}, "sandbox-mount"),
        ("system_calls", {"unshare": "done"}, "sandbox-syscalls"),
        # The error comes from the kernel, so no filter refused the call.
        ("system_calls", {"bpf": "EINVAL"}, "sandbox-syscalls"),
        ("socket_families", {"plain": [1, 40], "high_bit": []}, "sandbox-socket-families"),
        ("socket_families", {"plain": [1], "high_bit": [40]}, "sandbox-socket-families"),
        ("neighbour", {"connect": {"/x": "connected"}, "folder": []}, "sandbox-neighbour"),
        ("neighbour", {"connect": {}, "folder": ["other"]}, "sandbox-neighbour"),
    ],
)
def test_each_gap_fails_its_own_check(vector: str, facts: Any, check: str) -> None:
    """One changed fact makes exactly one check fail."""
    assert failing(_GOOD | {vector: facts}) == {check}


@pytest.mark.parametrize("how", ["connected", "route"])
def test_an_address_that_can_be_reached_fails(how: str) -> None:
    """A route is enough: the probe does not have to send anything."""
    assert failing(_GOOD | {"connections": {"127.0.0.1 80": how, "192.0.2.1 80": "EPERM"}}) == {
        "sandbox-loopback"
    }


def test_a_secret_fails_though_the_variable_is_expected() -> None:
    """An expected constant that contains a secret of the settings fails."""
    expected = ExpectedSandbox(environment=frozenset({"TERM=xcanary"}), secrets=("canary",))
    assert failing(_GOOD | {"environment": ["TERM=xcanary"]}, expected) == {"sandbox-environment"}
    assert "canary" not in repr(expected).replace("xcanary", "")


def test_gvisors_own_kernel_is_not_treated_as_the_hosts() -> None:
    """A call that gVisor's kernel allows or does not report is a gap only without gVisor."""
    told = {name: value for name, value in _STATUS.items() if name not in {"NoNewPrivs", "CapAmb"}}
    facts = _GOOD | {
        "identity": told | {"Seccomp": ["0"]},
        "devices": {"found": ["/dev/fuse", "/dev/net/tun"], "made": "done", "used": False},
        "system_calls": {"mmap_wx": "done", "keyctl": "EACCES"},
        "socket_families": {"plain": [1, 2, 10, 16, 17], "high_bit": [1]},
    }
    gvisor = ExpectedSandbox(_EXPECTED.environment, gvisor=True)
    assert failing(facts, gvisor) == set()
    assert failing(facts | {"system_calls": {"vsock": "done"}}, gvisor) == {"sandbox-syscalls"}
    assert failing(facts) == {
        *("sandbox-capabilities", "sandbox-no-new-privileges", "sandbox-seccomp"),
        *("sandbox-devices", "sandbox-syscalls", "sandbox-socket-families"),
    }


@pytest.mark.parametrize("output", [b"", b"not json\n", b'{"vector": "routes", "error": "boom"}\n'])
def test_a_vector_without_facts_proves_nothing(output: bytes) -> None:
    """No output, other output and a failed probe make every check fail."""
    silent = ProbeRun(SandboxExit(exit_code=1, stderr_tail="no python3 here\n"), output)
    found = [check.finding(silent, _EXPECTED) for check in _ALL]
    assert {each.status for each in found} == {Status.FAIL}


def test_a_fork_bomb_has_to_be_stopped_below_the_limit() -> None:
    """Under gVisor, the end of the complete sandbox counts too."""

    def status(facts: dict[str, Any], *, gvisor: bool = False, **ended: Any) -> Status:
        return resource_checks.fork_bomb(run(facts, **ended), 64, gvisor=gvisor).status

    assert status({"fork_bomb": {"forked": 63, "refused": "EAGAIN"}}) is Status.PASS
    assert status({"fork_bomb": {"forked": 256, "refused": ""}}) is Status.FAIL
    assert status({"fork_bomb": {"forked": 100, "refused": "ENOMEM"}}) is Status.FAIL
    assert status({}, gvisor=True, exit_code=2) is Status.PASS
    assert status({}, exit_code=2) is Status.FAIL
    # Its own kernel's share of each process counts as the sandbox's memory, and may fill it first.
    assert status({}, gvisor=True, oom_killed=True) is Status.PASS
    assert status({}, oom_killed=True) is Status.FAIL


def test_a_memory_bomb_has_to_be_reported_as_out_of_memory() -> None:
    """Another end, or none, fails."""
    assert resource_checks.memory_bomb(run({}, oom_killed=True), 64).status is Status.PASS
    assert resource_checks.memory_bomb(run({}, exit_code=137), 64).status is Status.FAIL
    assert resource_checks.memory_bomb(run({}, stopped=Stop.DEADLINE), 64).status is Status.FAIL
    assert (
        resource_checks.memory_bomb(run({"memory_bomb": {"allocated_mb": 128}}), 64).status
        is Status.FAIL
    )


def test_tmp_has_to_be_limited_and_run_nothing() -> None:
    """Each of the three conditions is checked."""
    good = {"size": 64 * 2**20, "refused": "ENOSPC", "executed": "refused"}
    assert resource_checks.tmpfs(run({"tmpfs": good}), 64).status is Status.PASS
    for fault in ({"refused": ""}, {"size": 65 * 2**20}, {"executed": "done"}):
        assert resource_checks.tmpfs(run({"tmpfs": good | fault}), 64).status is Status.FAIL
    assert resource_checks.tmpfs(run({}), 64).status is Status.FAIL
