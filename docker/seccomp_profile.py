#!/usr/bin/env python3
"""Writes the seccomp profiles of the sandbox from recorded and from listed system calls.

`seccomp_profile.py` writes worker/sandbox/profiles/*.json; `seccomp_profile.py --check` writes
nothing and exits with 1 where one of them is not what would be written. The sources are
docker/seccomp/http.toml, which says why each call is there, and the traces beside it. Only the
standard library is needed.
"""

import errno
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "docker/seccomp"
PROFILES = ROOT / "worker/sandbox/profiles"

#: By profile: the traces whose calls it allows, and the groups of http.toml that replace others.
VARIANTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "http": (("http",), ()),
    "http_bridge": (("http", "http_bridge"), ("bridge",)),
}
#: Those of runc and its kin; other machines are not built for. No second architecture is listed
#: for any: a call through the 32-bit entry or the x32 ABI ends the process.
_ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")

#: JSON of a profile, as Docker reads it.
Profile = dict[str, Any]
#: A table of http.toml.
Group = Mapping[str, Any]


def profile(name: str) -> Profile:
    """Return a profile as Docker reads it."""
    traces, replacing = VARIANTS[name]
    groups = tomllib.loads((SOURCES / "http.toml").read_text(encoding="utf-8"))
    matched = {call: group for group in groups["match"] for call in group["names"]}
    matched |= {
        call: group for key in replacing for group in groups[key] for call in group["names"]
    }
    missing = _names(groups["missing"])
    traced = {line.split()[0] for each in traces for line in trace(each)}
    allowed = (traced | _names(groups["allow"])) - missing - matched.keys()
    rules: list[dict[str, Any]] = [
        {"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"},
        {"names": sorted(missing), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    ]
    for call in sorted(matched):
        rules += _matching(call, matched[call])
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "archMap": [{"architecture": each, "subArchitectures": []} for each in _ARCHITECTURES],
        "syscalls": rules,
    }


def trace(name: str) -> list[str]:
    """Return the lines of a trace: a call's name, and the arguments that a filter may look at."""
    return (SOURCES / f"{name}.trace").read_text(encoding="utf-8").splitlines()


def _names(groups: Iterable[Group]) -> set[str]:
    return {name for group in groups for name in group["names"]}


def _matching(call: str, group: Group) -> list[dict[str, Any]]:
    """Return the rules of a call that is allowed with some arguments."""
    rules: list[dict[str, Any]] = [
        {
            "names": [call],
            "action": "SCMP_ACT_ALLOW",
            "args": [_condition(each) for each in conditions],
        }
        for conditions in group["arguments"]
    ]
    other = group.get("otherwise")
    if other is not None:
        differs = {"index": other["index"], "value": other["value"], "op": "SCMP_CMP_NE"}
        rules.append(
            {
                "names": [call],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": getattr(errno, other["errno"]),
                "args": [differs],
            }
        )
    return rules


def _condition(given: Group) -> dict[str, Any]:
    if "mask" not in given:
        return {"index": given["index"], "value": given["value"], "op": "SCMP_CMP_EQ"}
    return {
        "index": given["index"],
        "value": given["mask"],
        "valueTwo": given["value"],
        "op": "SCMP_CMP_MASKED_EQ",
    }


def written(name: str) -> str:
    """Return a profile's file."""
    return json.dumps(profile(name), indent=1) + "\n"


def main(arguments: Sequence[str]) -> str | None:
    """Write the profiles, or compare them; a text says which are not up to date."""
    stale = []
    for name in VARIANTS:
        path = PROFILES / f"{name}.json"
        if not path.exists() or path.read_text(encoding="utf-8") != written(name):
            stale.append(path.name)
            if "--check" not in arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(written(name), encoding="utf-8")
    if "--check" in arguments and stale:
        return f"not what docker/seccomp_profile.py would write: {', '.join(stale)}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
