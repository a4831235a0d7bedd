"""The suite that every WakeQueue passes, and the additional behaviour of the queue on RQ."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest
from rq import Queue
from rq.job import Job

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.redis.wakeup import QUEUE_NAME, take
from safeurl.errors import QueueUnavailableError
from safeurl.model.records.wakeup import TASK, Arrival, Refusal, Wakeup
from safeurl.model.scan import new_scan_id
from safeurl.ports.queue import Waiting, WakeQueue
from tests.support.valkey import Valkey

Open = Callable[[Path], AbstractAsyncContextManager[WakeQueue]]
IDS = [new_scan_id(datetime(2026, 1, 1, tzinfo=UTC)) for _ in range(3)]


@asynccontextmanager
async def _memory(_folder: Path) -> AsyncIterator[WakeQueue]:
    yield MemoryQueue()


@asynccontextmanager
async def _rq(folder: Path) -> AsyncIterator[WakeQueue]:
    with Valkey(folder) as valkey:
        queue = RQQueue(valkey.server.connect(), job_timeout_s=90)
        yield queue
        await queue.close()


@pytest.fixture(params=[_memory, _rq], ids=["memory", "rq"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WakeQueue]:
    """Open each implementation in turn, empty."""
    open_queue: Open = request.param
    async with open_queue(tmp_path) as opened:
        yield opened


async def test_pushed_scans_wait(queue: WakeQueue) -> None:
    """A pushed scan is waiting and counted."""
    await queue.push(IDS[:2])
    assert (await queue.waiting(limit=100)).scan_ids == set(IDS[:2])
    assert await queue.ping() == 2


async def test_pushing_again_is_harmless(queue: WakeQueue) -> None:
    """A second wake-up for the same scan is allowed and the scan still waits once."""
    await queue.push([IDS[0]])
    await queue.push([IDS[0], IDS[1]])
    assert (await queue.waiting(limit=100)).scan_ids == set(IDS[:2])


async def test_what_is_pushed_first_comes_next(tmp_path: Path) -> None:
    """A worker gets it before all that waited, several of them in the order they were given in."""
    async with _rq(tmp_path) as queue:
        await queue.push(IDS[:1])
        await queue.push(IDS[1:], first=True)
        connection = Valkey(tmp_path).server.connect_worker(40)
        waiting = Queue(QUEUE_NAME, connection=connection).get_job_ids()
        assert [job_id[: len(IDS[0])] for job_id in waiting] == [*IDS[1:], IDS[0]]
        connection.close()


async def test_nothing_is_refused_of_what_is_pushed(queue: WakeQueue) -> None:
    """Only messages that SafeURL did not write are counted as refused."""
    await queue.push(IDS)
    assert await queue.refused() == 0


async def test_the_front_alone_is_looked_at(queue: WakeQueue) -> None:
    """Only this number of jobs is read of a long queue; the result says that there are more."""
    await queue.push(IDS)
    assert await queue.waiting(limit=len(IDS)) == Waiting(frozenset(IDS), is_all=True)
    assert await queue.waiting(limit=2) == Waiting(frozenset(IDS[:2]), is_all=False)
    assert await queue.waiting(limit=1) == Waiting(frozenset(IDS[:1]), is_all=False)


async def test_an_empty_push_does_nothing(queue: WakeQueue) -> None:
    """Pushing nothing leaves the queue empty."""
    await queue.push([])
    assert await queue.waiting(limit=100) == Waiting()


async def test_a_job_carries_only_the_id_as_json(tmp_path: Path) -> None:
    """The RQ job names the task and contains the scan's id, readable without pickle."""
    async with _rq(tmp_path) as queue:
        await queue.push([IDS[0]])
        connection = Valkey(tmp_path).server.connect_worker(40)
        [job_id] = Queue(QUEUE_NAME, connection=connection).get_job_ids()
        job = Job.fetch(job_id, connection=connection, serializer="json")
        assert (job.func_name, list(job.args), job.kwargs) == (TASK, [IDS[0]], {})
        assert (job.timeout, job.result_ttl) == (90, 0)
        connection.close()


