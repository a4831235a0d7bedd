"""Judges what the probe saw inside a sandbox of its walls. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from safeurl.settings.uids import DEFAULT_UIDS, write_uids
from worker.doctor.finding import Finding, failed, ruled
from worker.doctor.probe_runner import Tried

#: Facts of a vector, as the probe's docstrings describe them: JSON of any shape.
Seen = Any

_CAPABILITIES: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_FILTERED: Final = "2"
#: Made by the runtime, private to the container, and either read-only or memory that is capped.
_RUNTIME_MOUNTS: Final = ("/proc", "/sys", "/dev")
_OWN_MOUNTS: Final = frozenset(
    {"/", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/egress"}  # noqa: S108 - inside the sandbox
)
#: What our seccomp profile answers; SIGSYS is the end of a call by another ABI. A kernel that has
#: no 32-bit entry ends the process first.
_FILTERS_ANSWERS: Final = frozenset({"EPERM", "ENOSYS", "EAFNOSUPPORT", "SIGSYS", "SIGSEGV"})
#: May succeed under no kernel. What else succeeds under gVisor is its own: it has memory, programs,
#: tracing and io_uring of its own, behind which the host's kernel is not.
_NEVER: Final = (
    *("vsock", "vsock_high_bit", "bpf", "perf_event_open", "userfaultfd", "kexec_load"),
    *("init_module", "finit_module"),
    *("open_by_handle_at", "modify_ldt", "iopl", "ioperm", "setns", "tiocsti", "reboot", "acct"),
    *("sethostname", "setuid", "swapon", "quotactl", "pivot_root"),
)
#: UNIX, INET, INET6, NETLINK and PACKET: of gVisor's own network, which has no way out.
_GVISOR_FAMILIES: Final = frozenset({1, 2, 10, 16, 17})
#: gVisor's own, made by its kernel; behind them is nothing of the host.
_GVISOR_DEVICES: Final = frozenset({"/dev/fuse", "/dev/net/tun"})

_BUG: Final = (
    "The container did not get the options that it was made with: look for another program that "
    "changes containers, and at the runtime."
)
_ENGINE: Final = "Look at the engine's configuration (daemon.json) and its runtime."
_UNMOUNT: Final = "Remove the mount: who reaches Docker's socket is root on this host."
_NETWORK: Final = "Set CONTAINER_NETWORK=none, and look for programs that attach networks."


@dataclass(frozen=True, slots=True)
class Expected:
    """What the sandbox should find, beside what is the same everywhere."""

    #: `name=value`, of the options and of the image.
    environment: frozenset[str] = frozenset()
    #: User ids of which the sandbox has one.
    uids: range = DEFAULT_UIDS
    #: Values that may be in no sandbox.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: Families of sockets that may be opened: of the file system, for a bridge also IPv4 and IPv6.
    families: frozenset[int] = frozenset({1})
    #: Another kernel than the host's answers system calls.
    gvisor: bool = False


#: What is wrong, and what is to be said where nothing is.
Judgement = tuple[list[str], str]
Judge = Callable[[Seen, Expected], Judgement]


@dataclass(frozen=True, slots=True)
class Wall:
    """One line of the doctor's: which vector is judged, and what to do where the wall has a gap."""

    name: str
    vector: str
    judge: Judge
    advice: str

    def find(self, tried: Tried, expected: Expected) -> Finding:
        """Return the finding; a vector that gave no facts has proved nothing, and fails."""
        try:
            faults, fine = self.judge(tried.seen(self.vector), expected)
        except LookupError as error:
            return failed(self.name, f"not tried: {error}", _BUG)
        return ruled(self.name, faults, fine, self.advice)


def interfaces(seen: Seen, _: Expected) -> Judgement:
    """Judge that there is no interface but loopback."""
    faults = [f"there is an interface {name}" for name in seen if name != "lo"]
    return faults, "only lo"


def routes(seen: Seen, _: Expected) -> Judgement:
    """Judge that no route leads out."""
    faults = [f"a route leads out: {route}" for route in seen]
    return faults, "none"


def connections(addresses: Sequence[tuple[str, int]]) -> Judge:
    """Return the judge of connections to these addresses."""

    def judge(seen: Seen, _: Expected) -> Judgement:
        ended = {host: seen[f"{host} {port}"] for host, port in addresses}
        faults = [
            f"{where}: {'reached' if how == 'connected' else 'a route leads there'}"
            for where, how in ended.items()
            if how in {"connected", "route"}
        ]
        return faults, f"out of reach: {', '.join(ended)}"

    return judge


def dns(seen: Seen, _: Expected) -> Judgement:
    """Judge that no resolver answers."""
    words = {"answered": "a resolver answers", "route": "a route leads to resolvers"}
    faults = [words[seen]] if seen in words else []
    return faults, "no resolver is reached"


