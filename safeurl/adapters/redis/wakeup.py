"""The format of a wake-up on the queue. A worker takes one from the queue without trusting it.

Wake-ups are stored as RQ's jobs. RQ's own worker imports and calls everything that a job names: its
function, its callbacks, and those of abandoned jobs. Therefore no code of RQ reads the jobs here. A
wake-up is exactly what `RQQueue.push` writes: one task and one scan id. Any other job is deleted,
and a constant is returned as the reason of its refusal.
"""

import re
import time
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from operator import gt

import msgspec
from redis import Redis
from redis.exceptions import InvalidResponse, RedisError

from safeurl.model.records.wakeup import Arrival, Refusal, Wakeup
from safeurl.model.scan import is_scan_id

QUEUE_NAME = "scan-jobs"
QUEUE_KEY = f"rq:queue:{QUEUE_NAME}"
_JOB_KEY = b"rq:job:"
#: The scan's id, and a random suffix that makes a second push harmless.
_JOB_ID = re.compile(rb"([0-9a-f-]{36})-[0-9a-f]{8}")
#: The number of refused jobs; it expires.
REFUSED_KEY, _REFUSED_TTL_S = "safeurl:refused", 3600

#: RQ 3.0 writes 19 fields; later versions may write more, which are ignored.
_MAX_FIELDS = 64
#: A call is about 90 bytes, compressed or not.
_MAX_DATA = 512
_MAX_ORIGIN = len(QUEUE_NAME)
#: RQ's form of a time, which it writes with the job when it puts it on the queue.
_PUSHED_AT, _TIME_FORMAT, _MAX_TIME = "enqueued_at", "%Y-%m-%dT%H:%M:%S.%fZ", 27
#: Fields that RQ would import, call, fetch or unpack. In a wake-up they are empty or absent.
_FORBIDDEN = (
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "dependency_id",
    "dependency_ids",
    "repeats_left",
    "repeat_intervals",
    "retries_left",
    "retry_intervals",
    "number_of_retries",
    "webhooks",
    "group_id",
    "rate_limit_key",
    "rate_limit_concurrency",
    "result",
    "exc_info",
    "meta",
)


_PLAIN = nullcontext()


class _RefusedError(Exception):
    """Ends the checks below with a reason."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason


def take(
    connection: Redis,
    timeout_s: float,
    *,
    waiting: AbstractContextManager[None] = _PLAIN,
) -> Wakeup | Refusal | None:
    """Wait for a job, remove it, and return its wake-up or its refusal; None if none came in time.

    The context `waiting` contains only the wait, so that an error raised by it cannot leave a job
    that was removed but not read. Raise only RedisError, for every response of the server.
    """
    try:
        with waiting:
            popped = connection.blpop([QUEUE_KEY], timeout_s)
        if popped is None:
            return None
        arrival = Arrival(taken_at=datetime.now(UTC), taken_s=time.monotonic())
        return _open(connection, _bytes(popped[1]), arrival)
    except RedisError:
        raise
    except Exception as error:
        # On responses that are not of Redis, the client or our own code fails in many ways.
        raise InvalidResponse("it does not answer like a Redis server") from error


def count_refused(connection: Redis) -> None:
    """Increase the number that `RQQueue.refused` returns, for an hour."""
    with connection.pipeline() as pipeline:
        pipeline.incr(REFUSED_KEY)
        pipeline.expire(REFUSED_KEY, _REFUSED_TTL_S)
        pipeline.execute()


def scan_id_of(job_id: bytes | str) -> str | None:
    """Return the scan that a job's id names; None if it is not an id of our jobs."""
    match = _JOB_ID.fullmatch(_bytes(job_id))
    scan_id = match[1].decode() if match else ""
    return scan_id if is_scan_id(scan_id) else None


def _open(connection: Redis, job_id: bytes, arrival: Arrival) -> Wakeup | Refusal:
    """Check the job, delete it in any case, and return the wake-up or the reason of refusal."""
    key = _JOB_KEY + job_id
    scan_id = scan_id_of(job_id)
    try:
        if scan_id is None:
            return Refusal.ID
        _check_shape(connection, key)
        task, pushed_at = _call(connection, key, scan_id)
        return Wakeup(task, scan_id, replace(arrival, pushed_at=pushed_at))
    except _RefusedError as refused:
        return refused.reason
    finally:
        connection.unlink(key)


def _bytes(value: bytes | str | None) -> bytes:
    """Return the value as bytes; our connections do not decode values."""
    return value if isinstance(value, bytes) else (value or "").encode()


def _check_shape(connection: Redis, key: bytes) -> None:
    """Check the sizes and the absent fields of the job before any of it is fetched."""
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.type(key)
        pipeline.hlen(key)
        for name in ("data", "origin", _PUSHED_AT, *_FORBIDDEN):
            pipeline.hstrlen(key, name)
        kind, *sizes = pipeline.execute(raise_on_error=False)
    if kind == b"none":
        raise _RefusedError(Refusal.GONE)
    if kind != b"hash" and not isinstance(kind, RedisError):
        raise _RefusedError(Refusal.TYPE)
    for answer in (kind, *sizes):
        if isinstance(answer, RedisError):
            raise answer  # access rules that are too narrow: no fault of the job
    fields, data_size, origin_size, time_size, *forbidden = sizes
    if any(forbidden):
        raise _RefusedError(Refusal.FIELDS)
    longest = (_MAX_FIELDS, _MAX_DATA, _MAX_ORIGIN, _MAX_TIME)
    if any(map(gt, (fields, data_size, origin_size, time_size), longest)):
        raise _RefusedError(Refusal.SIZE)


def _call(connection: Redis, key: bytes, scan_id: str) -> tuple[str, datetime | None]:
    """Return the task and when it was sent, if the job has the id of its own scan and no more."""
    data, origin, pushed_at = connection.hmget(key, "data", "origin", _PUSHED_AT)
    if _bytes(origin) != QUEUE_NAME.encode():
        raise _RefusedError(Refusal.ORIGIN)
    try:
        task, _, arguments, keywords = msgspec.json.decode(
            _unpacked(_bytes(data)), type=tuple[str, None, tuple[str], dict[str, None]]
        )
    except msgspec.ValidationError as error:
        raise _RefusedError(Refusal.ARGUMENTS) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _RefusedError(Refusal.DATA) from error
    if keywords or arguments != (scan_id,):
        raise _RefusedError(Refusal.ARGUMENTS)
    return task, _time(_bytes(pushed_at))


def _time(text: bytes) -> datetime | None:
    """Return a time that RQ has written; None for any other text, which does no harm."""
    try:
        return datetime.strptime(text.decode("ascii"), _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _unpacked(data: bytes) -> bytes:
    """Decompress one short zlib stream; a stream that is longer than a call is never unpacked."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MAX_DATA)
    except zlib.error as error:
        raise _RefusedError(Refusal.DATA) from error
    if not unpacker.eof or unpacker.unused_data:
        raise _RefusedError(Refusal.DATA)
    return text
