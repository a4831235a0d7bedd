"""Whose failure is it: ours, Docker's or the fetcher's? A pure function over what was seen.

The facts are ambiguous, and this is how each ambiguity is settled:

- A complete report stands, whatever happened after its last byte: an exit code other than 0, a
  deadline that fell on a container which had closed its stdout, an engine that went away, or a
  process that the kernel killed for memory while the fetcher lived on to report.
- The sink ends a sandbox only because the report broke a rule, so its fault is then the
  outcome. A fault without that was found at the end of the stream: a line was cut off. What
  cut it (engine, memory, deadline, a crash) is the outcome; only a fetcher that ended by
  itself, with status 0, has malformed its own report.
- Exit code 137 alone is not lack of memory: an administrator or the host may have sent SIGKILL,
  and the guard in the sandbox passes 137 on for its child. The kernel or the engine has to say it
  (`lacked_memory`), also with status 0 when only a child was killed. Where the worker cannot watch
  the sandbox's cgroup, the engine's word can be lost, under gVisor more often. Then 137 stands in
  the detail, and the scan is tried again.
- SIGTERM (143) and SIGKILL (137) that we did not send came from outside: so an engine ends its
  containers when it is stopped. It says nothing about the page, so the scan is tried again. Code
  that took over the sandbox can end with these too, at each attempt; that costs the retries
  and leaves the scan FAILED, no better for it than a crash. Other signals are a crash.
- A sandbox that was started once more (`docker restart`) was ended from outside as well, whatever
  the second run, which got no request, ended with: with no report the scan is tried again.
- A sandbox that stands paused when its time is over had less of it than the page may have.
- Status 124 is the guard in the sandbox, which killed a fetch that was late: the same deadline,
  seen from inside.
- Memory wins over the deadline: a sandbox that lost a process to the kernel hangs until killed.
- What a report claims is taken as it is: the reader has already refused the outcomes that no
  fetcher can know, such as `sandbox_unavailable`, which is retried.
"""

from dataclasses import dataclass

from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import ReportLine
from safeurl.model.sandbox import SandboxExit, Stop
from safeurl.state import Outcome

_FIRST_SIGNAL_STATUS = 128
SIGKILL_STATUS = 137
_SIGTERM_STATUS = 143
#: `fetcher.watchdog.Exit.LATE`, which is not ours to import.
_LATE_STATUS = 124
_LONGEST_EXCERPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """What the kernel told of a sandbox's cgroup."""

    #: Signals of cgroup v1 that came while the cgroup was there: each a lack of memory.
    signals_while_there: int = 0
    #: All its signals; the last one says that the cgroup is gone.
    signals: int = 0
    #: Processes that cgroup v2 counts as killed.
    kills: int = 0

    def signalled(self, signals: int, *, while_there: bool) -> "MemoryFacts":
        """Return the facts with more signals of cgroup v1."""
        return MemoryFacts(
            signals_while_there=self.signals_while_there + (signals if while_there else 0),
            signals=self.signals + signals,
            kills=self.kills,
        )


def lacked_memory(*, engine: bool, facts: MemoryFacts) -> bool:
    """Return whether the sandbox lacked memory; who says so is believed, silence proves nothing.

    One signal that was read when the cgroup had gone may be the removal's own.
    """
    return engine or facts.kills > 0 or facts.signals_while_there > 0 or facts.signals > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the reader made of stdout."""

    #: Which rule the stream broke, `report_malformed` or `report_too_large`; None for none.
    fault: Outcome | None = None
    fault_detail: str = ""
    #: The last line, if it came whole.
    report: ReportLine | None = None


def classify(ended: SandboxExit, facts: ReportFacts) -> tuple[Outcome, str]:
    """Return the attempt's outcome with one sentence that says why.

    The sentence may quote the sandbox and is to be escaped where it is shown; it is empty
    where a report gave none.
    """
    if ended.stopped is Stop.SINK:
        return _broken(facts)
    if facts.report is not None and facts.fault is None:
        return facts.report.outcome, facts.report.detail
    if ended.error is not None:
        return Outcome.SANDBOX_UNAVAILABLE, ended.error
    return _cut_short(ended, facts)


def _cut_short(ended: SandboxExit, facts: ReportFacts) -> tuple[Outcome, str]:
    if ended.oom_killed:
        return Outcome.OUT_OF_MEMORY, OUTCOME_MESSAGES[Outcome.OUT_OF_MEMORY]
    if ended.restarted or ended.paused:
        done = "restarted" if ended.restarted else "paused"
        return Outcome.SANDBOX_UNAVAILABLE, f"The sandbox was {done} from outside."
    if ended.stopped is Stop.DEADLINE or ended.exit_code == _LATE_STATUS:
        return Outcome.WALL_TIMEOUT, OUTCOME_MESSAGES[Outcome.WALL_TIMEOUT]
    if ended.exit_code in {_SIGTERM_STATUS, SIGKILL_STATUS}:
        return Outcome.SANDBOX_UNAVAILABLE, _crash(ended)
    if facts.fault is not None and ended.exit_code == 0:
        return _broken(facts)
    return Outcome.SANDBOX_CRASHED, _crash(ended)


def _broken(facts: ReportFacts) -> tuple[Outcome, str]:
    fault = facts.fault or Outcome.REPORT_MALFORMED
    return fault, facts.fault_detail or OUTCOME_MESSAGES[fault]


def _crash(ended: SandboxExit) -> str:
    excerpt = _last_line(ended.stderr_tail)
    return f"The sandbox {_manner(ended.exit_code)} without a report{excerpt}."


def _manner(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended, its status unknown,"
    if exit_code == SIGKILL_STATUS:
        return "was killed from outside (status 137), which may be the host's lack of memory,"
    if exit_code == _SIGTERM_STATUS:
        return "was told from outside to end (status 143), as by a restart of Docker,"
    if exit_code > _FIRST_SIGNAL_STATUS:
        return f"ended by signal {exit_code - _FIRST_SIGNAL_STATUS} (status {exit_code})"
    return f"ended with status {exit_code}"


def _last_line(stderr_tail: str) -> str:
    lines = [line.strip() for line in stderr_tail.splitlines() if line.strip()]
    return f": {lines[-1][:_LONGEST_EXCERPT]}" if lines else ""