def neighbour(seen: Seen, _: Expected) -> Judgement:
    """Judge that another sandbox's gateway socket is out of reach."""
    faults = [f"{path} was reached" for path, how in seen["knocked"].items() if how == "connected"]
    faults += [f"/run/egress shows {name}" for name in seen["folder"] if name != "egress.sock"]
    fine = "another sandbox's gateway socket is not in sight"
    return faults, fine


def user(seen: Seen, expected: Expected) -> Judgement:
    """Judge that the sandbox's code is one of the sandboxes' own users, and nobody else."""
    held = {name: set(seen[name]) for name in ("Uid", "Gid", "Groups")}
    uids = write_uids(expected.uids)
    faults = [
        f"{name} is {' '.join(seen[name])}, not one of {uids}"
        for name, numbers in held.items()
        if len(numbers) != 1 or not all(int(number) in expected.uids for number in numbers)
    ]
    if not faults and len(set.union(*held.values())) != 1:
        faults = ["the group is another sandbox's"]
    return faults, f"uid, gid and groups are {seen['Uid'][0]}, one of {uids}"


def capabilities(seen: Seen, expected: Expected) -> Judgement:
    """Judge that no set holds a capability; gVisor's kernel knows no ambient one."""
    names = _CAPABILITIES[:-1] if expected.gvisor else _CAPABILITIES
    faults = [f"{name} is {seen[name][0]}" for name in names if int(seen[name][0], 16)]
    return faults, "none, in no set"


def privileges(seen: Seen, expected: Expected) -> Judgement:
    """Judge that no program can bring new privileges."""
    if expected.gvisor and "NoNewPrivs" not in seen:
        return [], "gVisor's kernel does not tell; its users are not the host's"
    faults = [] if seen["NoNewPrivs"] == ["1"] else ["no_new_privs is not set"]
    return faults, "a set-uid program gives none"


def seccomp(seen: Seen, expected: Expected) -> Judgement:
    """Judge that system calls are filtered."""
    if expected.gvisor:
        return [], "gVisor's kernel answers, and not the host's"
    faults = [] if seen["Seccomp"] == [_FILTERED] else ["system calls are not filtered"]
    return faults, "system calls are filtered"


def root(seen: Seen, _: Expected) -> Judgement:
    """Judge that the root file system is read-only."""
    faults = [] if "ro" in seen["options"] else ["the root file system is mounted writable"]
    faults += [f"{path} was written" for path in seen["written"]]
    return faults, "read-only"


def kernel_files(seen: Seen, _: Expected) -> Judgement:
    """Judge that the kernel's own files cannot be written."""
    faults = [f"{path} can be written" for path in seen]
    return faults, "none can be written"


def mounts(seen: Seen, _: Expected) -> Judgement:
    """Judge that nothing of the host is mounted but the gateway's folder, and that read-only."""
    faults = [
        f"{path} is mounted ({how})" for path, how in seen["mounts"].items() if _foreign(path)
    ]
    egress = seen["mounts"].get("/run/egress", "ro").split(",")
    if "ro" not in egress or seen["create"] or seen["rename"]:
        faults.append("the gateway's folder can be written")
    return faults, "only its gateway socket, read-only"


def _foreign(path: str) -> bool:
    top = "/" + path.split("/")[1]
    return path not in _OWN_MOUNTS and top not in _RUNTIME_MOUNTS


def devices(seen: Seen, expected: Expected) -> Judgement:
    """Judge that no device of the host is there, and none can be made."""
    own = _GVISOR_DEVICES if expected.gvisor else frozenset()
    faults = [f"there is {path}" for path in seen["found"] if path not in own]
    if seen["used"] or (seen["made"] == "done" and not expected.gvisor):
        faults.append("a disk's device node could be made")
    return faults, "none of the host's, and none can be made"


def sockets(seen: Seen, _: Expected) -> Judgement:
    """Judge that no socket is there but the sandbox's own, Docker's least of all."""
    faults = [
        f"there is a socket {path}" for path in seen["found"] if path != "/run/egress/egress.sock"
    ]
    faults += [f"{path} answers" for path, how in seen["knocked"].items() if how == "connected"]
    return faults, "none, and no other socket"


def environment(seen: Seen, expected: Expected) -> Judgement:
    """Judge that the environment holds constants, and no secret of ours."""
    faults = [
        f"{entry.partition('=')[0]} is not ours"
        for entry in seen
        if entry not in expected.environment
    ]
    if any(secret in entry for secret in expected.secrets for entry in seen):
        faults.append("a secret of the settings is in it")
    fine = f"{len(seen)} constants, no secret"
    return faults, fine


