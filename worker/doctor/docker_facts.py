"""What the Docker engine says of itself (`GET /info`), judged. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed, warned
from worker.sandbox.runtime import Runtimes, choose

#: What `GET /info` says; as many fields as the engine has, of any type.
Info = Mapping[str, Any]

_CAPS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "CPU time"}
_DRIFT = timedelta(seconds=5)
#: A clock outside these years makes leases, deadlines and certificates meaningless.
_YEARS = range(2025, 2100)


def runtime(settings: Settings, info: Info) -> Finding:
    """Fail on a runtime that the engine does not have, warn on one that is registered badly."""
    engine = Runtimes.read(info)
    wanted = settings.container_runtime or None
    choice = choose(wanted, settings.container_network, engine)
    name = choice.name or engine.default
    if name not in engine.arguments:
        advice = "Set CONTAINER_RUNTIME=auto, or register it with the engine."
        return failed("runtime", choice.warning or f"the engine has no runtime {name}", advice)
    if choice.warning:
        return warned("runtime", choice.warning, "Or set CONTAINER_RUNTIME=runc.")
    return passed("runtime", f"sandboxes run under {name}")


def cgroups(info: Info) -> Finding:
    """Fail where the kernel cannot cap a sandbox."""
    name = f"cgroup v{info.get('CgroupVersion', '?')}"
    missing = [word for field, word in _CAPS.items() if not info.get(field)]
    if missing:
        return failed(
            "cgroups",
            f"{name} does not cap {', '.join(missing)}",
            "Enable these cgroup controllers in the kernel; one page could starve the host.",
        )
    if not info.get("SwapLimit"):
        return warned(
            "cgroups",
            f"{name} caps memory, processes and CPU time, but not swap",
            "Boot with `swapaccount=1`, or turn swap off.",
        )
    return passed("cgroups", f"{name} caps memory, swap, processes and CPU time")


def seccomp(info: Info) -> Finding:
    """Fail where the engine cannot filter system calls; which profile it has does not matter."""
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
    """Say whether the engine's root is the host's; both are fine, since sandboxes are nobody."""
    names = {_fields(option).get("name") for option in _options(info)}
    if "rootless" in names:
        return passed("user-namespaces", "the engine runs without root")
    if "userns" in names:
        return passed("user-namespaces", "the engine maps its users to unprivileged ones")
    return passed("user-namespaces", "not used by the engine (userns-remap would be one more wall)")


def clock(info: Info, now: datetime) -> Finding:
    """Fail on an impossible year, warn where the engine's clock is not ours."""
    if now.year not in _YEARS:
        return failed("clock", f"this host is in the year {now.year}", "Set the clock (NTP).")
    try:
        theirs = datetime.fromisoformat(str(info.get("SystemTime")))
    except ValueError:
        return warned("clock", "the engine does not tell its time", "Update the Docker engine.")
    drift = abs(now - theirs.astimezone(UTC))
    if drift > _DRIFT:
        return warned(
            "clock",
            f"the engine's clock is {drift.total_seconds():.0f} s away from this process's",
            "Synchronise both (NTP): deadlines of sandboxes are kept by them.",
        )
    return passed("clock", f"{now:%Y-%m-%d %H:%M} UTC, the engine agrees")


def _options(info: Info) -> Sequence[str]:
    return info.get("SecurityOptions") or ()


def _fields(option: str) -> dict[str, str]:
    """Read `name=seccomp,profile=default`."""
    return dict(part.split("=", 1) for part in option.split(",") if "=" in part)
