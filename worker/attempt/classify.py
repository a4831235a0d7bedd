"""Classifies the end of a sandbox as a failure of SafeURL, of Docker or of the fetcher: pure.

The facts can be ambiguous. These rules decide:

- A complete report decides, even if something else happened after its last byte: an exit code other
  than 0, a deadline of a container that had closed its stdout, a lost engine, or a process that the
  kernel killed for memory while the fetcher continued.
- The reader of the report ends a sandbox only if the report broke a rule. This fault is then the
  outcome. A fault in other cases was found at the end of the stream: its last line was incomplete.
  The cause (engine, memory, deadline, crash) is then the outcome. Only if the fetcher ended by
  itself with status 0 is its report malformed.
- Exit code 137 alone does not prove a lack of memory: an administrator or the host may have sent
  SIGKILL, and the watchdog in the sandbox returns 137 for its child. The kernel or the engine must
  report it (`lacked_memory`), also with status 0 if only a child was killed. If the worker cannot
  watch the sandbox's cgroup, the engine's report can be lost, under gVisor more often. The detail
  then names 137, and there is another attempt.
- SIGTERM (143) and SIGKILL (137) that we did not send came from outside, for example from an engine
  that stops its containers. They do not depend on the page, so there is another attempt. Malicious
  code in the sandbox can end with these signals too, in each attempt. This uses up the retries, and
  the scan becomes FAILED, as after a crash. Other signals count as a crash.
- A sandbox that was started again (`docker restart`) was ended from outside too. The second run got
  no request, so its end does not count: without a report there is another attempt.
- A sandbox that is paused when its time is over had less time than the page may use.
- Status 124 comes from the watchdog in the sandbox, which killed a late fetch: it is the same
  deadline, checked inside the sandbox.
- A lack of memory decides before the deadline: after the kernel has killed a process, the sandbox
  may hang until it is killed.
- The outcome of a report is used unchanged. The reader has already refused outcomes that no fetcher
  can know, such as `sandbox_unavailable`, which leads to another attempt.
"""

from dataclasses import dataclass

from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import ReportLine
from safeurl.model.sandbox import SandboxExit, Stop
from safeurl.state import Outcome

_FIRST_SIGNAL_STATUS = 128
SIGKILL_STATUS = 137
_SIGTERM_STATUS = 143
#: The value of `fetcher.watchdog.Exit.LATE`, which the worker must not import.
_LATE_STATUS = 124
_LONGEST_EXCERPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """The facts about a lack of memory that the kernel reported for a sandbox's cgroup."""

    #: Signals of cgroup v1 while the cgroup existed; each means a lack of memory.
    signals_while_there: int = 0
    #: All signals of cgroup v1; the last one means that the cgroup was removed.
    signals: int = 0
    #: The number of processes that were killed, from cgroup v2.
    kills: int = 0

    def signalled(self, signals: int, *, while_there: bool) -> "MemoryFacts":
        """Return the facts with more signals of cgroup v1."""
        return MemoryFacts(
            signals_while_there=self.signals_while_there + (signals if while_there else 0),
            signals=self.signals + signals,
            kills=self.kills,
        )


def lacked_memory(*, engine: bool, facts: MemoryFacts) -> bool:
    """Return whether the engine or the kernel reported a lack of memory.

    A single signal that was read after the cgroup was removed may come from the removal itself.
    """
    return engine or facts.kills > 0 or facts.signals_while_there > 0 or facts.signals > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """The facts that the reader found in stdout."""

    #: The broken rule, `report_malformed` or `report_too_large`; None if there is none.
    fault: Outcome | None = None
    fault_detail: str = ""
    #: The last line, if it was complete.
    report: ReportLine | None = None


def classify(ended: SandboxExit, facts: ReportFacts) -> tuple[Outcome, str]:
    """Return the attempt's outcome with one sentence about the reason.

    The sentence may quote the sandbox, so it must be escaped before it is shown. It is empty if a
    report contains none.
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
        return "was ended from outside by SIGTERM (status 143), as by a restart of Docker,"
    if exit_code > _FIRST_SIGNAL_STATUS:
        return f"ended by signal {exit_code - _FIRST_SIGNAL_STATUS} (status {exit_code})"
    return f"ended with status {exit_code}"


def _last_line(stderr_tail: str) -> str:
    lines = [line.strip() for line in stderr_tail.splitlines() if line.strip()]
    return f": {lines[-1][:_LONGEST_EXCERPT]}" if lines else ""
