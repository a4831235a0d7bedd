"""The navigations of a page's scripts are found without executing them, in limited time."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.page.dom import read_dom
from fetcher.page.read import read_page
from fetcher.page.script.reader import ScriptReader
from fetcher.subprocess_task import run_in_subprocess
from safeurl.analysis import judge
from safeurl.model.report import Evidence, Hop, Onward, Page
from safeurl.model.verdict import Judgement

_URL = "http://site.test/dir/page?q=1"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_MADE = "http://site.test/made"
_PARTS = (
    *("location", ".href", "=", "'/a'", "`${a}`", "eval(", "setTimeout(", ")", "(", "{", "}", "["),
    *("]", "function f", "=>", "a", "+", "+=", ",", ";", "if(", "?", ":", "/", "/*", "0x", "1e999"),
    *(
        ".split('')",
        ".replace(",
        ".join(",
        "atob(",
        "'\\u{110000}'",
        "\\u0061",
        "<!--",
        "\n",
        "new ",
    ),
    *(
        "document.write('<meta http-equiv=refresh content=0;url=x>')",
        "submit()",
        ".",
        "\ud800",
        '"',
    ),
)


def _page(body: str) -> Page:
    return read_dom(f"<!doctype html><p>text</p>{body}", _URL).page


def _navigations(code: str) -> list[tuple[str, str, float]]:
    onward = _page(f"<script>{code}</script>").onward
    return [(lead.how, lead.url, lead.delay_s) for lead in onward]


@pytest.mark.parametrize(
    ("code", "url"),
    [
        ("self['location']=['//e','.test/'].join('')", "http://e.test/"),
        ("var w = window; w.location.replace('x')", "http://site.test/dir/x"),
        ("function go(u) { location = u } go('/to')", "http://site.test/to"),
        ("location = `//e.test/${name}`; var name = 'a'", "http://e.test/a"),
        ("location = 'https://' + location.host + '/s'", "https://site.test/s"),
        ("location.protocol = 'https:'", "https://site.test/dir/page?q=1"),
        ("location = 'http://e.test/?id=' + Math.random()", "http://e.test/?id="),
        ("location = 'hxxp://e.test/'.replace(/hxxp/, 'http')", "http://e.test/"),
        ("location = test ? '/a' : '/b'", "http://site.test/a"),
        ("$(document).ready(function () { location = '/a' })", "http://site.test/a"),
        ("fetch('/x').then(() => location.assign('/a'))", "http://site.test/a"),
        ("new Function(\"location='/a'\")()", "http://site.test/a"),
        ("navigation.navigate('/a')", "http://site.test/a"),
        ("try { location = '/a' } catch (e) {}", "http://site.test/a"),
        ("location = location; location = '/a'", "http://site.test/a"),
        ("const l = self.location; setTimeout(() => l.assign('/a'), 0)", "http://site.test/a"),
        ("setTimeout('go()', 0); function go() { location = '/a' }", "http://site.test/a"),
        ("location = compute()", ""),
        ("var k = 'href'; location[k] = '/a'", "http://site.test/a"),
        ("var k = 'loc', r = 'ation'; window[k + r] = '/a'", "http://site.test/a"),
        ("const k = ['assign', 'location']; top[k[1]][k[0]]('/a')", "http://site.test/a"),
        ("document[atob('bG9jYXRpb24=')].href = '/a'", "http://site.test/a"),
        ("location[unknown]('/a')", "http://site.test/a"),
    ],
)
def test_scripts_that_navigate(code: str, url: str) -> None:
    """Variables, parameters, the page's own URL and partly known texts are evaluated."""
    assert _navigations(code) == [("script", url, 0.0)]


