"""Runs the gateway process: locks its folder, serves until SIGTERM, and removes its sockets."""

import asyncio
import fcntl
import logging
import os
import resource
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from safeurl.service_manager import announced
from safeurl.settings import Settings
from worker.egress.gateway.control import Control
from worker.egress.gateway.dns.resolver import Resolver
from worker.egress.gateway.link import remove_folder
from worker.egress.gateway.member import serve_member
from worker.egress.gateway.peers import Peers
from worker.egress.gateway.registry import Gateway
from worker.egress.gateway.spawner import Spawner
from worker.egress.gateway.traffic.connection import SharedResources
from worker.egress.protocol import CONTROL_NAME, LOCK_NAME, MAX_REQUEST_BYTES, SOCKETS_NAME
from worker.egress.unix_socket import listen_in

_log = logging.getLogger("safeurl.egress")

_BACKLOG: Final = 128
_SOCKETS_MODE: Final = 0o711
_GROUP_ENTERS: Final = 0o010
#: A gateway that ends gives its lock back within a second; a longer wait is said.
_QUIET_WAIT_S: Final = 1.0
_LOCK_POLL_S: Final = 0.05


def run_gateway(settings: Settings) -> None:
    """Serve the sandboxes of this host until SIGTERM or SIGINT.

    Only one gateway serves a folder: a second one waits until the first has ended. If the folder
    belongs to another user, whose own unit runs the gateway, it waits for ever. It removes the
    sockets of a killed gateway. It imports neither Docker nor a database.
    """
    directory = settings.gateway_dir
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if directory.stat().st_uid != os.geteuid():
        _log.warning("egress.left_to_its_owner dir=%s", directory)
        while True:
            signal.pause()
    peers = Peers.read(settings.egress_control_users, settings.uids)
    _restrict_folder(directory)
    with _locked(directory / LOCK_NAME) as lock:
        _remove_sockets(directory)
        _raise_descriptor_limit()
        resources = SharedResources(
            Resolver(settings.egress_resolver),
            deny_cidrs=settings.egress_deny_cidrs,
            deny_ports=settings.egress_deny_ports,
        )
        spawner = Spawner.start(partial(serve_member, resources=resources), close=(lock,))
        try:
            asyncio.run(_serve(directory, settings, peers, spawner))
        finally:
            spawner.stop()
            _remove_sockets(directory)


async def _serve(directory: Path, settings: Settings, peers: Peers, spawner: Spawner) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # Without the spawner no sandbox gets a socket: the gateway ends, and is started again.
    loop.add_reader(spawner.fileno(), stopped.set)
    gateway = Gateway(directory / SOCKETS_NAME, spawner, settings.egress_unbound_seconds)
    listener = listen_in(directory, CONTROL_NAME, _control_mode(directory), _BACKLOG)
    serve = Control(gateway, peers, settings.egress_deny_cidrs).serve
    control = await asyncio.start_unix_server(serve, sock=listener, limit=MAX_REQUEST_BYTES)
    _log.info("egress.started dir=%s pid=%d", directory, os.getpid())
    try:
        async with announced():
            await stopped.wait()
    finally:
        control.close()
        await gateway.close_all()
        _log.info("egress.stopped pid=%d", os.getpid())


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock of the lock file; the kernel releases it when this process ends.

    Yields the lock's descriptor: a fork has to close it, or it would keep the lock.
    """
    with path.open("a") as lock:
        path.chmod(0o600)
        if not _is_soon_ours(lock.fileno()):
            _log.warning("egress.waiting dir=%s: another gateway serves this folder", path.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _is_soon_ours(lock: int) -> bool:
    """Take the lock if it gets free soon, as after a restart."""
    deadline_s = time.monotonic() + _QUIET_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_LOCK_POLL_S)
        else:
            return True


def _remove_sockets(directory: Path) -> None:
    """Remove the sockets of an ended gateway; call it only while the lock is held."""
    (directory / CONTROL_NAME).unlink(missing_ok=True)
    sockets = directory / SOCKETS_NAME
    sockets.mkdir(exist_ok=True)
    # Independent of the umask: a worker of another user reads the folders in it.
    sockets.chmod(_SOCKETS_MODE)
    for each in sockets.iterdir():
        try:
            remove_folder(each)
        except OSError as error:
            # It contains other files, which the gateway did not make.
            _log.warning("egress.not_removed path=%s error=%s", each, error)


def _restrict_folder(directory: Path) -> None:
    """Remove the access of other users to the folder, also if it existed before.

    Each sandbox's socket in it is open to every user, and a process that may read the sandbox's
    mounts, such as one of the same user, can find its path.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & stat.S_IRWXO:
        directory.chmod(mode & ~stat.S_IRWXO)


def _control_mode(directory: Path) -> int:
    """Return the mode of the control socket: the group gets access if it may enter the folder.

    A worker of another user reaches the gateway through this group.
    """
    return 0o660 if directory.stat().st_mode & _GROUP_ENTERS else 0o600


def _raise_descriptor_limit() -> None:
    """Raise the limit of descriptors to its maximum: each connection needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
