"""Scripts beyond the limits are told as cut, and names mean what their scope says."""

import pytest

from fetcher.page.dom import read_dom
from safeurl.model.report import Page

_URL = "http://site.test/"
_LEAVE = "<script>top.location='/to'</script>"


def _page(body: str) -> Page:
    return read_dom(f"<!doctype html><p>text</p>{body}", _URL).page


@pytest.mark.parametrize(
    "body",
    [
        "<script>eval(' '.repeat(300000) + \"location = '/to'\")</script>",
        "<script>var s = ' '.repeat(200000); eval(s + s + \"location = '/to'\")</script>",
        "<script>eval(atob('IAAA'.repeat(80000)))</script>",
        "<script>document.write('<p>' + ' '.repeat(250000), ' '.repeat(20000))</script>",
        "".join(f"<script>document.write('<p>{number}' + x())</script>" for number in range(80)),
        "".join(f"<iframe srcdoc='<p>{number}'></iframe>" for number in range(70)),
        "".join(
            f"<iframe srcdoc='<script>{number}{';a' * 40_000}</script>'></iframe>"
            for number in range(5)
        ),
        "<script>d = f.contentDocument, s = ' '.repeat(2e5); d.write(s); d.write(s)</script>",
    ],
)
def test_what_is_not_read_to_its_end_is_told(body: str) -> None:
    """Evaluated texts, written texts, frames and the tokens of all of them are limited."""
    assert _page(body).scripts_cut


@pytest.mark.parametrize(
    "code",
    [
        "(function () { var t = location; f(t) })(); (function (t) { t.replace('a', '/b') })('a')",
        "(function (t) { f(t) })(location); (t => { t.href = '/b' })(f())",
        "function a(l) { f(l) } function b(l) { l.assign('/b') } a(location); b(g())",
        "const {href} = location; (function () { let href; href = '/b' })()",
        "(function () { var w = window; f(w) })(); var w = {}; w.location = '/b'",
        "var o = {l: location}; var p = {l: {}}; p.l.href = '/b'",
        "function l() { return location } (function (l) { l().href = '/b' })(f)",
        "var l = location; function f() { let l = g(); l.replace('/b', '') } f()",
        "a.addEventListener('x', () => { location = '/b' }); new Event('x')",
        "a.onclick = () => { location = '/b' }; c.click()",
        "a.onkeydown = () => { location = '/b' }; b.dispatchEvent(new Event('keydown'))",
        "a.onmessage = () => { location = '/b' }; frame.contentWindow.postMessage('x', '*')",
        "var l = document.createElement('a'); l.href = '/b'; l.download = 'x'; l.click()",
        "var l = document.createElement('a'); l.href = '/b'; l.target = '_blank'; l.click()",
    ],
)
def test_names_of_other_scopes_and_events_of_other_elements(code: str) -> None:
    """A name in another function, and an event that no script sends, do not navigate."""
    page = _page(f"<script>{code}</script>")
    assert (page.onward, page.scripts_cut) == ((), False)


@pytest.mark.parametrize("allowed", ["", "allow-scripts", "allow-top-navigation allow-forms"])
def test_sandboxed_frames_do_not_navigate_the_page(allowed: str) -> None:
    """A frame needs scripts and the navigation of the page; `sandbox` alone allows neither."""
    frame = f'<iframe sandbox="{allowed}" srcdoc="{_LEAVE}"></iframe>'
    assert _page(frame).onward == ()
    assert _page(frame.replace("sandbox", "title")).onward[0].url == f"{_URL}to"


@pytest.mark.parametrize(
    "code",
    [
        "function u(x) { x = '/to'; return x } location = u(location.href)",
        "function u() { if (a) { return location.href } return '/to' } location = u()",
        "function u() { var a = ''; for (;;) { a += f() } return a } location = u() + '#x'",
        "var u = new URL(location.href); u.host = f(); location = u",
    ],
)
def test_values_that_are_not_certain_are_not_the_own_page(code: str) -> None:
    """What a function works out is unknown, and not taken for the page's own address."""
    assert [lead.url for lead in _page(f"<script>{code}</script>").onward] == [""]