@pytest.mark.parametrize(
    "code",
    [
        "location = location.href",
        "location.href = '#top'",
        "location = 'mailto:a@e.test'",
        "location.reload()",
        "var k = 'hash'; location[k] = 'x'",
        "var k = 'reload'; location[k]()",
        "var k = 'locations'; window[k] = '/a'",
        "a = location[k]; b = window['location'][k]",
        "let location = '/a'",
        "function f() { var location = '/a' } f()",
        "$('a').click(function () { location = '/a' })",
        "$('form').submit(function () { return false })",
        "button.addEventListener('click', go); function go() { location = '/a' }",
        "const o = { location: '/a', go() { location = '/b' } }",
        "class A { go() { location = '/a' } }",
        "window.open('/a', '_blank')",
        "if (document.location.protocol != 'http:') location = compute()",
        "if (location.protocol === 'https:' && x) location = '/a'",
        "if (top != self) { location = compute() }",
        "a.onclick = function () { location = compute() }",
        "addEventListener('keydown', () => { if (a) location = compute() })",
        "$('select').on('change', () => location.assign(compute()))",
        "function never() { location.href = compute() }",
        "history.pushState({}, '', '/a'); history.replaceState(null, '', compute())",
        "window.open(compute())",
        "if (window.top != window) { top.location = 'http://site.test/' }",
        "if (self != top) { location = '/a' }",
        "if (x && window.top.location.href !== document.location.href) { location = '/a' }",
        "if (parent.location != self.location) location = '/a'",
        "if (window.frameElement) { location = '/a' }",
    ],
)
def test_scripts_that_do_not_navigate(code: str) -> None:
    """Clicks, other windows, the page itself, and conditions that are true only in a frame."""
    assert _navigations(code) == []


@pytest.mark.parametrize(
    ("code", "url", "conditional"),
    [
        ("if (seen) location = compute()", "", True),
        ("seen && location.assign(compute())", "", True),
        ("seen ? location.assign(compute()) : 0", "", True),
        ("if (a) { setTimeout(() => { if (b) { self.location.href = f() } }, 9) }", "", True),
        ("if (a) { b() } else { document.location.replace(f()) }", "", True),
        ("if (navigator.webdriver) { b() } else location = '/a'", "http://site.test/a", True),
        ("if (location.protocol != 'https:') location = f()", "", True),
        ("if (location.protocol != 'http:' || 1) location = f()", "", True),
        ("{ let location = {}; if (location.protocol != 'http:') top.location = f() }", "", True),
        ("with (x) if (location.protocol != 'http:') top.location = f()", "", True),
        ("if (f('a&&location.protocol!=\"http:\"&&b')) location = f()", "", True),
        ("if (a) location = f(); location = f()", "", False),
        ("location = '/a'; if (b) location = '/a'", "http://site.test/a", False),
        ("onload = () => location.assign(f())", "", False),
        ("document.onreadystatechange = function () { top.location = f() }", "", False),
        ("for (var i = 0; i < 1; i++) location = f()", "", False),
    ],
)
def test_conditional_navigations_are_marked(code: str, url: str, conditional: bool) -> None:  # noqa: FBT001 - a case
    """The condition is recorded; an unknown URL still counts as another page."""
    onward = _page(f"<script>{code}</script>").onward
    navigation = [(lead.url, lead.conditional) for lead in onward if lead.how == "script"]
    assert navigation in ([(url, conditional)], [(url, conditional)] * 2)


@pytest.mark.parametrize("url", [_URL.replace("http:", "https:"), _URL])
def test_a_switch_to_https_depends_on_the_protocol(url: str) -> None:
    """The navigation is made only if the page was opened without TLS."""
    code = "if (document.location.protocol != 'https:') document.location = compute(document.URL)"
    page = read_dom(f"<p>text</p><script>{code}</script>", url).page
    assert bool(page.onward) == url.startswith("http:")


@pytest.mark.parametrize("delay", ["1e999", "1e999 - 1e999", "-1e999", "-5", "0 * 1e999"])
def test_a_delay_that_is_not_finite_is_zero(delay: str) -> None:
    """Other delays would be invalid in the report, so all evidence of the page would be lost."""
    script = f"<script>setTimeout(\"location='/a'\", {delay})</script>"
    text = f"<form><input type=password></form>{script}"
    page = read_page(text.encode(), "utf-8", "http://site.test/", 10).page
    assert [lead.delay_s for lead in page.onward] == [0.0]
    assert (page.partial, page.forms[0].has_password) == ("", True)


