"""Chooses the OCI runtime of a sandbox: a pure function of the settings and the engine's runtimes.

gVisor's `runsc` runs hostile code on its own kernel instead of the host's. It is used only if its
registration is suitable: no network stack, and permission to open unix sockets, of which the
read-only mount holds one. It cannot be used with Docker's bridge, because it has no network.

The differences under runsc; tests in tests/integration/test_sandbox_*.py check each of them:

=================  =====================================  =====================================
what               runc                                   runsc
=================  =====================================  =====================================
kernel             the host's                             gVisor's; the host's serves gVisor only
seccomp            our profile on the code itself         gVisor's own filter on gVisor; the
                                                          status of the code shows none
W+X memory,        refused                                they succeed, inside gVisor only
memfd programs,
io_uring
programs in /tmp   do not run, cannot be mapped           do not run; the loader maps them,
                                                          inside gVisor only
core files         none, and no program of the host is    none: what crashes is known to gVisor
                   started at a crash                     alone
terminals          none                                   gVisor's own
hidden in /proc,   what options.py lists                  nothing; all of it is gVisor's own
/sys
user namespaces    `unshare` is refused                   it succeeds, inside gVisor only
process limit      a fork fails and the sandbox goes on   host threads are counted, gVisor's own
                                                          among them, so some are added; at the
                                                          limit gVisor ends with status 2: crashed
memory, PID 1      status 137 and `OOMKilled`             status 137; `OOMKilled` can be lost,
                                                          but not the kernel's signal (`memory`)
memory, a child    the child dies, its parent goes on     all die, status 137, reported likewise
user id            the sandbox's own on the host          its own inside; all gVisors are nobody
                                                          on the host, each in a namespace of its
                                                          own, and give out none of its per-user
                                                          limits
size of /tmp       capped                                 capped
files in /tmp      16,384                                 bounded by memory alone
open files         capped                                 capped
SIGKILL, signals   128 + n                                128 + n
no network         EAFNOSUPPORT: no socket opens          EHOSTUNREACH
/proc/self/status  all fields                             no `NoNewPrivs`, no `CapAmb`
start              as ever                                see tests/bench/runtime.py
=================  =====================================  =====================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Literal

AUTO: Final = "auto"
RUNC: Final = "runc"
RUNSC: Final = "runsc"

_REPAIR = "Remove it from the engine's configuration and run docker/gvisor.sh."


@dataclass(frozen=True, slots=True)
class Runtimes:
    """The runtimes of an engine."""

    default: str = RUNC
    #: By name: the arguments of each runtime.
    arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, info: Mapping[str, Any]) -> "Runtimes":
        """Read the response of the engine to `GET /info`."""
        listed = info.get("Runtimes") or {}
        return cls(
            default=str(info.get("DefaultRuntime") or RUNC),
            arguments={name: tuple(it.get("runtimeArgs") or ()) for name, it in listed.items()},
        )


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime for sandboxes, and a warning for the operator."""

    #: None for the engine's default.
    name: str | None
    #: One or two sentences; empty if there is no problem.
    warning: str = ""


def choose_runtime(
    wanted: str | None, network: Literal["bridge", "none"], engine: Runtimes
) -> RuntimeChoice:
    """Return the runtime for sandboxes.

    `auto` never fails: if runsc is missing or unsuitable, it is the engine's default, or runc if
    that default is runsc. A name is used unchanged.
    """
    if not wanted:
        return RuntimeChoice(None)
    unsuitable = _unsuitable(engine.arguments[RUNSC]) if RUNSC in engine.arguments else ""
    if wanted != AUTO:
        return RuntimeChoice(wanted, _warning_for(wanted, unsuitable, engine))
    if network == "none" and RUNSC in engine.arguments and not unsuitable:
        return RuntimeChoice(RUNSC)
    fallback = RUNC if engine.default == RUNSC else engine.default
    if network == "none" and unsuitable:
        return RuntimeChoice(
            fallback, f"gVisor is not used: its runtime runsc is registered {unsuitable}. {_REPAIR}"
        )
    return RuntimeChoice(fallback)


def _warning_for(wanted: str, unsuitable: str, engine: Runtimes) -> str:
    if wanted not in engine.arguments:
        return f"The engine lists no runtime {wanted}, which CONTAINER_RUNTIME names."
    if wanted == RUNSC and unsuitable:
        return f"Sandboxes may fail or lack walls: runsc is registered {unsuitable}. {_REPAIR}"
    return ""


def _unsuitable(arguments: Sequence[str]) -> str:
    """Return the faults of runsc's arguments, to follow "registered"; empty if there are none."""
    flags = _flags(arguments)
    faults = []
    if flags.get("network") != "none":
        faults.append("without --network=none")
    if flags.get("host-uds") not in {"open", "all"} and not _is_on(flags, "fsgofer-host-uds"):
        faults.append("without --host-uds=open")
    if _is_on(flags, "ignore-cgroups"):
        faults.append("with --ignore-cgroups, which lifts every cap")
    return " and ".join(faults)


def _is_on(flags: Mapping[str, str], name: str) -> bool:
    # The spellings of Go's boolean flags; any other value counts as off.
    return flags.get(name, "false") in {"1", "t", "T", "true", "TRUE", "True"}


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """Parse Go flags: one or two dashes, value after `=` or in the next word, default `true`."""
    flags = {}
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, has_value, value = word.lstrip("-").partition("=")
        if not has_value:
            value = following if following and not following.startswith("-") else "true"
        if word.startswith("-"):
            flags[name] = value
    return flags
