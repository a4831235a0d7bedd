"""Pages that navigate by themselves, and pages that navigate only after a click.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from tests.browser.case import OTHER, Case, make_response

_FORM = "<form id=f name=g action=/to method=get><input type=hidden name=a value=b></form>"


def _case(name: str, body: str, explained: str = "") -> Case:
    page = "<!doctype html><title>first</title><body><p>One moment</p>" + body
    responses = {"/": make_response(page), "*": make_response(OTHER)}
    return Case(name, responses, ("onward",), explained=explained)


def _script(name: str, code: str, explained: str = "") -> Case:
    return _case(name, f"<script>{code}</script>", explained)


CASES = (
    _script("assignment", "location = '/to'"),
    _script("href_of_window", "window.location.href = '/to?a=b'"),
    _script("brackets_and_pieces", "window['loc' + 'ation']['hr' + 'ef'] = '/t' + 'o'"),
    _script("replace", "document.location.replace('/to')"),
    _script("top", "top.location.assign(`/to`)"),
    _script("escaped_name", "l\\u006fcation = '\\x2fto'"),
    _script("timer_with_text", "setTimeout(\"location.href='/to'\", 10)"),
    _script("timer_with_name", "function go() { location = u } var u = '/to'; setTimeout(go, 10)"),
    _script("called_function", "const go = () => location.assign('/to'); if (1) { go() }"),
    _script("at_once", "(function (w) { w.location = '/to' })(window)"),
    _script("load_listener", "addEventListener('load', () => { location = '/to' })"),
    _script("onload_property", "window.onload = function () { location = '/to' }"),
    _script("eval", "eval(atob('bG9jYXRpb249Jy90byc='))"),
    _script("codes", "location = String.fromCharCode(47, 116, 111)"),
    _script("percents", "location = decodeURIComponent('%2Ft') + unescape('%6F')"),
    _script("reversed", "location = 'ot/'.split('').reverse().join('')"),
    _script("array", "var a = ['to', '/']; location = a[1] + a[0]"),
    _script("property", "const c = {next: '/to'}; location.href = c.next"),
    _script("own_window", "window.open('/to', '_self')"),
    _script("script_url", "location = \"javascript:location='/to'\""),
    _script("written_refresh", "document.write('<meta http-equiv=refresh content=0;url=/to>')"),
    _case("onload_attribute", "<img src=data:, onerror=\"location='/to'\">"),
    _case("form", f"{_FORM}<script>document.forms[0].submit()</script>"),
    _case("form_by_name", f"{_FORM}<script>document.g.submit()</script>"),
    _case("clicked_link", "<a id=l href=/to>x</a><script>l.click()</script>"),
    _script("clicked_new_link", "var a = document.createElement('a'); a.href = '/to'; a.click()"),
    _script("other_event", "addEventListener('click', () => { location = '/to' })"),
    _script("onclick_property", "document.body.onclick = function () { location = '/to' }"),
    _script("never_called", "function go() { location = '/to' }"),
    _script("in_a_comment", "/* location='/to' */ // location='/to'\n"),
    _script("in_a_string", "var a = \"location='/to'\""),
    _script("in_an_expression", "var a = /location='\\/to'/"),
    _script("other_property", "var a = {}; a.location = '/to'"),
    _script("compared", "if (location == '/to') { alert(1) }"),
    _script("own_fragment", "location.hash = 'x'"),
    _script("out_of_frames", "if (top !== self) { top.location = '/to' }"),
    _script("out_of_frames_too", "if (window.top.location != location && 1) location = '/to'"),
    _script("other_name", "var l = location; l.href = '/to'"),
    _script("other_name_at_once", "const l = window.document.location, r = 1\nl.replace('/to')"),
    _script("text_of_it", "var l = location.href; l.href = '/to'"),
    _script("text_of_it_too", "var l = location + ''; l.search = '/to'"),
    _script("not_in_a_frame", "if (top === self) { location = '/to' }"),
    _script("in_a_frame_or_not", "if (top != self || top) { location = '/to' }"),
    _script("mentions_frames", "if (top) { parent.location = '/to' }"),
    _script("no_frame_element", "if (!window.frameElement) location = '/to'"),
    _script("replaced_self", "self = 1; if (top != self) { location = '/to' }"),
    _case("not_a_script", "<script type=text/plain>location='/to'</script>"),
    _case("in_noscript", "<noscript><img src=x onerror=\"location='/to'\"></noscript>"),
)
