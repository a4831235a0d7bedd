"""A fetcher that was started with `--preload` pays nothing for its first use."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from safeurl.model.report import READY_LINE, ReportLine
from safeurl.state import Outcome
from tests.support.certificates import make_certificate
from tests.support.fetching import ROOT, read_lines, request_line
from tests.support.http2 import Http2Server
from tests.support.pages import PageServer, Reply, html
from tests.support.routes import encoded

_PAGE = (
    "<!doctype html><meta charset=utf-8><title>Caf\u00e9</title><link rel=icon href=/icon.png>"
    "<form action=/a><input type=password></form><script>location.href = '/b' + 1;</script>"
    "<a href=https://a.example/?%20>A</a><iframe src=/c></iframe>"
)
_ROUTES: dict[str, Callable[[object], Reply]] = {
    "/": lambda _: html(_PAGE),
    "/br": lambda _: encoded(_PAGE.encode(), "br"),
    "/zstd": lambda _: encoded(_PAGE.encode(), "zstd"),
    "/gzip": lambda _: encoded(_PAGE.encode(), "gzip"),
    "/latin": lambda _: Reply(b"<title>Caf\xe9</title>", content_type="text/html"),
    "/text": lambda _: Reply(b"text", content_type="text/plain"),
    "/icon.png": lambda _: Reply(b"\x89PNG\r\n\x1a\n" * 16, content_type="image/png"),
}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a certificate for loopback and its key."""
    return make_certificate("127.0.0.1").write(tmp_path / "tls.pem")


def _imported_after_ready(url: str, log: Path) -> list[str]:
    """Fetch with a preloaded fetcher; return the modules that it imports after its first line."""
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            (sys.executable, "-X", "importtime", "-m", "fetcher", "--preload"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == READY_LINE
        before = log.stat().st_size
        process.stdin.write(request_line(url))
        process.stdin.close()
        report = read_lines(process.stdout.read())[-1]
    assert isinstance(report, ReportLine)
    assert report.outcome is Outcome.OK
    written = log.read_bytes()
    assert b"import time:" in written[:before]
    return [line.decode() for line in written[before:].splitlines()]


@pytest.mark.parametrize("path", ["/", "/br", "/zstd", "/gzip", "/latin", "/text"])
def test_a_page_over_tls_imports_nothing(path: str, certificate: Path, tmp_path: Path) -> None:
    """Handshake, certificate, decompression, parser and icon were loaded before the request."""
    with PageServer(dict(_ROUTES), certificate=certificate) as server:
        assert _imported_after_ready(server.url(path), tmp_path / "log") == []


def test_a_page_over_http_2_imports_nothing(certificate: Path, tmp_path: Path) -> None:
    """The HTTP/2 library was loaded before the request."""
    with Http2Server(certificate, lambda connection, _: connection.page(_PAGE)) as server:
        assert _imported_after_ready(server.url(), tmp_path / "log") == []


def test_without_preload_no_line_precedes_the_report(tmp_path: Path) -> None:
    """The line that says that the fetcher is ready belongs to `--preload` alone."""
    log = tmp_path / "log"
    with PageServer(dict(_ROUTES)) as server, log.open("wb") as stderr:
        done = subprocess.run(
            (sys.executable, "-m", "fetcher"),
            input=request_line(server.url("/")),
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert READY_LINE not in done.stdout
    assert isinstance(read_lines(done.stdout)[-1], ReportLine)
