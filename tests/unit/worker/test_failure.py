"""The classification of an attempt's end, for every combination of facts."""

import itertools
from dataclasses import replace
from typing import NamedTuple

import pytest

from fetcher.watchdog import Exit
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import ReportLine
from safeurl.model.sandbox import SandboxExit, Stop
from safeurl.state import Outcome
from worker.attempt.classify import ReportFacts, classify

_REPORT = ReportLine(scan="0197", attempt=1, outcome=Outcome.OK, detail="seen")
_FAULTS = (None, Outcome.REPORT_MALFORMED, Outcome.REPORT_TOO_LARGE)
_ERRORS = (None, "Docker does not answer.")
_CODES = (None, 0, 3, 124, 137, 139, 143, 255)


class Seen(NamedTuple):
    """One combination of facts; a row of the table."""

    stopped: Stop | None
    error: str | None
    oom_killed: bool
    exit_code: int | None
    fault: Outcome | None
    report: ReportLine | None


_ALL = [
    Seen(*row)
    for row in itertools.product(
        (None, *Stop), _ERRORS, (False, True), _CODES, _FAULTS, (None, _REPORT)
    )
]


def expected(seen: Seen) -> Outcome:
    """Return the outcome by the rules as they are written down, first match wins."""
    table = [
        (seen.stopped is Stop.SINK, seen.fault or Outcome.REPORT_MALFORMED),
        (seen.report is not None and seen.fault is None, Outcome.OK),
        (seen.error is not None, Outcome.SANDBOX_UNAVAILABLE),
        (seen.oom_killed, Outcome.OUT_OF_MEMORY),
        (seen.stopped is Stop.DEADLINE, Outcome.WALL_TIMEOUT),
        (seen.exit_code == 124, Outcome.WALL_TIMEOUT),
        (seen.exit_code in {137, 143}, Outcome.SANDBOX_UNAVAILABLE),
        (seen.exit_code == 0, seen.fault),
        (True, Outcome.SANDBOX_CRASHED),
    ]
    return next(outcome for holds, outcome in table if holds and outcome is not None)


@pytest.mark.parametrize("seen", _ALL)
def test_table_is_total(seen: Seen) -> None:
    """Every combination has the one outcome that the rules name, and a sentence."""
    ended = SandboxExit(
        stopped=seen.stopped,
        error=seen.error,
        oom_killed=seen.oom_killed,
        exit_code=seen.exit_code,
    )
    outcome, detail = classify(ended, ReportFacts(fault=seen.fault, report=seen.report))
    assert outcome is expected(seen)
    assert detail


def test_a_report_stands_though_the_exit_code_is_not_zero() -> None:
    """The exit code does not discard stdout; the report's own text is kept."""
    ended = SandboxExit(exit_code=3, stderr_tail="late trouble")
    assert classify(ended, ReportFacts(report=_REPORT)) == (Outcome.OK, "seen")


@pytest.mark.parametrize("code", [137, 143])
def test_a_signal_from_outside_is_no_fault_of_the_page(code: int) -> None:
    """A stopped engine ends sandboxes so; without its report 137 does not mean a lack of memory."""
    outcome, detail = classify(SandboxExit(exit_code=code), ReportFacts())
    assert outcome is Outcome.SANDBOX_UNAVAILABLE
    assert str(code) in detail
    assert "from outside" in detail


def test_the_guard_in_the_sandbox_speaks_of_the_deadline() -> None:
    """A fetch that its own guard killed for being late is a timeout, as one that we kill is."""
    assert classify(SandboxExit(exit_code=Exit.LATE), ReportFacts()) == (
        Outcome.WALL_TIMEOUT,
        OUTCOME_MESSAGES[Outcome.WALL_TIMEOUT],
    )


@pytest.mark.parametrize("code", [0, 1, 137])
def test_a_childs_lack_of_memory_counts_whatever_the_status(code: int) -> None:
    """A child that was killed for memory can leave its parent with any status."""
    outcome, _ = classify(SandboxExit(exit_code=code, oom_killed=True), ReportFacts())
    assert outcome is Outcome.OUT_OF_MEMORY


def test_a_line_cut_by_the_deadline_is_a_timeout_not_a_fault() -> None:
    """The fault found at the end of a stream that we cut is ours, not the fetcher's."""
    cut = ReportFacts(fault=Outcome.REPORT_MALFORMED, fault_detail="A line has no end.")
    ended = SandboxExit(exit_code=137, stopped=Stop.DEADLINE)
    assert classify(ended, cut)[0] is Outcome.WALL_TIMEOUT
    assert classify(replace(ended, stopped=Stop.SINK), cut) == (
        Outcome.REPORT_MALFORMED,
        "A line has no end.",
    )


def test_a_crash_quotes_the_last_line_of_stderr_cut_short() -> None:
    """The operator sees the fetcher's last line, and never more of it than the limit."""
    ended = SandboxExit(exit_code=1, stderr_tail="Traceback\nKeyError: " + "x" * 4000 + "\n\n")
    _, detail = classify(ended, ReportFacts())
    assert "status 1" in detail
    assert "KeyError" in detail
    assert "Traceback" not in detail
    assert len(detail) < 300


def test_a_signal_is_named() -> None:
    """A segmentation fault is distinguished from an exit."""
    assert "signal 11" in classify(SandboxExit(exit_code=139), ReportFacts())[1]


@pytest.mark.parametrize("exit_code", [0, 1, 64, 139, None])
@pytest.mark.parametrize("stopped", [None, Stop.DEADLINE])
def test_a_restart_from_outside_is_not_the_pages_fault(
    exit_code: int | None, stopped: Stop | None
) -> None:
    """A pause is not either, with any exit code; a complete report decides."""
    for ended in (
        SandboxExit(exit_code=exit_code, stopped=stopped, restarted=True),
        SandboxExit(exit_code=exit_code, stopped=stopped, paused=True),
    ):
        assert classify(ended, ReportFacts())[0] is Outcome.SANDBOX_UNAVAILABLE
        assert classify(ended, ReportFacts(report=_REPORT))[0] is Outcome.OK
