"""The users of `docker/valkey/users.acl`: each can do its work and nothing beyond it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.embedded import RIGHTS
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.redis.wakeup import QUEUE_KEY, count_refused, take
from safeurl.errors import QueueUnavailableError
from safeurl.model.records.wakeup import TASK, Refusal, Wakeup
from safeurl.model.scan import new_scan_id
from tests.support.hostile_jobs import ON_THE_QUEUE
from tests.support.tcp_valkey import TcpValkey

FILE = Path(__file__).parents[2] / "docker/valkey/users.acl"
_PASSWORDS = {"safeurl-api": "of-the-api", "safeurl-worker": "of-the-worker"}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpValkey]:
    """Run a server with the users of the file, each given a password."""
    folder = tmp_path_factory.mktemp("users")
    text = FILE.read_text()
    for user, password in _PASSWORDS.items():
        text = text.replace(f"user {user} on ", f"user {user} on >{password} ")
    admin = "user admin on >of-the-admin ~* &* +@all\n"
    (folder / "users.acl").write_text(text + admin)
    with TcpValkey(
        folder,
        "--aclfile",
        str(folder / "users.acl"),
        user="admin",
        password="of-the-admin",  # noqa: S106 - of a test server
    ) as server:
        yield server


def _server(valkey: TcpValkey, user: str) -> RedisServer:
    return RedisServer(
        host="127.0.0.1",
        port=valkey.port,
        username=user,
        password=_PASSWORDS[user],
        socket_path=Path(),
    )


def _scan_id() -> str:
    return new_scan_id(datetime.now(UTC))


async def test_a_scans_life_on_the_queue(valkey: TcpValkey) -> None:
    """The API pushes and reads the health; the worker does so too, takes, refuses and counts."""
    api = RQQueue(_server(valkey, "safeurl-api").connect(), job_timeout_s=90)
    maintenance = RQQueue(_server(valkey, "safeurl-worker").connect(), job_timeout_s=90)
    worker = _server(valkey, "safeurl-worker").connect_worker(40)
    first, second, urgent = (_scan_id() for _ in range(3))
    await api.push([first])
    await maintenance.push([second])
    await api.push([urgent], first=True)
    assert (await maintenance.waiting(limit=100)).scan_ids == {first, second, urgent}
    for queue in (api, maintenance):
        assert await queue.ping() == 3
    taken = [take(worker, 1) for _ in range(3)]
    assert taken == [Wakeup(TASK, each) for each in (urgent, first, second)]
    assert take(worker, 0.1) is None
    with valkey.client() as admin:
        for plant in ON_THE_QUEUE.values():
            plant(admin, _scan_id(), Path("/nowhere"))
    for _ in ON_THE_QUEUE:
        assert isinstance(take(worker, 1), Refusal | Wakeup)
        count_refused(worker)
    for queue in (api, maintenance):
        assert await queue.refused() == len(ON_THE_QUEUE)
        await queue.close()
    worker.close()


_BEYOND = (
    # A key of another type than ours would stop the queue until somebody removes it.
    "SET rq:queue:scan-jobs x",
    "HSET rq:queue:scan-jobs a b",
    "SADD rq:queue:scan-jobs a",
    "RPUSH rq:queues a",
    "SET rq:queues a",
    "RPUSH safeurl:probe a",
    "CONFIG GET *",
    "CONFIG SET dir /tmp",
    "KEYS *",
    "SCAN 0",
    "FLUSHALL",
    "FLUSHDB",
    "EVAL return(1) 0",
    "FUNCTION LIST",
    "SCRIPT LOAD return(1)",
    "REPLICAOF 127.0.0.1 1",
    "SLAVEOF NO ONE",
    "SHUTDOWN NOSAVE",
    "ACL LIST",
    "ACL SETUSER default on nopass +@all ~*",
    "ACL WHOAMI",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT SETNAME x",
    "MONITOR",
    "INFO",
    "SAVE",
    "BGREWRITEAOF",
    "MIGRATE 127.0.0.1 1 x 0 1",
    "RESTORE x 0 x",
    "DUMP rq:queues",
    "SUBSCRIBE x",
    "PUBLISH rq:pubsub:x stop",
    "SET other x",
    "GET rq:job:x",
    "HSET other x y",
    "RPUSH other x",
    "RPUSH rq:queue:other x",
    "SORT rq:queue:scan-jobs",
    "RENAME rq:queue:scan-jobs other",
    "DEL rq:queue:scan-jobs",
    "EXPIRE rq:queue:scan-jobs 1",
    "WATCH other",
    "SWAPDB 0 1",
    "OBJECT ENCODING rq:queues",
)
_BEYOND_THE_API = (
    f"BLPOP {QUEUE_KEY} 1",
    f"LPOP {QUEUE_KEY}",
    f"LRANGE {QUEUE_KEY} 0 -1",
    "HGETALL rq:job:x",
    "HMGET rq:job:x data",
    "UNLINK rq:job:x",
    "INCR safeurl:refused",
    "SET safeurl:refused 0",
)


@pytest.mark.parametrize(
    ("user", "command"),
    [
        *(("safeurl-api", each) for each in (*_BEYOND, *_BEYOND_THE_API)),
        *(("safeurl-worker", each) for each in _BEYOND if not each.startswith("GET rq:job")),
    ],
)
def test_what_is_not_needed_is_refused(valkey: TcpValkey, user: str, command: str) -> None:
    """It is refused by command, by key, and by the kind of access to a key."""
    with _server(valkey, user).connect_worker(40) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command.split())


async def test_nobody_is_let_in_without_a_password(valkey: TcpValkey) -> None:
    """The default user is off, and a wrong password gives one sentence."""
    nobody = Redis(host="127.0.0.1", port=valkey.port)
    with nobody, pytest.raises(AuthenticationError):
        nobody.ping()
    wrong = RedisServer(
        host="127.0.0.1",
        port=valkey.port,
        username="safeurl-api",
        password="guess",  # noqa: S106 - of a test server
        socket_path=Path(),
    )
    queue = RQQueue(wrong.connect(), job_timeout_s=90)
    with pytest.raises(QueueUnavailableError, match="refuses our user or password"):
        await queue.ping()
    await queue.close()


def test_the_file_gives_no_password_away() -> None:
    """Nobody can log in with the shipped file: each user needs a password first."""
    text = FILE.read_text()
    assert "nopass" not in text
    assert ">" not in text
    assert "#" not in text


def test_a_shared_embedded_server_grants_what_the_file_grants_a_worker() -> None:
    """Its one user has the worker's rights, and needs no password beyond the folder's mode."""
    [line] = [each for each in FILE.read_text().splitlines() if each.startswith("user safeurl-w")]
    assert " ".join(RIGHTS) == line.removeprefix("user safeurl-worker ").replace(
        "on ", "on nopass ", 1
    )
