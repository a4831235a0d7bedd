"""Pages with much text that navigate by themselves, and pages that wait for input.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from tests.browser.case import OTHER, Case, make_response

#: About 5,000 characters, as in an article.
_ARTICLE = "Much to read here. " * 260
_FORM = "<form id=f action=/to><input name=a></form>"


def _case(name: str, body: str, explained: str = "") -> Case:
    page = "<!doctype html><title>first</title><body><h1>Article</h1>" + body
    return Case(
        name,
        {"/": make_response(page), "*": make_response(OTHER)},
        ("onward",),
        explained=explained,
    )


def _padded(name: str, code: str) -> Case:
    return _case(name, f"<p>{_ARTICLE}</p>{_FORM}<script>{code}</script>")


CASES = (
    _case("visible_text", f"<p>{_ARTICLE}</p><script>location = '/to'</script>"),
    _case("hidden_text", f"<p hidden>{_ARTICLE}</p><script>location = '/to'</script>"),
    _case("comment", f"<!-- {_ARTICLE} --><script>location = '/to'</script>"),
    _case("noscript", f"<noscript>{_ARTICLE}</noscript><script>location = '/to'</script>"),
    _case("template", f"<template>{_ARTICLE}</template><script>location = '/to'</script>"),
    _case("template_script", f"{_ARTICLE}<template><script>location = '/to'</script></template>"),
    _padded("known_key", "var k = 'href'; location[k] = '/to'"),
    _padded("window_key", "var k = 'loc', r = 'ation'; window[k + r] = '/to'"),
    _padded("two_keys", "const k = ['assign', 'location']; top[k[1]][k[0]]('/to')"),
    _padded("decoded_key", "document[atob('bG9jYXRpb24=')].href = '/to'"),
    _padded("own_fragment_key", "var k = 'hash'; location[k] = 'to'"),
    _padded("condition", "if (document.title.length) { location = '/to' }"),
    _padded("other_branch", "if (navigator.nothing) { alert(1) } else location = '/to'"),
    _padded("other_protocol", "if (location.protocol != 'http:') document.location = '/to'"),
    _padded("no_such_protocol", "if (location.protocol !== 'https:') document.location = '/to'"),
    _padded("timer_text", "setTimeout(\"if (1) location.href = '/to'\", 10)"),
    _padded("ready_state", "document.onreadystatechange = () => { location.assign('/to') }"),
    _padded("form", "if (document.forms.length) document.forms[0].submit()"),
    _padded("written", "document.write('<meta http-equiv=refresh content=\"0;url=/to\">')"),
    _padded("history", "history.pushState({}, ''); history.replaceState({}, '', '#to')"),
    _padded("popup", "window.open('/to')"),
    _padded("on_change", "f.onchange = function () { location = '/to' }"),
    _padded("on_submit", "f.addEventListener('submit', () => { if (1) location = '/to' })"),
)
