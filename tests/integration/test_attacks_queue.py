"""A reviewer's attacks on the queue: servers that are not Redis, floods, disguised jobs, TLS."""

import asyncio
import gzip
import json
import ssl
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from safeurl.adapters.memory.store import MemoryStore
from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.redis.wakeup import QUEUE_KEY, take
from safeurl.bootstrap import make_queue
from safeurl.errors import ConfigError, QueueUnavailableError
from safeurl.model.records.wakeup import TASK, Refusal
from safeurl.model.scan import new_scan_id
from safeurl.service import Service
from safeurl.settings import Settings
from tests.support.certificates import Certificate, make_authority, make_certificate
from tests.support.hostile_jobs import data, job, key, store
from tests.support.live_api import NOW, api_thread
from tests.support.scan_worker import ScanWorkerProcess
from tests.support.stray_redis import ANSWERS, StrayRedis
from tests.support.tcp_valkey import TcpValkey
from tests.support.tls_front import TlsFront

_SECRET = "hunter2"  # noqa: S105 - of no server
_AUTHORITY = make_authority()


def _scan_id() -> str:
    return new_scan_id(datetime.now(UTC))


def _server(port: int) -> RedisServer:
    return RedisServer(host="127.0.0.1", port=port, socket_path=Path())


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_server_that_is_no_redis_is_a_queue_that_is_away(name: str) -> None:
    """The API records scans and reports it; no response ends maintenance or a worker."""
    with StrayRedis(ANSWERS[name]) as stray:
        queue = RQQueue(_server(stray.port).connect(), job_timeout_s=30)
        service = Service(MemoryStore(), queue, lambda: NOW)
        with api_thread(service, queue=queue) as client:
            submitted = client.post("/api/scans", json={"url": "https://www.example.com/"})
            health = client.get("/health")
        assert (submitted.status_code, submitted.json()["queued"]) == (202, False)
        assert health.status_code == 200
        assert health.json()["queue"]["ok"] is False
        assert health.json()["health"]["status"] != "healthy"
        other = RQQueue(_server(stray.port).connect(), job_timeout_s=30)
        for call in (lambda: other.waiting(limit=10), other.refused):
            with pytest.raises(QueueUnavailableError):
                await call()
        await other.close()
        connection = _server(stray.port).connect_worker(40)
        with connection, pytest.raises(RedisError):
            take(connection, 1)


def test_a_worker_lives_on_beside_a_server_that_is_no_redis(tmp_path: Path) -> None:
    """It logs that Redis is lost and tries again, instead of ending with a traceback."""
    with StrayRedis(ANSWERS["a list"]) as stray:
        worker = ScanWorkerProcess(stray.settings, tmp_path)
        with worker:
            worker.wait_for_log("worker.redis_lost at=take")
            assert worker.stop() == 0
        assert "Traceback" not in worker.log


async def test_a_queue_full_of_long_ids_is_read_in_parts(tmp_path: Path) -> None:
    """A user with write access to the queue cannot make maintenance read all of it at once."""
    parts: list[int] = []

    class Counting(AsyncRedis):
        """A client that counts the results of each read of the queue."""

        async def lrange(self, name, start, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            found = await super().lrange(name, start, end)
            parts.append(sum(map(len, found)))
            return found

    with TcpValkey(tmp_path) as valkey, valkey.client() as attacker:
        with attacker.pipeline() as pipeline:
            for _ in range(2_000):
                pipeline.rpush(QUEUE_KEY, b"x" * 10_000)
            pipeline.execute()
        queue = RQQueue(Counting(host="127.0.0.1", port=valkey.port), job_timeout_s=30)
        ids = {_scan_id(), _scan_id()}
        await queue.push(sorted(ids))
        assert (await queue.waiting(limit=3_000)).scan_ids == ids
        await queue.close()
    assert sum(parts) > 20_000_000
    assert max(parts) <= 200 * 10_000


async def test_a_flood_of_refused_jobs_does_not_fill_the_log(tmp_path: Path) -> None:
    """Health counts them all; the scan behind them runs."""
    number = 3_000
    with TcpValkey(tmp_path) as valkey, valkey.client() as attacker:
        attacker.rpush(QUEUE_KEY, *(f"junk-{each}" for each in range(number)))
        with ScanWorkerProcess(valkey.settings, tmp_path) as worker:
            queue = RQQueue(_server(valkey.port).connect(), job_timeout_s=30)
            honest = _scan_id()
            await queue.push([honest])
            assert await asyncio.to_thread(worker.wait_for_scans, 1) == [honest]
            refused = await queue.refused()
            await queue.close()
            assert refused == number
            assert 0 < len(worker.log) < 50_000
            assert worker.log.count("worker.refusals_not_logged") == 1


def _raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text) + packer.flush()


def _with_dictionary(text: bytes) -> bytes:
    packer = zlib.compressobj(zdict=text)
    return packer.compress(text) + packer.flush()


def _call(scan_id: str) -> bytes:
    return json.dumps([TASK, None, [scan_id], {}]).encode()


