"""Hostile bodies, heads and pages exceed neither the fetcher's memory nor its time."""

import os
import random
import zlib

import pytest

from safeurl.state import Outcome
from tests.support.fetching import COMMAND, fetch, request_line, run_fetcher
from tests.support.pages import PageServer, Reply, html
from tests.support.routes import STANDARD_ROUTES, bomb, encoded

_MIB = 1024 * 1024
_FORM = '<form action="/steal" method="post"><input type="password" name="pin"></form>'

#: The address space is larger than the memory in use: interpreter and libraries take 150 MiB.
_LIMITED = ("/bin/sh", "-c", f"ulimit -v {400 * 1024}; exec {COMMAND[0]} -m fetcher")


def _page(text: str) -> PageServer:
    return PageServer({"/": lambda _: html(text)})


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw-deflate", "br", "zstd"])
def test_each_encoding_is_decompressed(encoding: str) -> None:
    """The page is decompressed, and both sizes are recorded."""
    text = b"<title>Packed</title>" + b"0123456789" * 5000
    with PageServer({"/": lambda _: encoded(text, encoding)}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK
    assert run.artefact("body") == text
    assert run.body.size_bytes == len(text)
    assert 0 < run.body.wire_bytes < len(text)
    assert run.page.title == "Packed"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_decompression_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    """A quarter of a gigabyte of zeros is decompressed up to the limit, with little memory."""
    packed = bomb(encoding, 256 * _MIB)
    with PageServer({"/": lambda _: packed}) as server:
        run = run_fetcher(request_line(server.url("/")), command=_LIMITED)
    assert run.report.outcome is Outcome.BODY_TOO_LARGE, run.stderr
    assert run.body.size_bytes == 10 * _MIB
    assert run.body.truncated


def test_nested_decompression_bombs_are_stopped() -> None:
    """An inner encoding has the same limit as the outer one."""
    inner = encoded(bytes(64 * _MIB), "gzip").body
    assert isinstance(inner, bytes)
    packed = encoded(inner, "gzip").body
    reply = Reply(packed, headers=(("Content-Encoding", "gzip, gzip"),))
    with PageServer({"/": lambda _: reply}) as server:
        run = fetch(server.url("/"), max_body_bytes=_MIB)
    assert run.report.outcome is Outcome.BODY_TOO_LARGE


def test_an_endless_body_is_cut() -> None:
    """The body has no end, but the fetch does."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/endless"))
    assert run.report.outcome is Outcome.BODY_TOO_LARGE
    assert run.body.wire_bytes == 10 * _MIB


def test_a_body_with_a_wrong_encoding_is_reported() -> None:
    """Plain text with the label gzip cannot be read."""
    reply = Reply(b"plain text", headers=(("Content-Encoding", "gzip"),))
    with PageServer({"/": lambda _: reply}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.HTTP_ERROR
    assert "gzip" in run.report.detail
    assert run.body.truncated


def test_the_bytes_before_a_corruption_are_kept() -> None:
    """The first half of a damaged archive is evidence."""
    noise = random.Random(1).randbytes(200_000)  # noqa: S311 - reproducible noise
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    packed = packer.compress(b"<title>Broken</title>" + noise) + packer.flush(zlib.Z_FULL_FLUSH)
    broken = packed + b"\x07" * 1000  # there is no block of type 3
    reply = Reply(broken, headers=(("Content-Encoding", "gzip"),))
    with PageServer({"/": lambda _: reply}) as server:
        run = fetch(server.url("/"))
    assert run.body.truncated
    assert run.page.title == "Broken"


def test_ten_thousand_headers_are_evidence_in_part() -> None:
    """The page is read; the headers are marked as truncated."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/headers?n=10000"))
    assert run.report.outcome is Outcome.OK
    assert len(run.hops[0].headers) == 256
    assert run.hops[0].headers_truncated