def test_delays_of_timers_are_added() -> None:
    """Delays of nested timers are added."""
    code = "setTimeout(() => setTimeout(go, 2 * 1000), 500); function go() { location = '/a' }"
    assert _navigations(code) == [("script", "http://site.test/a", 2.5)]


@pytest.mark.parametrize(
    ("code", "url"),
    [
        ("document.forms[1].submit()", "http://site.test/two"),
        ("document.getElementById('b').submit()", "http://site.test/two"),
        ("document.querySelector('#b').requestSubmit()", "http://site.test/two"),
        ("var b = document.getElementById('b'); b.submit()", "http://site.test/two"),
        ("a.submit()", _URL),
        (
            "var f = document.createElement('form'); f.action = '//e.test/'; f.submit()",
            "http://e.test/",
        ),
    ],
)
def test_forms_that_a_script_submits(code: str, url: str) -> None:
    """The form is found by index, id or name; without an action its target is the page itself."""
    forms = "<form name=a></form><form id=b action=/two></form>"
    page = _page(f"{forms}<script>{code}</script>")
    assert page.onward == (Onward(how="form", url=url),)


@pytest.mark.parametrize(
    "code",
    [
        "document.getElementById('go').click()",
        "document.querySelector('#go').click()",
        "const link = document.getElementById('go'); setTimeout(() => link.click(), 0)",
        "onload = function () { go.click() }",
    ],
)
def test_links_that_a_script_clicks(code: str) -> None:
    """The link is found by its id; a click on another element does not navigate."""
    body = "<a id=go href=/to>on</a><a id=not href=/not>x</a><button id=b>x</button>"
    page = _page(f"{body}<script>{code}; b.click()</script>")
    assert page.onward == (Onward(how="script", url="http://site.test/to"),)


def test_refreshes_handlers_and_frames_navigate_too() -> None:
    """All of them are in one list, without navigations to the page itself."""
    page = _page(
        "<meta http-equiv=refresh content='30;/late'><iframe src=\"javascript:top.location='/b'\">"
        "</iframe><svg onload=\"location='/c'\"></svg><body onload=go() onclick=\"location='/d'\">"
        "<script>function go() { location = '/e' }</script><script src=x>location='/f'</script>"
        "<script type=module>location='/g'</script>"
        "<script type=application/json>location='/h'</script>"
    )
    assert [(lead.how, lead.url.rpartition("/")[2], lead.delay_s) for lead in page.onward] == [
        ("meta_refresh", "late", 30.0),
        ("script", "e", 0.0),
        ("script", "g", 0.0),
        ("script", "c", 0.0),
        ("script", "b", 0.0),
    ]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PARTS) | st.text(max_size=4), max_size=40).map("".join))
def test_any_script_is_read_the_same_twice(code: str) -> None:
    """No script raises an exception, and the number of navigations is limited."""
    readers = (ScriptReader(_URL), ScriptReader(_URL))
    for reader in readers:
        reader.read(code)
    assert readers[0].navigations == readers[1].navigations
    assert len(readers[0].navigations) <= 16


@pytest.mark.parametrize(
    "part",
    [
        *("a=", "a+=a+", "f(a,", "a=>", "(", "[a", "(/[", "function f(){", "function f(){f()}"),
        *("location=setTimeout(", "'a'+", "a?b:", "`${a", "if(a){", "{a:", "open(", "function "),
        *("(function(){", "b=a.split('');", "b=a.replace(/x/g,a);", "a=a+a;", "eval('"),
    ],
)
def test_any_script_is_read_in_limited_time(part: str) -> None:
    """Nesting, chains and growing texts are limited; quadratic work would not finish."""
    code = f"location;a='{'x' * 60_000}';{part * (400_000 // len(part))}"

    def task() -> bytes:
        reader = ScriptReader(_URL)
        reader.read(code)
        return msgspec.json.encode(len(reader.navigations))

    assert int(run_in_subprocess(task, 30)) <= 16


