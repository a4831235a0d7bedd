"""A small process supervisor: forks roles, restarts those that end, stops all on SIGTERM.

The parent never starts a thread, so that forking stays safe however long it runs; all modules are
imported before the first fork and shared by every child.

systemd is notified once every role was started, and then by each turn of the loop below. So its
watchdog proves that this loop runs, and with it that roles are restarted. It proves nothing about a
role that hangs: the deadlines and leases of what the role does handle that.
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
from worker.runtime import child_process, process_tree

_log = logging.getLogger("safeurl.supervisor")

#: A role that fails sooner than this is restarted after a pause, twice as long each time.
_STEADY_S = 10.0
#: A role that ends without an error is restarted at once, but starts are at least so far apart.
_MIN_START_INTERVAL_S = 0.25
#: A role that failed so often in a row counts as failing at each start.
_FAILING_AFTER = 3
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
_POLL_S = 0.05
#: A signal so soon after the last is a duplicate, such as `timeout` and process groups send.
_DUPLICATE_S = 0.5
#: How often jobs get the signal to hand back: one that was just forked does not handle it yet.
_HAND_BACK_INTERVAL_S = 1.0
#: The number of signals after which jobs hand back what they run, and all is killed.
_HAND_BACK, _KILL = 2, 3
#: The time that each wave gets even if the waves before it have used up the grace.
_MIN_WAVE_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Role:
    """The work of a child process; `main` returns after SIGTERM."""

    name: str
    main: Callable[[], None]
    #: Roles stop in waves, the lowest first, so that the queue outlives its users.
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

    At the first signal roles finish what they do. At the second, their jobs (the processes that a
    role has forked) hand back what they run. At the third, all that is left is killed.
    """

    roles: Sequence[Role]
    #: How long a stop waits for children before they are killed.
    grace_s: float
    #: The same from the second signal on.
    hand_back_s: float = 15.0
    #: Called with the names of the roles that fail at each start, whenever these change.
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
                self._notify()
                self._reap()
                self._report_failing()
                time.sleep(_POLL_S)
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _notify(self) -> None:
        running = sum(child.pid > 0 for child in self._children)
        if running == len(self._children):
            self._notifier.ready()
        self._notifier.status(f"{running} of {len(self._children)} processes run")
        self._notifier.ping()

    def _report_failing(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.pid and now - child.started_s >= _STEADY_S:
                child.failures = 0
        failing = tuple(c.role.name for c in self._children if c.failures >= _FAILING_AFTER)
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
                    child.pid = start_role(child.role)
                except OSError as error:
                    # The host has no process id or memory left for it now.
                    _log.warning("role.not_started name=%s error=%s", child.role.name, error)
                    child.failures += 1
                    child.pause_s = _longer(child.pause_s)
                    child.start_at_s = now + child.pause_s
                child.started_s = now

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and (status := exit_status(child.pid)) is not None:
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
            # The role has done its work. The limit is for one that finds none and ends at once.
            child.pause_s = max(0.0, child.started_s + _MIN_START_INTERVAL_S - now)
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
        hand_back_at_s, min_deadline_s = 0.0, time.monotonic() + _MIN_WAVE_S
        while living and time.monotonic() < max(min_deadline_s, self._kill_at_s(deadline_s)):
            if self._signals >= _KILL:
                break
            if self._signals >= _HAND_BACK and time.monotonic() >= hand_back_at_s:
                # The role itself got its signal above, and waits for its job.
                for job in [each for child in living for each in process_tree.children(child.pid)]:
                    process_tree.send_signal(job, signal.SIGTERM)
                hand_back_at_s = time.monotonic() + _HAND_BACK_INTERVAL_S
            time.sleep(_POLL_S)
            self._notifier.ping()
            living = [child for child in living if exit_status(child.pid) is None]
        for child in living:
            _log.warning("role.killed name=%s pid=%d", child.role.name, child.pid)
            process_tree.kill_tree(child.pid)

    def _kill_at_s(self, deadline_s: float) -> float:
        """Return the time at which roles that still run are killed."""
        return deadline_s if self._signals < _HAND_BACK else self._signalled_s + self.hand_back_s


def _longer(pause_s: float) -> float:
    return min(_MAX_PAUSE_S, pause_s * 2 or _FIRST_PAUSE_S)


def start_role(role: Role) -> int:
    """Run the role in a forked child with a process group of its own, and return the child's id.

    The child gets SIGTERM when it is to stop, also when its parent is killed. It never returns into
    the parent's frames.
    """
    parent = os.getpid()
    return child_process.start_child(lambda mask: _run_in_child(role, parent, mask))


def _run_in_child(role: Role, parent: int, mask: child_process.SignalMask) -> int:
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches only the supervisor, which stops in order
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _end_with(parent)
    for name in service_manager.VARIABLES:
        os.environ.pop(name, None)  # only the supervisor notifies the service manager
    try:
        role.main()
    except Exception:  # noqa: BLE001 - every error is logged, and the role is restarted
        _log.exception("role.crashed name=%s", role.name)
        return 1
    return 0


def _end_with(parent: int) -> None:
    """Make the kernel send SIGTERM to this child when its supervisor is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def exit_status(pid: int) -> int | None:
    """Return the exit status (negative: a signal) of a child that has ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None
