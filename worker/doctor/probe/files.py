"""Vectors for the file system: what can be written, renamed, opened and found."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

from worker.doctor.probe.syscall_result import (
    Task,
    can_create,
    can_open,
    connect_result,
    lines,
    result_of,
)

_FOLDERS = ("/", "/etc", "/usr/bin", "/opt/safeurl", "/root", "/var/tmp", "/run", "/home")  # noqa: S108 - inside the sandbox
_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/bin/sh")
_KERNEL_FILES = (
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/pids.max",
    "/dev/mem",
    "/dev/kmsg",
)
_OWN_DEVICES = {"console", "full", "null", "ptmx", "random", "tty", "urandom", "zero"}
_ENGINE_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
_DISK = "/tmp/disk"  # noqa: S108 - inside the sandbox
_NOT_SEARCHED = ("proc", "sys")


def root(_task: Task) -> dict[str, Any]:
    """Return the mount options of the root, and the paths outside /tmp that could be written."""
    written = [path for path in _FOLDERS if can_create(f"{path}/doctor")]
    written += [path for path in _FILES if can_open(path)]
    return {"options": _mounts()["/"].split(","), "written": written}


def kernel_files(_task: Task) -> list[str]:
    """Return the files of the kernel that could be opened for writing."""
    return [path for path in _KERNEL_FILES if can_open(path)]


def mounts(_task: Task) -> dict[str, Any]:
    """Return every mount with its options, and whether the gateway's folder could be changed."""
    socket_path = Path("/run/egress/egress.sock")
    return {
        "mounts": _mounts(),
        "create": can_create("/run/egress/doctor"),
        "rename": result_of(lambda: socket_path.rename("/run/egress/doctor")) == "done",
    }


def _mounts() -> dict[str, str]:
    return {row[4]: row[5] for row in map(str.split, lines("/proc/self/mountinfo"))}


def devices(_task: Task) -> dict[str, Any]:
    """Return the unexpected device nodes, and the results of creating and opening one."""
    found = [
        path
        for path in _below("/dev")
        if stat.S_ISBLK(_mode(path)) or stat.S_ISCHR(_mode(path))
        if not path.startswith("/dev/pts/") and path.removeprefix("/dev/") not in _OWN_DEVICES
    ]
    made = result_of(lambda: os.mknod(_DISK, stat.S_IFBLK | 0o600, os.makedev(8, 0)))
    return {"found": found, "made": made, "used": can_open(_DISK, os.O_RDONLY)}


def sockets(_task: Task) -> dict[str, Any]:
    """Return every unix socket in the file system, and the results of connecting to them."""
    tops = [path for path in Path("/").iterdir() if path.name not in _NOT_SEARCHED]
    found = [path for top in tops for path in _below(str(top)) if stat.S_ISSOCK(_mode(path))]
    paths = {*_ENGINE_SOCKETS, *found} - {"/run/egress/egress.sock"}
    return {
        "found": found,
        "connect": {path: connect_result(socket.AF_UNIX, path) for path in paths},
    }


def _below(top: str) -> list[str]:
    return [f"{folder}/{name}" for folder, _, names in os.walk(top) for name in names]


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def environment(_task: Task) -> list[str]:
    """Return the environment that the kernel holds: Python adds variables to its own copy."""
    return Path("/proc/self/environ").read_text().rstrip("\0").split("\0")


VECTORS = {
    each.__name__: each for each in (root, kernel_files, mounts, devices, sockets, environment)
}
