"""An invalid certificate is evidence, not a failure."""

import contextlib
import datetime as dt
import hashlib
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from safeurl.model.report import Tls
from safeurl.state import Outcome
from tests.support.certificates import Certificate, make_authority, make_certificate
from tests.support.fetching import Run, fetch, request_line, run_fetcher
from tests.support.pages import PageServer, html


@contextlib.contextmanager
def _server(certificate: Certificate, folder: Path) -> Iterator[PageServer]:
    routes = {"/": lambda _: html("<title>Secure</title>")}
    with PageServer(dict(routes), certificate=certificate.write(folder / "tls.pem")) as server:
        yield server


def _tls(run: Run) -> Tls:
    tls = run.hops[0].tls
    assert tls is not None
    return tls


def test_a_certificate_that_verifies_is_recorded(tmp_path: Path) -> None:
    """Every field of the certificate and of the handshake is recorded."""
    root = make_authority()
    leaf = make_certificate("127.0.0.1", "brand.example", issuer=root, common_name="Brand, Inc")
    (tmp_path / "root.pem").write_bytes(root.pem)
    with _server(leaf, tmp_path) as server:
        run = run_fetcher(
            request_line(server.url("/")),
            environment={"SSL_CERT_FILE": str(tmp_path / "root.pem")},
        )
    tls = _tls(run)
    assert run.report.outcome is Outcome.OK, run.stderr
    assert run.page.title == "Secure"
    assert tls.verified
    assert tls.verify_error == ""
    assert (tls.version, tls.alpn) == ("TLSv1.3", "http/1.1")
    assert tls.cipher.startswith("TLS_")
    assert (tls.issuer, tls.subject) == ("CN=SafeURL test root", "CN=Brand\\, Inc")
    assert tls.sans == ("127.0.0.1", "brand.example")
    der = leaf.certificate.public_bytes(Encoding.DER)
    assert tls.sha256 == hashlib.sha256(der).hexdigest()
    assert tls.serial == f"{leaf.certificate.serial_number:x}"
    ends = dt.datetime.fromisoformat(tls.not_after)
    assert ends == leaf.certificate.not_valid_after_utc
    assert dt.datetime.fromisoformat(tls.not_before) < ends
    assert run.hops[0].timings.tls_ms is not None


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (make_certificate("127.0.0.1"), "self-signed certificate"),
        (make_certificate("127.0.0.1", expired=True), "self-signed certificate"),
        (make_certificate("other.example"), "self-signed certificate"),
    ],
    ids=["self-signed", "expired", "other host"],
)
def test_an_invalid_certificate_is_evidence(
    certificate: Certificate, words: str, tmp_path: Path
) -> None:
    """The page is read, and the reason is recorded."""
    with _server(certificate, tmp_path) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "Secure"
    assert not _tls(run).verified
    assert words in _tls(run).verify_error


@pytest.mark.parametrize(
    ("host", "age", "words"),
    [("127.0.0.1", "expired", "expired"), ("other.example", "valid", "mismatch")],
    ids=["expired", "other host"],
)
def test_a_trusted_issuer_does_not_hide_other_errors(
    host: str, age: str, words: str, tmp_path: Path
) -> None:
    """Validity and host name are verified as well as the chain."""
    root = make_authority()
    (tmp_path / "root.pem").write_bytes(root.pem)
    leaf = make_certificate(host, issuer=root, expired=age == "expired")
    with _server(leaf, tmp_path) as server:
        run = run_fetcher(
            request_line(server.url("/")),
            environment={"SSL_CERT_FILE": str(tmp_path / "root.pem")},
        )
    assert run.report.outcome is Outcome.OK
    assert words in _tls(run).verify_error


def test_an_old_version_is_evidence(tmp_path: Path) -> None:
    """A server with TLS 1.0 only is read, and its version is recorded."""

    def age(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1

    path = make_certificate("127.0.0.1").write(tmp_path / "tls.pem")
    with PageServer({"/": lambda _: html("old")}, certificate=path, tune_tls=age) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK, run.report.detail
    assert _tls(run).version == "TLSv1"


def test_a_server_without_tls_is_tls_invalid() -> None:
    """The server speaks plain HTTP on the port of an https URL."""
    with PageServer() as server:
        run = fetch(server.url("/").replace("http:", "https:"))
    assert run.report.outcome is Outcome.TLS_INVALID
    assert run.hops[0].address == "127.0.0.1"
    assert run.hops[0].tls is None


def test_a_handshake_that_never_ends_is_connect_timeout() -> None:
    """The server accepts the connection and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        run = fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=1.0)
    assert run.report.outcome is Outcome.CONNECT_TIMEOUT
    assert "TLS handshake" in run.report.detail
