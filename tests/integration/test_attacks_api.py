"""A reviewer's attacks on the HTTP API: expensive requests, many addresses, unusual requests."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from api.clients import Limits
from api.connection import Connection
from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.printable import is_unfit
from safeurl.service import Service
from tests.support.browser import Browser
from tests.support.live_api import NOW, MemoryApi, api_thread, client_of, memory_api
from tests.support.slow_clients import connect, rest_of, served

_HOST = b"Host: localhost\r\n"
_JSON = b"Content-Type: application/json\r\n"


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


def _exchange(api: MemoryApi, request: bytes) -> bytes:
    """Send the bytes and return all received bytes until the server closes."""
    with connect(str(api.client.base_url).rstrip("/")) as client:
        with contextlib.suppress(OSError):  # it may close before it has read all
            client.sendall(request)
        return rest_of(client)


class _Stuck(Service):
    """A service that reads a URL for as long as the test wants."""

    begun, done = threading.Event(), threading.Event()

    def normalised(self, url: str) -> str:
        """Record the call, and return when the test allows it."""
        self.begun.set()
        assert self.done.wait(20)
        return super().normalised(url)


def test_reading_a_long_text_keeps_nobody_out() -> None:
    """While one client's text is looked through, the others are answered."""
    service = _Stuck(MemoryStore(), MemoryQueue(), lambda: NOW)
    with api_thread(service) as client:
        address = str(client.base_url).rstrip("/")
        text = b'{"text": "http://a.example"}'
        head = b"POST /api/pasted HTTP/1.1\r\nConnection: close\r\n" + _HOST + _JSON
        with connect(address) as reader:
            reader.sendall(head + b"Content-Length: %d\r\n\r\n" % len(text) + text)
            assert service.begun.wait(20)
            with client_of(address) as other:
                try:
                    assert other.get("/", timeout=10).status_code == HTTPStatus.OK
                finally:
                    service.done.set()
            assert rest_of(reader).startswith(b"HTTP/1.1 200 ")


#: Texts for which looking ahead or back from each place costs the square of their length.
_SQUARES = ("(http://a(", "http://a(http://a", "http://a,", "[http://a[.]")
_READ = """
import resource, sys
from safeurl.pasted import find_urls
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for part in sys.argv[1:]:
    text = part * (200_000 // len(part))
    find_urls(text)
    find_urls("http://a?," + text)
find_urls("x http://a " + "(" * 100_000 + "x" + ")" * 100_000)
find_urls("x " + "(" * 100_000 + ")" * 99_999)
find_urls("http://a/" + "(" * 99_000 + ")" * 100_000)
print("read")
"""


