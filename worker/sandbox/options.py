"""What a sandbox may do, as pure data: the body of Docker's create request.

This is the whole of what Docker is told. No SDK stands between this dict and the wire, because
the SDK's own `create_container` adds the proxy variables of the user's Docker configuration
(which may hold credentials) to the container's environment. A golden file in the tests holds
the dict as a whole, so that any loosening is a visible change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from safeurl.ports.sandbox import SandboxOrder
from safeurl.settings.uids import DEFAULT_UIDS
from worker.sandbox import labels
from worker.sandbox.runtime import RUNSC
from worker.sandbox.seccomp import security_option

_MIB = 1024 * 1024
#: What gVisor itself needs below the limit, which counts the host's tasks: a fetch works with 64
#: in all and fails with 48.
_GVISOR_TASKS = 64

#: Queued signals and timers; the fetcher has none. All the host's users together may have as many
#: times more as there can be sandboxes.
_PENDING_SIGNALS = 128

#: Fills /etc/resolv.conf where nothing resolves names; what is not given, the engine copies from
#: the host's: servers, search list and options, which name the operator's network.
_NO_RESOLVER = {"Dns": ["127.0.0.1"], "DnsSearch": ["."], "DnsOptions": ["attempts:1"]}

#: Hidden: what the engine hides by default (a list of one's own replaces it), and what counts for
#: the whole host, or can be written by everybody, or tells of the host, and no fetch needs.
_MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list"),
    *("/proc/timer_stats",),
    # Holds /sys/firmware, /sys/devices/virtual/powercap and all else that the engine hides there.
    "/sys",
    # Terminals: one number of them for all containers of the host.
    "/dev/pts",
    # Triggers: memory that the kernel charges to nobody, and how busy the host is.
    "/proc/pressure",
    *("/proc/cmdline", "/proc/config.gz", "/proc/diskstats", "/proc/key-users", "/proc/locks"),
    *("/proc/modules", "/proc/partitions", "/proc/swaps"),
)

#: Where the fetcher looks for the gateway's socket.
EGRESS_MOUNT = "/run/egress"

#: All the environment a sandbox gets from us; a constant, so that nothing can leak into it.
ENVIRONMENT: tuple[str, ...] = ("HOME=/tmp", "LANG=C.UTF-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The caps of a sandbox, and whose it is."""

    image: str
    #: Label value that tells this installation's containers from others on the host.
    instance: str
    #: Memory and swap together; the tmpfs counts towards it.
    memory_mb: int = 512
    cpus: float = 0.5
    #: Processes and threads.
    pids_limit: int = 64
    tmpfs_mb: int = 64
    #: User ids of the host that belong to sandboxes.
    uids: range = DEFAULT_UIDS
    #: The one of them that this sandbox has; the room gives each its own. The group is the same.
    uid: int = DEFAULT_UIDS[0]
    #: An OCI runtime that the engine knows, or `auto`, which the room turns into one; None for
    #: the engine's default.
    runtime: str | None = None
    network: Literal["bridge", "none"] = "bridge"
    #: Resolvers for `bridge`; empty for those of the host.
    dns: tuple[str, ...] = ()


#: Makes the body of the create request; `container_options` for all but the doctor's probes.
Options = Callable[[SandboxSettings, SandboxOrder, datetime], dict[str, Any]]


def container_options(
    settings: SandboxSettings, order: SandboxOrder, deadline_at: datetime
) -> dict[str, Any]:
    """Return the complete JSON body of `POST /containers/create` for one attempt.

    Of the request only scan and attempt are used; what is to be fetched goes in on stdin.
    """
    request = order.request
    owner = labels.SandboxLabels(
        instance=settings.instance,
        scan=request.scan,
        attempt=request.attempt,
        deadline_at=deadline_at,
    )
    return {
        "Image": settings.image,
        "Hostname": "sandbox",
        "User": f"{settings.uid}:{settings.uid}",
        "Env": list(ENVIRONMENT),
        "Labels": labels.build(owner) | {labels.UID: str(settings.uid)},
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        # Without it the container would never see the end of its stdin.
        "StdinOnce": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(settings, order.egress_dir),
    }


def _host_config(settings: SandboxSettings, egress_dir: str | None) -> dict[str, Any]:
    runtime = {"Runtime": settings.runtime} if settings.runtime else {}
    return {
        **_resources(settings),
        **_isolation(settings),
        **_mounts(egress_dir),
        **_network(settings),
        **runtime,
        # `AutoRemove` loses the exit state: it races with inspect.
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        # What a sandbox prints is read once from the attached stream and kept nowhere else.
        "LogConfig": {"Type": "none"},
    }


def _resources(settings: SandboxSettings) -> dict[str, Any]:
    memory = settings.memory_mb * _MIB
    tmpfs = settings.tmpfs_mb * _MIB
    return {
        "Memory": memory,
        # The sum of memory and swap: equal means no swap on cgroup v2.
        "MemorySwap": memory,
        # The same for cgroup v1; engines on v2 discard it with a warning.
        "MemorySwappiness": 0,
        "NanoCpus": round(settings.cpus * 1_000_000_000),
        "PidsLimit": settings.pids_limit + (_GVISOR_TASKS if settings.runtime == RUNSC else 0),
        "ShmSize": _MIB,
        "Ulimits": [
            # With 0 the kernel would still start the program that `kernel.core_pattern` may name,
            # outside and as root; with 1 it starts none, and 1 byte is less than any core file.
            # The filter of system calls keeps code from turning 1 into 0.
            {"Name": "core", "Soft": 1, "Hard": 1},
            # What the kernel counts per user it also counts for whoever made a user namespace,
            # which is root for every sandbox of an engine that maps its users.
            {"Name": "msgqueue", "Soft": 0, "Hard": 0},
            {"Name": "sigpending", "Soft": _PENDING_SIGNALS, "Hard": _PENDING_SIGNALS},
            {"Name": "fsize", "Soft": tmpfs, "Hard": tmpfs},
            {"Name": "nofile", "Soft": 1024, "Hard": 1024},
        ],
        # When the host itself runs out of memory, sandboxes go first.
        "OomScoreAdj": 1000,
    }


def _isolation(settings: SandboxSettings) -> dict[str, Any]:
    return {
        "Privileged": False,
        "ReadonlyRootfs": True,
        "Tmpfs": {
            "/tmp": (  # noqa: S108 - a path inside the sandbox, not on this host
                f"rw,noexec,nosuid,nodev,size={settings.tmpfs_mb}m,nr_inodes=16384,"
                f"mode=0700,uid={settings.uid},gid={settings.uid}"
            )
        },
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", security_option(settings.network)],
        "MaskedPaths": list(_MASKED_PATHS),
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "Init": False,
        "Devices": [],
    }


def _mounts(egress_dir: str | None) -> dict[str, Any]:
    """Return the one thing of the host that a sandbox may see: its own gateway socket."""
    if egress_dir is None:
        return {"Mounts": []}
    mount = {"Type": "bind", "Source": egress_dir, "Target": EGRESS_MOUNT, "ReadOnly": True}
    return {"Mounts": [mount]}


def _network(settings: SandboxSettings) -> dict[str, Any]:
    if settings.network == "none":
        return {"NetworkMode": "none", **_NO_RESOLVER}
    return {
        "NetworkMode": "bridge",
        "Dns": list(settings.dns),
        # A dot stands for no search list: the host's own would complete a page's short names
        # to names inside the operator's network.
        "DnsSearch": ["."],
        "PortBindings": {},
        "PublishAllPorts": False,
    }
