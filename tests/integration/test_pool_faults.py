"""Starts of members that fail, with a real gateway and a scripted engine."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import READY_LINE
from tests.support.egress import GatewayProcess
from worker.egress.protocol import SOCKETS_NAME
from worker.sandbox import labels
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool import protocol
from worker.sandbox.pool.anchors import Anchors
from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.gateway_session import GatewaySession
from worker.sandbox.pool.members import MemberPlan, MemberStarter
from worker.sandbox.pool.pool import Pool, PoolPlan

T = TypeVar("T")

_SETTINGS = SandboxSettings(image="image", instance="faults", network="none")
_WAIT_S = 60.0
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: POOL_TTL_SECONDS may be a day.
_MEMBER_S = 86_400.0
_READY = struct.pack(">B3xI", 1, len(READY_LINE)) + READY_LINE


@dataclass
class ScriptedEngine:
    """Containers that exist, and those that run; a client of itself."""

    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    #: Raised by `attach`.
    fault: Exception | None = None
    #: Whether fetchers say that they are ready.
    is_ready: bool = True
    peers: list[socket.socket] = field(default_factory=list)

    def image(self, _name: str) -> dict[str, Any]:
        """Return the one image."""
        return {"Id": "sha256:1"}

    def create(self, name: str, body: dict[str, Any]) -> str:
        """Return the name as the id."""
        self.bodies[name] = body
        return name

    def find(self, _filter: list[str]) -> list[dict[str, Any]]:
        """Find no other container with a user id."""
        return []

    def attach(self, _container: str) -> socket.socket:
        """Return a stream in which the fetcher says that it is ready."""
        if self.fault is not None:
            raise self.fault
        ours, theirs = socket.socketpair()
        if self.is_ready:
            theirs.send(_READY)
        self.peers.append(theirs)
        return ours

    def start(self, container: str) -> None:
        """Refuse to join the namespace of a container that does not run."""
        mode = self.bodies[container]["HostConfig"]["NetworkMode"]
        if mode.startswith("container:") and mode.removeprefix("container:") not in self.running:
            raise SandboxUnavailableError("cannot join network of a non running container")
        self.running.add(container)

    def inspect(self, container: str) -> dict[str, Any]:
        """Know it until it is removed."""
        if container not in self.bodies:
            raise ContainerGoneError(container)
        return {"State": {"StartedAt": None}}

    def remove(self, container: str) -> None:
        """Forget it."""
        self.bodies.pop(container, None)
        self.running.discard(container)

    def close(self) -> None:
        """Close the other ends of the streams."""
        for peer in self.peers:
            peer.close()


class ScriptedThreads(EngineThreads):
    """Calls the scripted engine at once."""

    def __init__(self, engine: ScriptedEngine) -> None:
        """Take the engine."""
        self._scripted = engine

    async def run(self, work: Callable[[EngineClient], T]) -> T:
        """Call `work` with it."""
        return work(cast("EngineClient", self._scripted))


@dataclass
class World:
    """The parts of a pool around a scripted engine."""

    engine: ScriptedEngine
    threads: ScriptedThreads
    anchors: Anchors
    starter: MemberStarter
    gateway: GatewaySession
    sockets: Path


@contextmanager
def scripted_engine() -> Iterator[ScriptedEngine]:
    """Yield an engine without containers."""
    engine = ScriptedEngine()
    try:
        yield engine
    finally:
        engine.close()


@asynccontextmanager
async def world(egress_dir: Path) -> AsyncIterator[World]:
    """Connect the parts to a gateway that runs."""
    gateway = await GatewaySession.open(egress_dir)
    with scripted_engine() as engine:
        threads = ScriptedThreads(engine)

        def clock() -> datetime:
            return _NOW

        anchors = Anchors(threads, threads, "pool", clock, use_s=_MEMBER_S)
        starter = MemberStarter(
            MemberPlan(settings=_SETTINGS, pool="pool", lifetime_s=_MEMBER_S, idle_s=60),
            Engine("/nonexistent"),
            starts=threads,
            removals=threads,
            anchors=anchors,
            clock=clock,
        )
        try:
            yield World(engine, threads, anchors, starter, gateway, egress_dir / SOCKETS_NAME)
        finally:
            gateway.close()


@asynccontextmanager
async def running_pool(parts: World, egress_dir: Path) -> AsyncIterator[Pool]:
    """Run a pool of one member."""
    plan = PoolPlan(
        key="key",
        image="image",
        gateway_dir=egress_dir,
        wanted=1,
        ttl_s=60.0,
        concurrency=1,
        uids=100,
        starters=1,
    )
    pool, stopping = Pool(plan, parts.starter, parts.anchors, parts.threads), asyncio.Event()
    running = asyncio.create_task(pool.run(stopping))
    try:
        yield pool
    finally:
        stopping.set()
        await running
        await pool.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(_WAIT_S):
        while not condition():  # noqa: ASYNC110 - the pool has no event for what it does
            await asyncio.sleep(0.01)


@pytest.fixture
def egress_dir(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a gateway."""
    with GatewayProcess(tmp_path / "state") as gateway:
        yield gateway.egress_dir


