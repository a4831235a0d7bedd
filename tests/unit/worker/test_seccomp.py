"""The seccomp profiles: equal to their sources, sufficient for the traces, and no wider."""

import errno
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.seccomp_rules import decide
from worker.sandbox.seccomp import security_option

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "docker/seccomp_profile.py"
TRACES = {"http": ("http",), "http_bridge": ("http", "http_bridge")}
NETWORKS = {"http": "none", "http_bridge": "bridge"}
#: `socket` and `ioctl` take an int: the upper half of the register is ignored.
HIGH = 1 << 32

_CLONE_NEW = {"cgroup": 1 << 25, "uts": 1 << 26, "ipc": 1 << 27, "user": 1 << 28}
_CLONE_NEW |= {"pid": 1 << 29, "net": 1 << 30, "mount": 1 << 17}
_READ, _WRITE, _EXEC, _ANONYMOUS = 1, 2, 4, 0x20
_HUGE = 0x40000
#: Uses of memory: access, release, huge pages, core dumps and guard pages.
_ADVICE = {0, 1, 2, 3, 4, 8, 14, 15, 16, 17, 102, 103}
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10

#: Calls that no profile allows, with any arguments.
REFUSED = (
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount"),
    *("fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr", "ptrace", "process_vm_readv"),
    *("process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "bpf", "perf_event_open"),
    *("userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key"),
    *("request_key", "modify_ldt", "iopl", "ioperm", "personality", "memfd_create", "execveat"),
    *("memfd_secret", "pkey_mprotect", "remap_file_pages", "shmat", "shmget", "shmctl", "semget"),
    *("msgget", "mq_open", "quotactl", "quotactl_fd", "syslog", "acct", "swapon", "reboot"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "uselib"),
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init", "inotify_init", "inotify_init1"),
    *("inotify_add_watch", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "chown", "fchown"),
    *("link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2", "mkdir"),
    *("setuid", "setgid", "setgroups", "setresuid", "setresgid", "capset", "sethostname"),
    *("bind", "listen", "accept", "accept4", "socketpair", "sendmsg", "recvmsg", "vmsplice"),
    *("splice", "tee", "migrate_pages", "move_pages", "mbind", "set_mempolicy", "fork", "vfork"),
    *("timer_create", "timerfd_create", "signalfd4", "tkill", "seccomp", "landlock_create_ruleset"),
    *("setxattr", "getxattr", "io_setup", "io_submit", "adjtimex", "settimeofday", "vhangup"),
)


def profile(name: str) -> dict[str, Any]:
    """Return a profile of the repository."""
    found: dict[str, Any] = json.loads((ROOT / f"worker/sandbox/profiles/{name}.json").read_text())
    return found


def traced(name: str) -> list[tuple[str, dict[int, int]]]:
    """Return a trace's calls with the recorded arguments."""
    lines = (ROOT / f"docker/seccomp/{name}.trace").read_text().splitlines()
    words = [line.split() for line in lines]
    return [
        (call, {int(where): int(value, 16) for where, _, value in (w.partition("=") for w in rest)})
        for call, *rest in words
    ]


def test_the_profiles_are_what_the_script_writes() -> None:
    """The test finds a profile that was edited by hand, and a source without a new profile."""
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--check"], check=False, capture_output=True, text=True, timeout=30
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("name", TRACES)
def test_every_recorded_call_is_allowed(name: str) -> None:
    """Or the call gets ENOSYS, and the C library then used another call."""
    calls = [each for trace in TRACES[name] for each in traced(trace)]
    assert len(calls) > 60
    answers = {call: decide(profile(name), call, arguments) for call, arguments in calls}
    refused = {call: answer for call, answer in answers.items() if answer != "allow"}
    assert refused.items() <= {"clone3": str(errno.ENOSYS)}.items()


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("call", REFUSED)
def test_a_call_that_no_fetch_needs_is_refused(name: str, call: str) -> None:
    """Unknown calls are refused by default, not because the profile lists them."""
    allowed_on_a_bridge = {"bind", "sendmsg", "recvmsg"} if name == "http_bridge" else set()
    if call not in allowed_on_a_bridge:
        assert decide(profile(name), call, {}) == str(errno.EPERM)


@pytest.mark.parametrize(
    ("call", "arguments", "allowed"),
    [
        ("mmap", {2: _READ | _WRITE, 3: _ANONYMOUS}, True),
        ("mmap", {2: _READ | _EXEC, 3: 0x812}, True),
        ("mmap", {2: 0, 3: _ANONYMOUS}, True),
        ("mmap", {2: _READ | _EXEC, 3: _ANONYMOUS}, False),
        ("mmap", {2: _WRITE | _EXEC, 3: _ANONYMOUS}, False),
        ("mmap", {2: _WRITE | _EXEC, 3: 0x2}, False),
        ("mmap", {2: _READ | _WRITE | _EXEC | HIGH, 3: 0x2}, False),
        *(("mmap", {2: way, 3: _HUGE | _ANONYMOUS}, False) for way in (0, _READ, _WRITE)),
        ("mmap", {2: _EXEC, 3: _HUGE}, False),
        *(("madvise", {2: how}, how in _ADVICE) for how in range(128)),
        ("madvise", {2: 12 | HIGH}, False),
        ("mprotect", {2: _READ | _WRITE}, True),
        ("mprotect", {2: _READ | _EXEC}, False),
        ("mprotect", {2: _EXEC | HIGH}, False),
        ("clone", {0: 0x1200011}, True),
        ("clone", {0: 0x3D0F00}, True),
        *(("clone", {0: flag | 17}, False) for flag in _CLONE_NEW.values()),
        ("ioctl", {1: 0x5401}, True),
        ("ioctl", {1: 0x5421}, True),
        ("ioctl", {1: 0x5412}, False),
        ("ioctl", {1: 0x5412 | HIGH}, False),
        ("ioctl", {1: 0x541C}, False),
        *(("fcntl", {1: command}, True) for command in (0, 1, 2, 3, 4, 1030)),
        *(("fcntl", {1: command}, False) for command in (*range(5, 17), 36, 37, 38)),
        *(("fcntl", {1: command}, False) for command in (*range(1024, 1030), *range(1031, 1041))),
        ("fcntl", {1: 6 | HIGH}, False),
        *(("prlimit64", {1: limit, 2: 1}, limit in {0, 7, 9}) for limit in range(16)),
        *(("prlimit64", {1: limit, 2: 0}, True) for limit in range(16)),
        ("prlimit64", {1: 4 | HIGH, 2: 1}, False),
        *(("setrlimit", {0: limit}, limit in {0, 7, 9}) for limit in range(16)),
        ("prctl", {0: 39}, True),
        *(("prctl", {0: option}, False) for option in (4, 22, 23, 24, 28, 35, 47, 53)),
        ("arch_prctl", {0: 0x1002}, True),
        ("arch_prctl", {0: 0x1001}, False),
    ],
)
@pytest.mark.parametrize("name", TRACES)
def test_arguments_decide(
    name: str, call: str, arguments: Mapping[int, int], *, allowed: bool
) -> None:
    """Protection, namespaces, requests: the parts of a call that the filter can see."""
    assert (decide(profile(name), call, arguments) == "allow") == allowed


@pytest.mark.parametrize("family", [*range(46), *(family | HIGH for family in range(46))])
def test_socket_families(family: int) -> None:
    """AF_UNIX only, on the bridge IPv4 and IPv6 too; set bits in the upper half allow nothing."""
    for name, families in (
        ("http", {_AF_UNIX}),
        ("http_bridge", {_AF_UNIX, _AF_INET, _AF_INET6}),
    ):
        assert (decide(profile(name), "socket", {0: family}) == "allow") == (family in families)


@pytest.mark.parametrize("name", TRACES)
def test_only_one_architecture_each(name: str) -> None:
    """The 32-bit entry and the x32 ABI have other numbers, and no rule allows them."""
    machines = profile(name)["archMap"]
    assert [each["architecture"] for each in machines] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]
    assert [each["subArchitectures"] for each in machines] == [[], []]
    assert profile(name)["defaultAction"] == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_engine_is_given_the_profile_itself(name: str) -> None:
    """It is not a path, which the engine's API would not read."""
    network = NETWORKS[name]
    option = security_option("none" if network == "none" else "bridge")
    key, _, value = option.partition("=")
    assert (key, json.loads(value)) == ("seccomp", profile(name))
    assert "\n" not in option
