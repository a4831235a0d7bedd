"""Jobs that an attacker with write access to Redis could leave, each an attack on RQ.

`PLANTED` is a module whose import, and whose function `fire`, make a file: the canary.
"""

import json
import pickle
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redis import Redis

from safeurl.adapters.redis.wakeup import QUEUE_NAME
from safeurl.model.records.wakeup import TASK

QUEUE = f"rq:queue:{QUEUE_NAME}"
PLANTED = "planted_by_test"
FIRE = f"{PLANTED}.fire"
#: Decompresses to 64 MiB.
_BOMB = zlib.compress(bytes(64 * 1024 * 1024), 9)
#: Long past: whatever has this date is overdue.
_PAST = 1.0

Plant = Callable[[Redis, str, Path], None]


def plant_module(folder: Path, canary: Path) -> None:
    """Write the module that makes the canary when it is imported or called."""
    (folder / f"{PLANTED}.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(canary)!r}).touch()\n"
        "def fire(*args, **kwargs):\n"
        f"    Path({str(canary)!r}).touch()\n"
    )


def data(name: Any, instance: Any, args: Any, kwargs: Any) -> bytes:
    """Return a job's call as RQ stores it."""
    return zlib.compress(json.dumps([name, instance, args, kwargs]).encode())


def job(
    redis: Redis, job_id: str | bytes, call: bytes, fields: Mapping[str, Any] | None = None
) -> None:
    """Store a job with the fields that RQ itself needs, and put it on the queue."""
    store(redis, job_id, call, fields)
    redis.rpush(QUEUE, job_id)


def store(
    redis: Redis, job_id: str | bytes, call: bytes, fields: Mapping[str, Any] | None = None
) -> None:
    """Store a job that is on no queue."""
    stored: dict[Any, Any] = {
        "created_at": "2026-01-01T00:00:00.000000Z",
        "enqueued_at": "2026-01-01T00:00:00.000000Z",
        "status": "queued",
        "origin": QUEUE_NAME,
        "timeout": 30,
        "data": call,
        **(fields or {}),
    }
    redis.hset(key(job_id), mapping=stored)


def key(job_id: str | bytes) -> bytes:
    """Return the key of a job's hash."""
    return b"rq:job:" + (job_id if isinstance(job_id, bytes) else job_id.encode())


def _call(name: str, *args: Any, **kwargs: Any) -> Plant:
    """Return a job that calls another function."""

    def plant(redis: Redis, scan_id: str, canary: Path) -> None:
        filled = [
            each.replace("CANARY", str(canary)) if isinstance(each, str) else each for each in args
        ]
        job(redis, f"{scan_id}-00000000", data(name, None, filled, kwargs))

    return plant


def _scan_with(**fields: Any) -> Plant:
    """Return a job that is a scan's but for these fields."""

    def plant(redis: Redis, scan_id: str, _canary: Path) -> None:
        job(redis, f"{scan_id}-00000000", data(TASK, None, [scan_id], {}), fields)

    return plant


def _scan_data(make: Callable[[str], bytes]) -> Plant:
    """Return a job with a scan's id and another call."""

    def plant(redis: Redis, scan_id: str, _canary: Path) -> None:
        job(redis, f"{scan_id}-00000000", make(scan_id))

    return plant


def _named(make: Callable[[str], str | bytes]) -> Plant:
    """Return a job with a scan's call under another id."""

    def plant(redis: Redis, scan_id: str, _canary: Path) -> None:
        job(redis, make(scan_id), data(TASK, None, [scan_id], {}))

    return plant


def _list_instead(redis: Redis, scan_id: str, _canary: Path) -> None:
    redis.rpush(key(f"{scan_id}-00000000"), "no", "hash")
    redis.rpush(QUEUE, f"{scan_id}-00000000")


def _nothing(redis: Redis, scan_id: str, _canary: Path) -> None:
    redis.rpush(QUEUE, f"{scan_id}-00000000")


def _many_fields(redis: Redis, scan_id: str, _canary: Path) -> None:
    more = {f"field-{number}": "x" for number in range(10_000)}
    job(redis, f"{scan_id}-00000000", data(TASK, None, [scan_id], {}), more)


def _pickle(scan_id: str) -> bytes:
    call: tuple[object, ...] = (TASK, None, (scan_id,), {})
    return zlib.compress(pickle.dumps(call))


def _nested(_scan_id: str) -> bytes:
    return zlib.compress(b"[" * 400)


