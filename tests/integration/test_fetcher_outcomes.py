"""Every way in which a fetch can end has its outcome in the report."""

import socket
from itertools import chain

from safeurl.state import Outcome
from tests.support.fetching import fetch
from tests.support.pages import PageServer, Reply, Request, html, redirect
from tests.support.routes import STANDARD_ROUTES, standard, trickle


def test_a_page_that_answers_is_ok() -> None:
    """The outcome is ok, and the final URL is the page's."""
    with PageServer({"/": lambda _: html("<title>Hi</title>")}) as server:
        run = fetch(server.url("/"))
    assert run.code == 0
    assert run.report.outcome is Outcome.OK
    assert run.report.final_url == server.url("/")
    assert (run.report.scan, run.report.attempt) == ("scan-1", 1)
    assert run.report.fetcher.startswith("safeurl-fetcher/")


def test_an_error_page_is_ok() -> None:
    """The status of 403 and 500 pages is evidence, because the pages were read."""
    with PageServer(fallback=standard) as server:
        for status in (403, 404, 500):
            run = fetch(server.url(f"/status/{status}"))
            assert run.report.outcome is Outcome.OK
            assert run.hops[-1].status == status
            assert run.page.title == f"Status {status}"


def test_a_closed_port_is_connect_refused() -> None:
    """No server listens on the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run = fetch(f"http://127.0.0.1:{port}/")
    assert run.report.outcome is Outcome.CONNECT_REFUSED
    assert run.hops[0].error == run.report.detail == f"127.0.0.1:{port} refused the connection."


def test_a_full_backlog_is_connect_timeout() -> None:
    """The kernel drops the handshake of a server that does not accept connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.create_connection(address), socket.socket() as second:
            second.settimeout(0)
            second.connect_ex(address)
            run = fetch(f"http://127.0.0.1:{address[1]}/", timeout_s=2.0)
    assert run.report.outcome is Outcome.CONNECT_TIMEOUT
    assert run.hops[0].address == "127.0.0.1"


def test_garbage_is_http_error() -> None:
    """A response that is not HTTP ends the fetch."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/garbage"))
    assert run.report.outcome is Outcome.HTTP_ERROR
    assert "not valid HTTP" in run.report.detail


def test_a_connection_without_a_response_is_http_error() -> None:
    """The server closes the connection without sending a byte."""
    with PageServer({"/": lambda _: Reply(raw=True)}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.HTTP_ERROR
    assert "without an answer" in run.report.detail


def test_a_sleeping_page_is_fetch_timeout() -> None:
    """The fetcher ends at its own deadline and reports the hop."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/slow?s=60"), timeout_s=1.0)
    assert run.code == 0
    assert run.report.outcome is Outcome.FETCH_TIMEOUT
    assert run.hops[0].address == "127.0.0.1"
    assert run.hops[0].status is None
    assert 1000 <= run.report.elapsed_ms < 20_000


def test_a_slow_body_is_fetch_timeout_and_is_kept() -> None:
    """The bytes before the deadline are evidence, including the title."""

    def slow(request: Request) -> Reply:
        return Reply(chain((b"<title>Slow</title>",), trickle(request)), chunked=True)

    with PageServer({"/": slow}) as server:
        run = fetch(server.url("/"), timeout_s=1.5)
    assert run.report.outcome is Outcome.FETCH_TIMEOUT
    assert run.hops[0].status == 200
    assert run.body.truncated
    assert run.page.title == "Slow"
    assert run.artefact("body").startswith(b"<title>Slow</title>x")


def test_slow_headers_are_fetch_timeout() -> None:
    """A head that arrives byte by byte does not extend the fetch."""
    with PageServer({"/": lambda request: Reply(trickle(request, b"H"), raw=True)}) as server:
        run = fetch(server.url("/"), timeout_s=1.0)
    assert run.report.outcome is Outcome.FETCH_TIMEOUT


def test_endless_redirects_are_too_many_redirects() -> None:
    """The maximum number of redirects is used, each hop is recorded, and no request follows."""
    with PageServer({"/": lambda _: redirect("/")}) as server:
        run = fetch(server.url("/"), max_redirects=10)
        assert len(server.requests) == 11
    assert run.report.outcome is Outcome.TOO_MANY_REDIRECTS
    assert [hop.via for hop in run.hops] == ["submitted", *["redirect"] * 10]


def test_a_large_body_is_kept_up_to_the_limit() -> None:
    """The outcome is body_too_large, and the artefact has exactly the maximum size."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/big?mib=2"), max_body_bytes=1_000_000)
    assert run.report.outcome is Outcome.BODY_TOO_LARGE
    assert run.body.truncated
    assert run.body.size_bytes == len(run.artefact("body")) == 1_000_000


def test_a_body_of_exactly_the_limit_is_complete() -> None:
    """A body of the maximum size is allowed."""
    with PageServer({"/": lambda _: Reply(b"x" * 5000, content_type="text/plain")}) as server:
        run = fetch(server.url("/"), max_body_bytes=5000)
    assert run.report.outcome is Outcome.OK
    assert not run.body.truncated
    assert run.body.wire_bytes == run.body.size_bytes == 5000


def test_a_truncated_body_is_kept() -> None:
    """A connection that ends early leaves a body that is marked as truncated."""

    def cut(_: Request) -> Reply:
        return Reply(iter((b"<title>Half</title>",)), headers=(("Content-Length", "1000"),))

    with PageServer({"/": cut}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK
    assert "before the whole body" in run.report.detail
    assert run.body.truncated
    assert run.page.title == "Half"
