"""Pages whose frames or written documents navigate the page, and frames that navigate themselves.

`onward` is the path to which Chromium navigates without any input, and the path to which the
fetcher says that the page leads. It is empty if the page stays.
"""

from dataclasses import replace
from html import escape

from tests.browser.case import Case, leading_page, leading_script

_LEAVE = "<script>top.location = '/to'</script>"
#: The same inside of a script.
_QUOTED = "'<script>top.location = `/to`<\\/script>'"
_MADE = "var f = document.createElement('iframe'); "
_SHOWN = "document.body.append(f); "


def _srcdoc(name: str, document: str, attributes: str = "", explained: str = "") -> Case:
    frame = f'<iframe {attributes} srcdoc="{escape(document)}"></iframe>'
    return leading_page(name, frame, explained)


_ALL = (
    _srcdoc("srcdoc", _LEAVE),
    _srcdoc("srcdoc_parent", "<script>parent.location.replace('/to')</script>"),
    _srcdoc("srcdoc_frame_element", "<script>frameElement.ownerDocument.location='/to'</script>"),
    _srcdoc("srcdoc_handler", "<img src=data:, onerror=\"top.location.href='/to'\">"),
    _srcdoc("srcdoc_body_handler", "<body onload=\"parent.window.location.assign('/to')\">"),
    _srcdoc("srcdoc_window_open", "<script>open('/to', '_top')</script>"),
    _srcdoc("srcdoc_link", "<a id=l href=/to target=_top>x</a><script>l.click()</script>"),
    _srcdoc(
        "srcdoc_form",
        "<form id=f action=/to target=_parent></form><script>f.submit()</script>",
    ),
    _srcdoc(
        "srcdoc_base_target",
        "<base target=_top><a id=l href=/to>x</a><script>l.click()</script>",
    ),
    _srcdoc("srcdoc_in_srcdoc", f'<iframe srcdoc="{escape(_LEAVE)}"></iframe>'),
    _srcdoc("srcdoc_busts_frames", "<script>if (top != self) top.location = '/to'</script>"),
    _srcdoc("srcdoc_allowed", _LEAVE, "sandbox='allow-scripts allow-top-navigation'"),
    _srcdoc("srcdoc_sandboxed", _LEAVE, "sandbox=allow-scripts"),
    _srcdoc("srcdoc_own_location", "<script>location = '/to'</script>"),
    _srcdoc("srcdoc_own_refresh", "<meta http-equiv=refresh content='0;url=/to'>"),
    _srcdoc("srcdoc_own_link", "<a id=l href=/to>x</a><script>l.click()</script>"),
    _srcdoc("srcdoc_own_form", "<form id=f action=/to></form><script>f.submit()</script>"),
    _srcdoc("srcdoc_without_code", "<p>top.location = '/to'</p>"),
    leading_page(
        "frame_with_script_url", "<iframe src=\"javascript:top.location='/to'\"></iframe>"
    ),
    leading_page(
        "frame_with_written_url",
        f'<iframe src="javascript:{escape(_QUOTED)}"></iframe>',
    ),
    leading_page("frame_with_data_url", f'<iframe src="data:text/html,{escape(_LEAVE)}"></iframe>'),
    leading_script("set_srcdoc", f"{_MADE}f.srcdoc = {_QUOTED}; {_SHOWN}"),
    leading_script("set_srcdoc_attribute", f"{_MADE}f.setAttribute('srcdoc', {_QUOTED}); {_SHOWN}"),
    leading_script("set_srcdoc_later", f"{_MADE}{_SHOWN}setTimeout(() => f.srcdoc = {_QUOTED}, 9)"),
    leading_script(
        "set_own_srcdoc", f"{_MADE}f.srcdoc = '<script>location = `/to`<\\/script>'; {_SHOWN}"
    ),
    leading_script("content_document", f"{_MADE}{_SHOWN}f.contentDocument.write({_QUOTED})"),
    leading_script(
        "content_window",
        f"{_MADE}{_SHOWN}var d = f.contentWindow.document; d.open(); d.write({_QUOTED}); d.close()",
    ),
    leading_script(
        "content_in_pieces",
        f"{_MADE}{_SHOWN}var d = f.contentDocument; d.write('<script>top.loca'); "
        "d.write('tion = `/to`<\\/script>')",
    ),
    leading_script("frames_list", f"{_MADE}{_SHOWN}frames[0].document.write({_QUOTED})"),
    leading_script("frame_eval", f"{_MADE}{_SHOWN}f.contentWindow.eval(\"top.location = '/to'\")"),
    leading_script("frame_location", f"{_MADE}{_SHOWN}f.contentWindow.location = '/to'"),
    leading_script(
        "frame_blob",
        f"{_MADE}f.src = URL.createObjectURL(new Blob(['<script>top.location = `${{top.origin}}/to`"
        f"<\\/script>'], {{type: 'text/html'}})); {_SHOWN}",
    ),
    leading_script(
        "frame_script_url", f"{_MADE}f.src = \"javascript:parent.location='/to'\"; {_SHOWN}"
    ),
    leading_script(
        "inserted_frame",
        f"document.body.innerHTML = \"<iframe srcdoc='{escape(_LEAVE)}'></iframe>\"",
    ),
    leading_script(
        "written_frame", f"document.write(\"<iframe srcdoc='{escape(_LEAVE)}'></iframe>\")"
    ),
    leading_script(
        "opened_document",
        f"onload = () => {{ document.open(); document.write({_QUOTED}); document.close() }}",
    ),
    leading_script(
        "written_twice",
        "document.write('<script>document.write(\"<script>location=`/to`<\\\\/script>\")<\\/script>')",
    ),
    leading_script(
        "many_pieces",
        "var d = document; " + "d.write('<p>' + Date.now()); " * 20 + f"d.write({_QUOTED})",
    ),
    leading_script(
        "many_insertions",
        "var b = document.body; "
        + "b.innerHTML = '<p>' + Date.now(); " * 20
        + "b.innerHTML = '<img src=data:, onerror=location=`/to`>'",
    ),
    leading_script(
        "piece_by_piece",
        "".join(f"document.write({x!r});" for x in "<meta http-equiv=refresh content=0;url=/to>"),
    ),
    leading_script(
        "pieces_in_a_list",
        "document.write(['<meta http-equiv=refr', 'esh content=0;url=/to>'].join(''))",
    ),
    leading_script(
        "text_of_frame", f"var f = document.createElement('p'); f.srcdoc = {_QUOTED}; {_SHOWN}"
    ),
    leading_script(
        "body_replaced",
        "document.documentElement.innerHTML = '<meta http-equiv=refresh content=0;url=/to>'",
    ),
)

#: The addresses that a script works out; the fetcher says only that the page leads elsewhere.
_UNKNOWN = frozenset(
    {
        "frame_blob",
    }
)
CASES = tuple(
    replace(
        case,
        compare=("leads",) if case.name in _UNKNOWN else case.compare,
    )
    for case in _ALL
)
