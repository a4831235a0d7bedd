"""The options of a sandbox as pure data: the complete body of Docker's create request.

The dict is sent unchanged. The SDK's own `create_container` is not used, because it adds the proxy
variables of the user's Docker configuration (which may contain credentials) to the container's
environment. A golden file in the tests holds the whole dict, so that each change is visible.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from safeurl.model.sandbox import SandboxOrder
from safeurl.settings.uids import DEFAULT_UIDS
from worker.sandbox import labels
from worker.sandbox.runtime import RUNC, RUNSC
from worker.sandbox.seccomp import security_option

_MIB = 1024 * 1024
#: The tasks that gVisor itself needs within the limit, which counts the host's tasks: a fetch works
#: with 64 in total and fails with 48.
_GVISOR_TASKS = 64

#: Queued signals and timers; the fetcher uses none. The limit is per user id, so all sandboxes
#: together may have this many for each id.
_PENDING_SIGNALS = 128

#: The content of /etc/resolv.conf in a sandbox without DNS. The engine copies each missing part
#: from the host (servers, search list, options), which would disclose the operator's network.
_NO_RESOLVER = {"Dns": ["127.0.0.1"], "DnsSearch": ["."], "DnsOptions": ["attempts:1"]}

#: Hidden paths: those that the engine hides by default (this list replaces its own), and those that
#: affect the whole host, are writable by every user, or disclose facts about the host.
_MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
    *("/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list"),
    *("/proc/timer_stats",),
    # Contains /sys/firmware, /sys/devices/virtual/powercap and others that the engine hides.
    "/sys",
    # Terminals: all containers of the host share one limit.
    "/dev/pts",
    # Its triggers use kernel memory of no cgroup, and it shows how busy the host is.
    "/proc/pressure",
    *("/proc/cmdline", "/proc/config.gz", "/proc/diskstats", "/proc/key-users", "/proc/locks"),
    *("/proc/modules", "/proc/partitions", "/proc/swaps"),
)

#: The folder in which the fetcher expects the gateway's socket.
EGRESS_MOUNT = "/run/egress"

#: The program of an anchor, which docker/fetcher_tree.py writes into the fetcher's image.
ANCHOR_PROGRAM = "/anchor"
#: The engine accepts no lower memory limit.
_ANCHOR_MB = 6
#: One for the program, and what the runtime needs while it starts it.
_ANCHOR_TASKS = 16
#: The user of anchors; sandboxes never have it, and no anchor uses anything of a user.
_NOBODY = 65534

#: The complete environment of a sandbox; a constant, so that no secret can enter it.
ENVIRONMENT: tuple[str, ...] = ("HOME=/tmp", "LANG=C.UTF-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The limits of a sandbox, and the installation that it belongs to."""

    image: str
    #: The label value that distinguishes this installation's containers from others on the host.
    instance: str
    #: Limit of memory and swap together; the tmpfs counts towards it.
    memory_mb: int = 512
    cpus: float = 0.5
    #: Processes and threads.
    pids_limit: int = 64
    tmpfs_mb: int = 64
    #: The host's user ids that are reserved for sandboxes.
    uids: range = DEFAULT_UIDS
    #: The user id of this sandbox, chosen at its creation; the group id is the same.
    uid: int = DEFAULT_UIDS[0]
    #: An OCI runtime that the engine knows; `auto` to choose one at the creation; None for the
    #: engine's default.
    runtime: str | None = None
    network: Literal["bridge", "none"] = "bridge"
    #: DNS servers for `bridge`; empty for those of the host.
    dns: tuple[str, ...] = ()


#: Makes the body of the create request: `container_options`, or the doctor's own for its probes.
Options = Callable[[SandboxSettings, SandboxOrder, datetime], dict[str, Any]]


