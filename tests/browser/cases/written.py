"""Forms and password fields that scripts write into the page, during loading or after a click."""

import dataclasses

from tests.browser.case import Case, make_response

_SECRET = "<input type=password name=p>"  # noqa: S105 - a tag
_FORM = f"<form action=/a>{_SECRET}</form>"


def _case(name: str, code: str, explained: str = "") -> Case:
    page = f"<!doctype html><title>f</title><body><p id=a>text</p><script>{code}</script>"
    return Case(name, {"/": make_response(page)}, ("targets", "password"), explained=explained)


def _bare(name: str, code: str) -> Case:
    """Return a case of an input outside of any form; nothing sends it."""
    return dataclasses.replace(_case(name, code), compare=("password",))


CASES = (
    _case("inner", f"document.body.innerHTML = '{_FORM}'"),
    _case("inner_of_an_element", f"document.getElementById('a').innerHTML = `{_FORM}`"),
    _case("inner_in_brackets", f"document.body['inner' + 'HTML'] = '{_FORM}'"),
    _bare("inner_more", f"var p = document.body; p.innerHTML += '{_SECRET}'"),
    _case("outer", f"a.outerHTML = '{_FORM}'"),
    _case("adjacent", f"a.insertAdjacentHTML('afterend', '{_FORM}')"),
    _case("write", f"document.write('{_FORM}')"),
    _case(
        "write_in_pieces",
        f"document.write('<form action=/a>', '{_SECRET}'); document.writeln('</form>')",
    ),
    _bare("write_split", "document.write('<input type=pass'); document.write('word name=p>')"),
    _bare("write_unescaped", "document.write(unescape('%3Cinput type=password%3E'))"),
    _bare("evaluated", f"eval(atob('ZG9jdW1lbnQud3JpdGUo') + '\"{_SECRET}\")')"),
    _case("variable", f"var page = '<form action=/a>' + '{_SECRET}'; a.innerHTML = page"),
    _case("known_start", f"a.innerHTML = '{_FORM}<p>' + Date.now()"),
    _case("later", f"setTimeout(function () {{ a.innerHTML = '{_FORM}' }}, 20)"),
    _case("when_loaded", f"addEventListener('load', () => {{ a.innerHTML = '{_FORM}' }})"),
    _case("in_a_function", f"function show(x) {{ x.innerHTML = '{_FORM}' }} show(a)"),
    _case("formaction", f"a.innerHTML = '<form action=/a>{_SECRET}<button formaction=/b></form>'"),
    _case("on_a_click", f"a.onclick = function () {{ a.innerHTML = '{_FORM}' }}"),
    _case("never_called", f"function show() {{ document.write('{_FORM}') }}"),
    _case("as_text", f"a.textContent = '{_FORM}'"),
    _case("only_said", f"var page = '{_FORM}'"),
    _case("compared", f"if (a.innerHTML == '{_FORM}') {{ alert(1) }}"),
    _case("in_a_template", f"a.innerHTML = '<template>{_FORM}</template>'"),
    _case(
        "nowhere_shown",
        f"document.createElement('p').innerHTML = '{_FORM}'",
        "Whether an element is ever put into the page is not followed: what is written counts.",
    ),
)
