"""Any page can be read, and its evidence always fits the report."""

import os
import signal
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.page.dom import read_dom
from fetcher.page.evidence import ParsedPage
from fetcher.page.patterns import read_with_patterns
from fetcher.page.prescan import find_exceeded_limit
from fetcher.page.read import MAX_PARSED_BYTES, read_page
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess

_URL = "http://site.test/dir/page"
_TAGS = (
    *("<a href='", "<form action=", "<input type=password name=", "<base href=", "<iframe src="),
    *("<meta http-equiv=refresh content='", "<script src=//", "<link rel=icon href=", "<title>"),
    *("</form>", "</table>", "<table>", "<template>", "<svg>", "<!--", "-->", "'>", ">", '"', "<"),
    *("http://[", "//", "javascript:", "data:", "\ud800", "\x00", "\U0001f600", "&#xD800;", " x"),
)


def _fits(parsed: ParsedPage) -> bool:
    return msgspec.json.decode(msgspec.json.encode(parsed), type=ParsedPage) == parsed


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_TAGS) | st.text(max_size=8), max_size=40).map("".join))
def test_any_markup_is_read(text: str) -> None:
    """The evidence of the parser and of the fallback is valid for a worker."""
    text = text.encode("utf-8", "replace").decode()
    assert _fits(read_dom(text, _URL))
    assert _fits(read_with_patterns(text, _URL))


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-16-le", "gb18030", ""]))
def test_any_bytes_are_read(data: bytes, charset: str) -> None:
    """The same through the child process."""
    assert _fits(read_page(data, charset, _URL, 10))


def test_the_fallback_finds_title_forms_and_refresh() -> None:
    """The patterns decode entities and make references absolute."""
    parsed = read_with_patterns(
        "<TITLE>A &amp; B</TITLE><html lang=fr><meta http-equiv='refresh' content='1;url=x'>"
        "<form action='take.php' method=post><input name=a type=\"password\"></form>"
        "<input name=b>",
        _URL,
    )
    page = parsed.page
    assert (page.title, page.language) == ("A & B", "fr")
    assert [form.action for form in page.forms] == ["http://site.test/dir/take.php", ""]
    assert page.forms[0].has_password
    assert page.meta_refresh is not None
    assert page.meta_refresh.url == "http://site.test/dir/x"


@pytest.mark.parametrize(
    "text",
    [
        "<a " * 500_000,
        "<form " + "x" * 1_000_000,
        "<title" * 300_000,
        "<meta content='" * 130_000,
        "<form a=" + "'" * 1_000_000,
        "<" * 2_000_000,
        "<html " + "lang " * 300_000,
    ],
)
def test_the_fallback_takes_linear_time(text: str) -> None:
    """Patterns with unbounded backtracking would not finish on these pages."""
    parsed = run_in_subprocess(lambda: msgspec.json.encode(read_with_patterns(text, _URL)), 20)
    assert msgspec.json.decode(parsed, type=ParsedPage).page.title == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<div>" * 6000, "nested"),
        ("<div>" * 3000 + "</div>" * 3000 + "<div>" * 3000, ""),
        ("<p>" * 9000 + "<li>" * 9000 + "<br>" * 9000, ""),
        ("<div " + "a " * 3000 + ">", "attributes"),
        ("<div " + "a " * 1000 + ">", ""),
        ("<div title='" + "long words " * 3000 + "'>", "attributes"),
        ("plain " * 10_000, ""),
    ],
    ids=["deep", "wide", "unclosed", "attributes", "few", "long value", "text"],
)
def test_the_prescan_finds_obstacles(text: str, word: str) -> None:
    """Depth and attributes are estimated; the estimate is never too low for a dangerous page."""
    assert word in find_exceeded_limit(text)
    assert bool(find_exceeded_limit(text)) == bool(word)


