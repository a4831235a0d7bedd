"""Evaluates what the Docker engine reports about itself (`GET /info`). Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from safeurl.settings import Settings
from safeurl.settings.uids import write_uids
from worker.doctor.finding import Finding, failed, passed, warned
from worker.sandbox.runtime import Runtimes, choose_runtime

#: The response to `GET /info`; the engine decides on the fields and their types.
Info = Mapping[str, Any]

_CAPS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "CPU time"}
#: The number of user ids that an engine's user namespace maps.
_MAPPED_UIDS = 65536
_DRIFT = timedelta(seconds=5)
#: A clock outside these years makes leases, deadlines and certificates meaningless.
_YEARS = range(2025, 2100)


def runtime(settings: Settings, info: Info) -> Finding:
    """Fail if the engine does not have the runtime; warn if it is registered badly."""
    engine = Runtimes.read(info)
    wanted = settings.container_runtime or None
    choice = choose_runtime(wanted, settings.container_network, engine)
    name = choice.name or engine.default
    if name not in engine.arguments:
        advice = "Set CONTAINER_RUNTIME=auto, or register it with the engine."
        return failed("runtime", choice.warning or f"the engine has no runtime {name}", advice)
    if choice.warning:
        return warned("runtime", choice.warning, "Or set CONTAINER_RUNTIME=runc.")
    return passed("runtime", f"sandboxes run under {name}")


def cgroups(info: Info) -> Finding:
    """Fail if the kernel cannot limit a sandbox."""
    name = f"cgroup v{info.get('CgroupVersion', '?')}"
    missing = [resource for field, resource in _CAPS.items() if not info.get(field)]
    if missing:
        return failed(
            "cgroups",
            f"{name} does not limit {', '.join(missing)}",
            "Enable these cgroup controllers in the kernel; one page could starve the host.",
        )
    if not info.get("SwapLimit"):
        return warned(
            "cgroups",
            f"{name} limits memory, processes and CPU time, but not swap",
            "Boot with `swapaccount=1`, or turn swap off.",
        )
    return passed("cgroups", f"{name} limits memory, swap, processes and CPU time")


def seccomp(info: Info) -> Finding:
    """Fail if the engine cannot filter system calls; the engine's own profile does not matter."""
    profiles = [_fields(option) for option in _options(info)]
    found = next((each for each in profiles if each.get("name") == "seccomp"), None)
    if found is None:
        return failed(
            "seccomp",
            "the engine cannot filter system calls, and starts no sandbox under runc",
            "Use a kernel with seccomp (CONFIG_SECCOMP_FILTER), and an engine built with it.",
        )
    own = found.get("profile", "default")
    return passed("seccomp", f"sandboxes bring their own profile; the engine's is {own}")


def user_namespaces(info: Info) -> Finding:
    """Report whether the engine's root is the host's root; both are safe: no sandbox is root."""
    name = _namespace(info)
    if name == "rootless":
        return passed("user-namespaces", "the engine runs without root")
    if name == "userns":
        return passed("user-namespaces", "the engine maps its users to unprivileged ones")
    return passed("user-namespaces", "not used by the engine (userns-remap would add a layer)")


def sandbox_users(settings: Settings, info: Info, accounts: Mapping[int, str]) -> Finding:
    """Report the user ids of sandboxes; warn if an account of this host has one of them.

    `accounts` are the names of the host's accounts by user id.
    """
    shown = f"each sandbox has a user id of its own, of {write_uids(settings.uids)}"
    is_mapped = _namespace(info) is not None
    if is_mapped and settings.uids[-1] >= _MAPPED_UIDS:
        return failed(
            "sandbox-users",
            f"SANDBOX_UIDS={settings.sandbox_uids}: the engine maps its users to other ones, "
            f"and none above {_MAPPED_UIDS - 1}",
            f"Remove SANDBOX_UIDS, or set it to a range below {_MAPPED_UIDS}.",
        )
    shared = [name for uid, name in sorted(accounts.items()) if uid in settings.uids]
    if shared and not is_mapped:
        return warned(
            "sandbox-users",
            f"{shown}; on this host such an id belongs to {shared[0]}",
            "Set SANDBOX_UIDS to a range that no account, service or container of this host has.",
        )
    where = "in the engine's user namespace" if is_mapped else "on this host"
    return passed("sandbox-users", f"{shown} {where}")


def _namespace(info: Info) -> str | None:
    """Return `rootless` or `userns` if the engine maps its users to others on the host."""
    names = {_fields(option).get("name") for option in _options(info)}
    return next((name for name in ("rootless", "userns") if name in names), None)


def clock(info: Info, now: datetime) -> Finding:
    """Fail on an impossible year; warn if the engine's clock differs from ours."""
    if now.year not in _YEARS:
        return failed("clock", f"this host is in the year {now.year}", "Set the clock (NTP).")
    try:
        theirs = datetime.fromisoformat(str(info.get("SystemTime")))
    except ValueError:
        return warned("clock", "the engine does not report its time", "Update the Docker engine.")
    drift = abs(now - theirs.astimezone(UTC))
    if drift > _DRIFT:
        return warned(
            "clock",
            f"the engine's clock is {drift.total_seconds():.0f} s away from this process's",
            "Synchronise both (NTP): the deadlines of sandboxes depend on them.",
        )
    return passed("clock", f"{now:%Y-%m-%d %H:%M} UTC, the engine agrees")


def _options(info: Info) -> Sequence[str]:
    return info.get("SecurityOptions") or ()


def _fields(option: str) -> dict[str, str]:
    """Parse an option such as `name=seccomp,profile=default`."""
    return dict(part.split("=", 1) for part in option.split(",") if "=" in part)
