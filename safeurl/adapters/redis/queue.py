"""Wake-ups as RQ jobs on the queue `scan-jobs`: JSON, the scan id as their only argument."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from rq import Queue

from safeurl.errors import QueueUnavailableError
from safeurl.health import EMBEDDED_QUEUE

QUEUE_NAME = "scan-jobs"
#: RQ imports the task by name, so that submitting needs no worker code.
TASK = "worker.tasks.run_scan"
SERIALIZER = "json"

#: Patience of a ping, below that of other commands.
PING_TIMEOUT_S = 3.0

T = TypeVar("T")

#: A UUID's length; job ids are the scan's id and a random tail, so that pushing again is harmless.
_ID_LENGTH = 36
#: A key that is written to learn whether the server takes writes, and goes by itself.
_PROBE, _PROBE_TTL_S = "safeurl:probe", 60
#: How long RQ keeps a failed job for people to look at. The scan's row is the truth.
_FAILURE_TTL_S = 24 * 3600


class RQQueue:
    """The `WakeQueue` on RQ."""

    def __init__(
        self,
        connection: Redis,
        *,
        job_timeout_s: float,
        name: str = QUEUE_NAME,
        embedded: bool = False,
    ) -> None:
        """Take a connection, and RQ's own deadline for a job, which lies above the attempt's.

        One that is `embedded` is a part of SafeURL, and is named so where it is away.
        """
        self._connection = connection
        self._embedded = embedded
        self._job_timeout_s = int(job_timeout_s)
        self._queue = Queue(name, connection=connection, serializer=SERIALIZER)

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Put one wake-up per scan on the queue, in one round trip."""
        if not scan_ids:
            return
        jobs = [
            Queue.prepare_data(
                TASK,
                args=(scan_id,),
                job_id=f"{scan_id}-{secrets.token_hex(4)}",
                timeout=self._job_timeout_s,
                result_ttl=0,
                failure_ttl=_FAILURE_TTL_S,
                description=f"scan {scan_id}",
                at_front=first,
            )
            # Each goes before the one pushed last.
            for scan_id in (reversed(scan_ids) if first else scan_ids)
        ]
        await self._answered(lambda: self._queue.enqueue_many(jobs))

    async def waiting(self) -> set[str]:
        """Return the ids of scans whose wake-up lies on the queue.

        RQ's intermediate list does not count: what a killed worker left there wakes nobody.
        """
        jobs = await self._answered(self._queue.get_job_ids)
        return {job_id[:_ID_LENGTH] for job_id in jobs}

    async def ping(self) -> int:
        """Return how many wake-ups wait; a server that answers but takes no writes is no queue.

        Whoever asks for health waits no longer than a few seconds, also where the network loses
        every packet.
        """
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                return await self._answered(self._count)
        except TimeoutError as error:
            silence = f"{self._name()} does not answer: silent for {PING_TIMEOUT_S:g} seconds."
            raise QueueUnavailableError(silence) from error

    def _count(self) -> int:
        require_writes(self._connection)
        return int(self._queue.count)

    async def close(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._connection.close)

    async def _answered(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except OutOfMemoryError as error:
            raise QueueUnavailableError("Redis is full: it takes no writes (maxmemory).") from error
        except ResponseError as error:
            raise QueueUnavailableError(f"Redis refuses: {error}") from error
        except RedisError as error:
            raise QueueUnavailableError(f"{self._name()} does not answer: {error}") from error

    def _name(self) -> str:
        return EMBEDDED_QUEUE if self._embedded else "Redis"


def require_writes(connection: Redis) -> None:
    """Raise RedisError where the server does not answer, or is full, read-only or loading."""
    connection.set(_PROBE, "", ex=_PROBE_TTL_S)
