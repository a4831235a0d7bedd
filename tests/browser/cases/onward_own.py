"""Pages that navigate by events and functions of the browser, and ordinary ones that do not."""

from tests.browser.case import Case, leading_page

_LEADING = {
    "getter_destructure": (
        '<script>var o = { get x() { location = "/to" } }; var { x } = o</script>'
    ),
    "reduceright": '<script>[1,2].reduceRight(() => { location = "/to" })</script>',
    "findlast": '<script>[1].findLast(() => { location = "/to" })</script>',
    "broadcast": (
        '<script>var a = new BroadcastChannel("x"), b = new BroadcastChannel("x'
        '"); a.onmessage = () => location = "/to"; b.postMessage(1)</script>'
    ),
    "abort_signal": (
        "<script>var c = new AbortController; c.signal.onabort = () => location"
        ' = "/to"; c.abort()</script>'
    ),
    "abort_timeout": (
        '<script>AbortSignal.timeout(10).addEventListener("abort", () => location = "/to")</script>'
    ),
    "reporterror": (
        '<script>addEventListener("error", () => location = "/to"); reportError(1)</script>'
    ),
    "xhr_loadend": (
        '<script>var x = new XMLHttpRequest; x.addEventListener("loadend", () ='
        '> { location = "/to" }); x.open("GET", "/x"); x.send()</script>'
    ),
    "worker_message": (
        '<script>var w = new Worker(URL.createObjectURL(new Blob(["postMessage('
        '1)"]))); w.onmessage = () => location = "/to"</script>'
    ),
    "animation_onfinish": (
        '<script>document.body.animate([], 1).onfinish = () => location = "/to"</script>'
    ),
    "performance_observer": (
        '<script>new PerformanceObserver(() => location = "/to").observe({type:'
        ' "navigation", buffered: true})</script>'
    ),
    "view_transition": '<script>document.startViewTransition(() => location = "/to")</script>',
    "scheduler": '<script>scheduler.postTask(() => location = "/to")</script>',
    "sethtmlunsafe": (
        "<script>document.body.setHTMLUnsafe(\"<img src=x onerror='location=`/to`'>\")</script>"
    ),
    "innerhtml_svg": (
        "<script>document.body.innerHTML = \"<svg><image href=x onerror='locatio"
        "n=`/to`'></image></svg>\"</script>"
    ),
    "line_sep": '<script>//x\u2028location = "/to"</script>',
    "postfix_division": '<script>var a = 1; a++ / 2; location = "/to"; a / 1</script>',
    "super_call": (
        '<script>class A { constructor() { location = "/to" } } class B extends A {} new B</script>'
    ),
    "details_toggle": (
        '<script>var d = document.createElement("details"); d.ontoggle = () => '
        'location = "/to"; document.body.append(d); d.open = true</script>'
    ),
    "popover": (
        '<script>var d = document.createElement("div"); d.popover = "auto"; d.o'
        'ntoggle = () => location = "/to"; document.body.append(d); d.showPopov'
        "er()</script>"
    ),
    "slotchange": (
        '<script>var d = document.createElement("div"); var r = d.attachShadow('
        '{mode: "open"}); r.innerHTML = "<slot></slot>"; r.firstChild.addEventL'
        'istener("slotchange", () => location = "/to"); document.body.append(d)'
        '; d.append("x")</script>'
    ),
    "select_change": (
        '<script>var i = document.createElement("input"); i.oninvalid = () => l'
        'ocation = "/to"; i.required = true; document.body.append(i); i.checkVa'
        "lidity()</script>"
    ),
    "scroll": (
        '<script>document.body.style.height = "9000px"; onscroll = () => locati'
        'on = "/to"; scrollTo(0, 50)</script>'
    ),
    "popstate": (
        '<script>onpopstate = () => location = "/to"; history.pushState(1, "");'
        " history.back()</script>"
    ),
    "transition": (
        '<style>b{transition:color .1s}</style><b id=q ontransitionend="locatio'
        "n='/to'\">x</b><script>requestAnimationFrame(()=>requestAnimationFrame("
        '()=>q.style.color="red"))</script>'
    ),
    "onclick_self": "<b id=z onclick=\"location='/to'\"></b><script>z.onclick()</script>",
    "command": (
        "<button id=b commandfor=d command=show-modal></button><dialog id=d ont"
        "oggle=\"location='/to'\"></dialog><script>b.click()</script>"
    ),
}
#: Pages that stay where they are until somebody clicks.
_STAYING = {
    "gtm": (
        '<script>(function(w,d,s,l,i){w[l]=w[l]||[];w[l].push({"gtm.start":new '
        'Date().getTime(),event:"gtm.js"});var f=d.getElementsByTagName(s)[0],j'
        '=d.createElement(s),dl=l!="dataLayer"?"&l="+l:"";j.async=true;j.src="/'
        'gtm.js?id="+i+dl;f.parentNode.insertBefore(j,f);})(window,document,"sc'
        'ript","dataLayer","GTM-X");</script>'
    ),
    "matomo": (
        '<script>var _paq=window._paq=window._paq||[];_paq.push(["trackPageView'
        '"]);(function(){var u="/";_paq.push(["setTrackerUrl",u+"m.php"]);var d'
        '=document,g=d.createElement("script"),s=d.getElementsByTagName("script'
        '")[0];g.async=true;g.src=u+"m.js";s.parentNode.insertBefore(g,s);})();'
        "</script>"
    ),
    "menu": (
        "<button id=m onclick=\"location.href='/menu'\">Menu</button><script>m.ad"
        'dEventListener("click", function () { location.href = this.dataset.u }'
        ")</script>"
    ),
    "search": (
        "<form id=s action=/search><input name=q></form><script>document.getEle"
        'mentById("s").addEventListener("submit", function (e) { e.preventDefau'
        'lt(); location.href = "/search?q=" + this.q.value })</script>'
    ),
    "logout_fn": (
        '<script>function logout() { location.href = "/logout" } window.logout = logout</script>'
    ),
    "router": (
        "<script>class Router { constructor() { this.routes = {} } go(u) { loca"
        "tion.href = u } on(p, f) { this.routes[p] = f } } const r = new Router"
        '; r.on("/a", () => r.go("/b"))</script>'
    ),
    "vue_like": (
        '<script>const app = { data() { return { u: "/x" } }, methods: { leave('
        ") { location.href = this.u } }, mounted() { this.x = 1 } }; window.app"
        " = app</script>"
    ),
    "react_like": (
        "<script>function App() { const [s, set] = [1, () => 1]; return { onCli"
        'ck: () => { window.location.href = "/x" } } } App()</script>'
    ),
    "lazy": (
        "<script>new IntersectionObserver(es => es.forEach(e => { if (e.isInter"
        "secting) e.target.src = e.target.dataset.src })).observe(document.body"
        ")</script>"
    ),
    "consent": (
        '<script>document.addEventListener("DOMContentLoaded", () => { const b '
        '= document.createElement("div"); b.innerHTML = "<p>Cookies</p><a href='
        '/privacy>More</a><button>OK</button>"; document.body.appendChild(b) })'
        "</script>"
    ),
    "ga_link": (
        '<script>document.addEventListener("click", e => { const a = e.target.c'
        'losest("a"); if (a) { e.preventDefault(); setTimeout(() => { location.'
        "href = a.href }, 100) } })</script>"
    ),
    "iife_libs": (
        '<script>!function (e, t) { "object" == typeof exports ? module.exports'
        ' = t() : (e = e || self).Lib = t() }(this, function () { "use strict";'
        ' return { version: "1", go: function (e) { window.location.href = e } '
        "} })</script>"
    ),
    "img_fallback": "<img src=data:,x onerror=\"this.src='/ph.png';this.onerror=null\">",
    "css_onload": (
        "<link rel=preload as=style href=/a.css onload=\"this.onload=null;this.rel='stylesheet'\">"
    ),
    "xhr_open": (
        '<script>var x = new XMLHttpRequest; x.open("GET", "/x", true); x.send()</script>'
    ),
    "object_assign": '<script>const o = Object.assign({}, { location: "/x", href: "/y" })</script>',
    "details": '<details ontoggle="this.dataset.o=this.open"><summary>x</summary>y</details>',
    "history_back": (
        '<a href="javascript:history.back()">Back</a><a href="javascript:void(0'
        ')" onclick="go()">x</a><script>function go() { location.href = "/x" }<'
        "/script>"
    ),
}

CASES: tuple[Case, ...] = (
    *(leading_page(name, body) for name, body in _LEADING.items()),
    *(leading_page(name, body, compare=("leads",)) for name, body in _STAYING.items()),
)
