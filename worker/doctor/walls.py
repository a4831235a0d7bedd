"""Judges what the probe saw inside a sandbox of its walls. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from worker.doctor.finding import Finding, failed, passed

#: Facts of a vector, as the probe's docstrings describe them: JSON of any shape.
Seen = Any

_NOBODY: Final = "65534"
_CAPABILITIES: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_FILTERED: Final = "2"
#: Made by the runtime, private to the container, and either read-only or memory that is capped.
_RUNTIME_MOUNTS: Final = ("/proc", "/sys", "/dev")
_OWN_MOUNTS: Final = frozenset(
    {"/", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/egress"}  # noqa: S108 - inside the sandbox
)
#: gVisor's own, made by its kernel; behind them is nothing of the host.
_GVISOR_DEVICES: Final = frozenset({"/dev/fuse", "/dev/net/tun"})

_BUG: Final = (
    "The container did not get the options that it was made with: look for another program that "
    "changes containers, and at the runtime."
)
_ENGINE: Final = "Look at the engine's configuration (daemon.json) and its runtime."
_NETWORK: Final = "Set CONTAINER_NETWORK=none, and look for programs that attach networks."


@dataclass(frozen=True, slots=True)
class Expected:
    """What the sandbox should find, beside what is the same everywhere."""

    #: `name=value`, of the options and of the image.
    environment: frozenset[str] = frozenset()
    #: Values that may be in no sandbox.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: Another kernel than the host's answers system calls.
    gvisor: bool = False


Judge = Callable[[Seen, Expected], Finding]


def ruled(name: str, faults: Iterable[str], fine: str, advice: str) -> Finding:
    """Return a failure that lists the faults, or a pass where there is none."""
    listed = "; ".join(faults)
    return failed(name, listed, advice) if listed else passed(name, fine)


def interfaces(seen: Seen, _: Expected) -> Finding:
    """Judge that there is no interface but loopback."""
    faults = [f"there is an interface {name}" for name in seen if name != "lo"]
    return ruled("sandbox-interfaces", faults, "only lo", _NETWORK)


def routes(seen: Seen, _: Expected) -> Finding:
    """Judge that no route leads out."""
    faults = [f"a route leads out: {route}" for route in seen]
    return ruled("sandbox-routes", faults, "none", _NETWORK)


def connections(name: str, addresses: Sequence[tuple[str, int]], what: str) -> Judge:
    """Return the judge of connections to these addresses."""

    def judge(seen: Seen, _: Expected) -> Finding:
        ended = {f"{host} {port}": seen[f"{host} {port}"] for host, port in addresses}
        faults = [
            f"{where}: {'reached' if how == 'connected' else 'a route leads there'}"
            for where, how in ended.items()
            if how in {"connected", "route"}
        ]
        return ruled(name, faults, f"{what}: out of reach ({len(ended)} tried)", _NETWORK)

    return judge


def dns(seen: Seen, _: Expected) -> Finding:
    """Judge that no resolver answers."""
    words = {"answered": "a resolver answers", "route": "a route leads to resolvers"}
    faults = [words[seen]] if seen in words else []
    return ruled("sandbox-dns", faults, "no resolver is reached", _NETWORK)


def neighbour(seen: Seen, _: Expected) -> Finding:
    """Judge that another sandbox's gateway socket is out of reach."""
    faults = [f"{path} was reached" for path, how in seen["knocked"].items() if how == "connected"]
    faults += [f"/run/egress shows {name}" for name in seen["folder"] if name != "egress.sock"]
    fine = "another sandbox's gateway socket is not in sight"
    return ruled("sandbox-neighbour", faults, fine, _BUG)


def user(seen: Seen, _: Expected) -> Finding:
    """Judge that the sandbox's code is nobody."""
    faults = [
        f"{name} is {' '.join(seen[name])}"
        for name in ("Uid", "Gid", "Groups")
        if set(seen[name]) != {_NOBODY}
    ]
    return ruled("sandbox-user", faults, f"uid, gid and groups are {_NOBODY}", _BUG)


def capabilities(seen: Seen, _: Expected) -> Finding:
    """Judge that no set holds a capability."""
    faults = [f"{name} is {seen[name][0]}" for name in _CAPABILITIES if _is_held(seen, name)]
    return ruled("sandbox-capabilities", faults, "none, in no set", _BUG)


def _is_held(status: Mapping[str, list[str]], name: str) -> bool:
    # gVisor's kernel knows no ambient set.
    return int(status[name][0], 16) != 0 if name in status else False


