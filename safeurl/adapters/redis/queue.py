"""Wake-ups as RQ jobs on the queue `scan-jobs`: JSON, the scan id as their only argument.

RQ writes the jobs into a pipeline, and asyncio sends it, so that a silent server blocks no thread.
RQ never reads the jobs (see `wakeup`).
"""

import asyncio
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from redis import Redis as Unconnected
from redis.asyncio import Redis
from redis.client import Pipeline
from redis.exceptions import AuthenticationError, OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as SilenceError
from rq import Queue

from safeurl.adapters.redis.wakeup import QUEUE_KEY, QUEUE_NAME, REFUSED_KEY, scan_id_of
from safeurl.errors import QueueUnavailableError
from safeurl.model.records.wakeup import TASK
from safeurl.ports.queue import Waiting

SERIALIZER = "json"

#: The limit of a command: submitting a scan or reading the health takes no longer, even if the
#: network loses every packet.
TIMEOUT_S = 3.0
#: The limit of open connections, however many requests wait for a silent server.
_MAX_CONNECTIONS = 16

#: OpenSSL's numbers (x509_vfy.h) for a certificate of another host name or address.
_OTHER_NAME = frozenset({62, 64})

#: The number of jobs that are read at once; each may be as long as the server allows: 1 MiB with
#: the embedded one.
_READ_AT_ONCE = 200
#: A queue is unusable if reading its first jobs takes longer.
_READ_TIME_S = 60.0

#: RQ would ask the server for its version; the written jobs are the same for all versions.
_ANY_VERSION = (6, 0, 0)

T = TypeVar("T")

#: A key that is written to test whether the server accepts writes; it expires.
_PROBE, _PROBE_TTL_S = "safeurl:probe", 60


class RQQueue:
    """The `WakeQueue` on RQ."""

    def __init__(
        self,
        connection: Redis,
        *,
        job_timeout_s: float,
        embedded: bool = False,
    ) -> None:
        """Store the connection and the time limit of a job, which is written into it for people.

        If `embedded` is true, messages call the server the embedded queue.
        """
        self._connection = connection
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._embedded = embedded
        self._job_timeout_s = int(job_timeout_s)
        # RQ only writes into the pipelines of this client, which never connects. It is made once,
        # because a new client reads package metadata from the disk, which takes ten times as long
        # as writing a job.
        self._writer = Unconnected()
        self._rq = Queue(QUEUE_NAME, connection=self._writer, serializer=SERIALIZER)
        self._rq.redis_server_version = _ANY_VERSION

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Put one wake-up per scan on the queue, in one round trip.

        If the response does not come in time, the wake-ups may be on the queue or not.
        """
        if not scan_ids:
            return
        await self._answered(lambda: self._send(self._written(scan_ids, first=first)))

    def _written(self, scan_ids: Sequence[str], *, first: bool) -> Pipeline:
        """Return a pipeline with the commands of RQ for wake-ups; it is not executed."""
        jobs = [
            Queue.prepare_data(
                TASK,
                args=(scan_id,),
                job_id=f"{scan_id}-{secrets.token_hex(4)}",
                timeout=self._job_timeout_s,
                result_ttl=0,
                description=f"scan {scan_id}",
                at_front=first,
            )
            # Each is pushed before the previous one.
            for scan_id in (reversed(scan_ids) if first else scan_ids)
        ]
        written = self._writer.pipeline()
        self._rq.enqueue_many(jobs, pipeline=written)
        return written

    async def _send(self, written: Pipeline) -> None:
        async with self._connection.pipeline() as pipeline:
            for words, options in written.command_stack:
                pipeline.execute_command(*words, **options)
            await pipeline.execute()

    async def waiting(self, *, limit: int) -> Waiting:
        """Read the first jobs of the queue; foreign jobs name no scan."""
        # `_read_front` usually ends earlier with its own error; a single slow response needs this.
        return await self._answered(lambda: self._read_front(limit), timeout_s=2 * _READ_TIME_S)

    async def _read_front(self, limit: int) -> Waiting:
        """Read the front of the queue in parts, because foreign jobs may be larger than our memory.

        A job that moves between two parts during the read is not found, nor is a new job. The
        caller reads twice before it pushes a scan again, and a second push is harmless.
        """
        found: set[str] = set()
        end_s = time.monotonic() + _READ_TIME_S
        length = int(await self._connection.llen(QUEUE_KEY))
        read = min(length, limit)
        for begin in range(0, read, _READ_AT_ONCE):
            end = min(begin + _READ_AT_ONCE, read) - 1
            jobs = await self._connection.lrange(QUEUE_KEY, begin, end)
            found |= {scan_id for job_id in jobs if (scan_id := scan_id_of(job_id))}
            if time.monotonic() > end_s:
                sentence = f"{self._name()} takes too long to list the waiting wake-ups."
                raise QueueUnavailableError(sentence)
        return Waiting(frozenset(found), is_all=length <= limit)

    async def refused(self) -> int:
        """Return the number of jobs of the last hour that workers refused as invalid."""
        return await self._answered(self._read_refused)

    async def _read_refused(self) -> int:
        return int(await self._connection.get(REFUSED_KEY) or 0)

    async def ping(self) -> int:
        """Return the number of waiting wake-ups; raise if the server does not accept writes."""
        return await self._answered(self._count)

    async def _count(self) -> int:
        # This raises an error if the server is full, read-only or loading.
        await self._connection.set(_PROBE, "", ex=_PROBE_TTL_S)
        return int(await self._connection.llen(QUEUE_KEY))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.aclose()

    async def _answered(
        self, call: Callable[[], Awaitable[T]], *, timeout_s: float = TIMEOUT_S
    ) -> T:
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                return await call()
        except QueueUnavailableError:
            raise
        except (TimeoutError, SilenceError) as error:
            # Either the time limit of the call or the one of its connection was reached first.
            silent_s = TIMEOUT_S if isinstance(error, SilenceError) else timeout_s
            message = f"{self._name()} does not answer: silent for {silent_s:g} seconds."
            raise QueueUnavailableError(message, is_embedded=self._embedded) from error
        except OutOfMemoryError as error:
            raise QueueUnavailableError("Redis is full: it takes no writes (maxmemory).") from error
        except ResponseError as error:
            raise QueueUnavailableError(f"Redis refuses: {error}") from error
        except AuthenticationError as error:
            message = f"Redis refuses our user or password: {error}"
            raise QueueUnavailableError(message) from error
        except RedisError as error:
            message = f"{self._name()} does not answer: {error}"
            raise QueueUnavailableError(
                _distrust(error) or message, is_embedded=self._embedded
            ) from error
        except Exception as error:
            # On responses that are not of Redis, the client raises errors of many kinds and closes
            # the connection. Neither a submit nor the health check may fail with such an error.
            message = f"{self._name()} does not answer like a Redis server."
            raise QueueUnavailableError(message, is_embedded=self._embedded) from error

    def _name(self) -> str:
        return "The embedded queue" if self._embedded else "Redis"


def _distrust(error: BaseException) -> str:
    """Return the fault of the server's certificate; empty if the error has another cause."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return ""
    advice = (
        "REDIS_URL has to name the host as the certificate does."
        if cause.verify_code in _OTHER_NAME
        else "REDIS_TLS_CA names the authority that issued it."
    )
    return f"Redis has a certificate that is not trusted: {cause.verify_message} {advice}"