def test_a_text_costs_its_length_and_not_its_square() -> None:
    """Three times the longest request takes a second or two; with quadratic time, over a minute."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, *_SQUARES], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr


@pytest.mark.parametrize(
    "text", ["}([.] hxxp://'", ". |{:[.] www.|!/", ',a@<][.] www.>"', "<[.],{[.] ftp:))!"]
)
def test_a_text_whose_dots_are_all_brackets_is_read(api: MemoryApi, text: str) -> None:
    """A spaced dot in brackets may remove the start of a URL when it is read as a dot."""
    answer = api.client.post("/api/pasted", json={"text": text})
    assert answer.status_code == HTTPStatus.OK


def test_of_many_addresses_the_one_that_waits_longest_goes() -> None:
    """A crowd with one connection each does not replace a client that sends requests."""
    service = Service(MemoryStore(), MemoryQueue(), lambda: NOW)
    limits = Limits(total=40, head_s=300, idle_s=300)
    with api_thread(service, limits=limits) as client, contextlib.ExitStack() as stack:
        address = str(client.base_url).rstrip("/")
        honest = stack.enter_context(connect(address))
        for number in range(2, 202):
            # It is the first of all clients, and its every wait is younger than most of the others.
            if number % 20 == 2:
                honest.sendall(b"HEAD / HTTP/1.1\r\n" + _HOST + b"\r\n")
                assert honest.recv(65536).startswith(b"HTTP/1.1 200 ")
            each = stack.enter_context(connect(address, f"127.0.0.{number}"))
            each.sendall(b"GET /health HTTP/1.1\r\nX-A: ")
        honest.sendall(b"HEAD / HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n")
        assert rest_of(honest).startswith(b"HTTP/1.1 200 ")
        assert served(address) == HTTPStatus.OK


def test_chunks_of_a_byte_do_not_hold_the_loop(
    api: MemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of the loop processes a few hundred chunks of a connection, however many there are."""
    taken: list[int] = []
    real = Connection.data_received

    def counting(self: Connection, data: bytes) -> None:
        taken.append(len(data))
        real(self, data)

    monkeypatch.setattr(Connection, "data_received", counting)
    head = b"POST /api/scans HTTP/1.1\r\n" + _HOST + _JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = _exchange(api, head + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert sum(taken) > 50_000
    assert max(taken) <= 4096


@pytest.mark.parametrize("version", ["2.0", "9.9", "0.9", "1.2", "0.0"])
def test_another_version_is_refused(api: MemoryApi, version: str) -> None:
    """A request line must name a version that this server supports."""
    request = f"GET /api/scans HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert _exchange(api, request.encode()).startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize(
    "origin",
    ["capacitor://localhost", "tauri://localhost", "file://localhost", "://localhost", "localhost"],
)
def test_an_app_of_the_same_name_is_another_site(api: MemoryApi, origin: str) -> None:
    """Programs on the host serve pages of theirs under such origins."""
    headers = {"origin": origin, "host": "localhost"}
    body = {"url": "https://www.example.com/"}
    answer = api.client.post("/api/scans", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert api.client.get("/api/scans").json()["scans"] == []


@pytest.mark.parametrize(
    "lines",
    [
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGVzdA==\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Upgrade: TLS/1.0\r\n",
    ],
)
def test_no_connection_is_upgraded_past_the_guard(api: MemoryApi, lines: bytes) -> None:
    """A page may open a WebSocket to loopback without asking; the guard sees a plain request."""
    upgrade = b"Connection: Upgrade, close\r\n" + lines
    theirs = b"GET /health HTTP/1.1\r\n" + _HOST + b"Origin: https://evil.example\r\n" + upgrade
    ours = b"GET /health HTTP/1.1\r\n" + _HOST + upgrade
    assert _exchange(api, theirs + b"\r\n").startswith(b"HTTP/1.1 403 ")
    assert _exchange(api, ours + b"\r\n").startswith(b"HTTP/1.1 200 ")


def test_trailers_change_nothing(api: MemoryApi) -> None:
    """Text after a chunked body is not read as a header that would allow the request."""
    body = b'{"url": "https://www.example.com/"}'
    start = b"POST /api/scans HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    chunk = b"\r\n%x\r\n%s\r\n0\r\n" % (len(body), body)
    for head, trailers, code in (
        (b"Host: evil.example\r\n" + _JSON, _HOST, 421),
        (_HOST, _JSON, 415),
        (_HOST + _JSON + b"Origin: https://evil.example\r\n", b"Origin: http://localhost\r\n", 403),
        (_HOST + _JSON, b"X-A: " + b"a" * 40_000 + b"\r\n", 431),
    ):
        answer = _exchange(api, start + head + chunk + trailers + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 %d " % code), (head, answer[:200])
    assert api.client.get("/api/scans").json()["scans"] == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/ui/../app.py",
            "/ui/%2e%2e/app.py",
            "/ui/..%2fapp.py",
            "/ui/..%5capp.py",
            "/ui//app.py",
        ),
        *("/ui/%2fetc/passwd", "/ui/%00", "/ui/app.js%00.css", "/ui/%ff", "/ui/%ed%a0%80", "/ui/."),
        *("/ui/%252e%252e/app.py", "/ui/" + "%2e%2e/" * 2000 + "etc/passwd", "/ui/" + "a" * 5000),
    ],
)
def test_nothing_beside_the_page_is_served(api: MemoryApi, path: str) -> None:
    """Neither our own code nor a file of the host, and no odd name is a defect."""
    answer = _exchange(
        api, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "ranges",
    [
        ",".join(f"{2 * each}-{2 * each}" for each in range(1500)),
        "0-," * 4000,
        "-1," * 4000,
        ",".join(f"{each}-" for each in range(2500)),
        "0-" + "9" * 5000,
        "-" * 9000,
    ],
    ids=["apart", "same", "ends", "nested", "long", "dashes"],
)
def test_many_ranges_are_no_larger_an_answer(api: MemoryApi, ranges: str) -> None:
    """A head of 16 KiB requests a small file a thousand times and gets it once at most."""
    head = b"GET /ui/app.js HTTP/1.1\r\nConnection: close\r\n" + _HOST
    whole = _exchange(api, head + b"\r\n")
    answer = _exchange(api, head + f"Range: bytes={ranges}\r\n\r\n".encode())
    assert answer[9:12] in {b"200", b"206", b"400", b"416"}
    assert len(answer) <= len(whole) + 500


def test_an_unseen_character_is_shown_by_its_code(tmp_path: Path, api: MemoryApi) -> None:
    """The page shows characters that a terminal would not get: a title hides no text."""
    unfit = [char for char in map(chr, range(0x110000)) if is_unfit(char)]
    codes = [ord(char) for char in unfit if not 0xD800 <= ord(char) < 0xE000]
    with contextlib.closing(Browser(tmp_path)) as browser:
        browser.tell("Page.enable")
        browser.tell("Page.navigate", url=str(api.client.base_url))
        browser.wait("document.querySelector('#health b')")
        browser.run("import('/ui/dom.js').then((all) => { window.shown = all.plain; }); 0")
        browser.wait("window.shown")
        left = browser.run(
            f"{codes}.filter((code) => !shown(String.fromCodePoint(code)).startsWith('⟨U+'))"
        )
        kept = browser.run("shown('Grüße, 世界 – שלום ❤ 👍')")
    assert left == []
    assert kept == "Grüße, 世界 – שלום ❤ 👍"


def test_an_address_is_not_taken_from_a_header() -> None:
    """A client over its cap does not become another one by saying so."""
    service = Service(MemoryStore(), MemoryQueue(), lambda: NOW)
    limits = Limits(per_client=8, head_s=300)
    with api_thread(service, limits=limits) as client, contextlib.ExitStack() as stack:
        address = str(client.base_url).rstrip("/")
        clients: list[socket.socket] = []
        for number in range(20):
            each = stack.enter_context(connect(address))
            told = f"X-Forwarded-For: 10.0.0.{number}\r\nForwarded: for=10.0.0.{number}\r\n"
            each.sendall(b"HEAD / HTTP/1.1\r\n" + _HOST + told.encode() + b"\r\n")
            assert each.recv(65536).startswith(b"HTTP/1.1 200 ")
            each.sendall(b"HEAD / HTTP/1.1\r\n" + told.encode())
            clients.append(each)
        # The eldest were dropped, with an answer or without one; the youngest can go on.
        assert b" 200 " not in rest_of(clients[0])
        clients[-1].sendall(_HOST + b"Connection: close\r\n\r\n")
        assert rest_of(clients[-1]).startswith(b"HTTP/1.1 200 ")
