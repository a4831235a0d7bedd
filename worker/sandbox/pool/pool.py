"""Keeps as many members ready as the demand asks for, and hands each of them out once.

A member leaves the list of ready members before anything else is done with it, and nothing ever
puts one back. So no two attempts get the same member, whatever fails in between.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safeurl.errors import EgressUnavailableError, SandboxUnavailableError
from worker.sandbox.pool import protocol
from worker.sandbox.pool.anchors import Anchors
from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.gateway_session import GatewaySession
from worker.sandbox.pool.members import Member, MemberStarter
from worker.sandbox.pool.size.demand import Demand
from worker.sandbox.pool.size.host_memory import read_memory
from worker.sandbox.pool.size.target import Situation, needed_anchors, target_size
from worker.sandbox.pool.waiting import WaitingClaims

_log = logging.getLogger("safeurl.pool")

#: The longest time between two looks at image, demand, memory and ages.
_TURN_S: Final = 1.0
#: The pause after a start that failed; each further failure in a row doubles it.
_FIRST_PAUSE_S: Final = 0.5
_MAX_PAUSE_S: Final = 10.0
#: A member that is ready for so long shows that starts succeed.
_STEADY_S: Final = 10.0
#: The longest time that a claim waits for a member that is being started. Where the starts take
#: long the host is busy, and a sandbox that the claim started itself would take longer still: it
#: needs more CPU time than a member, and delays the members that are being started.
WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """The settings of the pool."""

    key: str
    image: str
    gateway_dir: Path
    #: POOL_SIZE as a number; None for `auto`.
    wanted: int | None
    ttl_s: float
    concurrency: int
    uids: int
    #: How many members are started at the same time, up to their ready lines.
    starters: int


class Pool:
    """The ready members of one host; belongs to one event loop."""

    def __init__(
        self, plan: PoolPlan, starter: MemberStarter, anchors: Anchors, threads: EngineThreads
    ) -> None:
        """Take what starts members, their anchors, and the threads that ask for the image."""
        self._plan = plan
        self._starter = starter
        self._anchors = anchors
        self._threads = threads
        self._demand = Demand()
        self._ready: deque[Member] = deque()
        self._waiting: WaitingClaims[Member] = WaitingClaims(self._discard)
        self._starting = 0
        self._starts = 0
        self._failed_starts = 0
        self._failures_in_a_row = 0
        self._paused_until_s = 0.0
        self._target = 0
        self._lowered_s = time.monotonic()
        #: How long the last start took.
        self._start_s = _FIRST_PAUSE_S
        self._gateway: GatewaySession | None = None
        self._image: str | None = None
        self._looked_s = -math.inf
        self._tasks: set[asyncio.Task[Any]] = set()
        self._trimming: asyncio.Task[Any] | None = None
        self._wake = asyncio.Event()
        self._is_stopping = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep members ready until `stopping` is set; `close` must follow."""
        stop = asyncio.create_task(stopping.wait())
        while not stopping.is_set():
            self._wake.clear()
            await self._turn()
            woken = asyncio.create_task(self._wake.wait())
            await asyncio.wait({stop, woken}, timeout=_TURN_S, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        self._is_stopping = True

    async def close(self) -> None:
        """Remove the members that nobody has claimed, and the anchors."""
        self._is_stopping = True
        self._waiting.give_up()
        while self._ready:
            self._drop(self._ready[0])
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._anchors.close()
        if self._gateway is not None:
            self._gateway.close()

    async def take(self, key: str) -> Member | str:
        """Return a member that is the caller's alone from now on, or the reason for none.

        Waits for a moment if members are being started: a sandbox that the caller started itself
        would take longer, and delay those.
        """
        self._demand.claimed()
        self._wake.set()
        if self._is_stopping:
            return self._miss(protocol.STOPPING)
        if key != self._plan.key:
            return self._miss(protocol.OTHER_KEY)
        while self._ready:
            member = self._take_out(self._ready.popleft())
            if self._is_current(member):
                self._demand.hits += 1
                self._failures_in_a_row = 0
                return member
            self._discard(member)
        if self._is_worth_waiting():
            return await self._wait_for_member()
        return self._miss(protocol.EMPTY)

    def discard(self, member: Member) -> None:
        """Remove a member that was taken, in the background."""
        self._discard(member)

    async def release(self, member: Member) -> bool:
        """Remove a member whose attempt has ended; return False if that fails."""
        return await asyncio.shield(self._spawn(self._starter.remove_claimed(member)))

    def names(self) -> tuple[str, ...]:
        """Return the names of the containers that this pool takes care of."""
        return (*self._starter.names, *self._anchors.names)

    def count_failed_claim(self) -> None:
        """Count a hit that could not be handed over as a miss."""
        self._demand.hits -= 1
        self._demand.misses[protocol.FAILED] += 1

    def facts(self) -> protocol.PoolFacts:
        """Return the size and the counters."""
        return protocol.PoolFacts(
            size=len(self._ready),
            target=self._target,
            anchors=len(self._anchors.names),
            hits=self._demand.hits,
            waited=self._demand.waited,
            misses=dict(self._demand.misses),
            starts=self._starts,
            failed_starts=self._failed_starts,
        )

    def _miss(self, reason: str) -> str:
        self._demand.misses[reason] += 1
        return reason

    def _is_current(self, member: Member) -> bool:
        is_ours = member.gateway is self._gateway and member.image == self._image
        is_old = time.monotonic() - member.started_s >= self._plan.ttl_s
        return is_ours and not is_old and member.is_usable()

    def _is_worth_waiting(self) -> bool:
        """Return True if a member will probably be ready in time for one more claim."""
        in_turn = (len(self._waiting) + 1) / self._plan.starters
        return self._can_start() and self._target > 0 and in_turn * self._start_s <= WAIT_S

    async def _wait_for_member(self) -> Member | str:
        member = await self._waiting.wait(WAIT_S)
        if member is None:
            return self._miss(protocol.EMPTY)
        self._demand.hits += 1
        self._demand.waited += 1
        return member

    def _can_start(self) -> bool:
        has_parts = self._gateway is not None and self._image is not None
        is_paused = time.monotonic() < self._paused_until_s
        return has_parts and not is_paused and not self._is_stopping

    async def _turn(self) -> None:
        """Look at everything once; start what is missing and remove what is too much."""
        await self._connect()
        await self._look_at_image()
        self._measure()
        now_s = time.monotonic()
        for member in tuple(self._ready):
            if now_s - member.started_s >= _STEADY_S:
                self._failures_in_a_row = 0
            if not self._is_current(member) or len(self._ready) > self._target:
                self._drop(member)
        missing = self._target + len(self._waiting) - len(self._ready) - self._starting
        while missing > 0 and self._starting < self._plan.starters and self._can_start():
            missing -= 1
            self._starting += 1
            self._spawn(self._start_one())
        if not self._starting and not self._can_start():
            self._waiting.give_up()
        self._trim_anchors()

    def _trim_anchors(self) -> None:
        """Keep those that will be needed soon: as many as scans that run, while there are any."""
        if self._trimming is not None and not self._trimming.done():
            return
        _, claims_60s = self._demand.recent()
        most = needed_anchors(
            target=self._target,
            members=self._starting + len(self._ready),
            running=min(self._plan.concurrency, claims_60s),
        )
        self._trimming = self._spawn(self._anchors.trim(most))

    async def _connect(self) -> None:
        """Connect to the gateway if there is no connection; the members of a lost one go."""
        if self._gateway is not None and not self._gateway.is_lost:
            return
        if self._gateway is not None:
            _log.warning("pool.gateway_lost members=%d", len(self._ready))
            self._gateway.close()
            self._gateway = None
        try:
            self._gateway = await GatewaySession.open(self._plan.gateway_dir)
        except EgressUnavailableError:
            return  # the next turn tries again; workers take no scan meanwhile

    async def _look_at_image(self) -> None:
        """Learn the id of the image; members of another one are not current any more."""
        now_s = time.monotonic()
        if now_s < self._paused_until_s or now_s - self._looked_s < _TURN_S:
            return
        try:
            facts = await self._threads.run(lambda client: client.image(self._plan.image))
        except SandboxUnavailableError as error:
            if self._image is not None:
                _log.warning("pool.engine_lost error=%r", str(error))
            self._image = None
            self._pause()
            return
        if self._image not in {None, facts["Id"]}:
            _log.info("pool.image_changed members=%d", len(self._ready))
        self._image = facts["Id"]
        self._looked_s = now_s

    def _measure(self) -> None:
        memory = read_memory()
        claims_10s, claims_60s = self._demand.recent()
        now_s = time.monotonic()
        target = target_size(
            Situation(
                wanted=self._plan.wanted,
                claims_10s=claims_10s,
                claims_60s=claims_60s,
                previous=self._target,
                since_lowered_s=now_s - self._lowered_s,
                concurrency=self._plan.concurrency,
                uids=self._plan.uids,
                size=len(self._ready) + self._starting,
                available_mb=memory.available_mb,
                pressure=memory.pressure,
            )
        )
        if target < self._target:
            self._lowered_s = now_s
        self._target = target

    async def _start_one(self) -> None:
        gateway, image = self._gateway, self._image
        began_s = time.monotonic()
        try:
            if gateway is None or image is None:
                return
            member = await self._starter.start(gateway, image)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next start waits
            self._failed_starts += 1
            self._pause()
            _log.warning("pool.not_started error=%r", str(error))
            return
        finally:
            self._starting -= 1
            self._wake.set()
        self._starts += 1
        self._start_s = time.monotonic() - began_s
        self._add(member)

    def _add(self, member: Member) -> None:
        if self._is_stopping or not self._is_current(member):
            if not member.is_usable():
                self._pause()
            self._discard(member)
            return
        if self._waiting.give(member):
            return
        asyncio.get_running_loop().add_reader(
            member.container.attached.fileno(), self._on_event, member
        )
        self._ready.append(member)

    def _on_event(self, member: Member) -> None:
        """Drop a member that has ended or written before it was claimed.

        It counts as a start that failed: an image whose fetcher always does so must not be started
        again and again without a pause.
        """
        self._failed_starts += 1
        self._pause()
        self._drop(member)

    def _drop(self, member: Member) -> None:
        self._ready.remove(member)
        self._discard(self._take_out(member))
        self._wake.set()

    @staticmethod
    def _take_out(member: Member) -> Member:
        asyncio.get_running_loop().remove_reader(member.container.attached.fileno())
        return member

    def _discard(self, member: Member) -> None:
        self._spawn(self._starter.remove(member))

    def _pause(self) -> None:
        pause_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures_in_a_row, 10))
        self._failures_in_a_row += 1
        self._paused_until_s = time.monotonic() + pause_s

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("pool.task_failed error=%r", error)
