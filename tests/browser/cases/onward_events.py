"""Pages whose scripts call their own handlers, and pages whose handlers wait for a person.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from dataclasses import replace

from tests.browser.case import leading_page, leading_script

_GO = "function go() { location = '/to' } "

_ALL = (
    leading_script("own_event", _GO + "addEventListener('x', go); dispatchEvent(new Event('x'))"),
    leading_script(
        "custom_event",
        "document.addEventListener('x:y', () => { location = '/to' }); "
        "document.dispatchEvent(new CustomEvent('x:y', {detail: 1}))",
    ),
    leading_script(
        "event_detail",
        "addEventListener('x', e => { location = e.detail }); "
        "dispatchEvent(new CustomEvent('x', {detail: '/to'}))",
    ),
    leading_script(
        "event_in_variables",
        _GO + "var n = 'a' + 'b', e = new Event(n); addEventListener(n, go); dispatchEvent(e)",
    ),
    leading_script(
        "old_event",
        _GO + "addEventListener('x', go); var e = document.createEvent('Event'); "
        "e.initEvent('x', true, true); dispatchEvent(e)",
    ),
    leading_script(
        "event_target",
        _GO
        + "var t = new EventTarget; t.addEventListener('x', go); t.dispatchEvent(new Event('x'))",
    ),
    leading_script("event_not_sent", _GO + "addEventListener('x', go); new Event('x')"),
    leading_script(
        "other_event_sent", _GO + "addEventListener('x', go); dispatchEvent(new Event('y'))"
    ),
    leading_script(
        "sent_click",
        "document.body.onclick = () => { location = '/to' }; document.body.dispatchEvent(new "
        "MouseEvent('click'))",
    ),
    leading_script(
        "sent_key",
        _GO + "addEventListener('keydown', go); dispatchEvent(new KeyboardEvent('keydown'))",
    ),
    leading_script(
        "hash_listener", _GO + "addEventListener('hashchange', go); location.hash = 'x'"
    ),
    leading_script(
        "hash_property", "onhashchange = () => location.replace('/to'); location.hash = 'x'"
    ),
    leading_script("hash_handler_waits", _GO + "addEventListener('hashchange', go)"),
    leading_script("message", _GO + "addEventListener('message', go); postMessage('x', '*')"),
    leading_script(
        "message_property", "onmessage = e => { location = e.data }; window.postMessage('/to')"
    ),
    leading_script(
        "message_channel",
        _GO + "var c = new MessageChannel; c.port1.onmessage = go; c.port2.postMessage('')",
    ),
    leading_script("message_waits", _GO + "addEventListener('message', go)"),
    leading_script(
        "mutation",
        "new MutationObserver(() => { location = '/to' }).observe(document.body, {childList: "
        "true}); "
        "document.body.append('x')",
    ),
    leading_script("timer_text", "setTimeout('loca' + 'tion=\"/to\"', 1)"),
    leading_script("timer_of_own_name", _GO + "window.setTimeout(window.go, 1)"),
    leading_script("timer_bound", _GO + "setTimeout(go.bind(null), 1)"),
    leading_script("timer_with_parameter", "setTimeout(u => { location = u }, 1, '/to')"),
    leading_script("frame_callback", "requestAnimationFrame(function () { location = '/to' })"),
    leading_script("idle_callback", _GO + "requestIdleCallback(go)"),
    leading_script("microtask", _GO + "queueMicrotask(go)"),
    leading_script("promise", "Promise.resolve('/to').then(u => { location = u })"),
    leading_script("promise_catch", "Promise.reject().catch(() => { location = '/to' })"),
    leading_script("promise_all", _GO + "Promise.all([]).then(go)"),
    leading_script("promise_both", _GO + "Promise.reject(1).then(null, go)"),
    leading_script(
        "new_promise", "new Promise(r => setTimeout(r, 1)).finally(() => { location = '/to' })"
    ),
    leading_script("async_function", "async function go() { await 0; location = '/to' } go()"),
    leading_script("async_at_once", "(async () => { await null; location = '/to' })()"),
    leading_script("async_never_called", "async function go() { location = '/to' }"),
    leading_script("generator", "function* go() { location = '/to' } go().next()"),
    leading_script(
        "generator_spread", "const g = function* () { yield location = '/to' }; [...g()]"
    ),
    leading_script(
        "async_generator",
        "async function* go() { location = '/to' } (async () => { for await (x of go()) {} })()",
    ),
    leading_script("comma", "var a = (0, () => { location = '/to' }); a()"),
    leading_script("method_of_object", "var o = { go() { location = '/to' } }; o.go()"),
    leading_script(
        "method_in_brackets", "var o = { go: () => { location = '/to' } }; o['g' + 'o']()"
    ),
    leading_script("list_of_functions", "[function () { location = '/to' }][0]()"),
    leading_script("named_list_of_functions", "var a = [() => { location = '/to' }]; a[0]()"),
    leading_script("constructor_of_class", "class A { constructor() { location = '/to' } } new A"),
    leading_script("static_method", "class A { static go() { location = '/to' } } A.go()"),
    leading_script("static_block", "class A { static { location = '/to' } }"),
    leading_script("new_function", "function A() { location = '/to' } new A"),
    leading_script("getter", "var o = { get a() { location = '/to' } }; o.a"),
    leading_script("setter", "var o = { set a(x) { location = x } }; o.a = '/to'"),
    leading_script(
        "defined_getter", "Object.defineProperty(window, 'a', { get() { location = '/to' } }); a"
    ),
    leading_script("proxy", "new Proxy({}, { get() { location = '/to' } }).x"),
    leading_script("to_string", "'' + { toString() { location = '/to' } }"),
    leading_script("to_primitive", "+{ [Symbol.toPrimitive]() { location = '/to' } }"),
    leading_script("thenable", "(async () => { await { then() { location = '/to' } } })()"),
    leading_script("iterator", "[...{ *[Symbol.iterator]() { location = '/to' } }]"),
    leading_script("default_parameter", "(function (a = location = '/to') {})()"),
    leading_script("tagged_template", "function go() { location = '/to' } go`x`"),
    leading_script("replacer", "'a'.replace(/a/, () => { location = '/to' })"),
    leading_script("replacer_of_json", "JSON.parse('1', () => { location = '/to' })"),
    leading_script("sorted", "[1, 2].sort(() => { location = '/to' })"),
    leading_script("array_from", "Array.from('a', function () { location = '/to' })"),
    leading_script("for_each_of_map", "new Map([[1, 2]]).forEach(() => { location = '/to' })"),
    leading_script("reflect_apply", _GO + "Reflect.apply(go, null, [])"),
    leading_script("reflect_construct", _GO + "Reflect.construct(go, [])"),
    leading_script("function_call", _GO + "go.call()"),
    leading_script("prototype_call", _GO + "Function.prototype.call.call(go)"),
    leading_script("error_event", "onerror = () => { location = '/to' }; throw 1"),
    leading_script(
        "rejection", "onunhandledrejection = () => { location = '/to' }; Promise.reject(1)"
    ),
    leading_script(
        "custom_element",
        "customElements.define('a-b', class extends HTMLElement { connectedCallback() { location "
        "= '/to' } }); document.body.append(document.createElement('a-b'))",
    ),
    leading_page(
        "clicked_link", "<a id=l href=/to>x</a><script>document.querySelector('a').click()</script>"
    ),
    leading_page(
        "clicked_first_link", "<a href=/to>x</a><script>document.links[0].click()</script>"
    ),
    leading_page(
        "clicked_by_tag",
        "<a href=/to>x</a><script>document.getElementsByTagName('a')[0].click()</script>",
    ),
    leading_page(
        "clicked_by_class",
        "<a class=b href=/to>x</a><script>document.querySelectorAll('.b')[0].click()</script>",
    ),
    leading_page("clicked_child", "<a href=/to><b id=b>x</b></a><script>b.click()</script>"),
    leading_page(
        "clicked_button",
        "<button id=b onclick=\"location='/to'\">x</button><script>b.click()</script>",
    ),
    leading_page(
        "clicked_parent_handler",
        "<p onclick=\"location='/to'\"><b id=b>x</b></p><script>b.click()</script>",
    ),
    leading_page(
        "clicked_handler",
        "<button id=b>x</button><script>b.onclick = () => { location = '/to' }; b.click()</script>",
    ),
    leading_page(
        "clicked_listener",
        f"<p id=b>x</p><script>{_GO}b.addEventListener('click', go); b.click()</script>",
    ),
    leading_page(
        "clicked_in_jquery_style",
        f"<p id=b>x</p><script>{_GO}var $ = () => b; b.onclick = go; $('#b').click()</script>",
    ),
    leading_page(
        "not_clicked", f"<p id=b>x</p><script>{_GO}b.addEventListener('click', go)</script>"
    ),
    leading_page(
        "other_clicked",
        "<button id=a onclick=\"location='/to'\">x</button><button "
        "id=b>y</button><script>b.click()</script>",
    ),
    leading_page(
        "clicked_submit",
        "<form action=/to><button id=b>x</button></form><script>b.click()</script>",
    ),
    leading_page(
        "clicked_input",
        "<form action=/to><input type=submit id=b></form><script>b.click()</script>",
    ),
    leading_page(
        "clicked_image", "<form action=/to><input type=image id=b></form><script>b.click()</script>"
    ),
    leading_page(
        "clicked_plain_button",
        "<form action=/to><button type=button id=b>x</button></form><script>b.click()</script>",
    ),
    leading_page(
        "clicked_formaction",
        "<form action=/a><button formaction=/to id=b>x</button></form><script>b.click()</script>",
    ),
    leading_page(
        "clicked_label",
        "<form action=/to><label id=l>x<input "
        "type=submit></label></form><script>l.click()</script>",
    ),
    leading_page(
        "clicked_label_for",
        "<label for=b id=l>x</label><button id=b "
        "onclick=\"location='/to'\">y</button><script>l.click()</script>",
    ),
    leading_page(
        "clicked_new_window", "<a id=l href=/to target=_blank>x</a><script>l.click()</script>"
    ),
    leading_page("clicked_download", "<a id=l href=/to download>x</a><script>l.click()</script>"),
    leading_page(
        "sent_click_to_link",
        "<a id=l href=/to>x</a><script>l.dispatchEvent(new MouseEvent('click'))</script>",
    ),
    leading_page(
        "sent_click_to_form",
        "<form action=/to><button id=b>x</button></form><script>b.dispatchEvent(new "
        "MouseEvent('click', {bubbles: true}))</script>",
    ),
    leading_page(
        "sent_submit",
        "<form id=f onsubmit=\"location='/to'\"></form><script>f.dispatchEvent(new "
        "Event('submit'))</script>",
    ),
    leading_page(
        "request_submit",
        "<form id=f "
        "action=/to></form><script>document.querySelector('form').requestSubmit()</script>",
    ),
    leading_page(
        "submit_of_prototype",
        "<form id=f action=/to></form><script>HTMLFormElement.prototype.submit.call(f)</script>",
    ),
    leading_page(
        "submit_in_brackets", "<form id=f action=/to></form><script>f['sub' + 'mit']()</script>"
    ),
    leading_page(
        "submit_handler",
        "<form id=f action=/a onsubmit=\"location='/to'; return "
        'false"></form><script>f.requestSubmit()</script>',
    ),
    leading_page(
        "made_form",
        "<script>var f = document.createElement('form'); f.action = '/to'; "
        "document.body.append(f); f.submit()</script>",
    ),
    leading_page("focused", "<input id=i onfocus=\"location='/to'\"><script>i.focus()</script>"),
    leading_page(
        "changed",
        "<input id=i onchange=\"location='/to'\"><script>i.dispatchEvent(new "
        "Event('change'))</script>",
    ),
    leading_page(
        "dialog_closed",
        "<dialog id=d onclose=\"location='/to'\"></dialog><script>d.showModal(); "
        "d.close()</script>",
    ),
)

#: The addresses that a script works out; the fetcher says only that the page leads elsewhere.
_UNKNOWN = frozenset(
    {
        "message_property",
        "timer_with_parameter",
        "promise",
        "setter",
    }
)
_EXPLAINED = {
    "prototype_call": "Which function a wrapper of a wrapper calls is not followed.",
}
CASES = tuple(
    replace(
        case,
        compare=("leads",) if case.name in _UNKNOWN else case.compare,
        explained=_EXPLAINED.get(case.name, ""),
    )
    for case in _ALL
)