_PADDING = "Much to read here. " * 270


@pytest.mark.parametrize(
    "padding",
    [
        f"<p>{_PADDING}</p>",
        f"<p hidden style='display:none'>{_PADDING}</p>",
        f"<!-- {_PADDING} -->",
        f"<noscript>{_PADDING}</noscript>",
        f"<template>{_PADDING}</template>",
        f"<textarea>{_PADDING}</textarea>",
        f"<script>/* {_PADDING} */</script>",
        "<a href=/x>more</a>" * 300,
    ],
)
@pytest.mark.parametrize(
    "code",
    [
        "location = compute()",
        "location[key] = compute()",
        "window['loc' + 'ation'] = compute()",
        "top.location = compute()",
        "document.location.assign(compute())",
        "self.location.href = compute()",
        'setTimeout("location = compute()", 5)',
        "eval(atob('bG9jYXRpb24gPSBjb21wdXRlKCk='))",
        "document.write('<script>location = compute()<\\/script>')",
        "document.write('<meta http-equiv=refresh content=\"0;url=/to\">')",
        "if (ready) { location = compute() }",
        "document.forms[0].submit()",
    ],
)
def test_much_text_does_not_make_a_page_benign(code: str, padding: str) -> None:
    """However much text a page holds, its unknown destination makes the verdict inconclusive."""
    text = f"<!doctype html><p>Hello</p><form action=/to></form>{padding}<script>{code}</script>"
    page = read_page(text.encode(), "utf-8", _URL, 20).page
    verdict = judge(Evidence(hops=(Hop(url=_URL, status=200),), page=page), url=_URL, seen_at=_NOW)
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert "sends its visitor on" in verdict.summary


@pytest.mark.parametrize(
    ("before", "is_truncated"),
    [
        ("a=1;" * 20, False),
        ("a=1;" * 11_000, False),
        ("a=[1,2];" * 9_000, False),
        ("f(a,'b',1);" * 12_000, False),
        ("/*" + "x" * 1_000_000 + "*/", False),
        (f"a='{'x' * 1_000_000}';", False),
        ("a=1;" * 41_000, True),
        ("a=[1,2];" * 24_000, True),
    ],
)
def test_scripts_that_were_truncated_are_marked(before: str, *, is_truncated: bool) -> None:
    """The part after the limit may navigate."""
    page = _page(f"<script>{before}location = '/a'</script>")
    assert (page.scripts_cut, bool(page.onward)) == (is_truncated, not is_truncated)


@pytest.mark.parametrize(
    ("padding", "why"),
    [
        ("a=1;" * 10_000, "sends its visitor on"),
        ("f(a,'b',1);" * 4_500, "sends its visitor on"),
        ("x=>{y};" * 20_000, "sends its visitor on"),
        (f"/*{'x' * 600_000}*/", "sends its visitor on"),
        ("a=1;" * 50_000, "too long to be read whole"),
        ("[]," * 60_000, "too long to be read whole"),
    ],
    ids=["assignments", "calls", "functions", "comment", "many assignments", "brackets"],
)
def test_padding_before_a_navigation_makes_no_page_benign(padding: str, why: str) -> None:
    """The script is read beyond its padding; a page whose script is too long is inconclusive."""
    text = f"<!doctype html><p>{_PADDING}</p><script>{padding}location = '/to'</script>"
    page = read_page(text.encode(), "utf-8", _URL, 120).page
    verdict = judge(Evidence(hops=(Hop(url=_URL, status=200),), page=page), url=_URL, seen_at=_NOW)
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert why in verdict.summary


def test_long_scripts_without_known_names_are_read() -> None:
    """The name of the location can be put together from parts."""
    code = f"var a = '{'x' * 21_000}'; window['loc' + 'ation'] = '/a'"
    assert _navigations(code) == [("script", "http://site.test/a", 0.0)]