async def test_a_push_reads_no_metadata_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow step of making a client is done once, not for each push."""

    def never(name: str) -> metadata.Distribution:
        raise AssertionError(name)

    async with _rq(tmp_path) as queue:
        await queue.ping()  # the connection is made
        monkeypatch.setattr(metadata.Distribution, "from_name", never)
        await queue.push(IDS[:1])
        await queue.push(IDS[1:], first=True)
        assert (await queue.waiting(limit=100)).scan_ids == set(IDS)


async def test_a_wake_up_is_taken_as_it_was_pushed(tmp_path: Path) -> None:
    """In the order of the queue; nothing of it stays behind."""
    async with _rq(tmp_path) as queue:
        await queue.push(IDS)
        connection = Valkey(tmp_path).server.connect_worker(40)
        assert [take(connection, 1) for _ in IDS] == [Wakeup(TASK, each) for each in IDS]
        assert take(connection, 0.1) is None
        # The set of all queues' names, which RQ keeps for its own commands.
        assert connection.keys() == [b"rq:queues"]
        connection.close()


async def test_a_wake_up_says_when_it_was_sent_and_taken(tmp_path: Path) -> None:
    """A job without these times, or with invalid ones, is still a valid wake-up."""
    async with _rq(tmp_path) as queue:
        connection = Valkey(tmp_path).server.connect_worker(40)
        for first in (False, True):
            before, before_s = datetime.now(UTC), time.monotonic()
            await queue.push(IDS[:1], first=first)
            arrival = _arrival(take(connection, 1))
            assert arrival.pushed_at is not None
            assert before <= arrival.pushed_at <= arrival.taken_at <= datetime.now(UTC)
            assert before_s <= arrival.taken_s <= time.monotonic()
        for said in (b"", b"yesterday", b"\xff\xfe", b"2026-13-41T99:00:00.000000Z"):
            await queue.push(IDS[:1])
            [job_id] = Queue(QUEUE_NAME, connection=connection).get_job_ids()
            connection.hset(f"rq:job:{job_id}", "enqueued_at", said)
            assert _arrival(take(connection, 1)).pushed_at is None, said
        await queue.push(IDS[:1])
        [job_id] = Queue(QUEUE_NAME, connection=connection).get_job_ids()
        connection.hset(f"rq:job:{job_id}", "enqueued_at", "2" * 28)
        assert take(connection, 1) is Refusal.SIZE
        connection.close()


def _arrival(taken: Wakeup | Refusal | None) -> Arrival:
    assert isinstance(taken, Wakeup)
    assert taken.arrival is not None
    return taken.arrival


async def test_each_wake_up_is_a_job_of_its_own(tmp_path: Path) -> None:
    """To take, fail or delete one job has no effect on the other."""
    async with _rq(tmp_path) as queue:
        await queue.push([IDS[0]])
        await queue.push([IDS[0]])
        connection = Valkey(tmp_path).server.connect_worker(40)
        first, second = Queue(QUEUE_NAME, connection=connection).get_job_ids()
        Job.fetch(first, connection=connection, serializer="json").delete()
        assert Job.exists(second, connection=connection)
        assert (await queue.waiting(limit=100)).scan_ids == {IDS[0]}
        connection.close()


async def test_a_gone_server_is_our_error(tmp_path: Path) -> None:
    """Every method turns Redis's errors into QueueUnavailableError."""
    queue = RQQueue(Valkey(tmp_path).server.connect(), job_timeout_s=90)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: queue.push(IDS),
        lambda: queue.waiting(limit=100),
        queue.ping,
        queue.refused,
    ]
    for call in calls:
        with pytest.raises(QueueUnavailableError, match="Redis does not answer"):
            await call()
    await queue.close()


async def test_a_server_that_refuses_is_told_apart_from_one_that_is_away(tmp_path: Path) -> None:
    """The error quotes the server; here another value is stored under the queue's name."""
    async with _rq(tmp_path) as queue:
        connection = Valkey(tmp_path).server.connect_worker(40)
        connection.set(f"rq:queue:{QUEUE_NAME}", "no list")
        with pytest.raises(QueueUnavailableError, match="Redis refuses: WRONGTYPE"):
            await queue.waiting(limit=100)
        connection.close()


async def test_wake_ups_survive_a_killed_server(tmp_path: Path) -> None:
    """The append-only file restores the queue after SIGKILL."""
    valkey = Valkey(tmp_path)
    valkey.start()
    queue = RQQueue(valkey.server.connect(), job_timeout_s=90)
    await queue.push(IDS)
    await asyncio.sleep(1.5)  # the file is synced every second
    valkey.stop(kill=True)
    with valkey:
        assert (await queue.waiting(limit=100)).scan_ids == set(IDS)
        await queue.close()


async def test_a_redis_that_is_silent_is_told_soon() -> None:
    """If the network loses every packet, the health call returns soon."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = RedisServer(host="127.0.0.1", port=silent.getsockname()[1], socket_path=Path())
        queue = RQQueue(server.connect(), job_timeout_s=90)
        with pytest.raises(QueueUnavailableError, match=r"Redis .* silent for 3 seconds"):
            await queue.ping()
    await queue.close()
