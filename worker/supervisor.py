"""A small process supervisor: forks roles, restarts those that end, stops all on SIGTERM.

The parent never starts a thread, so that forking stays safe however long it runs; all modules are
imported before the first fork and shared by every child.
"""

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

_log = logging.getLogger("safeurl.supervisor")

#: A role that ended sooner than this waits before it is started again, twice as long each time.
_STEADY_S = 10.0
_MAX_PAUSE_S = 30.0
_POLL_S = 0.05
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


@dataclass(slots=True)
class Supervisor:
    """Runs roles until SIGTERM or SIGINT; a second signal ends them at once."""

    roles: Sequence[Role]
    #: How long a stop waits for children before they are killed.
    grace_s: float
    _children: list[_Child] = field(default_factory=list)
    _signals: int = 0

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
                self._reap()
                time.sleep(_POLL_S)
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if not child.pid and now >= child.start_at_s:
                child.pid = _fork(child.role)
                child.started_s = now

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and (status := _ended(child.pid)) is not None:
                steady = time.monotonic() - child.started_s >= _STEADY_S
                clean = status == 0
                child.pause_s = (
                    0.0 if steady or clean else min(_MAX_PAUSE_S, child.pause_s * 2 or 0.5)
                )
                child.start_at_s = time.monotonic() + child.pause_s
                _log.log(
                    logging.INFO if clean else logging.WARNING,
                    "role.ended name=%s pid=%d status=%d restart_in_s=%.1f",
                    child.role.name,
                    child.pid,
                    status,
                    child.pause_s,
                )
                child.pid = 0

    def _stop_all(self) -> None:
        deadline = time.monotonic() + self.grace_s
        for wave in sorted({child.role.stop_wave for child in self._children}):
            living = [c for c in self._children if c.pid and c.role.stop_wave == wave]
            for child in living:
                _send(child.pid, signal.SIGTERM)
            while living and time.monotonic() < deadline and self._signals < 2:  # noqa: PLR2004 - a second signal
                living = [child for child in living if _ended(child.pid) is None]
                time.sleep(_POLL_S)
            for child in living:
                _log.warning("role.killed name=%s pid=%d", child.role.name, child.pid)
                _send(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


def _fork(role: Role) -> int:
    parent = os.getpid()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)  # a terminal's Ctrl-C reaches the supervisor alone, which stops in order
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with(parent)
        role.main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - the child's last act is to say why; it never unwinds into the parent's frames
        _log.exception("role.crashed name=%s", role.name)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Have the kernel send SIGTERM to this child when its supervisor is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def _ended(pid: int) -> int | None:
    """Return the exit status (negative for a signal) of a child that ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _send(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
