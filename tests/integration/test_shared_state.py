"""Worker and API as two users: they share database and queue by their group, and no more."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeurl.adapters.files.sharing import file_mode, is_shared
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sqlite.database import SQLiteDatabase
from safeurl.errors import StoreUnavailableError
from tests.support.user import (
    SERVICE,
    SERVICE_GROUP,
    STRANGER,
    acting_as,
    command_as,
    needs_root,
    open_folder,
    run_as,
)

pytestmark = needs_root

#: The two users of the group, and the modes of an installation of theirs.
WORKER, API = SERVICE, 61_237
_TABLE = "CREATE TABLE IF NOT EXISTS notes (word TEXT)"
_SERVE = """
import os, sys
from pathlib import Path
from safeurl.adapters.redis.embedded import serve
serve(Path(sys.argv[1]), Path(sys.argv[1]) / "valkey.sock")
"""
_ANSWERS = """
import sys, time
from pathlib import Path
from safeurl.adapters.redis.embedded import answers
end = time.monotonic() + float(sys.argv[2])
while not (found := answers(Path(sys.argv[1]))) and time.monotonic() < end:
    time.sleep(0.05)
print(found)
"""


@pytest.fixture
def state() -> Iterator[Path]:
    """Make a state folder as units and images do."""
    with open_folder() as folder:
        made = folder / "state"
        made.mkdir()
        os.chown(made, WORKER, SERVICE_GROUP)
        made.chmod(0o3770)
        yield made


async def _write(database: Path, user: int, group: int, mask: int = 0o022) -> list[int]:
    """Write a row as this user and group; return how many there are, and the files' modes."""
    before = os.umask(mask)
    try:
        with acting_as(user, group):
            return await _write_here(database)
    finally:
        os.umask(before)


async def _write_here(database: Path) -> list[int]:
    opened = SQLiteDatabase(database, synchronous="NORMAL", busy_timeout_s=5)
    try:
        await opened.write([Statement(_TABLE), Statement("INSERT INTO notes VALUES ('x')")])
        [row] = await opened.read(Statement("SELECT count(*) AS found FROM notes"))
        modes = {stat.S_IMODE(each.stat().st_mode) for each in database.parent.iterdir()}
        return [int(str(row["found"])), *sorted(modes)]
    finally:
        await opened.close()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007, 0])
@pytest.mark.parametrize("first", [WORKER, API])
async def test_two_users_write_one_database(state: Path, first: int, mask: int) -> None:
    """The creator and the umask have no effect; SQLite's other files are the group's too."""
    database = state / "safeurl.db"
    second = API if first == WORKER else WORKER
    for count, user in enumerate((first, second, first, second), start=1):
        assert await _write(database, user, SERVICE_GROUP, mask) == [count, 0o660]


async def test_a_third_user_is_shut_out(state: Path) -> None:
    """Neither the folder nor the file is open to another user."""
    database = state / "safeurl.db"
    await _write(database, WORKER, SERVICE_GROUP)
    for mode in (0o3770, 0o2770, 0o3777):
        state.chmod(mode)
        for uid in (STRANGER, 65534):
            with pytest.raises(StoreUnavailableError):
                await _write(database, uid, uid)


async def test_an_older_releases_database_becomes_the_groups(state: Path) -> None:
    """Its owner gives it to the group when it opens it."""
    database = state / "safeurl.db"
    state.chmod(0o700)
    assert await _write(database, WORKER, SERVICE_GROUP) == [1, 0o600]
    state.chmod(0o3770)
    with pytest.raises(StoreUnavailableError):
        await _write(database, API, SERVICE_GROUP)
    assert await _write(database, WORKER, SERVICE_GROUP) == [2, 0o660]
    assert await _write(database, API, SERVICE_GROUP) == [3, 0o660]


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o770, 0o775, 0o2750, 0o2775, 0o2777, 0o1777])
async def test_only_a_folder_that_was_made_so_is_shared(state: Path, mode: int) -> None:
    """A team's folder, a public one and one of a group by accident are not."""
    state.chmod(mode)
    assert not is_shared(state)
    assert file_mode(state) == 0o600
    assert await _write(state / "safeurl.db", WORKER, SERVICE_GROUP, 0) == [1, 0o600]


def test_the_api_reaches_the_embedded_queue_of_the_worker(state: Path) -> None:
    """It reaches the socket and no other file of the folder; another user reaches neither."""
    folder = state / "valkey"
    serving = command_as(WORKER, SERVICE_GROUP, _SERVE, str(folder))
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(serving, env=environ, stdout=subprocess.DEVNULL) as server:
        try:
            socket_path = str(folder / "valkey.sock")
            for uid, gid, timeout_s, found in (
                (API, SERVICE_GROUP, "20", "True"),
                (STRANGER, STRANGER, "0", "False"),
                (65534, 65534, "0", "False"),
            ):
                said = run_as(uid, gid, _ANSWERS, socket_path, timeout_s)
                assert said.strip() == found, uid
            listing = "import os, sys\ntry: os.listdir(sys.argv[1])\nexcept OSError: print('no')"
            assert run_as(API, SERVICE_GROUP, listing, str(folder)).strip() == "no"
        finally:
            server.kill()


_ATTACK = """
import asyncio
import sys
import time
from pathlib import Path
from redis.exceptions import NoPermissionError
from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.embedded import answers
from safeurl.adapters.redis.queue import RQQueue
path = Path(sys.argv[1])
end = time.monotonic() + 20
while not answers(path) and time.monotonic() < end:
    time.sleep(0.05)
server = RedisServer(socket_path=path)
queue = RQQueue(server.connect(), job_timeout_s=60)
async def use():
    await queue.push(["01890000-0000-7000-8000-000000000000"])
    await queue.ping()
asyncio.run(use())
for command in (
    ["EVAL", "return 1", "0"],
    ["REPLICAOF", "127.0.0.1", "1"],
    ["CONFIG", "SET", "maxmemory", "1"],
    ["FUNCTION", "LIST"],
    ["ACL", "SETUSER", "default", "+@all"],
    ["SHUTDOWN", "NOSAVE"],
    ["FLUSHALL"],
    ["KEYS", "*"],
):
    try:
        server.connect_worker(40).execute_command(*command)
        print(command[0], end=" ")
    except NoPermissionError:
        pass
"""


def test_the_api_commands_the_queue_and_not_its_server(state: Path) -> None:
    """The server is the worker's process: its scripts and its replication are not the API's."""
    folder = state / "valkey"
    serving = command_as(WORKER, SERVICE_GROUP, _SERVE, str(folder))
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(serving, env=environ, stdout=subprocess.DEVNULL) as server:
        try:
            socket_path = str(folder / "valkey.sock")
            assert run_as(API, SERVICE_GROUP, _ATTACK, socket_path).strip() == ""
        finally:
            server.kill()


def test_the_api_cannot_replace_what_is_the_workers(state: Path) -> None:
    """Neither its folders nor its log: their place in the shared folder is its own."""
    with acting_as(WORKER, SERVICE_GROUP):
        (state / "artefacts").mkdir(mode=0o700)
        (state / "worker.log").touch(mode=0o600)
    with acting_as(API, SERVICE_GROUP):
        for name in ("artefacts", "worker.log"):
            with pytest.raises(PermissionError):
                (state / name).rename(state / "elsewhere")
        with pytest.raises(PermissionError):
            (state / "worker.log").unlink()