def test_endless_headers_are_http_error() -> None:
    """A head larger than browsers accept ends the fetch."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/headers?n=100000"))
    assert run.report.outcome is Outcome.HTTP_ERROR


@pytest.mark.parametrize("nested", ["<div>", "<b><i>", "<a><table>", "<svg><g>"])
def test_deep_nesting_leaves_title_and_forms(nested: str) -> None:
    """A hundred thousand levels do not block the parser, and the form is found."""
    with _page(f"<title>Deep</title>{nested * 100_000}{_FORM}") as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "Deep"
    assert run.page.partial
    assert run.page.forms[0].has_password
    assert run.page.forms[0].action == server.url("/steal")


def test_300_000_attributes_leave_title_and_forms() -> None:
    """A tag that would take a parser minutes reduces the evidence, but the forms are found."""
    attributes = " ".join(f"a{n}=1" for n in range(300_000))
    with _page(f"<title>Wide</title>{_FORM}<div {attributes}>text</div>") as server:
        run = fetch(server.url("/"), max_body_bytes=8 * _MIB)
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "Wide"
    assert "attributes" in run.page.partial
    assert run.page.forms[0].has_password


def test_attributes_hidden_from_the_prescan_lead_to_the_fallback() -> None:
    """A quoted `>` hides the attributes; the parser's process is killed, the fallback used."""
    attributes = " ".join(f"a{n}=1" for n in range(150_000))
    with _page(f'<title>Hidden</title>{_FORM}<div x=">" {attributes}>text</div>') as server:
        run = fetch(server.url("/"), timeout_s=8.0)
    assert run.report.outcome is Outcome.OK
    assert run.page.title == "Hidden"
    assert "took too long" in run.page.partial
    assert run.page.forms[0].has_password


def test_long_lists_are_shortened_and_marked() -> None:
    """The limits of the report hold for any page."""
    text = "".join(f"<a href='/{n}'>{n}</a><script src=/{n}.js></script>" for n in range(3000))
    with _page(text + "<iframe src=/f></iframe>" * 100 + _FORM * 100) as server:
        run = fetch(server.url("/"))
    page = run.page
    assert (len(page.links), page.links_total) == (512, 3000)
    assert (len(page.scripts), len(page.iframes), len(page.forms)) == (256, 64, 64)
    assert "512 of 3000 links" in page.partial


def test_evidence_lines_stay_small() -> None:
    """Thousands of long URLs fit into a line that a worker accepts."""
    text = "".join(f"<a href='/{n}{'x' * 7000}'>{n}</a>" for n in range(250))
    with _page(text) as server:
        done = run_fetcher(request_line(server.url("/")))
    assert done.report.outcome is Outcome.OK
    assert 0 < len(done.page.links) < 250
    assert "too large" in done.page.partial


def test_hostile_text_never_breaks_a_line() -> None:
    """NUL, escape sequences, lone surrogates, invalid UTF-8 and BOMs end up as plain text."""
    bodies = {
        "/nul": b"<title>a\x00b\x1b[2Jc</title>",
        "/bad": b"<title>\xff\xfe\xfd broken \xed\xa0\x80</title>",
        "/entities": b"<title>&#xD800;&#0;&#x1F600;&#x110000;</title>",
        "/utf16": "\ufeff<title>Zw\u00f6lf</title>".encode("utf-16-le"),
        "/empty": b"",
        "/noise": os.urandom(5000),
    }
    routes = {path: (lambda r: Reply(bodies[r.path], content_type="text/html")) for path in bodies}
    with PageServer(dict(routes)) as server:
        for path in bodies:
            run = fetch(server.url(path))
            assert run.report.outcome is Outcome.OK, run.stderr
            assert run.stderr == ""
            if path == "/utf16":
                assert run.page.title == "Zw\u00f6lf"


def test_the_largest_body_passes_in_little_memory() -> None:
    """The body is limited to what the report and the container's memory can hold."""
    with PageServer(STANDARD_ROUTES) as server:
        line = request_line(server.url("/big?mib=21"), max_body_bytes=100 * _MIB)
        run = run_fetcher(line, command=_LIMITED)
    assert run.report.outcome is Outcome.BODY_TOO_LARGE, run.stderr
    assert len(run.artefact("body")) == 16 * _MIB
