"""HTTP/2 responses over TLS are read as in browsers."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from h2.events import PingAckReceived

from safeurl.state import Outcome
from tests.support.browser import Browser
from tests.support.certificates import make_certificate
from tests.support.fetching import Run, fetch
from tests.support.http2 import Http2Connection, Http2Server, Script

_PAGE = "<title>Log in</title><form><input type=password></form>"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a certificate for loopback and its key."""
    return make_certificate("127.0.0.1").write(tmp_path / "tls.pem")


def _fetch(certificate: Path, script: Script, **fields: object) -> Run:
    with Http2Server(certificate, script) as server:
        return fetch(server.url(), **fields)


def test_a_server_with_http_2_only_is_read(certificate: Path) -> None:
    """Redirect, cookie and page work, and the request is like a browser's."""
    asked: list[Mapping[str, str]] = []

    def script(connection: Http2Connection, headers: Mapping[str, str]) -> Iterable[None]:
        asked.append(headers)
        if headers[":path"] == "/":
            to = (("location", "/login?a=b"), ("set-cookie", "c=d"))
            return connection.page("", *to, status=302)
        return connection.page(_PAGE, ("x-own", "caf\u00e9"))

    with Http2Server(certificate, script) as server:
        run = fetch(server.url())
        place = server.url().removeprefix("https://").rstrip("/")
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "Log in"
    assert [hop.http_version for hop in run.hops] == ["HTTP/2"] * 2
    assert [hop.status for hop in run.hops] == [302, 200]
    assert [hop.tls.alpn for hop in run.hops if hop.tls] == ["h2"] * 2
    assert ("x-own", "caf\u00e9") in run.hops[1].headers
    assert run.hops[1].anomalies == ()
    first, second = asked[:2]
    assert list(first)[:4] == [":method", ":authority", ":scheme", ":path"]
    assert first[":authority"] == place
    assert not {"host", "connection"} & set(first)
    assert (second[":path"], second["cookie"]) == ("/login?a=b", "c=d")


def test_a_body_larger_than_all_windows_is_read(certificate: Path) -> None:
    """Flow control windows are extended while the body is read."""
    text = "<title>Large</title>" + "x" * (8 * 1024 * 1024)
    run = _fetch(certificate, lambda connection, _: connection.page(text))
    assert run.body.size_bytes == len(text)
    assert run.report.outcome is Outcome.OK


def test_a_compressed_body_is_decompressed(certificate: Path) -> None:
    """Content encodings work in both versions."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        kind = [(":status", "200"), ("content-type", "text/html"), ("content-encoding", "gzip")]
        connection.http.send_headers(connection.stream, kind)
        return connection.data(gzip.compress(_PAGE.encode()))

    assert _fetch(certificate, script).page.title == "Log in"


def test_early_hints_are_skipped(certificate: Path) -> None:
    """A 103 response is not the final response."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        hint = [(":status", "103"), ("link", "</a.css>; rel=preload")]
        connection.http.send_headers(connection.stream, hint)
        yield
        yield from connection.page(_PAGE)

    assert _fetch(certificate, script).hops[0].status == 200


def test_a_response_after_goaway_is_read(certificate: Path) -> None:
    """The server sends GOAWAY without an error before the response."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        connection.socket.sendall(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\x01" + bytes(4))
        return connection.page(_PAGE)

    run = _fetch(certificate, script)
    assert (run.report.outcome, run.page.title) == (Outcome.OK, "Log in")


def test_the_bytes_before_a_stream_reset_are_kept(certificate: Path) -> None:
    """The bytes before the reset are kept, as when a connection ends early."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        kind = [(":status", "200"), ("content-type", "text/html")]
        connection.http.send_headers(connection.stream, kind)
        connection.http.send_data(connection.stream, _PAGE.encode())
        connection.http.reset_stream(connection.stream, ErrorCodes.INTERNAL_ERROR)
        yield

    run = _fetch(certificate, script)
    assert run.page.title == "Log in"
    assert run.body.truncated


#: Responses over HTTP/2 that Chromium accepts, and those for which it displays an error.
_TAKEN = [
    (("content-length", "5"),),
    (("content-length", "5000"),),
    (("content-length", "abc"),),
    (("content-length", "5"), ("content-length", "6")),
    (("content-disposition", "inline; x=a,b"),),
    (("connection", "close"),),
    (("x", " a "),),
]
_REFUSED = [
    (("transfer-encoding", "chunked"),),
    (("X-Upper", "a"),),
    (("x(a", "b"),),
    (("x", "a\x01b"),),
    (("x", "a\nb"),),
    (("location", "/a"), ("location", "/b")),
]
_each_case = pytest.mark.parametrize(
    ("headers", "is_taken"), [*((x, True) for x in _TAKEN), *((x, False) for x in _REFUSED)]
)


