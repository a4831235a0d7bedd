"""Evaluates the facts that the probe reported from inside a sandbox. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from safeurl.settings.uids import DEFAULT_UIDS, write_uids
from worker.doctor.finding import Evaluation, Finding, failed, finding_from_faults
from worker.doctor.probe_runner import ProbeRun

#: The facts of a vector: JSON, whose shape the docstring of the vector describes.
Facts = Any

_CAPABILITIES: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_FILTERED: Final = "2"
#: The runtime creates these: private to the container, and read-only or limited memory.
_RUNTIME_MOUNTS: Final = ("/proc", "/sys", "/dev")
_OWN_MOUNTS: Final = frozenset(
    {"/", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/egress"}  # noqa: S108 - inside the sandbox
)
#: The results that our seccomp profile causes; SIGSYS ends a call by another ABI. A kernel without
#: a 32-bit entry ends the process with SIGSEGV.
_FILTER_RESULTS: Final = frozenset({"EPERM", "ENOSYS", "EAFNOSUPPORT", "SIGSYS", "SIGSEGV"})
#: These must fail under every kernel. Other calls may succeed under gVisor: its own kernel serves
#: memory, programs, tracing and io_uring, and the host's kernel is not involved.
_NEVER: Final = (
    *("vsock", "vsock_high_bit", "bpf", "perf_event_open", "userfaultfd", "kexec_load"),
    *("init_module", "finit_module"),
    *("open_by_handle_at", "modify_ldt", "iopl", "ioperm", "setns", "tiocsti", "reboot", "acct"),
    *("sethostname", "setuid", "swapon", "quotactl", "pivot_root"),
)
#: UNIX, INET, INET6, NETLINK and PACKET of gVisor's own network, which is connected to no other.
_GVISOR_FAMILIES: Final = frozenset({1, 2, 10, 16, 17})
#: Devices of gVisor's own kernel, which give no access to the host.
_GVISOR_DEVICES: Final = frozenset({"/dev/fuse", "/dev/net/tun"})

_BUG: Final = (
    "The container does not have the options that it was created with: look for another program "
    "that changes containers, and check the runtime."
)
_ENGINE: Final = "Check the engine's configuration (daemon.json) and its runtime."
_UNMOUNT: Final = "Remove the mount: access to Docker's socket is root access to this host."
_NETWORK: Final = "Set CONTAINER_NETWORK=none, and look for programs that attach networks."


@dataclass(frozen=True, slots=True)
class ExpectedSandbox:
    """The facts that an isolated sandbox reports, as far as settings decide on them."""

    #: The environment, `name=value`, from the options and from the image.
    environment: frozenset[str] = frozenset()
    #: The user ids of sandboxes; each sandbox has one of them.
    uids: range = DEFAULT_UIDS
    #: Values that no sandbox may contain.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: The socket families that may be opened: UNIX, for a bridge also IPv4 and IPv6.
    families: frozenset[int] = frozenset({1})
    #: True if gVisor's kernel, and not the host's, serves system calls.
    gvisor: bool = False


Evaluate = Callable[[Facts, ExpectedSandbox], Evaluation]


@dataclass(frozen=True, slots=True)
class IsolationCheck:
    """One line of the doctor's output: the vector, the evaluation of its facts, and the advice."""

    name: str
    vector: str
    evaluate: Evaluate
    advice: str

    def finding(self, run: ProbeRun, expected: ExpectedSandbox) -> Finding:
        """Return the finding; a vector without facts proves nothing and fails."""
        try:
            faults, fine = self.evaluate(run.facts(self.vector), expected)
        except LookupError as error:
            return failed(self.name, f"not tested: {error}", _BUG)
        return finding_from_faults(self.name, faults, fine, self.advice)


