"""What a check says: one line, with what to do where it did not pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Faults that a line shows; the first ones tell enough.
_LISTED: Final = 8


class Status(StrEnum):
    """How a check ended; only `fail` makes the doctor's exit code bad."""

    PASS = "pass"  # noqa: S105 - no password but a word
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    #: Stable, for scripts: `docker`, `sandbox-routes`.
    name: str
    status: Status
    #: What was seen.
    detail: str
    #: What to do about it; empty where nothing is to be done.
    advice: str = ""


def passed(name: str, detail: str) -> Finding:
    """Return a finding that all is as it should be."""
    return Finding(name, Status.PASS, detail)


def warned(name: str, detail: str, advice: str) -> Finding:
    """Return a finding that somebody should know of; scans are still isolated."""
    return Finding(name, Status.WARN, detail, advice)


def failed(name: str, detail: str, advice: str) -> Finding:
    """Return a finding that keeps SafeURL from working, or a page from being contained."""
    return Finding(name, Status.FAIL, detail, advice)


def ruled(name: str, faults: Sequence[str], fine: str, advice: str) -> Finding:
    """Return a failure that lists the faults, or a pass where there is none."""
    if not faults:
        return passed(name, fine)
    more = len(faults) - _LISTED
    listed = [*faults[:_LISTED], *([f"and {more} more"] if more > 0 else [])]
    return failed(name, "; ".join(listed), advice)
