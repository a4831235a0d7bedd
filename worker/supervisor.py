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
from pathlib import Path
from types import FrameType

_log = logging.getLogger("safeurl.supervisor")

#: A role that ended sooner than this waits before it is started again, twice as long each time.
_STEADY_S = 10.0
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
_POLL_S = 0.05
#: A signal so soon after the first is the same one again, as from `timeout` and process groups.
_DUPLICATE_S = 0.5
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
    _signalled_s: float = 0.0

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
                    child.pause_s = _longer(child.pause_s)
                    child.start_at_s = now + child.pause_s
                child.started_s = now

    def _reap(self) -> None:
        for child in self._children:
            if child.pid and (status := ended(child.pid)) is not None:
                now = time.monotonic()
                steady = now - child.started_s >= _STEADY_S
                child.pause_s = 0.0 if steady else _longer(child.pause_s)
                child.start_at_s = now + child.pause_s
                _log.log(
                    logging.WARNING if status else logging.INFO,
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
                os.kill(child.pid, signal.SIGTERM)
            while living and time.monotonic() < deadline and self._signals < 2:  # noqa: PLR2004 - a second signal
                living = [child for child in living if ended(child.pid) is None]
                time.sleep(_POLL_S)
            for child in living:
                _log.warning("role.killed name=%s pid=%d", child.role.name, child.pid)
                _kill(child.pid)


def _longer(pause_s: float) -> float:
    return min(_MAX_PAUSE_S, pause_s * 2 or _FIRST_PAUSE_S)


def fork(role: Role) -> int:
    """Run the role in a forked child of its own process group, and return the child's id.

    The child is told to stop by SIGTERM, also when its parent is killed; it never returns into the
    parent's frames. Signals are held back meanwhile: one that came between the fork and the
    child's first step would run the parent's handler in the child, and be lost.
    """
    parent = os.getpid()
    sys.stdout.flush()
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    )
    try:
        pid = os.fork()
        if not pid:
            _become(role, parent, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _become(role: Role, parent: int, mask: set[int | signal.Signals]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)  # a terminal's Ctrl-C reaches the supervisor alone, which stops in order
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
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


def ended(pid: int) -> int | None:
    """Return the exit status (negative for a signal) of a child that ended, else None."""
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _kill(pid: int) -> None:
    """Kill a child with all that it has started: a job outlives the RQ worker that forked it."""
    tree = [pid, *_descendants(pid)]
    for each in tree:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            continue  # ended by itself meanwhile
    os.waitpid(pid, 0)


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []  # no Linux, or it has ended
    return [each for child in map(int, children) for each in (child, *_descendants(child))]