def interfaces(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that loopback is the only interface."""
    faults = [f"there is an interface {name}" for name in facts if name != "lo"]
    return faults, "only lo"


def routes(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that no route leads out."""
    faults = [f"a route leads out: {route}" for route in facts]
    return faults, "none"


def connections(addresses: Sequence[tuple[str, int]]) -> Evaluate:
    """Return a check that none of these addresses can be reached."""

    def evaluate(facts: Facts, _: ExpectedSandbox) -> Evaluation:
        ended = {host: facts[f"{host} {port}"] for host, port in addresses}
        faults = [
            f"{where}: {'reached' if how == 'connected' else 'a route leads there'}"
            for where, how in ended.items()
            if how in {"connected", "route"}
        ]
        return faults, f"unreachable: {', '.join(ended)}"

    return evaluate


def dns(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that no resolver answers."""
    words = {"answered": "a resolver answers", "route": "a route leads to resolvers"}
    faults = [words[facts]] if facts in words else []
    return faults, "no resolver is reached"


def neighbour(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that another sandbox's gateway socket cannot be reached."""
    faults = [f"{path} was reached" for path, how in facts["connect"].items() if how == "connected"]
    faults += [f"/run/egress shows {name}" for name in facts["folder"] if name != "egress.sock"]
    fine = "another sandbox's gateway socket is not visible"
    return faults, fine


def user(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that the sandbox's code runs as one of the users of sandboxes."""
    held = {name: set(facts[name]) for name in ("Uid", "Gid", "Groups")}
    uids = write_uids(expected.uids)
    faults = [
        f"{name} is {' '.join(facts[name])}, not one of {uids}"
        for name, numbers in held.items()
        if len(numbers) != 1 or not all(int(number) in expected.uids for number in numbers)
    ]
    if not faults and len(set.union(*held.values())) != 1:
        faults = ["the group is another sandbox's"]
    return faults, f"uid, gid and groups are {facts['Uid'][0]}, one of {uids}"


def capabilities(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that every capability set is empty; gVisor's kernel has no ambient set."""
    names = _CAPABILITIES[:-1] if expected.gvisor else _CAPABILITIES
    faults = [f"{name} is {facts[name][0]}" for name in names if int(facts[name][0], 16)]
    return faults, "none, in no set"


def privileges(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that no program can gain new privileges."""
    if expected.gvisor and "NoNewPrivs" not in facts:
        return [], "gVisor's kernel does not report it; its users are not the host's"
    faults = [] if facts["NoNewPrivs"] == ["1"] else ["no_new_privs is not set"]
    return faults, "a set-uid program gains none"


def seccomp(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that system calls are filtered."""
    if expected.gvisor:
        return [], "gVisor's kernel serves them, not the host's"
    faults = [] if facts["Seccomp"] == [_FILTERED] else ["system calls are not filtered"]
    return faults, "system calls are filtered"


def root(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that the root file system is read-only."""
    faults = [] if "ro" in facts["options"] else ["the root file system is writable"]
    faults += [f"{path} was written" for path in facts["written"]]
    return faults, "read-only"


def kernel_files(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that the kernel's own files cannot be written."""
    faults = [f"{path} can be written" for path in facts]
    return faults, "none can be written"


def mounts(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that the only mount from the host is the gateway's folder, read-only."""
    faults = [
        f"{path} is mounted ({how})" for path, how in facts["mounts"].items() if _foreign(path)
    ]
    egress = facts["mounts"].get("/run/egress", "ro").split(",")
    if "ro" not in egress or facts["create"] or facts["rename"]:
        faults.append("the gateway's folder can be written")
    return faults, "only its gateway socket, read-only"


def _foreign(path: str) -> bool:
    top = "/" + path.split("/")[1]
    return path not in _OWN_MOUNTS and top not in _RUNTIME_MOUNTS


def devices(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that no device of the host exists and none can be created."""
    own = _GVISOR_DEVICES if expected.gvisor else frozenset()
    faults = [f"there is {path}" for path in facts["found"] if path not in own]
    if facts["used"] or (facts["made"] == "done" and not expected.gvisor):
        faults.append("a disk's device node could be created")
    return faults, "none of the host's, and none can be created"


def sockets(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that the sandbox's own gateway socket is the only socket, and Docker's is absent."""
    faults = [
        f"there is a socket {path}" for path in facts["found"] if path != "/run/egress/egress.sock"
    ]
    faults += [f"{path} answers" for path, how in facts["connect"].items() if how == "connected"]
    return faults, "none, and no other socket"


def environment(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that the environment contains only expected constants, and no secret."""
    faults = [
        f"{entry.partition('=')[0]} is not expected"
        for entry in facts
        if entry not in expected.environment
    ]
    if any(secret in entry for secret in expected.secrets for entry in facts):
        faults.append("a secret of the settings is in it")
    fine = f"{len(facts)} constants, no secret"
    return faults, fine


def processes(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that no other process is visible."""
    faults = [f"process {process} is visible" for process in facts]
    return faults, "no other is visible"


def ptrace(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that no other process can be traced."""
    faults = [f"process {pid} could be traced" for pid in facts]
    return faults, "no process can be traced"


def mount(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that nothing can be mounted."""
    faults = [f"{what} was not refused" for what, how in facts.items() if how == "done"]
    return faults, f"{', '.join(facts)}: refused"


def syscalls(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that system calls with a large attack surface in the kernel are refused.

    Under the host's kernel our filter must refuse each: any other error comes from the kernel,
    which has then processed the call.
    """
    if expected.gvisor:
        faults = [f"{name} was not refused" for name, how in facts.items() if _is_gap(name, how)]
        own = [name for name, how in facts.items() if how == "done" and not _is_gap(name, how)]
        return faults, f"{len(facts) - len(own)} refused; gVisor's own kernel: {', '.join(own)}"
    return _unfiltered(facts), f"refused: {', '.join(facts)}"


def _is_gap(name: str, how: str) -> bool:
    return how == "done" and name in _NEVER


def filtered(facts: Facts, _: ExpectedSandbox) -> Evaluation:
    """Check that a sandbox under runc has our filter, whichever runtime scans use."""
    return _unfiltered(facts), f"under runc all of {len(facts)} calls are refused"


def _unfiltered(facts: Facts) -> list[str]:
    """Return the calls that the filter did not refuse with an error or a signal."""
    return [
        f"{name} was not refused" + ("" if how == "done" else f" by the filter ({how})")
        for name, how in facts.items()
        if how not in _FILTER_RESULTS
    ]


def families(facts: Facts, expected: ExpectedSandbox) -> Evaluation:
    """Check that only the expected socket families can be opened; gVisor has more of its own."""
    own = _GVISOR_FAMILIES if expected.gvisor else expected.families
    can_open = sorted({*facts["plain"], *facts["high_bit"]} - own)
    faults = [f"sockets of family {family} can be opened" for family in can_open]
    listed = ", ".join(map(str, sorted({*facts["plain"]}))) or "none"
    return faults, f"of all families only: {listed}"


#: The checks that are the same on every host, in the order in which they are reported.
ISOLATION_CHECKS: Final = (
    IsolationCheck("sandbox-interfaces", "interfaces", interfaces, _NETWORK),
    IsolationCheck("sandbox-routes", "routes", routes, _NETWORK),
    IsolationCheck("sandbox-dns", "dns", dns, _NETWORK),
    IsolationCheck("sandbox-user", "identity", user, _BUG),
    IsolationCheck("sandbox-capabilities", "identity", capabilities, _BUG),
    IsolationCheck("sandbox-no-new-privileges", "identity", privileges, _BUG),
    IsolationCheck("sandbox-seccomp", "identity", seccomp, _ENGINE),
    IsolationCheck("sandbox-root", "root", root, _BUG),
    IsolationCheck("sandbox-kernel-files", "kernel_files", kernel_files, _ENGINE),
    IsolationCheck("sandbox-mounts", "mounts", mounts, _BUG),
    IsolationCheck("sandbox-devices", "devices", devices, _BUG),
    IsolationCheck("sandbox-docker-socket", "sockets", sockets, _UNMOUNT),
    IsolationCheck("sandbox-environment", "environment", environment, _BUG),
    IsolationCheck("sandbox-processes", "processes", processes, _BUG),
    IsolationCheck("sandbox-ptrace", "ptrace", ptrace, _BUG),
    IsolationCheck("sandbox-mount", "mount", mount, _BUG),
    IsolationCheck("sandbox-syscalls", "system_calls", syscalls, _ENGINE),
    IsolationCheck("sandbox-socket-families", "socket_families", families, _ENGINE),
)
#: Checks a container under runc.
SECCOMP_CHECK: Final = IsolationCheck("system-calls", "system_calls", filtered, _ENGINE)
NEIGHBOUR_CHECK: Final = IsolationCheck("sandbox-neighbour", "neighbour", neighbour, _BUG)


def connection_checks(
    loopback: Sequence[tuple[str, int]],
    host: Sequence[tuple[str, int]],
    metadata: Sequence[tuple[str, int]],
) -> tuple[IsolationCheck, ...]:
    """Return the checks for addresses of loopback, of this host and of metadata services."""
    return (
        IsolationCheck("sandbox-loopback", "connections", connections(loopback), _NETWORK),
        IsolationCheck("sandbox-host", "connections", connections(host), _NETWORK),
        IsolationCheck("sandbox-metadata", "connections", connections(metadata), _NETWORK),
    )
