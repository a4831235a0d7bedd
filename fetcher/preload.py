"""Loads in advance what a fetch may need, and runs once what is slow the first time.

A sandbox that is started before it has a request does this. Then a fetch imports no module,
compiles no pattern and builds no decoder. Nothing leaves this process: the connections are
recorded responses.
"""

import base64
import contextlib
import importlib
import os
import socket
import ssl
from typing import cast

from msgspec import Struct

from fetcher.content.charset import decode_text
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.fetch import parse_request
from fetcher.http.certificate import describe
from fetcher.http.hop_recorder import HopRecorder
from fetcher.http.http2 import Http2Exchange
from fetcher.http.session import Session
from fetcher.http.tls import verifying_context
from fetcher.page.read import parse_html
from fetcher.report_writer import ReportWriter
from safeurl.address import AddressPolicy
from safeurl.model.report import Tls

#: Modules that are imported only when a fetch needs them, besides those that are imported above.
_LAZY_MODULES = (
    "brotli",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.latin_1",
    "fetcher.page.dom",
    "fetcher.page.prescan",
    "fetcher.page.script.reader",
    "mmh3",
    "urllib.parse",
    "zstandard",
)

_URL = "http://a.example/"
_REQUEST = b'{"scan":"preload","attempt":0,"url":"%b"}' % _URL.encode()
_PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A</title>
<meta name="description" content="B"><link rel="icon" href="/i"><link rel="canonical" href="/">
<script src="/s.js"></script><script>var a = "b" + 'c'; if (a) { console.log(a, [1], {x: 2}); }
</script></head><body><h1>C</h1><p>D</p><a href="/e">E</a><a href="#">F</a><iframe src="/g">
</iframe><form action="/h" method="post"><input name="i" type="password"><button>J</button></form>
</body></html>
"""
_ICON = b"\x89PNG\r\n\x1a\n"
_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nSet-Cookie: a=b\r\n\r\n%b"
)
#: A certificate of a key that nobody has.
_CERTIFICATE = base64.b64decode(
    "MIIBMzCB26ADAgECAgEBMAoGCCqGSM49BAMCMBQxEjAQBgNVBAMMCWEuZXhhbXBsZTAeFw0yNjAxMDEwMDAwMDBa"
    "Fw0yNjAxMDIwMDAwMDBaMBQxEjAQBgNVBAMMCWEuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMhf"
    "ulC2afBgZ5DjHzoh9/PD1OSknfFvzr2Cb3Byd2BT3tnZzLfQip//YFw6IIKeGbJOFsjAO+Z/Kmd1OhYDw4qjHjAc"
    "MBoGA1UdEQQTMBGCCWEuZXhhbXBsZYcEwAACATAKBggqhkjOPQQDAgNHADBEAiB+/QDNkIOIo3hyvPw1trOChHng"
    "aXo6PIZH0XFc6d/52gIgapSedq7UtJ3Yw5zdg7qNfWQADlv1R4Bq4zPlnp6d1/k="
)
_SECONDS = 10.0


class _Recorded:
    """Stands for a socket: it reads a request, and sends the recorded response."""

    def __init__(self) -> None:
        """Start without a request."""
        self._response = b""

    def settimeout(self, _seconds: float) -> None:
        """Do nothing: it never blocks."""

    def sendall(self, data: bytes) -> None:
        """Choose the response to a request."""
        is_icon = data.startswith(b"GET /i ")
        body, kind = (_ICON, b"image/png") if is_icon else (_PAGE, b"text/html")
        self._response = _RESPONSE % (kind, len(body), body) if data.startswith(b"GET ") else b""

    def recv(self, _size: int) -> bytes:
        """Return the response, and then the end of the connection."""
        response, self._response = self._response, b""
        return response

    def close(self) -> None:
        """Do nothing."""


class _RecordedDialler(Struct, frozen=True):
    """Connects to recorded responses."""

    def dial(self, recorder: HopRecorder, _deadline: Deadline) -> socket.socket:
        """Return a recorded connection."""
        recorder.address = "192.0.2.1"
        return _connection()

    def redial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Return another one."""
        return self.dial(recorder, deadline)


def _connection() -> socket.socket:
    # Only these methods of a socket are used before TLS.
    return cast("socket.socket", _Recorded())


def preload() -> None:
    """Import the modules, and rehearse a fetch."""
    import_modules()
    parse_html(_PAGE, "utf-8", _URL)
    decode_text(_PAGE, "windows-1252")
    _rehearse_fetch()
    _rehearse_tls()


def import_modules() -> None:
    """Import all modules that a fetch may need, except those for rare kinds of pages."""
    for name in _LAZY_MODULES:
        importlib.import_module(name)


def _rehearse_fetch() -> None:
    """Fetch the recorded page; its report is dropped."""
    request = parse_request(_REQUEST)
    # The report is short enough for a pipe that nobody reads.
    reader, writer = os.pipe()
    policy = AddressPolicy.parse(request.policy)
    Session(request, ReportWriter(writer), policy, _RecordedDialler()).run()
    os.close(reader)
    os.close(writer)


def _rehearse_tls() -> None:
    """Begin a handshake, read a certificate, and send a request over HTTP/2."""
    context = verifying_context("a.example", ("h2", "http/1.1"))
    client = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=b"a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    Tls(version="TLSv1.3", **describe(_CERTIFICATE))
    exchange = Http2Exchange(_connection(), Deadline.after(_SECONDS))
    with contextlib.suppress(FetchFailedError):
        exchange.send_get("/", (("Host", "a.example"),))
