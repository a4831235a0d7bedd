"""The members of the pool: sandboxes that were started ahead and wait for their request."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import READY_LINE
from safeurl.model.sandbox import SandboxOrder
from safeurl.ports.clock import Clock
from safeurl.ports.egress import EgressEndpoint
from worker.sandbox import labels
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient
from worker.sandbox.frames import FrameError, FrameReader, Stream
from worker.sandbox.options import Ahead, SandboxSettings, ahead_options
from worker.sandbox.pool.anchors import Anchor, Anchors
from worker.sandbox.pool.descriptors import is_silent
from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.gateway_session import GatewaySession
from worker.sandbox.prepare import NewContainer, StartedContainer

_log = logging.getLogger("safeurl.pool")

#: How long a started fetcher may take until then, on a host that is busy.
_READY_TIMEOUT_S: Final = 30.0
_RECV_BYTES: Final = 4096
#: The pauses between the tries to remove a container.
_REMOVE_PAUSES_S: Final = (0.2, 1.0, 3.0)


@dataclass(slots=True, eq=False)
class Member:
    """One sandbox; it belongs to the pool until an attempt claims it, and never again."""

    container: StartedContainer
    endpoint: EgressEndpoint
    #: The gateway that has made the endpoint.
    gateway: GatewaySession
    #: The container whose network namespace it uses; None for one of its own.
    anchor: Anchor | None
    #: The id of the image that it was started from.
    image: str
    started_s: float = field(default_factory=time.monotonic)

    def is_usable(self) -> bool:
        """Return True if its stream is open and silent, and its gateway runs.

        The engine closes the stream when the container or the engine itself ends.
        """
        return is_silent(self.container.attached.fileno()) and not self.gateway.is_lost


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPlan:
    """What all members of a pool are made from."""

    settings: SandboxSettings
    #: The id of the pool, for the labels.
    pool: str
    #: The longest time until the container is not needed any more, and until its request comes.
    lifetime_s: float
    idle_s: int


class MemberStarter:
    """Starts members and removes them; belongs to one event loop."""

    def __init__(  # noqa: PLR0913 - the parts that it uses, each handed in
        self,
        plan: MemberPlan,
        engine: Engine,
        *,
        starts: EngineThreads,
        removals: EngineThreads,
        anchors: Anchors,
        clock: Clock,
    ) -> None:
        """Take the parts; removals have threads of their own, so that no start delays them."""
        self._plan = plan
        self._engine = engine
        self._starts = starts
        self._removals = removals
        self._anchors = anchors
        self._clock = clock
        #: The names of containers that exist or may exist, before they are claimed.
        self.names: set[str] = set()

    async def start(self, gateway: GatewaySession, image: str) -> Member:
        """Start a sandbox and wait until it is ready.

        Raises SandboxUnavailableError or EgressUnavailableError; then nothing of it is left.
        """
        endpoint = await gateway.create()
        try:
            return await self._start(gateway, endpoint, image)
        except BaseException:
            await gateway.close_socket(endpoint)
            # They may be the reason, such as after a restart of the engine, which ends them all.
            await self._anchors.trim(0)
            raise

    async def _start(self, gateway: GatewaySession, endpoint: EgressEndpoint, image: str) -> Member:
        anchor = await self._anchors.take(self._plan.settings)
        ahead = Ahead(
            pool=self._plan.pool,
            egress=endpoint.id,
            egress_dir=endpoint.directory,
            anchor=anchor.id if anchor is not None else None,
            idle_s=self._plan.idle_s,
        )
        new = _NewMember(self._engine, self._plan, ahead, self._clock)
        self.names.add(new.name)
        container: StartedContainer | None = None
        try:
            container = await self._starts.run(new.start)
            member = Member(container, endpoint, gateway, anchor, image)
            await _read_ready_line(container.attached)
        except BaseException:
            if container is not None:
                container.attached.close()
            await self._remove(new.id or new.name, new.name, anchor, trusted=False)
            raise
        return member

    async def remove(self, member: Member) -> bool:
        """Kill and remove a member that nobody uses, with its gateway socket."""
        member.container.attached.close()
        container = member.container
        is_removed = await self._remove(container.id, container.name, member.anchor)
        await member.gateway.close_socket(member.endpoint)
        return is_removed

    async def remove_claimed(self, member: Member) -> bool:
        """Remove a member whose attempt has closed the gateway socket itself."""
        container = member.container
        return await self._remove(container.id, container.name, member.anchor)

    async def _remove(
        self, container: str, name: str, anchor: Anchor | None, *, trusted: bool = True
    ) -> bool:
        """Remove the container and free its anchor; return False if that fails.

        An anchor is used again only after the engine has confirmed that the sandbox is gone, and
        only if nothing failed with it: after a start that failed it may itself be the reason.
        """
        is_removed = await _with_retries(
            lambda: self._removals.run(lambda client: _remove_for_sure(client, container)), name
        )
        self.names.discard(name)
        if anchor is not None:
            if is_removed and trusted:
                self._anchors.give_back(anchor)
            else:
                await self._anchors.drop(anchor)
        return is_removed


class _NewMember(NewContainer):
    """A container that no attempt owns."""

    def __init__(self, engine: Engine, plan: MemberPlan, ahead: Ahead, clock: Clock) -> None:
        def options(settings: SandboxSettings, _order: SandboxOrder, at: Any) -> dict[str, Any]:
            return ahead_options(settings, ahead, at)

        order = SandboxOrder(scan="", attempt=0, deadline_s=plan.lifetime_s)
        super().__init__(engine, plan.settings, order, clock=clock, options=options)
        self.name = labels.ahead_name()

    def start(self, client: EngineClient) -> StartedContainer:
        """Create, attach and start; the caller removes what is left of a failure."""
        container_id = self.create(client)
        attached = client.attach(container_id)
        try:
            client.start(container_id)
            state = client.inspect(container_id)["State"]
        except BaseException:
            attached.close()
            raise
        return StartedContainer(
            id=container_id,
            name=self.name,
            started_at=state.get("StartedAt"),
            attached=attached,
        )

    def _remove_by_name(self, client: EngineClient) -> bool:
        client.remove(self.name)
        return True


def _remove_for_sure(client: EngineClient, container: str) -> None:
    """Remove the container, and raise unless the engine says that it is gone."""
    client.remove(container)
    try:
        client.inspect(container)
    except ContainerGoneError:
        return
    raise SandboxUnavailableError("Docker is still removing the container.")


async def _with_retries(remove: Callable[[], Awaitable[None]], name: str) -> bool:
    for pause_s in (*_REMOVE_PAUSES_S, None):
        try:
            await remove()
        except SandboxUnavailableError as error:
            if pause_s is None:
                _log.warning("pool.not_removed name=%s error=%r", name, str(error))
                break
            await asyncio.sleep(pause_s)
        else:
            return True
    return False


async def _read_ready_line(attached: socket.socket) -> None:
    """Read the fetcher's first line and nothing else; raise SandboxUnavailableError."""
    attached.settimeout(0)
    frames, line = FrameReader(), b""
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            while not line.endswith(b"\n") and len(line) < len(READY_LINE):
                data = await asyncio.get_running_loop().sock_recv(attached, _RECV_BYTES)
                if not data:
                    raise SandboxUnavailableError("The fetcher ended before it was ready.")
                for stream, piece in frames.feed(data):
                    line += piece if stream is Stream.STDOUT else b""
    except (OSError, TimeoutError, FrameError) as error:
        raise SandboxUnavailableError(f"The fetcher was not ready: {error!r}.") from error
    if line != READY_LINE or not frames.is_between_frames:
        raise SandboxUnavailableError("The fetcher's first line does not say that it is ready.")
