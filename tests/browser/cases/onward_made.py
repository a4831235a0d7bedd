"""Pages that navigate by elements, handlers and names that their scripts make, and pages that stay.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from tests.browser.case import OTHER, Case, make_response


def _case(name: str, body: str) -> Case:
    page = "<!doctype html><title>first</title><body><p>One moment</p>" + body
    return Case(name, {"/": make_response(page), "*": make_response(OTHER)}, ("onward",))


def _script(name: str, code: str) -> Case:
    return _case(name, f"<script>{code}</script>")


_MAKE = "var s = document.createElement"

CASES = (
    _script("pattern_after_condition", "if (1) /['`]/.test('x'); location = '/to'"),
    _script("pattern_after_block", "{} /['`]/.test(1); location = '/to'"),
    _script("division_after_group", "var a = (4) / 2; var b = '/'; location = '/to'"),
    _script("optional_call", "window?.location?.assign?.('/to')"),
    _script("optional_brackets", "location?.['replace']('/to')"),
    _script("indirect_eval", "(0, eval)(\"location = '/to'\")"),
    _script("constructor", "[].constructor.constructor(\"location = '/to'\")()"),
    _script("this", "this.location = '/to'"),
    _script("grouped_location", "(0, location).href = '/to'"),
    _script("grouped_window", "(window || self).location = '/to'"),
    _script("method_call", "location.assign.call(location, '/to')"),
    _script("method_apply", "location.replace.apply(location, ['/to'])"),
    _script(
        "alias_of_document", "var d = document; d.write('<script>location=\"/to\"<\\/script>')"
    ),
    _script(
        "made_script", f"{_MAKE}('script'); s.text = \"location = '/to'\"; document.head.append(s)"
    ),
    _script(
        "made_refresh",
        f"{_MAKE}('meta'); s.httpEquiv = 'refresh'; s.content = '0;url=/to'; "
        "document.head.append(s)",
    ),
    _script("made_link", f"{_MAKE}('a'); s.setAttribute('href', '/to'); s.click()"),
    _script(
        "made_picture",
        "var i = new Image; i.setAttribute('onerror', \"location = '/to'\"); i.src = 'data:,'",
    ),
    _script(
        "inserted_handler", "document.body.innerHTML = '<img src=data:, onerror=location=`/to`>'"
    ),
    _script(
        "inserted_refresh",
        "document.head.innerHTML += '<meta http-equiv=refresh content=0;url=/to>'",
    ),
    _script("written_handler", "document.write('<img src=data:, onerror=location=`/to`>')"),
    _script(
        "fragment",
        "document.body.append(document.createRange().createContextualFragment("
        "\"<script>location='/to'<\\/script>\"))",
    ),
    _script("array_function", "[1].some(() => { location = '/to' })"),
    _case(
        "submitter",
        "<form id=f action=/to><button id=b></button></form><script>f.requestSubmit(b)</script>",
    ),
    _case("old_type", "<script type=text/javascript1.5>location='/to'</script>"),
    _case("focus", "<input autofocus onfocus=\"location='/to'\">"),
    _case("toggle", "<details open ontoggle=\"location='/to'\">x</details>"),
    _case("animation", "<svg><animate onbegin=\"location='/to'\" attributeName=x dur=1s></svg>"),
    _case("type_with_parameter", "<script type='text/javascript; x=y'>location='/to'</script>"),
    _case("other_language", "<script language=vbscript>location='/to'</script>"),
    _case(
        "focus_later",
        "<input onfocus=\"location='/to'\"><details ontoggle=\"location='/to'\">x</details>",
    ),
    _script("inserted_script", "document.body.innerHTML = '<script>location=\"/to\"<\\/script>'"),
    _script(
        "text_of_paragraph",
        f"{_MAKE}('p'); s.textContent = \"location = '/to'\"; document.body.append(s)",
    ),
    _script(
        "content_of_meta",
        f"{_MAKE}('meta'); s.name = 'x'; s.content = '5 days'; document.head.append(s)",
    ),
    _script("this_of_object", "var o = { go() { this.location = '/to' } }; o.go()"),
    _script(
        "argument", "var a = {}; String(location).href = '/to'; String(window).location = '/to'"
    ),
    _script("unmade_call", "var f = () => location.assign.call(location, '/to')"),
)