def privileges(seen: Seen, expected: Expected) -> Finding:
    """Judge that no program can bring new privileges."""
    name, fine = "sandbox-no-new-privileges", "a set-uid program gives none"
    if expected.gvisor and "NoNewPrivs" not in seen:
        return passed(name, "gVisor's kernel does not tell; its users are not the host's")
    faults = [] if seen["NoNewPrivs"] == ["1"] else ["no_new_privs is not set"]
    return ruled(name, faults, fine, _BUG)


def seccomp(seen: Seen, expected: Expected) -> Finding:
    """Judge that system calls are filtered."""
    if expected.gvisor:
        return passed("sandbox-seccomp", "gVisor's kernel answers, and not the host's")
    faults = [] if seen["Seccomp"] == [_FILTERED] else ["system calls are not filtered"]
    return ruled("sandbox-seccomp", faults, "system calls are filtered", _ENGINE)


def root(seen: Seen, _: Expected) -> Finding:
    """Judge that the root file system is read-only."""
    faults = [] if "ro" in seen["options"] else ["the root file system is mounted writable"]
    faults += [f"{path} was written" for path in seen["written"]]
    return ruled("sandbox-root", faults, "read-only", _BUG)


def kernel_files(seen: Seen, _: Expected) -> Finding:
    """Judge that the kernel's own files cannot be written."""
    faults = [f"{path} can be written" for path in seen]
    return ruled("sandbox-kernel-files", faults, "none can be written", _ENGINE)


def mounts(seen: Seen, _: Expected) -> Finding:
    """Judge that nothing of the host is mounted but the gateway's folder, and that read-only."""
    faults = [
        f"{path} is mounted ({how})" for path, how in seen["mounts"].items() if _foreign(path)
    ]
    egress = seen["mounts"].get("/run/egress", "ro").split(",")
    if "ro" not in egress or seen["create"] or seen["rename"]:
        faults.append("the gateway's folder can be written")
    return ruled("sandbox-mounts", faults, "only its gateway socket, read-only", _BUG)


def _foreign(path: str) -> bool:
    top = "/" + path.split("/")[1]
    return path not in _OWN_MOUNTS and top not in _RUNTIME_MOUNTS


def devices(seen: Seen, expected: Expected) -> Finding:
    """Judge that no device of the host is there, and none can be made."""
    own = _GVISOR_DEVICES if expected.gvisor else frozenset()
    faults = [f"there is {path}" for path in seen["found"] if path not in own]
    if seen["used"] or (seen["made"] == "done" and not expected.gvisor):
        faults.append("a disk's device node could be made")
    return ruled("sandbox-devices", faults, "none of the host's, and none can be made", _BUG)


def sockets(seen: Seen, _: Expected) -> Finding:
    """Judge that no socket is there but the sandbox's own, Docker's least of all."""
    faults = [
        f"there is a socket {path}" for path in seen["found"] if path != "/run/egress/egress.sock"
    ]
    faults += [f"{path} answers" for path, how in seen["knocked"].items() if how == "connected"]
    advice = "Remove the mount: who reaches Docker's socket is root on this host."
    return ruled("sandbox-docker-socket", faults, "none, and no other socket", advice)


def environment(seen: Seen, expected: Expected) -> Finding:
    """Judge that the environment holds constants, and no secret of ours."""
    faults = [
        f"{entry.partition('=')[0]} is not ours"
        for entry in seen
        if entry not in expected.environment
    ]
    if any(secret in entry for secret in expected.secrets for entry in seen):
        faults.append("a secret of the settings is in it")
    fine = f"{len(seen)} constants, no secret"
    return ruled("sandbox-environment", faults, fine, _BUG)


def processes(seen: Seen, _: Expected) -> Finding:
    """Judge that no other process is in sight."""
    faults = [f"process {process} is in sight" for process in seen]
    return ruled("sandbox-processes", faults, "no other is in sight", _BUG)


def ptrace(seen: Seen, _: Expected) -> Finding:
    """Judge that no other process can be traced."""
    faults = [f"process {pid} could be traced" for pid in seen]
    return ruled("sandbox-ptrace", faults, "no process can be traced", _BUG)


def mount(seen: Seen, _: Expected) -> Finding:
    """Judge that nothing can be mounted."""
    faults = [f"{what} was not refused" for what, how in seen.items() if how == "done"]
    return ruled("sandbox-mount", faults, f"{', '.join(seen)}: refused", _BUG)


def syscalls(seen: Seen, expected: Expected) -> Finding:
    """Judge that system calls which open ways into the kernel are refused."""
    # gVisor gives out user namespaces of its own kernel.
    own = {"unshare"} if expected.gvisor else set()
    faults = [f"{name} was not refused" for name, how in seen.items() if how == "done"]
    faults = [fault for fault in faults if fault.split()[0] not in own]
    return ruled("sandbox-syscalls", faults, f"{', '.join(seen)}: refused", _ENGINE)
