"""A started container without an engine: who removes it, and when."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SinkResult, StartKind
from safeurl.ports.egress import EgressEndpoint
from worker.sandbox.engine import Engine
from worker.sandbox.prepare import StartedContainer
from worker.sandbox.started import StartedSandbox

_REQUEST = FetchRequest(scan="s", attempt=1, url="http://lab.invalid/")
_ENDPOINT = EgressEndpoint(id="r1", directory="/rooms/r1")


class _World:
    """A container that is one end of a socket pair, and its removals."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.theirs = theirs
        self.removals = 0
        self.fails: Exception | None = None
        container = StartedContainer(
            id="5f" * 32, name="safeurl-s-1", started_at=None, attached=ours
        )
        self.attached = ours
        self.sandbox = StartedSandbox(
            container,
            engine=Engine("/nonexistent/docker.sock"),
            remove=self._remove,
            endpoint=_ENDPOINT,
            start_kind=StartKind.WARM,
        )

    def _remove(self) -> None:
        self.removals += 1
        if self.fails is not None:
            raise self.fails

    def execute(self) -> asyncio.Task[SandboxExit]:
        """Begin to run a request that nobody answers."""
        return asyncio.create_task(
            self.sandbox.execute(_REQUEST, deadline_s=60, sink=lambda _: SinkResult.MORE)
        )

    async def received(self) -> bytes:
        """Return what the container got first."""
        return await asyncio.to_thread(self.theirs.recv, 4096)


@pytest.fixture
def world() -> Iterator[_World]:
    """Make a container."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield _World(ours, theirs)


async def test_a_sandbox_of_the_pool_is_handed_on_as_it_is(world: _World) -> None:
    """Its socket and its kind of start are those that it was given."""
    assert (world.sandbox.endpoint, world.sandbox.start_kind) == (_ENDPOINT, StartKind.WARM)
    await world.sandbox.release()


async def test_a_release_ends_the_run_before_it_closes_the_connection(world: _World) -> None:
    """The thread of the run must not use a descriptor that may be another one's by then."""
    running = world.execute()
    assert b'"scan":"s"' in await world.received()
    await world.sandbox.release()
    assert (world.attached.fileno(), world.removals) == (-1, 1)
    ended = await running
    assert (ended.start_kind, ended.error, ended.stopped) == (StartKind.WARM, None, None)


@pytest.mark.parametrize(
    "failure", [SandboxUnavailableError("No engine."), RuntimeError("a fault of ours")]
)
async def test_a_release_that_fails_is_only_logged(
    world: _World, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The scan is final; the reaper removes the container."""
    world.fails = failure
    await world.sandbox.release()
    await world.sandbox.release()
    assert world.removals == 1
    assert "sandbox.not_removed name=safeurl-s-1" in caplog.text


async def test_cancelling_a_run_twice_waits_for_its_thread(world: _World) -> None:
    """When the call has returned, nobody uses the connection."""
    running = world.execute()
    await world.received()
    for _ in range(2):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.attached.fileno() == -1
    await world.sandbox.release()
    assert world.removals == 1
