"""The result of a check: one line, with advice if the check did not pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: The number of faults that a line shows; the first ones are enough to start with.
_LISTED: Final = 8


class Status(StrEnum):
    """The result of a check; only `fail` changes the exit code of the doctor."""

    PASS = "pass"  # noqa: S105 - a status, not a password
    WARN = "warn"
    FAIL = "fail"


#: The faults, and the detail of the finding if there are none.
Evaluation = tuple[list[str], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's output."""

    #: A stable name for scripts: `docker`, `sandbox-routes`.
    name: str
    status: Status
    #: What the check observed.
    detail: str
    #: What the operator should do; empty if there is nothing to do.
    advice: str = ""


def passed(name: str, detail: str) -> Finding:
    """Return a finding that the check passed."""
    return Finding(name, Status.PASS, detail)


def warned(name: str, detail: str, advice: str) -> Finding:
    """Return a finding that an operator should know; scans are still isolated."""
    return Finding(name, Status.WARN, detail, advice)


def failed(name: str, detail: str, advice: str) -> Finding:
    """Return a finding that SafeURL cannot work, or that a page is not isolated."""
    return Finding(name, Status.FAIL, detail, advice)


def finding_from_faults(name: str, faults: Sequence[str], fine: str, advice: str) -> Finding:
    """Return a failure that lists the faults, or a pass if there are none."""
    if not faults:
        return passed(name, fine)
    more = len(faults) - _LISTED
    listed = [*faults[:_LISTED], *([f"and {more} more"] if more > 0 else [])]
    return failed(name, "; ".join(listed), advice)