#: What is on the queue; a worker must refuse each.
ON_THE_QUEUE: dict[str, Plant] = {
    "os-system": _call("os.system", "touch CANARY"),
    "eval": _call("builtins.eval", "open('CANARY', 'w')"),
    "exec": _call("builtins.exec", "open('CANARY', 'w')"),
    "open": _call("builtins.open", "CANARY", "w"),
    "check-call": _call("subprocess.check_call", ["touch", "CANARY"]),
    "import": _call(FIRE),
    "method": _call(f"{PLANTED}.Class.method"),
    "other-task": _call("worker.tasks.make_limits"),
    "prefix-of-the-task": _call("worker.tasks.run_scan.__call__"),
    "no-arguments": _scan_data(lambda _: data(TASK, None, [], {})),
    "two-arguments": _scan_data(lambda i: data(TASK, None, [i, i], {})),
    "keywords": _scan_data(lambda i: data(TASK, None, [], {"scan_id": i})),
    "more-keywords": _scan_data(lambda i: data(TASK, None, [i], {"x": None})),
    "instance": _scan_data(lambda i: data(TASK, PLANTED, [i], {})),
    "number": _scan_data(lambda _: data(TASK, None, [1], {})),
    "list": _scan_data(lambda i: data(TASK, None, [[i]], {})),
    "other-scan": _scan_data(lambda i: data(TASK, None, [i[::-1]], {})),
    "path": _scan_data(lambda _: data(TASK, None, ["../../etc/passwd"], {})),
    "upper-case": _scan_data(lambda i: data(TASK, None, [i.upper()], {})),
    "line-break": _scan_data(lambda i: data(TASK, None, [f"{i}\n"], {})),
    "name-is-a-list": _scan_data(lambda i: data([TASK], None, [i], {})),
    "pickle": _scan_data(_pickle),
    "not-compressed": _scan_data(lambda i: json.dumps([TASK, None, [i], {}]).encode()),
    "no-json": _scan_data(lambda _: zlib.compress(b"\xff\xfe")),
    "nested": _scan_data(_nested),
    "bomb": _scan_data(lambda _: _BOMB),
    "bomb-behind-a-scan": _scan_data(lambda i: data(TASK, None, [i], {}) + _BOMB),
    "cut-off": _scan_data(lambda i: data(TASK, None, [i], {})[:-3]),
    "huge": _scan_data(lambda _: bytes(900 * 1024)),
    "empty": _scan_data(lambda _: b""),
    "success-callback": _scan_with(success_callback_name=FIRE, success_callback_timeout=9),
    "failure-callback": _scan_with(failure_callback_name=FIRE, failure_callback_timeout=9),
    "stopped-callback": _scan_with(stopped_callback_name=FIRE, stopped_callback_timeout=9),
    "repeat": _scan_with(repeats_left=9, repeat_intervals="[0]"),
    "retry": _scan_with(retries_left=9, retry_intervals="[0]"),
    "depends-on": _scan_with(dependency_ids="planted", dependency_id="planted"),
    "group": _scan_with(group_id="planted"),
    "rate-limit": _scan_with(rate_limit_key="planted", rate_limit_concurrency=1),
    "webhooks": _scan_with(webhooks='[{"url": "http://127.0.0.1:9/"}]'),
    "result": _scan_with(result=pickle.dumps("x")),
    "exc-info": _scan_with(exc_info=_BOMB),
    "meta": _scan_with(meta=b"\x80\x04."),
    "other-queue": _scan_with(origin="elsewhere"),
    "no-hash": _nothing,
    "list-for-hash": _list_instead,
    "many-fields": _many_fields,
    "id-of-bytes": _named(lambda i: i.encode() + b"-\xff\xfe0000"),
    "id-with-line-break": _named(lambda i: f"{i}-0000000\n"),
    "id-forges-a-log-line": _named(lambda i: f"x\n{i} INFO safeurl.daemon all is well"),
    "id-with-a-colon": _named(lambda i: f"{i}:00000000"),
    "id-is-a-path": _named(lambda i: f"../{i}-00000000"),
    "id-alone": _named(lambda i: i),
    "id-upper-case": _named(lambda i: f"{i}-0000000A"),
    "id-empty": _named(lambda _: ""),
    "id-long": _named(lambda i: f"{i}-" + "0" * 100_000),
    "id-in-other-digits": _named(lambda i: f"{i}-\u0660000000"),
}


def plant_beside_the_queue(redis: Redis, scan_id: str) -> None:
    """Store keys that RQ's maintenance, scheduler, dependents and commands would read and call."""
    hostile = {"failure_callback_name": FIRE, "success_callback_name": FIRE}
    for name in ("abandoned", "stuck", "scheduled", "deferred", "ready"):
        store(redis, f"{scan_id}-{name}", data(FIRE, None, [], {}), hostile)
    redis.zadd(f"rq:wip:{QUEUE_NAME}", {f"{scan_id}-abandoned:planted": _PAST})
    redis.zadd(f"rq:wip:{QUEUE_NAME}", {f"{scan_id}-abandoned": _PAST})
    redis.rpush(f"{QUEUE}:intermediate", f"{scan_id}-stuck")
    redis.set(f"{QUEUE}:intermediate:first_seen:{scan_id}-stuck", _PAST)
    redis.zadd(f"rq:scheduled:{QUEUE_NAME}", {f"{scan_id}-scheduled": _PAST})
    redis.zadd(f"rq:deferred:{QUEUE_NAME}", {f"{scan_id}-deferred": _PAST})
    redis.zadd(f"rq:ready:{QUEUE_NAME}", {f"{scan_id}-ready": _PAST})
    redis.sadd(f"rq:job:{scan_id}-00000001:dependents", f"{scan_id}-deferred")
