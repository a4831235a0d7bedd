"""The server as a process over real parts: it starts, stops, and survives parts that are down."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from api.app import serve
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import ConfigError
from safeurl.settings import Settings
from tests.support.live_api import api_process, client_of
from tests.support.valkey import Valkey

_WAIT_S = 30.0


def _environ(state_dir: Path, **more: str) -> dict[str, str]:
    names = {str(field.alias) for field in Settings.model_fields.values()}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "SAFEURL_STATE_DIR": str(state_dir), "API_PORT": "0", **more}


def _wait_for(client: httpx.Client, test: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Return the first `/health` that passes; the last one when none does in time."""
    deadline = time.monotonic() + _WAIT_S
    answer = client.get("/health")
    while not test(answer) and time.monotonic() < deadline:
        time.sleep(0.05)
        answer = client.get("/health")
    return answer


def _is_up(answer: httpx.Response) -> bool:
    return answer.status_code == HTTPStatus.OK


def _submit(client: httpx.Client) -> httpx.Response:
    return client.post("/api/scans", json={"url": "https://www.example.com/"})


def test_a_scan_is_recorded_in_sqlite_and_queued_in_valkey(tmp_path: Path) -> None:
    """The real parts contain what the response says; without Valkey the row alone is enough."""
    settings = Settings.read(_environ(tmp_path))
    with (
        Valkey(settings.valkey_dir) as valkey,
        api_process(_environ(tmp_path)) as (_, address),
        client_of(address) as client,
    ):
        assert _is_up(_wait_for(client, _is_up))
        queued = _submit(client)
        health = client.get("/health").json()
        assert queued.json()["queued"] is True
        assert health["queue"]["detail"] == "The queue answers; 1 wake-up waits."
        valkey.stop(kill=True)
        alone = _submit(client)
        assert (alone.status_code, alone.json()["queued"]) == (HTTPStatus.ACCEPTED, False)
        valkey.start()
        assert _submit(client).json()["queued"] is True
    with sqlite3.connect(settings.database_path) as database:
        rows = database.execute("SELECT id, state FROM scan_jobs").fetchall()
    database.close()
    assert len(rows) == 3
    assert {(queued.json()["id"], "QUEUED"), (alone.json()["id"], "QUEUED")} < set(rows)


def test_the_server_comes_up_before_its_database_and_recovers(tmp_path: Path) -> None:
    """It is unhealthy while the database cannot be opened, and recovers soon afterwards."""
    in_the_way = Settings.read(_environ(tmp_path)).database_path
    in_the_way.mkdir()
    with api_process(_environ(tmp_path)) as (_, address), client_of(address) as client:
        down = client.get("/health")
        refused = _submit(client)
        assert down.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert down.json()["health"]["status"] == "unhealthy"
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        in_the_way.rmdir()
        assert _wait_for(client, _is_up).json()["database"]["ok"] is True
        assert _submit(client).status_code == HTTPStatus.ACCEPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Exit status 0, the database closed, and nothing but the log on stderr."""
    with api_process(_environ(tmp_path)) as (process, address), client_of(address) as client:
        assert _is_up(_wait_for(client, _is_up))
        process.send_signal(number)
        _, errors = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*.db-wal"))


def test_a_signal_ends_a_server_whose_database_is_down(tmp_path: Path) -> None:
    """The wait for the database does not keep the process running."""
    Settings.read(_environ(tmp_path)).database_path.mkdir()
    with api_process(_environ(tmp_path)) as (process, address), client_of(address) as client:
        assert not _is_up(client.get("/health"))
        process.terminate()
        _, errors = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_port_zero_announces_the_real_port(tmp_path: Path) -> None:
    """The program that started the server reads its address from its output."""
    with api_process(_environ(tmp_path)) as (_, address), client_of(address) as client:
        assert address.startswith("http://127.0.0.1:")
        assert not address.endswith(":0")
        assert client.get("/").status_code == HTTPStatus.OK


def test_a_server_on_ipv6_loopback_answers_to_its_address(tmp_path: Path) -> None:
    """The guard accepts the address in brackets."""
    environ = _environ(tmp_path, API_HOST="::1")
    with api_process(environ) as (_, address), client_of(address) as client:
        assert address.startswith("http://[::1]:")
        assert client.get("/").status_code == HTTPStatus.OK


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    """The command shows the error unchanged: the setting, the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        settings = Settings.read(_environ(tmp_path, API_PORT=str(port)))
        with pytest.raises(ConfigError, match=rf"API_PORT.*127\.0\.0\.1, port {port}.*in use"):
            serve(settings, announce=pytest.fail)


class _UnusableStore(MemoryStore):
    async def migrate(self) -> list[int]:
        raise ConfigError(("TURSO_AUTH_TOKEN: the database refuses it.",))


def test_a_database_that_can_never_be_used_ends_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that waiting cannot repair is raised to the command, with the old handlers."""
    monkeypatch.setattr("api.app.make_store", lambda _settings: _UnusableStore())
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ConfigError, match="TURSO_AUTH_TOKEN"):
        serve(Settings.read(_environ(tmp_path)), announce=lambda _address: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_api_has_no_code_for_docker() -> None:
    """Importing all of it loads neither the SDK nor the worker."""
    code = (
        "import sys, api.app; print([n for n in ('docker', 'worker', 'fetcher') "
        "if n in sys.modules or any(m.startswith(n + '.') for m in sys.modules)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
