"""A small process supervisor: forks roles, restarts those that end, stops all on SIGTERM.

The parent never starts a thread, so that forking stays safe however long it runs; all modules are
imported before the first fork and shared by every child.

systemd is told once every role was started, and hears from the loop below from then on: its
watchdog proves that this loop turns, hence that what ends is started again. It proves nothing
about a role that hangs; that is for the deadlines and leases of what it does.
"""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from safeurl import service_manager
from worker.runtime import forked, process_tree

_log = logging.getLogger("safeurl.supervisor")

#: A role that failed sooner than this waits before it is started again, twice as long each time.
_STEADY_S = 10.0
#: One that ended well is started again at once, but no more often than this.
_APART_S = 0.25
#: A role that failed so often in a row fails at each start: another try will not mend it.
_AT_EACH_START = 3
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
_POLL_S = 0.05
#: A signal so soon after the first is the same one again, as from `timeout` and process groups.
_DUPLICATE_S = 0.5
#: How often jobs are told to hand back: a job that was just forked does not hear it yet.
_TELL_S = 1.0
_HAND_BACK, _KILL = 2, 3
#: What each wave gets even where those before it have used up the time.
_LEAST_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Role:
    """What a child process does; `main` returns when told by SIGTERM."""

    name: str
    main: Callable[[], None]
    #: Roles stop in waves, the lowest first: the queue outlives those who use it.
    stop_wave: int = 0


@dataclass(slots=True)
class _Child:
    role: Role
    pid: int = 0
    started_s: float = 0.0
    pause_s: float = 0.0
    start_at_s: float = 0.0
    #: Failures in a row, each soon after a start.
    failures: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs roles until SIGTERM or SIGINT.

    The first signal lets roles end what they do. The second also ends their jobs, the processes
    that a role has forked, which hand back what they run; the third kills what is left.
    """

    roles: Sequence[Role]
    #: How long a stop waits for children before they are killed.
    grace_s: float
    #: The same from the second signal on.
    hand_back_s: float = 15.0
    #: Is told the names of the roles that fail at each start, whenever these have changed.
    on_failing: Callable[[tuple[str, ...]], None] = lambda _names: None
    _failing: tuple[str, ...] = ()
    _children: list[_Child] = field(default_factory=list)
    _signals: int = 0
    _signalled_s: float = 0.0
    _notifier: service_manager.Notifier = field(
        default_factory=lambda: service_manager.Notifier(os.environ)
    )

    def run(self) -> None:
        """Start all roles and return after all have stopped."""
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self._children = [_Child(role) for role in self.roles]
            while not self._signals:
                self._start_due()
                self._tell()
                self._reap()
                self._tell_failing()
                time.sleep(_POLL_S)
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _tell(self) -> None:
        running = sum(child.pid > 0 for child in self._children)
        if running == len(self._children):
            self._notifier.ready()
        self._notifier.status(f"{running} of {len(self._children)} processes run")
        self._notifier.ping()

    def _tell_failing(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid and now - child.started_s >= _STEADY_S:
                child.failures = 0
        failing = tuple(c.role.name for c in self._children if c.failures >= _AT_EACH_START)
        if failing != self._failing:
            self._failing = failing
            self.on_failing(failing)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._signals or now - self._signalled_s >= _DUPLICATE_S:
            self._signals += 1
            self._signalled_s = now

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if not child.pid and now >= child.start_at_s and not self._signals:
                try:
                    child.pid = fork(child.role)
                except OSError as error:
                    # The host has no process or memory left for it now.
                    _log.warning("role.not_started name=%s error=%s", child.role.name, error)
                    child.failures += 1
                    child.pause_s = _longer(child.pause_s)
                    child.start_at_s = now + child.pause_s
                child.started_s = now

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and (status := ended(child.pid)) is not None:
                self._plan_restart(child, status, time.monotonic())
                _log.log(
                    logging.WARNING if status else logging.INFO,
                    "role.ended name=%s pid=%d status=%d restart_in_s=%.1f",
                    child.role.name,
                    child.pid,
                    status,
                    child.pause_s,
                )
                child.pid = 0

    def _plan_restart(self, child: _Child, status: int, now: float) -> None:
        if status == 0:
            # It has done its work; the limit is for one that finds none and ends again and again.
            child.pause_s = max(0.0, child.started_s + _APART_S - now)
            child.failures = 0
        else:
            steady = now - child.started_s >= _STEADY_S
            child.failures = 0 if steady else child.failures + 1
            child.pause_s = 0.0 if steady else _longer(child.pause_s)
        child.start_at_s = now + child.pause_s

    def _stop_all(self) -> None:
        self._notifier.stopping()
        deadline_s = time.monotonic() + self.grace_s
        for wave in sorted({child.role.stop_wave for child in self._children}):
            self._stop(
                [c for c in self._children if c.pid and c.role.stop_wave == wave], deadline_s
            )

    def _stop(self, living: list[_Child], deadline_s: float) -> None:
        for child in living:
            os.kill(child.pid, signal.SIGTERM)
        tell_at_s, least_s = 0.0, time.monotonic() + _LEAST_S
        while living and time.monotonic() < max(least_s, self._until(deadline_s)):
            if self._signals >= _KILL:
                break
            if self._signals >= _HAND_BACK and time.monotonic() >= tell_at_s:
                # The role itself was told once, and waits for its job.
                for job in [each for child in living for each in process_tree.children(child.pid)]:
                    process_tree.send(job, signal.SIGTERM)
                tell_at_s = time.monotonic() + _TELL_S
            time.sleep(_POLL_S)
            self._notifier.ping()
            living = [child for child in living if ended(child.pid) is None]
        for child in living:
            _log.warning("role.killed name=%s pid=%d", child.role.name, child.pid)
            process_tree.kill_tree(child.pid)

    def _until(self, deadline_s: float) -> float:
        """Return until when roles may take their time to end."""
        return deadline_s if self._signals < _HAND_BACK else self._signalled_s + self.hand_back_s


def _longer(pause_s: float) -> float:
    return min(_MAX_PAUSE_S, pause_s * 2 or _FIRST_PAUSE_S)


def fork(role: Role) -> int:
    """Run the role in a forked child of its own process group, and return the child's id.

    The child is told to stop by SIGTERM, also when its parent is killed; it never returns into the
    parent's frames.
    """
    parent = os.getpid()
    return forked.fork(lambda mask: _become(role, parent, mask))


def _become(role: Role, parent: int, mask: forked.Mask) -> int:
    os.setpgid(0, 0)  # a terminal's Ctrl-C reaches the supervisor alone, which stops in order
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _die_with(parent)
    for name in service_manager.VARIABLES:
        os.environ.pop(name, None)  # only the supervisor speaks for the service
    try:
        role.main()
    except Exception:  # noqa: BLE001 - whatever it is, it is logged and the role started again
        _log.exception("role.crashed name=%s", role.name)
        return 1
    return 0


def _die_with(parent: int) -> None:
    """Have the kernel send SIGTERM to this child when its supervisor is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def ended(pid: int) -> int | None:
    """Return the exit status (negative for a signal) of a child that ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None
