"""Pages that reach the location by other names, and pages with names that only look like it.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from dataclasses import replace

from tests.browser.case import leading_page, leading_script

_ALL = (
    leading_script("destructured", "const {location: l} = window; l.href = '/to'"),
    leading_script(
        "destructured_same_name", "(() => { const {location} = window; location.href = '/to' })()"
    ),
    leading_script(
        "destructured_twice", "const {document: {location: l}} = window; l.assign('/to')"
    ),
    leading_script("destructured_list", "const [l] = [location]; l.href = '/to'"),
    leading_script("destructured_default", "const {a = location} = {}; a.href = '/to'"),
    leading_script("destructured_parameter", "(({location: l}) => { l.href = '/to' })(window)"),
    leading_script("assigned_pattern", "var l; ({location: l} = window); l.replace('/to')"),
    leading_script("destructured_target", "[location.href] = ['/to']"),
    leading_script("destructured_object_target", "({a: location.href} = {a: '/to'})"),
    leading_script("parameter", "(function (w) { w.location = '/to' })(window)"),
    leading_script("second_parameter", "(function (a, w) { w.location = '/to' })(1, window)"),
    leading_script("location_parameter", "(l => { l.href = '/to' })(location)"),
    leading_script("called_parameter", "function go(l, u) { l.href = u } go(location, '/to')"),
    leading_script("document_parameter", "(function (d) { d.location.href = '/to' }(document))"),
    leading_script("this_parameter", "(function () { this.location = '/to' }).call(window)"),
    leading_script("this_of_function", "(function () { this.location = '/to' })()"),
    leading_script("returned_window", "(function () { return this })().location = '/to'"),
    leading_script("returned_location", "var l = () => location; l().href = '/to'"),
    leading_script("made_global", "Function('return this')().location = '/to'"),
    leading_script("window_of_window", "window.window.self.location = '/to'"),
    leading_script("window_in_brackets", "window['self']['top'].location = '/to'"),
    leading_script("default_view", "document.defaultView.location = '/to'"),
    leading_script("owner_document", "document.body.ownerDocument.location = '/to'"),
    leading_script("frames_name", "frames.location = '/to'"),
    leading_script("alias_of_alias", "var w = window, v = w, l = v.location; l.href = '/to'"),
    leading_script("alias_property", "var o = {}; o.l = location; o.l.href = '/to'"),
    leading_script("alias_in_object", "var o = {w: window}; o.w.location = '/to'"),
    leading_script("alias_in_list", "var a = [location]; a[0].href = '/to'"),
    leading_script("alias_in_brackets", "var l = window['loc' + 'ation']; l['href'] = '/to'"),
    leading_script("alias_or", "var l = window.location || document.location; l.href = '/to'"),
    leading_script("alias_condition", "var l = 1 ? location : 0; l.href = '/to'"),
    leading_script("method_alias", "var go = location.replace.bind(location); go('/to')"),
    leading_script("method_alias_called", "var go = location.assign; go.call(location, '/to')"),
    leading_script("method_bound_at_once", "location.assign.bind(location, '/to')()"),
    leading_script("method_as_callback", "['/to'].forEach(location.assign.bind(location))"),
    leading_script("timer_of_method", "setTimeout(location.assign.bind(location), 1, '/to')"),
    leading_script("open_alias", "var o = open; o('/to', '_self')"),
    leading_script("eval_alias", "var e = eval; e(\"location = '/to'\")"),
    leading_script("eval_of_window", "window['ev' + 'al'](\"location = '/to'\")"),
    leading_script("timer_alias", "var t = setTimeout; t(\"location = '/to'\")"),
    leading_script(
        "write_alias",
        "var w = document.write.bind(document); w('<script>location=`/to`<\\/script>')",
    ),
    leading_script(
        "function_constructor", "var F = (() => {}).constructor; F(\"location = '/to'\")()"
    ),
    leading_script("function_text", "(new Function('u', 'location = u'))('/to')"),
    leading_script("async_constructor", "(async () => {}).constructor(\"location = '/to'\")()"),
    leading_script("reflect_set", "Reflect.set(location, 'href', '/to')"),
    leading_script("reflect_set_window", "Reflect.set(window, 'location', '/to')"),
    leading_script("reflect_get", "Reflect.get(window, 'location').href = '/to'"),
    leading_script("reflect_apply", "Reflect.apply(location.assign, location, ['/to'])"),
    leading_script("object_assign", "Object.assign(location, {href: '/to'})"),
    leading_script("object_assign_window", "Object.assign(window, {location: '/to'})"),
    leading_script("object_assign_other", "Object.assign({}, {href: '/to', location: '/to'})"),
    leading_script("reflect_set_other", "Reflect.set({}, 'location', '/to')"),
    leading_script("with_window", "with (window) { location = '/to' }"),
    leading_script("with_location", "with (location) { href = '/to' }"),
    leading_script("with_document", "with (document) { location.href = '/to' }"),
    leading_script("with_location_method", "with (location) assign('/to')"),
    leading_script("with_other", "with ({href: ''}) { href = '/to' }"),
    leading_script("proxy", "new Proxy({}, {get: () => location}).x.href = '/to'"),
    leading_script("getter", "var o = {get l() { return location }}; o.l.href = '/to'"),
    leading_script("computed_member", "var a = 'loc', b = 'ation'; window[a + b] = '/to'"),
    leading_script("computed_template", "window[`${'loc'}ation`]['href'] = '/to'"),
    leading_script("computed_join", "window[['loc', 'ation'].join('')] = '/to'"),
    leading_script("computed_reverse", "window['noitacol'.split('').reverse().join('')] = '/to'"),
    leading_script(
        "computed_codes", "window[String.fromCharCode(108,111,99,97,116,105,111,110)] = '/to'"
    ),
    leading_script(
        "computed_list", "var _0x = ['href', 'location', '/to']; window[_0x[1]][_0x[0]] = _0x[2]"
    ),
    leading_script(
        "computed_function",
        "function _0x(i) { return ['location', '/to'][i] } window[_0x(0)] = _0x(1)",
    ),
    leading_script("computed_hex", "window['\\x6c\\x6f\\x63\\x61\\x74\\x69\\x6f\\x6e'] = '/to'"),
    leading_script(
        "computed_search",
        "for (var k in window) if (k.slice(0, 3) == 'loc' && k.length == 8) { window[k] = '/to' }",
    ),
    leading_script("computed_call", "location['rep' + 'lace']('/to')"),
    leading_script("computed_eval", "window[atob('ZXZhbA==')](atob('bG9jYXRpb249Jy90byc='))"),
    leading_script("built_eval", "var c = ''; c += 'location'; c += '='; c += '\"/to\"'; eval(c)"),
    leading_script(
        "built_from_codes",
        "eval([108,111,99,97,116,105,111,110,61,39,47,116,111,39].map(c => "
        "String.fromCharCode(c)).join(''))",
    ),
    leading_script(
        "built_by_codes_in_list",
        "eval(String.fromCharCode.apply(null, "
        "[108,111,99,97,116,105,111,110,61,39,47,116,111,39]))",
    ),
    leading_script(
        "built_by_spread",
        "eval(String.fromCharCode(...[108,111,99,97,116,105,111,110,61,39,47,116,111,39]))",
    ),
    leading_script(
        "built_by_loop",
        "var s = 'mpdbujpo>(0up(', r = ''; for (var i = 0; i < s.length; i++) r += "
        "String.fromCharCode(s.charCodeAt(i) - 1); eval(r)",
    ),
    leading_script("history_and_reload", "history.pushState({}, '', '/to'); location.reload()"),
    leading_script(
        "history_replaced_and_reload", "history.replaceState(0, 0, '/to'); location = location.href"
    ),
    leading_script("history_and_go", "history.pushState(0, '', '/to'); history.go(0)"),
    leading_script(
        "history_alone_is_own", "history.replaceState(0, '', '/#x'); location.hash = 'y'"
    ),
    leading_script("open_self", "window.open('/to', '_self')"),
    leading_script("open_top", "open('/to', '_to' + 'p')"),
    leading_script("open_own_name", "name = 'me'; open('/to', 'me')"),
    leading_script("open_other", "open('/to', 'you')"),
    leading_script("navigate", "navigation.navigate('/to')"),
    leading_script("navigate_of_window", "window.navigation['navigate']('/to')"),
    leading_script("navigate_alias", "const {navigation: n} = window; n.navigate('/to')"),
    leading_script("url_object", "location = new URL('/to', location)"),
    leading_script(
        "url_object_href", "var u = new URL('/', location.href); u.pathname = '/to'; location = u"
    ),
    leading_script(
        "url_of_link", "var a = document.createElement('a'); a.href = '/to'; location = a.href"
    ),
    leading_script("void", "void (location = '/to')"),
    leading_script("logical_assignment", "location.x ??= 1; location &&= '/to'"),
    leading_script("plus_assignment", "location.pathname += 'to'"),
    leading_script("chained_assignment", "var a = window.b = location.href = '/to'"),
    leading_script("comma_assignment", "var a = (1, location.href = '/to')"),
    leading_script("escaped_member", "window.l\\u{6f}cation.hre\\u0066 = '/to'"),
    leading_script("comments_inside", "window/*x*/./*y*/location/*z*/=/*w*/'/to'"),
    leading_script("lines_inside", "window\n.\nlocation\n=\n'/to'"),
    leading_script("set_attribute_of_base", "document.body.setAttribute('location', '/to')"),
    leading_script(
        "set_by_defined_property", "Object.defineProperty({}, 'location', {value: '/to'})"
    ),
    leading_script("own_location", "function A() { this.location = '/to' } new A"),
    leading_script("other_parameter", "(function (w) { w.location = '/to' })({})"),
    leading_script(
        "other_alias", "var o = {l: {}}; o.l.href = '/to'; var w = {}; w.location = '/to'"
    ),
    leading_script("other_destructured", "const {location: l} = {location: {}}; l.href = '/to'"),
    leading_script("read_only", "var {href} = location; var l = location, x = l.href; x = '/to'"),
    leading_page(
        "link_named_location", "<form id=f name=location></form><script>f.action = '/to'</script>"
    ),
)

#: The addresses that a script works out; the fetcher says only that the page leads elsewhere.
_UNKNOWN = frozenset(
    {
        "destructured_target",
        "destructured_object_target",
        "method_as_callback",
        "timer_of_method",
        "function_text",
        "url_object_href",
    }
)
_EXPLAINED = {
    "proxy": "What a proxy returns is not followed.",
    "computed_search": "A name that is found by a search in the window is not known.",
    "built_by_loop": "Loops are not run; what they build is not known.",
}
CASES = tuple(
    replace(
        case,
        compare=("leads",) if case.name in _UNKNOWN else case.compare,
        explained=_EXPLAINED.get(case.name, ""),
    )
    for case in _ALL
)