def container_options(
    settings: SandboxSettings, order: SandboxOrder, deadline_at: datetime
) -> dict[str, Any]:
    """Return the complete JSON body of `POST /containers/create` for one attempt.

    It contains scan and attempt, but not the URL: the request is sent on stdin.
    """
    owner = labels.SandboxLabels(
        instance=settings.instance,
        scan=order.scan,
        attempt=order.attempt,
        deadline_at=deadline_at,
    )
    return _body(settings, owner, _network(settings), order.egress_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a sandbox that is started ahead has instead of an attempt."""

    #: The id of the pool that starts it.
    pool: str
    #: The id and the folder of its gateway socket.
    egress: str
    egress_dir: str
    #: The container whose network namespace it uses; None for one of its own.
    anchor: str | None
    #: How long the fetcher waits for its request.
    idle_s: int


def ahead_options(settings: SandboxSettings, ahead: Ahead, deadline_at: datetime) -> dict[str, Any]:
    """Return the body for a sandbox that is started before there is an attempt.

    It differs from `container_options` in the labels, in the fetcher's arguments, and in whose
    network namespace it uses: that of an anchor has a loopback interface and nothing else, too.
    """
    owner = labels.SandboxLabels(
        instance=settings.instance, pool=ahead.pool, deadline_at=deadline_at
    )
    body = _body(settings, owner, _network(settings), ahead.egress_dir)
    body["Labels"][labels.EGRESS] = ahead.egress
    body["Cmd"] = ["--preload", "--idle-timeout", str(ahead.idle_s)]
    return body if ahead.anchor is None else join_anchor(body, ahead.anchor)


def join_anchor(body: dict[str, Any], anchor: str) -> dict[str, Any]:
    """Return the body of a sandbox that uses the network namespace of this container.

    The engine gives it the anchor's host name and resolver file, and refuses to have others.
    """
    others = {key: value for key, value in body.items() if key != "Hostname"}
    host = {key: value for key, value in body["HostConfig"].items() if key not in _NO_RESOLVER}
    return others | {"HostConfig": host | {"NetworkMode": f"container:{anchor}"}}


def anchor_options(settings: SandboxSettings, pool: str, deadline_at: datetime) -> dict[str, Any]:
    """Return the body for an anchor: a container without network whose program only waits.

    It has every wall of a sandbox and no mount. It needs one process and a few pages of memory. It
    always runs under runc: it runs no code but ours, and gVisor would cost as much as a sandbox.
    """
    owner = labels.SandboxLabels(
        instance=settings.instance, pool=pool, deadline_at=deadline_at, role=labels.ROLE_ANCHOR
    )
    small = replace(
        settings,
        runtime=RUNC,
        memory_mb=_ANCHOR_MB,
        tmpfs_mb=1,
        pids_limit=_ANCHOR_TASKS,
        uid=_NOBODY,
    )
    body = _body(small, owner, _network(small), None)
    del body["Labels"][labels.UID]
    return body | {
        "Entrypoint": [ANCHOR_PROGRAM],
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "OpenStdin": False,
        "StdinOnce": False,
    }


def _body(
    settings: SandboxSettings,
    owner: labels.SandboxLabels,
    network: dict[str, Any],
    egress_dir: str | None,
) -> dict[str, Any]:
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
        # Without it the container would never see end-of-file on its stdin.
        "StdinOnce": True,
        "Tty": False,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(settings, network, egress_dir),
    }


def _host_config(
    settings: SandboxSettings, network: dict[str, Any], egress_dir: str | None
) -> dict[str, Any]:
    runtime = {"Runtime": settings.runtime} if settings.runtime else {}
    return {
        **_resources(settings),
        **_isolation(settings),
        **_mounts(egress_dir),
        **network,
        **runtime,
        # `AutoRemove` loses the exit state: it races with inspect.
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        # The output is read from the attached stream; the engine must not store it.
        "LogConfig": {"Type": "none"},
    }


def _resources(settings: SandboxSettings) -> dict[str, Any]:
    memory = settings.memory_mb * _MIB
    tmpfs = settings.tmpfs_mb * _MIB
    return {
        "Memory": memory,
        # The sum of memory and swap; equal to `Memory` means no swap on cgroup v2.
        "MemorySwap": memory,
        # No swap on cgroup v1; engines on v2 ignore it with a warning.
        "MemorySwappiness": 0,
        "NanoCpus": round(settings.cpus * 1_000_000_000),
        "PidsLimit": settings.pids_limit + (_GVISOR_TASKS if settings.runtime == RUNSC else 0),
        "ShmSize": _MIB,
        "Ulimits": [
            # With 0 the kernel would still start the program of `kernel.core_pattern`, on the host
            # and as root. With 1 it starts none, and no core file fits into 1 byte. The seccomp
            # filter keeps code from changing 1 into 0.
            {"Name": "core", "Soft": 1, "Hard": 1},
            # The kernel counts these per user and also for the creator of a user namespace, which
            # is root for every sandbox of an engine with user namespaces.
            {"Name": "msgqueue", "Soft": 0, "Hard": 0},
            {"Name": "sigpending", "Soft": _PENDING_SIGNALS, "Hard": _PENDING_SIGNALS},
            {"Name": "fsize", "Soft": tmpfs, "Hard": tmpfs},
            {"Name": "nofile", "Soft": 1024, "Hard": 1024},
        ],
        # If the host runs out of memory, the kernel kills sandboxes first.
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
    """Return the only mount of a sandbox: the folder of its own gateway socket."""
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
        # A dot means no search list. The host's list would complete the short names of a page to
        # names inside the operator's network.
        "DnsSearch": ["."],
        "PortBindings": {},
        "PublishAllPorts": False,
    }
