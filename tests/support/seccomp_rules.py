"""Evaluates a seccomp profile of Docker as the kernel would, without a kernel."""

from collections.abc import Mapping
from typing import Any

_REGISTER = (1 << 64) - 1


def decide(profile: Mapping[str, Any], call: str, arguments: Mapping[int, int]) -> str:
    """Return `allow`, or the error number that the call gets."""
    for rule in profile["syscalls"]:
        if call in rule["names"] and all(_holds(each, arguments) for each in rule.get("args", ())):
            allows = rule["action"] == "SCMP_ACT_ALLOW"
            return "allow" if allows else str(rule["errnoRet"])
    return str(profile["defaultErrnoRet"])


def _holds(condition: Mapping[str, Any], arguments: Mapping[int, int]) -> bool:
    value = arguments.get(condition["index"], 0) & _REGISTER
    if condition["op"] == "SCMP_CMP_MASKED_EQ":
        return bool(value & condition["value"] == condition["valueTwo"])
    equal = {"SCMP_CMP_EQ": True, "SCMP_CMP_NE": False}[condition["op"]]
    return (value == condition["value"]) is equal
