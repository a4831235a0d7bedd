"""What runs inside a sandbox for the doctor: tries what hostile code would, and says what it saw.

Sent as text into a container of the fetcher's image, so it is one file, imports nothing of ours,
and judges nothing: each vector prints one JSON line of facts, `{"vector": ..., "seen": ...}`.
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import socket
import stat
import sys
from collections.abc import Callable
from typing import Any

#: What the doctor tells the probe: plain JSON.
Task = dict[str, Any]

_EGRESS = "/run/egress/egress.sock"
_CONNECT_S = 3.0
_ANSWER_S = 15.0
_HEAD_BYTES = 4096
_MIB = 1024 * 1024
_TMPFS_FILES = 4096
_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 4096
_FIRST_FOREIGN, _LAST_FOREIGN = 2, 64
#: Numbers of system calls that glibc has no name for, on the two machines we ship for.
_CALLS = {
    "x86_64": {"keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298},
    "aarch64": {"keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241},
}
_OWN_DEVICES = {"console", "full", "fuse", "null", "ptmx", "random", "tty", "urandom", "zero"}


def interfaces(_task: Task) -> list[str]:
    """Return the names of the network interfaces."""
    with open("/proc/net/dev") as table:
        return [line.partition(":")[0].strip() for line in table.readlines()[2:]]


def routes(_task: Task) -> list[str]:
    """Return the routes that lead anywhere but to the sandbox itself."""
    return [*_rows("/proc/net/route", 0, 1), *_rows("/proc/net/ipv6_route", -1, 0)]


def _rows(path: str, interface: int, head: int) -> list[str]:
    try:
        with open(path) as table:
            rows = [line.split() for line in table.readlines()[head:]]
    except OSError:
        return []
    return [" ".join(row[:3]) for row in rows if row and row[interface] != "lo"]


def connections(task: Task) -> dict[str, str]:
    """Return what became of a connection to each address, `connected` where it opened."""
    return {f"{host} {port}": _attempt(host, port) for host, port in task["connections"]}


def _attempt(host: str, port: int) -> str:
    """Connect where no packet can leave: to loopback, or where the kernel knows no way.

    Whether it knows one is asked with a datagram socket, whose connect() sends nothing.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if host not in {"127.0.0.1", "::1"}:
            with socket.socket(family, socket.SOCK_DGRAM) as asking:
                asking.connect((host, port))
            return "route"
    except OSError as error:
        if error.errno not in {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            return _word(error)
    return _dial(family, (host, port))


def _dial(family: int, address: Any) -> str:  # a tuple or a path, by family
    try:
        with socket.socket(family) as connection:
            connection.settimeout(_CONNECT_S)
            connection.connect(address)
    except OSError as error:
        return _word(error)
    return "connected"


def dns(_task: Task) -> str:
    """Return how a look-up ended; asks only where the kernel knows no way out."""
    if routes({}):
        return "route"
    try:
        socket.getaddrinfo("doctor.invalid", 80)
    except socket.gaierror as error:
        return "answered" if error.errno == socket.EAI_NONAME else "unanswered"
    return "answered"


def identity(_task: Task) -> dict[str, list[str]]:
    """Return who we are and with which rights."""
    with open("/proc/self/status") as status:
        lines = [line.split(":", 1) for line in status.read().splitlines()]
    return {name: value.split() for name, value in lines}


def root(_task: Task) -> dict[str, Any]:
    """Return whether the root is read-only, and which files outside /tmp could be written."""
    places = ("/", "/etc", "/usr/bin", "/opt/safeurl", "/root", "/var/tmp", "/run", "/home")  # noqa: S108 - a path in the sandbox
    written = [path for path in places if _can_write(os.path.join(path, "doctor"))]
    files = ("/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/bin/sh")
    written += [path for path in files if _can_append(path)]
    return {"read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY), "written": written}


def kernel_files(_task: Task) -> list[str]:
    """Return the kernel's files that could be opened for writing."""
    paths = (
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
    return [path for path in paths if _can_append(path)]


def _can_write(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    return True


def _can_append(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    return True


def mounts(_task: Task) -> dict[str, Any]:
    """Return every mount with its options, and whether the gateway's folder could be written."""
    with open("/proc/self/mountinfo") as table:
        rows = [line.split() for line in table]
    return {
        "mounts": {row[4]: row[5].split(",") for row in rows},
        "egress_written": _can_write("/run/egress/doctor"),
        "egress_removed": _can_remove(_EGRESS),
    }


def _can_remove(path: str) -> bool:
    try:
        os.rename(path, path + "-")
        os.rename(path + "-", path)
    except OSError:
        return False
    return True


def devices(_task: Task) -> dict[str, Any]:
    """Return the device nodes beyond the harmless ones, and whether one could be made."""
    found = [
        path
        for path in _files("/dev")
        if stat.S_ISBLK(_mode(path)) or stat.S_ISCHR(_mode(path))
        if not path.startswith("/dev/pts/") and path.removeprefix("/dev/") not in _OWN_DEVICES
    ]
    made = _said(lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)))  # noqa: S108 - a path in the sandbox
    return {"found": found, "made": made}


def sockets(_task: Task) -> dict[str, Any]:
    """Return every unix socket in the file system, and what came of knocking at Docker's."""
    skipped = ("/proc", "/sys")
    tops = [f"/{name}" for name in os.listdir("/") if f"/{name}" not in skipped]
    found = [path for top in tops for path in _files(top) if stat.S_ISSOCK(_mode(path))]
    usual = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
    return {"found": found, "knocked": {path: _dial(socket.AF_UNIX, path) for path in usual}}


def _files(top: str) -> list[str]:
    walk = os.walk(top)
    return [top, *(os.path.join(folder, name) for folder, _, names in walk for name in names)]


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def environment(_task: Task) -> dict[str, str]:
    """Return the environment as the kernel holds it: Python adds to its own copy."""
    with open("/proc/self/environ") as raw:
        return dict(pair.split("=", 1) for pair in raw.read().split("\0") if "=" in pair)


def processes(_task: Task) -> list[str]:
    """Return the commands of other processes in sight."""
    others = [name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]
    return [_command(pid) for pid in others]


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm") as name:
            return f"{pid} {name.read().strip()}"
    except OSError as error:
        return f"{pid} {_word(error)}"


def ptrace(_task: Task) -> list[int]:
    """Return the processes other than our own that could be traced."""
    libc = ctypes.CDLL(None, use_errno=True)
    return [
        pid
        for pid in range(_FIRST_FOREIGN, _LAST_FOREIGN)
        if libc.ptrace(_PTRACE_SEIZE, pid, None, None) == 0
    ]


def mount(_task: Task) -> dict[str, str]:
    """Return what came of mounting, over and around the walls."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs("/tmp/new", exist_ok=True)  # noqa: S108 - a path in the sandbox
    return {
        "tmpfs": _call(lambda: libc.mount(b"tmpfs", b"/tmp/new", b"tmpfs", 0, None)),
        "proc": _call(lambda: libc.mount(b"proc", b"/tmp/new", b"proc", 0, None)),
        "bind": _call(lambda: libc.mount(b"/", b"/tmp/new", None, _MS_BIND, None)),
        "umount": _call(lambda: libc.umount2(b"/run/egress", 0)),
        "chroot": _said(lambda: os.chroot("/tmp/new")),  # noqa: S108 - the same
    }


def syscalls(_task: Task) -> dict[str, str]:
    """Return what came of system calls that the default filter refuses, or a capability needs."""
    libc = ctypes.CDLL(None, use_errno=True)
    seen = {
        "unshare": _in_child(lambda: _call(lambda: libc.unshare(_CLONE_NEWUSER))),
        "sethostname": _said(lambda: socket.sethostname("doctor")),
        "setuid": _said(lambda: os.setuid(0)),
        "raw_socket": _said(_raw_socket),
    }
    for name, number in _CALLS.get(platform.machine(), {}).items():
        seen[name] = _call(lambda number=number: libc.syscall(number, 0, 0, 0, 0, 0))  # type: ignore[misc]  # - the default binds the loop's value
    return seen


def _raw_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _in_child(act: Callable[[], str]) -> str:
    """Run what would change this process for good, in a child."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sink, act().encode())
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def _call(call: Callable[[], int]) -> str:
    """Return a C call's errno as a word, `done` where it did what was asked."""
    ctypes.set_errno(0)
    if call() >= 0:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "failed")


def _said(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return _word(error)
    return "done"


def _word(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def neighbour(task: Task) -> dict[str, Any]:
    """Return what is seen of another sandbox's socket, whose path on the host is known."""
    path = task["neighbour"]
    name = path.rsplit("/", 2)[1]
    paths = (path, f"/run/egress/../{name}/egress.sock", f"/run/egress/{name}/egress.sock")
    folder = sorted(os.listdir("/run/egress")) if os.path.isdir("/run/egress") else []
    return {"knocked": {each: _dial(socket.AF_UNIX, each) for each in paths}, "folder": folder}


def requests(task: Task) -> dict[str, list[str]]:
    """Send each request head to the gateway; return the status and rule or outcome of each."""
    return {name: [_ask(head) for head in heads] for name, heads in task["requests"].items()}


def _ask(head: str) -> str:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(_EGRESS)
            connection.sendall(head.encode("utf-8", "surrogatepass"))
            answer = connection.recv(_HEAD_BYTES).decode("latin-1")
    except OSError as error:
        return _word(error)
    first, *lines = answer.split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    said = fields.get("x-safeurl-rule") or fields.get("x-safeurl-outcome") or ""
    return f"{first.partition(' ')[2][:3]} {said}".strip()


def fork_bomb(task: Task) -> dict[str, Any]:
    """Fork until the kernel refuses, or twice the limit is reached."""
    born, refused = 0, ""
    try:
        while born < task["most"]:
            if os.fork() == 0:
                os.pause() if hasattr(os, "pause") else socket.socketpair()[0].recv(1)
                os._exit(0)
            born += 1
    except OSError as error:
        refused = _word(error)
    return {"born": born, "refused": refused}


def memory_bomb(task: Task) -> dict[str, Any]:
    """Take and touch memory until killed, or until half as much again as the limit is held."""
    hoard, page = [], mmap.PAGESIZE
    for _ in range(task["most_mb"]):
        block = mmap.mmap(-1, _MIB)
        for offset in range(0, _MIB, page):
            block[offset] = 1
        hoard.append(block)
    return {"held_mb": len(hoard)}


def tmpfs(task: Task) -> dict[str, Any]:
    """Fill /tmp until the kernel refuses, and try to run a program from it."""
    executed = _said(_execute_in_tmp)
    written, refused = 0, ""
    block = bytes(_MIB)
    try:
        for number in range(_TMPFS_FILES):
            with open(f"/tmp/{number}", "wb", buffering=0) as file:  # noqa: S108 - a path in the sandbox
                for _ in range(4):
                    written += file.write(block)
            if written > task["most_mb"] * _MIB:
                break
    except OSError as error:
        refused = _word(error)
    return {"written": written, "refused": refused, "executed": executed}


def _execute_in_tmp() -> None:
    path = "/tmp/program"  # noqa: S108 - a path in the sandbox
    with open("/bin/true", "rb") as program, open(path, "wb") as copy:
        copy.write(program.read())
    os.chmod(path, 0o700)
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path])  # noqa: S606 - that it cannot be run is what is tried
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise PermissionError(errno.EACCES, "not run")


def main() -> None:
    """Run the vectors that the task names; one that breaks does not keep the others."""
    task: Task = json.loads(sys.argv[1])
    for name in task["vectors"]:
        try:
            seen = globals()[name](task)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            print(json.dumps({"vector": name, "error": repr(error)}), flush=True)  # noqa: T201 - the probe's report
        else:
            print(json.dumps({"vector": name, "seen": seen}), flush=True)  # noqa: T201 - the same
    # Children of the fork bomb end with PID 1.
    os._exit(0)


if __name__ == "__main__":
    main()