#: Calls of the right task with the right scan, written as we never write them.
_DISGUISES: dict[str, Callable[[str], bytes]] = {
    "gzip": lambda i: gzip.compress(_call(i)),
    "raw deflate": lambda i: _raw_deflate(_call(i)),
    "a preset dictionary": lambda i: _with_dictionary(_call(i)),
    "two streams": lambda i: zlib.compress(_call(i)) * 2,
    "no sum": lambda i: zlib.compress(_call(i))[:-4],
    "a wrong sum": lambda i: zlib.compress(_call(i))[:-4] + b"\0\0\0\0",
    "two documents": lambda i: zlib.compress(_call(i) * 2),
    "a byte order mark": lambda i: zlib.compress(b"\xef\xbb\xbf" + _call(i)),
    "UTF-16": lambda i: zlib.compress(_call(i).decode().encode("utf-16")),
    "a NUL behind": lambda i: zlib.compress(_call(i) + b"\0"),
    "an object": lambda i: zlib.compress(json.dumps({"0": TASK, "2": [i]}).encode()),
    "a fifth part": lambda i: zlib.compress(json.dumps([TASK, None, [i], {}, TASK]).encode()),
    "a keyword twice": lambda i: zlib.compress(
        f'["{TASK}",null,["{i}"],{{"x":null,"x":null}}]'.encode()
    ),
    "a task with a NUL": lambda i: data(f"{TASK}\0", None, [i], {}),
    "a task with a space": lambda i: data(f" {TASK}", None, [i], {}),
    "a task in other letters": lambda i: data(TASK.replace("s", "\u017f"), None, [i], {}),
    "a scan with a space": lambda i: data(TASK, None, [f"{i} "], {}),
    "a scan in other digits": lambda i: data(TASK, None, [i.replace("0", "\u0660")], {}),
    "half a character": lambda i: zlib.compress(_call(i).replace(b"run_scan", b"run_scan\\ud800")),
}


def test_a_disguised_job_is_refused(tmp_path: Path) -> None:
    """A wake-up is exactly what we write, even if other programs could read the job differently."""
    with TcpValkey(tmp_path) as valkey, valkey.client() as attacker:
        for name, make in _DISGUISES.items():
            scan_id = _scan_id()
            job(attacker, f"{scan_id}-00000000", make(scan_id))
            taken = take(attacker, 1)
            # A task of another name is refused by the worker, which looks it up in its own table.
            is_refused = isinstance(taken, Refusal) or (taken is not None and taken.task != TASK)
            assert is_refused, f"{name}: {taken}"
            assert not attacker.exists(key(f"{scan_id}-00000000"))


def test_a_job_that_grows_after_its_check_is_refused(tmp_path: Path) -> None:
    """If the job is replaced between the check of its size and the read, no other call runs."""
    scan_id = _scan_id()
    job_id = f"{scan_id}-00000000"
    with TcpValkey(tmp_path) as valkey, valkey.client() as attacker:

        class Raced(Redis):
            """A client whose every read comes just after the attacker's write."""

            def hmget(self, name, keys, *args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
                call = data("os.system", None, ["true"], {"x" * 100_000: None})
                store(
                    attacker, job_id, call + bytes(900_000), {"failure_callback_name": "os.abort"}
                )
                return super().hmget(name, keys, *args)

        job(attacker, job_id, data(TASK, None, [scan_id], {}))
        with Raced(host="127.0.0.1", port=valkey.port) as connection:
            assert take(connection, 1) is Refusal.DATA
        assert not attacker.exists(key(job_id))


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{_SECRET}/x@h",
        f"redis://u:{_SECRET}/@h:6379",
        f"rediss://u:a[{_SECRET}]b@h",
        f"rediss://u:[{_SECRET}]@h",
        f"redis://u:{_SECRET}\u2100@h",
        f"redis://:x@{_SECRET}@h:6a",
        f"redis://:{_SECRET}?@h",
        f"redis://:{_SECRET}#@h",
        f"redis://h:{_SECRET}",
        f"unix://u:{_SECRET}/x@/s",
    ],
)
def test_a_password_that_breaks_the_url_is_not_shown(url: str) -> None:
    """The library's own message quotes the text that it read as host or port."""
    with pytest.raises(ConfigError) as caught:
        Settings.read({"REDIS_URL": url})
    assert _SECRET not in str(caught.value)


_SITE = make_certificate("site.example", issuer=_AUTHORITY)


@pytest.mark.parametrize(
    "certificate",
    [
        make_certificate("localhost", issuer=_SITE),
        make_certificate("localhost", issuer=make_certificate(authority=True, issuer=_SITE)),
        make_certificate("*", issuer=_AUTHORITY),
        make_certificate("local*", issuer=_AUTHORITY),
        make_certificate("localhost.example", "xlocalhost", issuer=_AUTHORITY),
    ],
    ids=["a-sites", "an-authority-of-a-sites", "star", "part-star", "longer"],
)
async def test_a_certificate_of_somebody_else_is_not_enough(
    tmp_path: Path, certificate: Certificate
) -> None:
    """A site with a certificate of our authority is no authority, and names match completely."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = certificate.write(tmp_path / "server.pem")
    # The chain as the attacker would send it.
    path.write_bytes(path.read_bytes() + _SITE.pem)
    context.load_cert_chain(path)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(_AUTHORITY.pem)

    async def ping(port: int) -> None:
        url = f"rediss://localhost:{port}"
        queue = make_queue(Settings.read({"REDIS_URL": url, "REDIS_TLS_CA": str(ca)}))
        try:
            await queue.ping()
        finally:
            await queue.close()

    trouble = pytest.raises(QueueUnavailableError, match="not trusted")
    with TcpValkey(tmp_path) as valkey, TlsFront(context, valkey.port) as front, trouble:
        await ping(front.port)
