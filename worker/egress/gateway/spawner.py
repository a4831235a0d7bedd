"""Starts the processes that serve sandboxes, from a small process that does nothing else.

The spawner is forked before the gateway's event loop starts. So its own forks have neither that
loop nor the control socket nor the folder's lock. When the gateway ends, the spawner kills its
forks and ends.
"""

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable
from typing import Final, Self

from worker.runtime import child_process

_log = logging.getLogger("safeurl.egress")

#: Serves sandboxes until the gateway closes this socket.
Serve = Callable[[socket.socket], None]

_START: Final = b"+"
_KILL: Final = b"-"
_MAX_COMMAND_BYTES: Final = 64


class Spawner:
    """The gateway's side of the spawner: sends commands without responses.

    If a process cannot be started, its socket is closed.
    """

    def __init__(self, commands: socket.socket, pid: int) -> None:
        """Take the command socket and the pid of the spawner, a child process."""
        self._commands = commands
        self._pid = pid
        # Non-blocking: the gateway's loop also enforces all deadlines. The kernel queues some
        # hundred commands while the spawner is busy; a further command fails.
        commands.settimeout(0)

    @classmethod
    def start(cls, serve: Serve, *, close: Iterable[int] = ()) -> Self:
        """Fork the spawner; it closes the descriptors in `close`.

        Call it while no other thread and no event loop runs.
        """
        # The processes share these memory pages until one writes to them, as a garbage collection
        # does. Running a loop once creates the objects that every loop needs.
        asyncio.run(asyncio.sleep(0))
        gc.collect()
        gc.freeze()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        closed = (ours.fileno(), *close)
        pid = child_process.start_child(lambda mask: _run(theirs, serve, closed, mask))
        theirs.close()
        return cls(ours, pid)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the spawner has ended."""
        return self._commands.fileno()

    def spawn(self, key: str, link: socket.socket) -> None:
        """Start a process that serves this socket; the caller closes its own copy."""
        socket.send_fds(self._commands, [_START + key.encode()], [link.fileno()])

    def kill(self, key: str) -> None:
        """Kill that process if it still runs."""
        with contextlib.suppress(OSError):
            self._commands.send(_KILL + key.encode())

    def stop(self) -> None:
        """Make the spawner kill its processes and end, and wait for it."""
        self._commands.close()
        os.waitpid(self._pid, 0)


def _run(
    commands: socket.socket, serve: Serve, close: Iterable[int], mask: child_process.SignalMask
) -> int:
    for descriptor in close:
        os.close(descriptor)
    # A signal to the whole group ends the gateway, which then stops the spawner.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _Children(commands, serve).run()
    return 0


class _Children:
    """The child processes of the spawner."""

    def __init__(self, commands: socket.socket, serve: Serve) -> None:
        self._commands = commands
        self._serve = serve
        self._pids: dict[str, int] = {}
        self._woken, self._waker = socket.socketpair()

    def run(self) -> None:
        """Execute commands until the gateway ends; then kill all children."""
        self._woken.settimeout(0)
        self._waker.settimeout(0)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._commands, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            self._reap()
            if self._commands.fileno() in ready and not self._execute_command():
                break
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        # Waits for them, so that no orphans remain.
        for pid in self._pids.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _execute_command(self) -> bool:
        """Execute one command; return False at the end of the commands."""
        command, descriptors, _, _ = socket.recv_fds(self._commands, _MAX_COMMAND_BYTES, 1)
        key = command[1:].decode()
        if command.startswith(_START):
            self._fork(key, socket.socket(fileno=descriptors[0]))
        elif key in self._pids:
            os.kill(self._pids[key], signal.SIGKILL)
        return bool(command)

    def _fork(self, key: str, link: socket.socket) -> None:
        with link:
            try:
                pid = child_process.start_child(lambda mask: self._serve_in_child(link, mask))
            except OSError as error:
                # The gateway sees that the link has closed.
                _log.warning("egress.no_process error=%s", error)
                return
        self._pids[key] = pid

    def _serve_in_child(self, link: socket.socket, mask: child_process.SignalMask) -> int:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._commands, self._woken, self._waker):
            each.close()
        self._serve(link)
        return 0

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(_MAX_COMMAND_BYTES)
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self._pids = {key: each for key, each in self._pids.items() if each != pid}