def test_a_page_beyond_the_limit_is_marked_as_partial() -> None:
    """The first part of the page is read."""
    parsed = read_page(b"<title>Long</title>" + b"x" * MAX_PARSED_BYTES, "utf-8", _URL, 10)
    assert parsed.page.title == "Long"
    assert parsed.page.partial == "Only the first 2,097,152 bytes were read."


def test_a_subprocess_returns_its_bytes() -> None:
    """The result is larger than the buffer of a pipe."""
    assert run_in_subprocess(lambda: b"x" * 1_000_000, 10) == b"x" * 1_000_000


def _die() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def _sleep() -> bytes:
    time.sleep(60)
    return b""


def _raise() -> bytes:
    raise ValueError("on purpose")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (_die, "crashed"),
        (_sleep, "took too long"),
        (_raise, "failed"),
        (lambda: bytes(10**9), "failed"),
        (lambda: bytes(10**7), "returned too much data"),
    ],
    ids=["crash", "sleep", "error", "memory", "flood"],
)
def test_a_failed_subprocess_has_a_reason(
    task: object, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reason is a short text, and no process remains."""
    with pytest.raises(TaskFailedError, match=words):
        run_in_subprocess(task, 1.0)  # type: ignore[arg-type]  # the table holds callables
    capfd.readouterr()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_host_that_a_browser_would_open_is_reported() -> None:
    """Form, link, frame and refresh contain the host that a browser would open."""
    host = "a!b(.$.evil.example"
    parsed = read_dom(
        f'<form action="//{host}/x.php"><input type=password></form><a href="http://{host}/">x</a>'
        f'<iframe src="//{host}/"></iframe><meta http-equiv=refresh content="0;//{host}/">',
        _URL,
    )
    page = parsed.page
    assert page.forms[0].action == f"http://{host}/x.php"
    assert page.forms[0].cross_origin
    assert page.meta_refresh is not None
    urls = {page.links[0].url, page.iframes[0].url, page.meta_refresh.url}
    assert urls == {f"http://{host}/"}


def test_shadow_trees_belong_to_the_page_and_svg_does_not() -> None:
    """Forms in declarative shadow trees and links in SVG are read; the titles in both are not."""
    page = read_dom(
        "<svg><title>no</title><form action=/no><input name=n></form>"
        "<a xlink:href=/drawn>x</a><script href=/s.js></script></svg>"
        "<div><template shadowrootmode=open><title>no</title><form action=/s>"
        "<input type=password></form></template></div>"
        "<a><template shadowrootmode=open><form action=/no></form></template></a>"
        "<p><template><form action=/no></form></template></p><title>yes</title>",
        _URL,
    ).page
    assert page.title == "yes"
    assert [form.action for form in page.forms] == ["http://site.test/s"]
    assert page.forms[0].has_password
    assert [link.url for link in page.links] == ["http://site.test/drawn"]
    assert [script.url for script in page.scripts] == ["http://site.test/s.js"]


def test_a_thousand_form_actions_fit_the_report() -> None:
    """`partial` says that targets were left out."""
    buttons = "".join(f"<button formaction=/{i}>" for i in range(1000))
    parsed = read_dom(f"<form action=/a>{buttons}</form>", _URL)
    assert _fits(parsed)
    assert len(parsed.page.forms[0].targets) == 16
    assert "some form fields" in parsed.page.partial


@pytest.mark.parametrize(
    ("relation", "is_icon"),
    [
        ("shortcut\ticon", True),
        ("\fICON\n", True),
        ("icon\xa0", False),
        ("shortcut\x1cicon", False),
        ("shortcut\u2003icon", False),
    ],
)
def test_relations_are_separated_by_the_white_space_of_html(relation: str, is_icon: bool) -> None:  # noqa: FBT001 - a case
    """Python's white space has more characters."""
    reading = read_dom(f"<link rel='{relation}' href='/a.png'>", "http://site.test/")
    assert bool(reading.icon) == is_icon