def processes(seen: Seen, _: Expected) -> Judgement:
    """Judge that no other process is in sight."""
    faults = [f"process {process} is in sight" for process in seen]
    return faults, "no other is in sight"


def ptrace(seen: Seen, _: Expected) -> Judgement:
    """Judge that no other process can be traced."""
    faults = [f"process {pid} could be traced" for pid in seen]
    return faults, "no process can be traced"


def mount(seen: Seen, _: Expected) -> Judgement:
    """Judge that nothing can be mounted."""
    faults = [f"{what} was not refused" for what, how in seen.items() if how == "done"]
    return faults, f"{', '.join(seen)}: refused"


def syscalls(seen: Seen, expected: Expected) -> Judgement:
    """Judge that system calls which open ways into the kernel are refused.

    Under the host's kernel each must be answered by our filter: any other error is the kernel's,
    which has then looked at the call.
    """
    if expected.gvisor:
        faults = [f"{name} was not refused" for name, how in seen.items() if _is_gap(name, how)]
        own = [name for name, how in seen.items() if how == "done" and not _is_gap(name, how)]
        return faults, f"{len(seen) - len(own)} refused; gVisor's own kernel: {', '.join(own)}"
    return _unfiltered(seen), f"refused: {', '.join(seen)}"


def _is_gap(name: str, how: str) -> bool:
    return how == "done" and name in _NEVER


def filtered(seen: Seen, _: Expected) -> Judgement:
    """Judge that a sandbox under runc gets our filter, whatever runtime scans run under."""
    return _unfiltered(seen), f"under runc all of {len(seen)} calls are refused"


def _unfiltered(seen: Seen) -> list[str]:
    """Name what was not refused by the filter; it answers with these errors or ends the process."""
    return [
        f"{name} was not refused" + ("" if how == "done" else f" by the filter ({how})")
        for name, how in seen.items()
        if how not in _FILTERS_ANSWERS
    ]


def families(seen: Seen, expected: Expected) -> Judgement:
    """Judge that no sockets can be opened but those of the file system; gVisor's are its own."""
    own = _GVISOR_FAMILIES if expected.gvisor else expected.families
    opened = sorted({*seen["plain"], *seen["high_bit"]} - own)
    faults = [f"sockets of family {family} can be opened" for family in opened]
    listed = ", ".join(map(str, sorted({*seen["plain"]}))) or "none"
    return faults, f"of all families only: {listed}"


#: The walls that are the same everywhere, in the order in which they are told.
WALLS: Final = (
    Wall("sandbox-interfaces", "interfaces", interfaces, _NETWORK),
    Wall("sandbox-routes", "routes", routes, _NETWORK),
    Wall("sandbox-dns", "dns", dns, _NETWORK),
    Wall("sandbox-user", "identity", user, _BUG),
    Wall("sandbox-capabilities", "identity", capabilities, _BUG),
    Wall("sandbox-no-new-privileges", "identity", privileges, _BUG),
    Wall("sandbox-seccomp", "identity", seccomp, _ENGINE),
    Wall("sandbox-root", "root", root, _BUG),
    Wall("sandbox-kernel-files", "kernel_files", kernel_files, _ENGINE),
    Wall("sandbox-mounts", "mounts", mounts, _BUG),
    Wall("sandbox-devices", "devices", devices, _BUG),
    Wall("sandbox-docker-socket", "sockets", sockets, _UNMOUNT),
    Wall("sandbox-environment", "environment", environment, _BUG),
    Wall("sandbox-processes", "processes", processes, _BUG),
    Wall("sandbox-ptrace", "ptrace", ptrace, _BUG),
    Wall("sandbox-mount", "mount", mount, _BUG),
    Wall("sandbox-syscalls", "system_calls", syscalls, _ENGINE),
    Wall("sandbox-socket-families", "socket_families", families, _ENGINE),
)
#: VerdictSummary of a container under runc.
FILTER: Final = Wall("system-calls", "system_calls", filtered, _ENGINE)
NEIGHBOUR: Final = Wall("sandbox-neighbour", "neighbour", neighbour, _BUG)


def connection_walls(
    loopback: Sequence[tuple[str, int]],
    host: Sequence[tuple[str, int]],
    metadata: Sequence[tuple[str, int]],
) -> tuple[Wall, ...]:
    """Return the walls before these addresses; the first are of this host's own loopback."""
    return (
        Wall("sandbox-loopback", "connections", connections(loopback), _NETWORK),
        Wall("sandbox-host", "connections", connections(host), _NETWORK),
        Wall("sandbox-metadata", "connections", connections(metadata), _NETWORK),
    )
