"""`rediss:`: the queue over TLS, and servers with a wrong identity."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safeurl.adapters.redis.wakeup import take
from safeurl.bootstrap import make_queue, redis_server
from safeurl.errors import QueueUnavailableError
from safeurl.model.records.wakeup import TASK, Wakeup
from safeurl.model.scan import new_scan_id
from safeurl.settings import Settings
from tests.support.certificates import Certificate, make_authority, make_certificate
from tests.support.tcp_valkey import TcpValkey
from tests.support.tls_front import TlsFront

_AUTHORITY = make_authority()


@contextmanager
def _server(
    folder: Path, certificate: Certificate, client_authority: Certificate | None = None
) -> Iterator[int]:
    """Run a Valkey behind TLS with this certificate, and yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.write(folder / "server.pem"))
    if client_authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_authority.pem.decode())
    with TcpValkey(folder) as valkey, TlsFront(context, valkey.port) as front:
        yield front.port


def _settings(folder: Path, port: int, host: str = "localhost", **more: str) -> Settings:
    ca = folder / "ca.pem"
    ca.write_bytes(_AUTHORITY.pem)
    return Settings.read({"REDIS_URL": f"rediss://{host}:{port}", "REDIS_TLS_CA": str(ca), **more})


async def _ping(settings: Settings) -> int:
    queue = make_queue(settings)
    try:
        return await queue.ping()
    finally:
        await queue.close()


async def _round_trip(settings: Settings) -> None:
    """Push a wake-up and take it, as the API and a worker do."""
    scan_id = new_scan_id(datetime.now(UTC))
    queue = make_queue(settings)
    await queue.push([scan_id])
    await queue.close()
    connection = redis_server(settings).connect_worker(40)
    assert take(connection, 5) == Wakeup(TASK, scan_id)
    connection.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_wake_ups_pass_over_tls(tmp_path: Path, host: str) -> None:
    """With a certificate of the named authority for the named host or address."""
    good = make_certificate("localhost", "127.0.0.1", issuer=_AUTHORITY)
    with _server(tmp_path, good) as port:
        await _round_trip(_settings(tmp_path, port, host))


async def test_a_certificate_of_our_own_is_shown(tmp_path: Path) -> None:
    """A server that needs one accepts it; without it nothing works."""
    good = make_certificate("localhost", issuer=_AUTHORITY)
    ours = make_certificate("worker", issuer=_AUTHORITY).write(tmp_path / "ours.pem")
    pair = {"REDIS_TLS_CERT": str(ours), "REDIS_TLS_KEY": str(ours)}
    with _server(tmp_path, good, client_authority=_AUTHORITY) as port:
        await _round_trip(_settings(tmp_path, port, **pair))
        with pytest.raises(QueueUnavailableError):
            await _ping(_settings(tmp_path, port))


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (make_certificate("elsewhere.example", issuer=_AUTHORITY), "REDIS_URL has to name"),
        (make_certificate("127.0.0.1", issuer=_AUTHORITY), "REDIS_URL has to name"),
        (make_certificate("localhost", issuer=make_authority()), "REDIS_TLS_CA"),
        (make_certificate("localhost"), "REDIS_TLS_CA"),
        (make_certificate("localhost", issuer=_AUTHORITY, expired=True), "expired"),
    ],
    ids=["other-name", "address-only", "other-authority", "self-signed", "expired"],
)
async def test_a_certificate_that_is_not_trusted_is_told(
    tmp_path: Path, certificate: Certificate, words: str
) -> None:
    """No setting turns this off; the message gives the reason."""
    trouble = pytest.raises(QueueUnavailableError, match="certificate that is not trusted")
    with _server(tmp_path, certificate) as port, trouble as told:
        await _ping(_settings(tmp_path, port))
    assert words in str(told.value)


async def test_the_systems_authorities_do_not_know_ours(tmp_path: Path) -> None:
    """Without REDIS_TLS_CA a certificate has to be of an authority that the system trusts."""
    good = make_certificate("localhost", issuer=_AUTHORITY)
    with _server(tmp_path, good) as port:
        settings = Settings.read({"REDIS_URL": f"rediss://localhost:{port}"})
        with pytest.raises(QueueUnavailableError, match="not trusted"):
            await _ping(settings)


async def test_a_server_without_tls_is_refused(tmp_path: Path) -> None:
    """A password must never go to a server that answers in clear text."""
    with TcpValkey(tmp_path) as valkey, pytest.raises(QueueUnavailableError):
        await _ping(_settings(tmp_path, valkey.port))
