"""The wall before the routes, on a real socket: foreign requests, long bodies, defects, headers."""

import json
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from api.errors import SECURITY_HEADERS
from api.guard import MAX_BODY_BYTES
from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.service import Service
from tests.support.live_api import NOW, MemoryApi, api_thread, client_of, memory_api

_PREFIX = b'{"url": "https://www.example.com/", "x": "'


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/ui/app.js", "/health", "/api/scans", "/openapi.json"])
def test_a_rebound_name_reaches_nothing(api: MemoryApi, path: str) -> None:
    """A page that rebinds its own name to loopback still sends that name."""
    answer = api.client.get(path, headers={"host": "rebound.example"})
    assert answer.status_code == HTTPStatus.MISDIRECTED_REQUEST
    assert answer.json()["code"] == "host_refused"


def test_another_site_cannot_submit(api: MemoryApi) -> None:
    """Neither with a script nor with a form, and nothing is recorded."""
    body = {"url": "https://www.example.com/"}
    script = api.client.post("/api/scans", json=body, headers={"origin": "https://evil.example"})
    form = api.client.post("/api/scans", data=body)
    assert (script.status_code, form.status_code) == (403, 415)
    assert api.client.get("/api/scans").json()["scans"] == []


def test_no_preflight_is_granted(api: MemoryApi) -> None:
    """A browser that asks for another site gets no permission."""
    answer = api.client.options(
        "/api/scans",
        headers={
            "origin": "https://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert not [name for name in answer.headers if name.startswith("access-control")]


def _chunks(size: int) -> Iterator[bytes]:
    yield _PREFIX
    for _ in range(size // 1024):
        yield b"x" * 1024


def _whole(size: int) -> bytes:
    return b"".join(_chunks(size))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_whole(MAX_BODY_BYTES), id="declared"),
        pytest.param(_chunks(MAX_BODY_BYTES), id="chunked"),
        pytest.param(_whole(8 * MAX_BODY_BYTES), id="long"),
    ],
)
def test_a_long_body_is_refused(api: MemoryApi, body: bytes | Iterable[bytes]) -> None:
    """413, whether the length was declared or not, and the sender gets to read it."""
    answer = api.client.post(
        "/api/scans", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert answer.json()["code"] == "body_too_large"


def test_a_body_without_end_is_cut_off(api: MemoryApi) -> None:
    """A sender that never stops is answered and disconnected after one MiB."""
    address = (api.client.base_url.host, api.client.base_url.port)
    with socket.create_connection(address, timeout=30) as stream:
        stream.sendall(
            b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000000\r\n\r\n"
        )
        with pytest.raises(OSError, match=r"reset|pipe"):
            stream.sendall(b"x" * 64 * 1024 * 1024)
    assert api.client.get("/health").status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/ui/app.css", 200),
        ("GET", "/health", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/health", 200),
        ("GET", "/api/scans", 200),
        ("GET", "/api/scans/none", 404),
        ("GET", "/api/scans?limit=0", 422),
        ("POST", "/api/scans", 415),
        ("GET", "/nothing", 404),
    ],
)
def test_every_answer_has_the_security_headers(
    api: MemoryApi, method: str, path: str, status: int
) -> None:
    """No answer is sniffed, cached or framed, and none names the server's software."""
    answer = api.client.request(method, path)
    assert answer.status_code == status
    assert set(SECURITY_HEADERS) <= set(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


def test_a_defect_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The response 500 does not name the reason; the log contains the traceback once."""
    with memory_api() as api:
        api.store.fault = RuntimeError("password=hunter2")
        answer = api.client.get("/api/scans")
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "hunter2" not in answer.text
    assert answer.json()["code"] == "internal"
    assert set(SECURITY_HEADERS) <= set(answer.headers)
    # Read after the server's end: the trace is written after the answer.
    assert len([record for record in caplog.records if record.exc_info]) == 1
    assert "RuntimeError: password=hunter2" in caplog.text


def test_an_open_server_answers_to_any_name() -> None:
    """On an address that is not loopback it cannot know its names; other sites are refused."""
    service = Service(MemoryStore(), MemoryQueue(), lambda: NOW)
    with api_thread(service, hosts=None) as client:
        named = client.get("/health", headers={"host": "scanner.example"})
        foreign = client.get("/health", headers={"origin": "https://evil.example"})
    assert (named.status_code, foreign.status_code) == (200, 403)


def test_a_request_without_host_is_refused(api: MemoryApi) -> None:
    """HTTP/1.0 needs no Host header, but this server does."""
    url = api.client.base_url
    with socket.create_connection((url.host, url.port), timeout=10) as stream:
        stream.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert stream.recv(64).startswith(b"HTTP/1.1 421")


_HOST_LINE = "Host: localhost"
_OURS = "Origin: http://localhost"
_THEIRS = "Origin: https://evil.example"
_LIST_HEAD = "GET /api/scans HTTP/1.1"
_POST_HEAD = "POST /api/scans HTTP/1.1"
_JSON_LINE = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ([_LIST_HEAD, _HOST_LINE, _OURS], 200, None),
        ([_LIST_HEAD, _HOST_LINE, _OURS, _THEIRS], 400, "header_repeated"),
        ([_LIST_HEAD, _HOST_LINE, _OURS, _OURS], 400, "header_repeated"),
        ([_LIST_HEAD, _HOST_LINE, _OURS, _THEIRS.upper()], 400, "header_repeated"),
        ([_LIST_HEAD, _HOST_LINE, _OURS, " , https://evil.example"], 403, "cross_site"),
        ([_LIST_HEAD, _HOST_LINE, "Origin:"], 403, "cross_site"),
        ([_LIST_HEAD, _HOST_LINE, "Origin: null"], 403, "cross_site"),
        ([_LIST_HEAD, _HOST_LINE, "oRiGiN: https://evil.example"], 403, "cross_site"),
        ([_LIST_HEAD, _HOST_LINE, "Host: evil.example"], 400, "bad_request"),
        ([_LIST_HEAD, _HOST_LINE, "hOST: localhost"], 400, "bad_request"),
        ([_LIST_HEAD], 400, "bad_request"),
        ([_LIST_HEAD, "Host: evil.example", "X-Forwarded-Host: localhost"], 421, "host_refused"),
        ([_LIST_HEAD, "Host: evil.example", "Forwarded: host=localhost"], 421, "host_refused"),
        ([_LIST_HEAD, _HOST_LINE, "X-Forwarded-Host: evil.example"], 200, None),
        (["GET http://evil.example/api/scans HTTP/1.1", _HOST_LINE], 400, "target_refused"),
        (["GET http://localhost/api/scans HTTP/1.1", _HOST_LINE], 400, "target_refused"),
        (["OPTIONS * HTTP/1.1", _HOST_LINE], 400, "target_refused"),
        (
            [_LIST_HEAD, _HOST_LINE, "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"],
            400,
            "header_repeated",
        ),
        (
            [
                _LIST_HEAD,
                _HOST_LINE,
                "Sec-Fetch-Site: cross-site",
                "Sec-Fetch-Dest: document",
                "Sec-Fetch-Mode: navigate",
                "Sec-Fetch-Mode: cors",
            ],
            400,
            "header_repeated",
        ),
        ([_LIST_HEAD, _HOST_LINE, "Sec-Fetch-Site: none, cross-site"], 403, "cross_site"),
        (
            [_POST_HEAD, _HOST_LINE, _JSON_LINE, "Content-Type: text/plain"],
            400,
            "header_repeated",
        ),
        ([_POST_HEAD, _HOST_LINE, _JSON_LINE + ", text/plain"], 415, "json_required"),
        (
            [_POST_HEAD, _HOST_LINE, _JSON_LINE, "Content-Length: 2", "Content-Length: 3"],
            400,
            "bad_request",
        ),
        (
            [
                _POST_HEAD,
                _HOST_LINE,
                _JSON_LINE,
                "Content-Length: 2",
                "Transfer-Encoding: chunked",
                "",
                "0",
            ],
            400,
            "header_repeated",
        ),
        ([_LIST_HEAD, _HOST_LINE, "X-HTTP-Method-Override: DELETE"], 200, None),
        (
            [
                "POST /api/scans/none HTTP/1.1",
                _HOST_LINE,
                _JSON_LINE,
                "X-HTTP-Method-Override: DELETE",
            ],
            405,
            "method_not_allowed",
        ),
        (["TRACE / HTTP/1.1", _HOST_LINE], 415, "json_required"),
    ],
)
def test_every_value_of_a_header_counts(
    api: MemoryApi, lines: list[str], status: int, code: str | None
) -> None:
    """Requests that two programs could read differently are refused, also on a real connection."""
    url = api.client.base_url
    with socket.create_connection((url.host, url.port), timeout=10) as stream:
        stream.sendall("\r\n".join([lines[0], "Connection: close", *lines[1:], "", ""]).encode())
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body).get("code") == code
    assert b"nosniff" in head


def test_many_clients_at_once_are_all_served(api: MemoryApi) -> None:
    """Requests on connections of their own do not disturb each other."""

    def submit(_number: int) -> str:
        with client_of(str(api.client.base_url)) as client:
            answer = client.post("/api/scans", json={"url": "https://www.example.com/"})
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(submit, range(40)))
    assert len(ids) == 40
