"""Pages whose addresses or scripts are made of pieces, or are in a URL.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

import base64
from dataclasses import replace

from tests.browser.case import leading_page, leading_script

_CODE = "location = '/to'"
_BASE64 = base64.b64encode(_CODE.encode()).decode()
#: More than the evaluator keeps of a text.
_LONG = base64.b64encode(b" " * 70_000 + _CODE.encode()).decode()

_ALL = (
    leading_script("hole", "var p = 'to'; location = `/${p}`"),
    leading_script("holes", "var a = '/', b = 'o'; location = `${a}t${b}`"),
    leading_script("hole_with_literal", "location = `/${'to'}`"),
    leading_script("hole_with_sum", "var a = 't'; location = `/${a + 'o'}`"),
    leading_script("hole_with_member", "var o = {a: {b: 'to'}}; location = `/${o.a.b}`"),
    leading_script("hole_with_index", "var o = ['to']; location = `/${o[0]}`"),
    leading_script("hole_with_braces", "location = `/${({a: 'to'}).a}`"),
    leading_script("hole_with_function", "location = `/${(() => { return 'to' })()}`"),
    leading_script("hole_with_template", "var a = 'o'; location = `/${`t${a}`}`"),
    leading_script("hole_with_call", "location = `/${atob('dG8=')}`"),
    leading_script("hole_with_number", "location = `/to?${1 + 1}`"),
    leading_script("hole_with_condition", "location = `/${1 ? 'to' : ''}`"),
    leading_script("hole_with_string_with_brace", "location = `/${'}to'.slice(1)}`"),
    leading_script("hole_with_back_quote", "location = `/${'`to'.slice(1)}`"),
    leading_script("hole_with_comment", "location = `/${/* } */ 'to'}`"),
    leading_script("hole_of_origin", "location = `${location.origin}/to`"),
    leading_script(
        "hole_of_host",
        "const host = location.host, path = 'to'; location.href = `http://${host}/${path}`",
    ),
    leading_script("code_in_hole", "`${location = '/to'}`"),
    leading_script("call_in_hole", "var a = `${(() => { location.assign('/to') })()}`"),
    leading_script("code_after_hole", "var a = `${'`'}`; location = '/to'"),
    leading_script("escaped_hole", "var a = `\\${location = '/to'}`"),
    leading_script("raw", "location = String.raw`/to`"),
    leading_script("concat", "location = ''.concat('/', 't', 'o')"),
    leading_script("join_of_map", "location = ['/', 't', 'o'].map(x => x).join('')"),
    leading_script("repeat", "location = '/to' + '?'.repeat(3)"),
    leading_script("padded", "location = 'to'.padStart(3, '/')"),
    leading_script("at", "location = '/' + 'xt'.at(-1) + 'o'"),
    leading_script("returned_text", "function u() { return '/to' } location = u()"),
    leading_script("returned_by_arrow", "const u = x => '/' + x; location = u('to')"),
    leading_script(
        "stored", "sessionStorage.setItem('u', '/to'); location = sessionStorage.getItem('u')"
    ),
    leading_script("stored_property", "sessionStorage.u = '/to'; location = sessionStorage.u"),
    leading_page(
        "data_attribute", "<p id=p data-u=/to></p><script>location = p.dataset.u</script>"
    ),
    leading_page(
        "text_of_element", "<p id=p hidden>/to</p><script>location = p.textContent</script>"
    ),
    leading_page(
        "value_of_field",
        "<input id=p type=hidden value=/to><script>location = "
        "document.getElementById('p').value</script>",
    ),
    leading_page(
        "href_of_link",
        "<a id=p href=/to></a><script>location = "
        "document.querySelector('#p').getAttribute('href')</script>",
    ),
    leading_page(
        "href_of_first_link",
        "<a href=/to></a><script>location.href = document.links[0].href</script>",
    ),
    leading_page(
        "content_of_meta",
        "<meta name=u content=/to><script>location = "
        "document.querySelector('meta[name=u]').content</script>",
    ),
    leading_page(
        "json_element",
        '<script type=application/json id=j>{"u":"/to"}</script><script>location = '
        "JSON.parse(j.text).u</script>",
    ),
    leading_script("json", 'location = JSON.parse(\'{"u":"/to"}\').u'),
    leading_page(
        "code_in_element", f"<p id=p hidden>{_CODE}</p><script>eval(p.textContent)</script>"
    ),
    leading_page("data_script", f'<script src="data:text/javascript,{_CODE}"></script>'),
    leading_page("data_script_encoded", "<script src='data:,location%3D%22/to%22'></script>"),
    leading_page(
        "data_script_base64", f"<script src='data:text/javascript;base64,{_BASE64}'></script>"
    ),
    leading_page(
        "data_script_spaces",
        f"<script src=' data:text/javascript ; charset=utf-8 ; BASE64 , {_BASE64} '></script>",
    ),
    leading_page(
        "data_module", f"<script type=module src='data:text/javascript;base64,{_BASE64}'></script>"
    ),
    leading_page(
        "data_import",
        f"<script type=module>import 'data:text/javascript;base64,{_BASE64}'</script>",
    ),
    leading_script("data_dynamic_import", f"import('data:text/javascript;base64,{_BASE64}')"),
    leading_page(
        "data_script_svg",
        f"<svg><script href='data:text/javascript;base64,{_BASE64}'></script></svg>",
    ),
    leading_page(
        "data_script_of_other_type",
        f"<script type=text/x src='data:text/javascript;base64,{_BASE64}'></script>",
    ),
    leading_page(
        "data_script_wrong_type", f"<script src='data:image/png;base64,{_BASE64}'></script>"
    ),
    leading_page("inline_beside_source", f"<script src='data:,'>{_CODE}</script>"),
    leading_script(
        "set_source",
        f"var s = document.createElement('script'); s.src = "
        f"'data:,{_CODE.replace(chr(39), chr(34))}'; document.head.append(s)",
    ),
    leading_script(
        "set_source_attribute",
        f"var s = document.createElement('script'); s.setAttribute('src', "
        f"'data:text/javascript;base64,{_BASE64}'); document.head.append(s)",
    ),
    leading_script(
        "blob_script",
        "var s = document.createElement('script'); s.src = URL.createObjectURL(new "
        "Blob([\"location = '/to'\"])); document.head.append(s)",
    ),
    leading_script(
        "blob_pieces",
        "var b = new Blob(['location', '=', '\"/to\"']), s = document.createElement('script'); "
        "s.src = URL.createObjectURL(b); document.head.append(s)",
    ),
    leading_script(
        "blob_import",
        "import(URL.createObjectURL(new Blob([\"location = '/to'\"], {type: 'text/javascript'})))",
    ),
    leading_script(
        "blob_page",
        "location = URL.createObjectURL(new Blob(['<script>location=origin+`/to`<\\/script>'], "
        "{type: 'text/html'}))",
    ),
    leading_script(
        "appended_text",
        f"var s = document.createElement('script'); s.append(\"{_CODE}\"); document.head.append(s)",
    ),
    leading_script(
        "appended_text_node",
        f"var s = document.createElement('script'); "
        f's.appendChild(document.createTextNode("{_CODE}")); document.head.append(s)',
    ),
    leading_script("long_code", f"eval(atob('{_LONG}'))"),
    leading_script("long_code_of_spaces", f"eval(' '.repeat(70000) + \"{_CODE}\")"),
    leading_script("long_code_of_percents", f"eval(unescape('{'%20' * 70_000}' + \"{_CODE}\"))"),
    leading_script("long_address", "location = '/to?' + 'a'.repeat(3000)"),
    leading_script(
        "written_long",
        "document.write('" + " " * 70_000 + "' + '<script>location=`/to`<\\/script>')",
    ),
)

#: The addresses that a script works out; the fetcher says only that the page leads elsewhere.
_UNKNOWN = frozenset(
    {
        "at",
        "stored",
        "data_attribute",
        "text_of_element",
        "value_of_field",
        "href_of_link",
        "href_of_first_link",
        "content_of_meta",
        "json_element",
        "json",
        "blob_page",
    }
)
_EXPLAINED = {
    "code_in_element": "Texts of the page's elements are not known to the reader of scripts.",
}
CASES = tuple(
    replace(
        case,
        compare=("leads",) if case.name in _UNKNOWN else case.compare,
        explained=_EXPLAINED.get(case.name, ""),
    )
    for case in _ALL
)
