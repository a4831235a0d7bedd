"""The gateway as a process: takes its folder, serves until SIGTERM, and leaves the folder clean."""

import asyncio
import fcntl
import logging
import os
import resource
import signal
import stat
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
from worker.egress.gateway.traffic.connection import Means
from worker.egress.protocol import CONTROL_NAME, LOCK_NAME, MAX_REQUEST_BYTES, SOCKETS_NAME
from worker.egress.unix_socket import listen_in

_log = logging.getLogger("safeurl.egress")

_BACKLOG: Final = 128
_SOCKETS_MODE: Final = 0o711
_GROUP_ENTERS: Final = 0o010


def run_gateway(settings: Settings) -> None:
    """Serve the sandboxes of this host until SIGTERM or SIGINT.

    Two gateways never serve one folder: the second waits until the first has ended, and for ever
    where the folder is another user's, whose gateway is then a unit's. What a killed one left
    behind is removed. Imports neither Docker nor a database, and needs neither.
    """
    directory = settings.gateway_dir
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if directory.stat().st_uid != os.geteuid():
        _log.warning("egress.left_to_its_owner dir=%s", directory)
        while True:
            signal.pause()
    peers = Peers.read(settings.egress_control_users, settings.uids)
    _shut_out_others(directory)
    with _held(directory / LOCK_NAME) as lock:
        _clean(directory)
        _raise_descriptor_limit()
        means = Means(
            Resolver(settings.egress_resolver),
            deny_cidrs=settings.egress_deny_cidrs,
            deny_ports=settings.egress_deny_ports,
        )
        spawner = Spawner.start(partial(serve_member, means=means), close=(lock,))
        try:
            asyncio.run(_serve(directory, settings, peers, spawner))
        finally:
            spawner.stop()
            _clean(directory)


async def _serve(directory: Path, settings: Settings, peers: Peers, spawner: Spawner) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # Without it no sandbox gets a socket any more: whoever started us starts us again.
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
def _held(path: Path) -> Iterator[int]:
    """Hold the lock file's lock; the kernel lets go of it whatever becomes of this process.

    Yields the lock's descriptor: a fork that kept it would keep the lock.
    """
    with path.open("a") as lock:
        path.chmod(0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _clean(directory: Path) -> None:
    """Remove the sockets that nobody serves any more; only while the lock is held."""
    (directory / CONTROL_NAME).unlink(missing_ok=True)
    sockets = directory / SOCKETS_NAME
    sockets.mkdir(exist_ok=True)
    # Whatever the umask: a worker of another user looks at the folders in it.
    sockets.chmod(_SOCKETS_MODE)
    for each in sockets.iterdir():
        try:
            remove_folder(each)
        except OSError as error:
            # Not ours, then; whoever put it there knows why.
            _log.warning("egress.not_removed path=%s error=%s", each, error)


def _shut_out_others(directory: Path) -> None:
    """Let nobody but owner and group enter the folder, also where it was made before.

    In it each sandbox's socket is open to any user, and is found by any process that may look at
    that sandbox's mounts, such as one of the same user.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & stat.S_IRWXO:
        directory.chmod(mode & ~stat.S_IRWXO)


def _control_mode(directory: Path) -> int:
    """Return the control socket's mode: for the owner, and for the group where it may enter.

    That is how a worker of another user reaches a gateway that has a user of its own.
    """
    return 0o660 if directory.stat().st_mode & _GROUP_ENTERS else 0o600


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as are allowed: each connection needs two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