async def test_a_restarted_engine_costs_one_start_whatever_the_number_of_anchors(
    egress_dir: Path,
) -> None:
    """A restart ends all anchors; after the first start that fails, none of them is used again."""
    async with world(egress_dir) as it:
        members = [await it.starter.start(it.gateway, "sha256:1") for _ in range(3)]
        for member in members:
            assert await it.starter.remove(member)
        assert len(it.anchors.names) == 3
        it.engine.running.clear()
        with pytest.raises(SandboxUnavailableError):
            await it.starter.start(it.gateway, "sha256:1")
        again = await it.starter.start(it.gateway, "sha256:1")
        assert await it.starter.remove(again)
        assert len(it.anchors.names) == 1


async def test_nothing_is_left_of_a_start_that_fails_for_an_unknown_reason(
    egress_dir: Path,
) -> None:
    """Neither a container, nor its gateway socket."""
    async with world(egress_dir) as it:
        it.engine.fault = RuntimeError("can't start new thread")
        with pytest.raises(RuntimeError):
            await it.starter.start(it.gateway, "sha256:1")
        assert (it.engine.bodies, list(it.sockets.iterdir())) == ({}, [])


async def test_each_start_that_fails_is_counted_and_followed_by_a_pause(egress_dir: Path) -> None:
    """Whatever the reason: otherwise it would be tried again at once, and without an end."""
    async with world(egress_dir) as it:
        it.engine.fault = RuntimeError("can't start new thread")
        async with running_pool(it, egress_dir) as pool:
            await until(lambda: pool.facts().failed_starts >= 2)
        assert (it.engine.bodies, list(it.sockets.iterdir())) == ({}, [])


async def test_a_claim_waits_no_longer_when_no_member_can_come(
    egress_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start that it waits for has failed, and the next one comes after a pause."""
    for name in ("WAIT_S", "_FIRST_PAUSE_S", "_MAX_PAUSE_S"):
        monkeypatch.setattr(f"worker.sandbox.pool.pool.{name}", 10 * _WAIT_S)
    async with world(egress_dir) as it:
        it.engine.is_ready = False
        async with running_pool(it, egress_dir) as pool:
            await until(lambda: bool(it.engine.peers))
            claiming = asyncio.create_task(pool.take("key"))
            await asyncio.sleep(0)
            it.engine.close()
            assert await asyncio.wait_for(claiming, _WAIT_S) == protocol.EMPTY


async def test_an_anchor_is_needed_as_long_as_the_last_member_that_gets_it(
    egress_dir: Path,
) -> None:
    """Otherwise the reaper would remove it under a member that waits."""
    async with world(egress_dir) as it:
        started = await it.starter.start(it.gateway, "sha256:1")
        [anchor, member] = [labels.read(each["Labels"]) for each in it.engine.bodies.values()]
        assert await it.starter.remove(started)
        assert anchor is not None
        assert member is not None
        assert (anchor.role, member.role) == (labels.ROLE_ANCHOR, labels.ROLE_SANDBOX)
        assert anchor.deadline_at > member.deadline_at == _NOW + timedelta(seconds=_MEMBER_S)