@_each_case
def test_headers_are_accepted_as_in_chromium(
    certificate: Path, headers: tuple[tuple[str, str], ...], *, is_taken: bool
) -> None:
    """Content-Length is ignored: the body ends with the stream."""
    run = _fetch(certificate, lambda connection, _: connection.page(_PAGE, *headers))
    assert (run.report.outcome is Outcome.OK) == is_taken
    assert is_taken == any(line.page for line in run.evidence)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium that accepts any certificate."""
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    opened.tell("Security.setIgnoreCertificateErrors", ignore=True)
    yield opened
    opened.close()


@_each_case
def test_chromium_accepts_the_same_headers(
    certificate: Path, browser: Browser, headers: tuple[tuple[str, str], ...], *, is_taken: bool
) -> None:
    """A real browser does the same with the same responses."""
    with Http2Server(certificate, lambda connection, _: connection.page(_PAGE, *headers)) as server:
        browser.tell("Page.navigate", url=server.url())
        place = server.url() if is_taken else "chrome-error:"
        browser.wait(f"document.URL.startsWith({place!r}) && document.readyState === 'complete'")
        assert browser.run("document.title === 'Log in'") == is_taken
        browser.tell("Page.navigate", url="about:blank")


def test_a_request_is_repeated_with_http_1_1_if_required(certificate: Path) -> None:
    """Some servers require HTTP/1.1 only after they have received the request."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        connection.http.reset_stream(connection.stream, ErrorCodes.HTTP_1_1_REQUIRED)
        yield

    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + _PAGE.encode()
    protocols = ("h2", "http/1.1")
    with Http2Server(certificate, script, protocols, http11=answer) as server:
        run = fetch(server.url())
        assert [x for x in server.agreed if x][:2] == ["h2", "http/1.1"]
    assert (run.page.title, run.hops[0].http_version) == ("Log in", "HTTP/1.1")


@pytest.mark.parametrize("is_separate", [True, False], ids=["separate", "together"])
@pytest.mark.parametrize("sends_goaway", [True, False], ids=["goaway", "reset"])
def test_a_response_before_http_1_1_required_is_kept(
    certificate: Path, *, sends_goaway: bool, is_separate: bool
) -> None:
    """The page has arrived, so nothing is requested again and nothing is lost."""

    def script(connection: Http2Connection, headers: Mapping[str, str]) -> Iterable[None]:
        if headers[":path"] != "/":
            yield from connection.page("", status=404)
            return
        kind = [(":status", "200"), ("content-type", "text/html")]
        connection.http.send_headers(connection.stream, kind)
        connection.http.send_data(connection.stream, _PAGE.encode())
        if is_separate:
            # The client's frame shows that it has received the page.
            connection.http.ping(bytes(8))
            connection.flush()
            connection.wait(PingAckReceived)
        code = ErrorCodes.HTTP_1_1_REQUIRED
        if sends_goaway:
            connection.http.close_connection(code)
        else:
            connection.http.reset_stream(connection.stream, code)
        yield

    run = _fetch(certificate, script)
    assert (run.page.title, run.report.outcome) == ("Log in", Outcome.OK)
    assert run.hops[0].http_version == "HTTP/2"
    assert run.body.truncated


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\n\r\n<title>No</title>",
        b"\xff" * 100,
        b"\0\0\0\x01\x04\0\0\0\x02",
        b"\0\0\x01\x01\x05\0\0\0\x01\xff",
        b"\0\0\x08\x07\0\0\0\0\0" + bytes(4) + b"\0\0\0\x02",
        b"",
    ],
)
def test_invalid_http_2_ends_the_fetch_with_a_reason(certificate: Path, wire: bytes) -> None:
    """Invalid frames, invalid headers and a server that closes the connection are errors."""

    def script(connection: Http2Connection, _: Mapping[str, str]) -> Iterable[None]:
        connection.socket.sendall(wire)
        connection.socket.unwrap()
        yield

    run = _fetch(certificate, script)
    assert run.report.outcome is Outcome.HTTP_ERROR
    assert run.report.detail
    assert " 0x" not in run.report.detail, "an address in memory is no evidence"
