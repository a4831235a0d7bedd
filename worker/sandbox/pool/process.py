"""Runs the pool's process: locks its folder, removes what an earlier pool left, and serves.

A killed pool leaves members whose streams are closed with it. The engine then ends their stdin, so
that they end by themselves; and nobody could prove any more that nothing was written to them. So
the next pool never adopts a member. It removes all that no attempt has claimed.
"""

import asyncio
import fcntl
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safeurl.errors import SandboxUnavailableError
from safeurl.ports.clock import Clock
from worker.egress.unix_socket import listen_in
from worker.sandbox.engine import Engine, EngineClient
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.anchors import Anchors
from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.key import pool_key
from worker.sandbox.pool.leftovers import leftovers
from worker.sandbox.pool.members import MemberPlan, MemberStarter
from worker.sandbox.pool.pool import Pool, PoolPlan
from worker.sandbox.pool.protocol import ID_BYTES, ID_NAME, LOCK_NAME, SOCKET_NAME, stored_id
from worker.sandbox.pool.server import PoolServer

_log = logging.getLogger("safeurl.pool")

_BACKLOG: Final = 128
#: Threads that rename containers at a claim and look at the image: each call takes milliseconds.
_QUICK_THREADS: Final = 2
#: Members that are being started, for each core. The engine works on one per core; the fetchers of
#: the others load their modules, which takes as long, since their CPU time is limited.
_STARTS_PER_CORE: Final = 2
#: How much longer than a member waits in the pool, its fetcher waits for the request.
_IDLE_MARGIN_S: Final = 120
_RETRY_S: Final = 1.0
#: At the end, an engine that does not answer is waited for so many seconds.
_LAST_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """What the process is started with."""

    #: The pool's own folder, on this host.
    directory: Path
    docker_socket: str
    gateway_dir: Path
    sandbox: SandboxSettings
    #: POOL_SIZE as a number; None for `auto`.
    size: int | None
    ttl_s: int
    #: The longest time of an attempt with its sandbox.
    attempt_s: float
    concurrency: int


def run_pool(settings: PoolConfig, clock: Clock) -> None:
    """Keep members ready until SIGTERM. Only one pool has a folder: a second one waits."""
    settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(settings.directory / LOCK_NAME):
        asyncio.run(_serve(settings, read_id(settings.directory), clock))


def read_id(directory: Path) -> str:
    """Return the id of all pools that have this folder, one after another; make it if missing."""
    known = stored_id(directory)
    if known is not None:
        return known
    made = secrets.token_hex(ID_BYTES)
    (directory / ID_NAME).write_text(made, encoding="ascii")
    return made


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of the lock file; the kernel releases it when this process ends."""
    with path.open("a") as lock:
        path.chmod(0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def _serve(settings: PoolConfig, pool_id: str, clock: Clock) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    engine = Engine(settings.docker_socket)
    cores = len(os.sched_getaffinity(0))
    starts = EngineThreads(engine, cores, "pool-start")
    quick = EngineThreads(engine, _QUICK_THREADS, "pool-quick")
    removals = EngineThreads(engine, cores, "pool-remove")
    try:
        await _clear(settings, pool_id, removals, stopping)
        plan = _member_plan(settings, pool_id)
        anchors = Anchors(starts, removals, pool_id, clock, use_s=plan.lifetime_s)
        starter = MemberStarter(
            plan, engine, starts=starts, removals=removals, anchors=anchors, clock=clock
        )
        pool = Pool(_pool_plan(settings, _STARTS_PER_CORE * cores), starter, anchors, quick)
        await _run(settings.directory, pool, quick, stopping)
        # What could not be removed at once, such as while the engine was restarting.
        await _clear(settings, pool_id, removals, asyncio.Event(), tries=_LAST_TRIES)
    finally:
        for threads in (starts, quick, removals):
            threads.close()


async def _run(directory: Path, pool: Pool, quick: EngineThreads, stopping: asyncio.Event) -> None:
    (directory / SOCKET_NAME).unlink(missing_ok=True)
    with listen_in(directory, SOCKET_NAME, 0o600, _BACKLOG) as listener:
        serving = asyncio.create_task(PoolServer(pool, quick).serve(listener))
        _log.info("pool.started pid=%d", os.getpid())
        try:
            await pool.run(stopping)
        finally:
            (directory / SOCKET_NAME).unlink(missing_ok=True)
            serving.cancel()
            await asyncio.wait({serving})
            await pool.close()
            _log.info("pool.stopped pid=%d", os.getpid())


async def _clear(
    settings: PoolConfig,
    pool_id: str,
    threads: EngineThreads,
    stopping: asyncio.Event,
    *,
    tries: int = sys.maxsize,
) -> None:
    """Remove what this folder's pools have left; wait for an engine that does not answer."""
    for _ in range(tries):
        if stopping.is_set():
            return
        try:
            removed = await threads.run(
                lambda client: _remove_leftovers(client, settings.sandbox.instance, pool_id)
            )
        except SandboxUnavailableError as error:
            _log.warning("pool.waits error=%r", str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _RETRY_S)
        else:
            if removed:
                _log.warning("pool.cleared count=%d", len(removed))
            return


def _remove_leftovers(client: EngineClient, instance: str, pool_id: str) -> list[str]:
    """Remove them all: the lock says that the pool that made them has ended."""
    found = leftovers(client, instance, pool_id)
    for name in found:
        client.remove(name)
    return found


def _member_plan(settings: PoolConfig, pool_id: str) -> MemberPlan:
    return MemberPlan(
        settings=settings.sandbox,
        pool=pool_id,
        lifetime_s=settings.ttl_s + settings.attempt_s,
        idle_s=settings.ttl_s + _IDLE_MARGIN_S,
    )


def _pool_plan(settings: PoolConfig, starters: int) -> PoolPlan:
    return PoolPlan(
        key=pool_key(settings.sandbox),
        image=settings.sandbox.image,
        gateway_dir=settings.gateway_dir,
        wanted=settings.size,
        ttl_s=settings.ttl_s,
        concurrency=settings.concurrency,
        uids=len(settings.sandbox.uids),
        starters=starters,
    )
