"""The doctor's line about the queue describes the protection of its connection."""

from pathlib import Path

from safeurl.settings import Settings
from tests.support.tcp_valkey import TcpValkey
from tests.support.valkey import Valkey
from worker.doctor.checks.services import queue
from worker.doctor.finding import Status


async def test_a_server_of_ones_own(tmp_path: Path) -> None:
    """On loopback it needs no TLS, and the line says that it has none."""
    with TcpValkey(tmp_path) as valkey:
        finding = await queue(Settings.read(valkey.settings))
    assert finding.status is Status.PASS
    assert f"Redis at 127.0.0.1:{valkey.port} answers" in finding.detail
    assert "no TLS, the default user, no password" in finding.detail


async def test_the_embedded_one(tmp_path: Path) -> None:
    """Its socket is in a folder of this user alone, which the line says too."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path)})
    with Valkey(settings.valkey_dir):
        finding = await queue(settings)
        assert settings.valkey_dir.stat().st_mode & 0o077 == 0
        assert settings.valkey_socket.stat().st_mode & 0o077 == 0
    assert finding.status is Status.PASS
    assert "the embedded Valkey answers" in finding.detail
    assert "this user's alone" in finding.detail
