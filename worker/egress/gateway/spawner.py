"""Starts the processes that serve sandboxes: a small process that forks, and does nothing else.

It is forked before the gateway's loop begins, so that what it forks has neither that loop nor the
control socket nor the folder's lock. It ends, and kills what it forked, when the gateway does.
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

#: Serves sandboxes until the socket, which leads to the gateway, ends.
Serve = Callable[[socket.socket], None]

_START: Final = b"+"
_KILL: Final = b"-"
_MAX_COMMAND_BYTES: Final = 64


class Spawner:
    """The gateway's side: sends commands, which are not answered.

    A process that could not be started shows as the end of its socket.
    """

    def __init__(self, commands: socket.socket, pid: int) -> None:
        """Take the socket to the process with this pid, which is a child of ours."""
        self._commands = commands
        self._pid = pid
        # The gateway's loop waits for nobody: its deadlines are everybody's. The kernel holds some
        # hundred commands for a spawner that is busy; beyond that, one fails.
        commands.settimeout(0)

    @classmethod
    def start(cls, serve: Serve, *, close: Iterable[int] = ()) -> Self:
        """Fork the spawner; `close` names descriptors of ours that it must not keep.

        Call it while no other thread and no event loop runs.
        """
        # What exists now is shared by all processes, as long as nobody writes to it, as a look for
        # garbage does. A loop that ran once has made what every loop makes.
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
        """Start a process that obeys this socket, which the caller closes."""
        socket.send_fds(self._commands, [_START + key.encode()], [link.fileno()])

    def kill(self, key: str) -> None:
        """Kill that process if it still runs; one that ended is no error."""
        with contextlib.suppress(OSError):
            self._commands.send(_KILL + key.encode())

    def stop(self) -> None:
        """Let the spawner kill all its processes, and wait until it has ended."""
        self._commands.close()
        os.waitpid(self._pid, 0)


def _run(
    commands: socket.socket, serve: Serve, close: Iterable[int], mask: child_process.SignalMask
) -> int:
    for descriptor in close:
        os.close(descriptor)
    # A signal to the whole group ends the gateway, which then ends us in order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _Forks(commands, serve).run()
    return 0


class _Forks:
    """The processes that the spawner has started and not yet waited for."""

    def __init__(self, commands: socket.socket, serve: Serve) -> None:
        self._commands = commands
        self._serve = serve
        self._pids: dict[str, int] = {}
        self._woken, self._waker = socket.socketpair()

    def run(self) -> None:
        """Obey until the gateway ends; then kill what runs."""
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
            if self._commands.fileno() in ready and not self._obey():
                break
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        # Waited for, or each would be left to whoever takes on orphans.
        for pid in self._pids.values():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _obey(self) -> bool:
        """Carry out one command; false where there will be no more."""
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
                # The gateway sees the link's end.
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
